"""The server's connection: requests, accepting and refusing them, bytes that come early, and time."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    CauseKind,
    Disconnected,
    HandshakeError,
    Headers,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    Rejected,
    Request,
    ServerConnection,
    Side,
    State,
    StateError,
    Timeouts,
    Transport,
    Turn,
)

from . import wire
from .handshakes import GOOD, PLAIN, accept_for, ask, asking, end, fields, octets, opened_server, refused
from .handshakes import HELLO_TO_SERVER as HELLO

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + wire.ACCEPT.encode() + b"\r\n\r\n"
)


# Accepting


def test_a_connection_opens() -> None:
    server, request = ask(wire.request({"Cookie": "a=b"}, line="GET /chat/x?y=z HTTP/1.1"))
    assert (request.method, request.target, request.http_version) == ("GET", "/chat/x?y=z", "1.1")
    assert (request.path, request.query) == ("/chat/x", "y=z")
    assert request.is_upgrade
    assert request.headers.get("cookie") == "a=b"
    assert server.state is State.CONNECTING
    assert server.transport is Transport.KEEP_OPEN
    assert server.data_to_send() == b""
    assert server.accept() == SWITCHED
    assert server.state is State.OPEN
    assert server.bytes_sent == len(SWITCHED)
    assert server.subprotocol is None
    assert list(server.receive_data(HELLO)) == ["hello"]
    assert server.send("hi") == wire.frame(wire.TEXT, b"hi", key=None)


def test_subprotocol_and_further_fields() -> None:
    server, request = ask(wire.request({"Sec-WebSocket-Protocol": "a, b"}))
    assert request.subprotocols == ["a", "b"]
    written = server.accept(subprotocol="b", headers=[("Set-Cookie", "x=y"), ("Set-Cookie", "z=\xe9")])
    assert server.subprotocol == "b"
    assert fields(written) == {
        "upgrade": ["websocket"],
        "connection": ["Upgrade"],
        "sec-websocket-accept": [wire.ACCEPT],
        "sec-websocket-protocol": ["b"],
        "set-cookie": ["x=y", "z=\xe9"],
    }


@given(st.binary(min_size=16, max_size=16))
def test_the_accept_field_answers_the_key(key: bytes) -> None:
    text = base64.b64encode(key).decode()
    server, _ = ask(wire.request({"Sec-WebSocket-Key": text}))
    assert fields(server.accept())["sec-websocket-accept"] == [accept_for(text)]


def test_compression() -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    server, _ = ask(wire.request(offer), compression=PerMessageDeflate(threshold=0))
    written = server.accept()
    assert fields(written)["sec-websocket-extensions"] == [
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    ]
    (frame,) = wire.frames(server.send("hello " * 20))
    assert frame.rsv == 4
    assert zlib.decompress(frame.payload + b"\0\0\xff\xff\3\0", -12) == b"hello " * 20
    squeezer = zlib.compressobj(wbits=-12)
    squeezed = squeezer.compress(b"ab" * 99) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    assert list(server.receive_data(wire.frame(wire.TEXT, squeezed[:-4], rsv=4))) == ["ab" * 99]


@pytest.mark.parametrize(
    ("offer", "wish"),
    [(None, PerMessageDeflate()), ("permessage-deflate", None), ("x-other", PerMessageDeflate())],
)
def test_no_compression_without_both_sides(offer: str | None, wish: PerMessageDeflate | None) -> None:
    server, _ = ask(wire.request({"Sec-WebSocket-Extensions": offer}), compression=wish)
    assert "sec-websocket-extensions" not in fields(server.accept())
    assert server.send("hello " * 20) == wire.frame(wire.TEXT, b"hello " * 20, key=None)


def test_an_allow_list_of_origins() -> None:
    origins = ["https://example.com"]
    ask(wire.request({"Origin": "https://example.com"}), origins=origins)
    status, last, _ = refused(ServerConnection(origins=origins), [wire.request({"Origin": "https://evil"})])
    assert (status, last.cause.header) == (403, "Origin")
    status, last, _ = refused(ServerConnection(origins=origins), [GOOD])
    assert (status, last.cause.header) == (403, "Origin")


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_the_limit_of_early_bytes_is_exact(cut: Callable[[bytes], list[bytes]]) -> None:
    def early(count: int) -> ServerConnection:
        server, _ = ask(limits=Limits(max_header_size=len(GOOD)))
        for piece in cut(b"x" * count):
            assert list(server.receive_data(piece)) == []
        return server

    server = early(len(GOOD))
    assert server.data_to_send() == b""
    assert server.accept() == SWITCHED

    server = early(len(GOOD) + 1)
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.transport is Transport.HALF_CLOSE
    with pytest.raises(StateError):
        server.accept()
    cause = end(server)
    assert (cause.kind, cause.initiator) == (CauseKind.HANDSHAKE_FAILED, Side.PEER)
    assert cause.detail == "frames came too early; answered with 400"


# Refusals by the engine


def test_a_refusal_in_full() -> None:
    server = ServerConnection()
    assert list(server.receive_data(wire.request({"Sec-WebSocket-Version": "8"}) + HELLO)) == []
    assert server.data_to_send() == (
        b"HTTP/1.1 426 Upgrade Required\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade, close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 34\r\n"
        b"\r\n"
        b"Sec-WebSocket-Version must be 13.\n"
    )
    assert server.transport is Transport.HALF_CLOSE
    assert server.turn is Turn.PEER
    assert list(server.receive_data(GOOD)) == []
    assert server.data_to_send() == b""
    cause = end(server)
    assert cause.kind is CauseKind.HANDSHAKE_FAILED
    assert cause.initiator is Side.PEER
    assert cause.detail == "Sec-WebSocket-Version must be 13; answered with 426"
    assert cause.header == "Sec-WebSocket-Version"
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == 426


def test_a_head_that_is_too_large() -> None:
    status, last, _ = refused(ServerConnection(limits=Limits(max_header_size=100)), [b"GET /" + b"x" * 96])
    assert (status, last.cause.detail) == (431, "the head is larger than 100 bytes; answered with 431")


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "sec-websocket-VERSION", "Sec-WebSocket-Protocol"])
def test_a_request_that_meant_to_upgrade_is_told_what_is_missing(name: str) -> None:
    # A proxy that drops hop-by-hop fields leaves such a request.
    data = PLAIN[:-2] + name.encode() + b": x\r\n\r\n"
    status, last, written = refused(ServerConnection(), [data])
    assert (status, last.cause.header) == (426, "Upgrade")
    assert fields(written)["upgrade"] == ["websocket"]


@pytest.mark.parametrize(
    "target", ["*", "[", "?", "#", "http://example.com/", "http://[", "example.com:80", "/page#part"]
)
def test_a_plain_request_whose_target_is_no_path(target: str) -> None:
    server = ServerConnection()
    assert list(server.receive_data(f"GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())) == []
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_nothing_follows_the_end() -> None:
    server = ServerConnection()
    end(server)
    for data in (GOOD, PLAIN, b"nonsense\r\n\r\n"):
        assert list(server.receive_data(data)) == []
    assert list(server.receive_eof()) == []
    with pytest.raises(StateError):
        server.receive_request(Request("GET", "/", Headers()))
    assert server.data_to_send() == b""


# Plain requests and rejections


def test_a_page_of_ones_own() -> None:
    server, request = ask(PLAIN + b"GET /pipelined HTTP/1.1\r\n")
    assert not request.is_upgrade
    written = server.reject(200, headers={"Content-Type": "text/html"}, body="<p>hi")
    assert written == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<p>hi"
    )
    assert server.transport is Transport.HALF_CLOSE
    assert list(server.receive_data(GOOD)) == []
    cause = end(server)
    assert (cause.kind, cause.initiator, cause.header) == (CauseKind.NO_UPGRADE, Side.PEER, None)
    assert cause.detail == "a plain HTTP request, answered with 200"


def test_head_has_no_body() -> None:
    server, request = ask(PLAIN.replace(b"GET", b"HEAD"))
    assert request.method == "HEAD"
    written = server.reject(404, body=b"not found")
    assert written.endswith(b"Content-Length: 9\r\nConnection: close\r\n\r\n")


def test_a_plain_request_cannot_be_accepted() -> None:
    server, _ = ask(PLAIN)
    written = server.accept()
    assert written.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert fields(written)["upgrade"] == ["websocket"]
    assert fields(written)["connection"] == ["Upgrade, close"]
    assert server.transport is Transport.HALF_CLOSE
    cause = end(server)
    assert (cause.kind, cause.header) == (CauseKind.HANDSHAKE_FAILED, "Upgrade")


def test_a_rejected_upgrade() -> None:
    server, _ = ask()
    written = server.reject(401, headers={"WWW-Authenticate": "Basic"}, body="who?")
    assert written.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert fields(written)["www-authenticate"] == ["Basic"]
    cause = end(server)
    assert (cause.kind, cause.initiator) == (CauseKind.HANDSHAKE_REFUSED, Side.LOCAL)
    assert cause.detail == "the server answered 401"


def test_the_client_may_never_end_its_stream_after_a_rejection() -> None:
    server, _ = ask(timeouts=Timeouts(close=3))
    server.reject(403)
    assert server.next_timeout() == float("-inf")
    assert list(server.handle_timeout(100)) == []
    assert server.next_timeout() == 103
    (last,) = server.handle_timeout(103)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.HANDSHAKE_REFUSED
    assert server.transport is Transport.CLOSE


# A body in pieces

pieces = st.lists(st.binary(max_size=300) | st.text(max_size=20).filter(str.isascii), max_size=6)


@given(st.binary(max_size=50), pieces, st.binary(max_size=50))
def test_a_refusal_in_pieces(first: bytes, between: list[bytes | str], last: bytes) -> None:
    """A client, and h11 in it, has the last word on what they are together."""
    server, _ = ask()
    written = server.reject(503, headers={"Content-Type": "text/html", "X": "y"}, body=first, final=False)
    for piece in between:
        assert server.transport is Transport.KEEP_OPEN
        written += server.send_body(piece, final=False)
    written += server.send_body(last, final=True)
    assert server.transport is Transport.HALF_CLOSE
    assert server.bytes_sent == len(written)
    assert {"x": ["y"], "content-type": ["text/html"], "connection": ["close"]}.items() <= fields(
        written
    ).items()
    (rejected,) = [event for event in asking().receive_data(written) if isinstance(event, Rejected)]
    middle = [piece.encode() if isinstance(piece, str) else piece for piece in between]
    assert rejected.response.status == 503
    assert rejected.response.body == b"".join([first, *middle, last])
    cause = end(server)
    assert (cause.kind, cause.initiator) == (CauseKind.HANDSHAKE_REFUSED, Side.LOCAL)
    assert cause.detail == "the server answered 503"


def test_what_comes_meanwhile_is_dropped() -> None:
    server, _ = ask()
    server.reject(403, final=False)
    for _ in range(100):
        assert list(server.receive_data(HELLO * 100)) == []
    assert server.data_to_send() == b""
    assert server.send_body(b"no", final=True) == b"2\r\nno\r\n0\r\n\r\n"
    assert list(server.receive_data(HELLO)) == []


def test_a_client_that_goes_meanwhile() -> None:
    server, _ = ask()
    server.reject(403, final=False)
    (last,) = server.receive_eof()
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.HANDSHAKE_REFUSED
    with pytest.raises(StateError):
        server.send_body(b"no", final=True)


def test_a_body_that_takes_too_long() -> None:
    server, _ = ask(timeouts=Timeouts(open=3))
    assert list(server.handle_timeout(100)) == []
    server.reject(403, final=False)
    (last,) = server.handle_timeout(103)
    assert isinstance(last, Disconnected)
    assert server.data_to_send() == b""
    assert server.transport is Transport.CLOSE


def test_a_body_that_was_not_begun_or_has_ended() -> None:
    whole, _ = ask()
    whole.reject(403, body=b"no")
    ended, _ = ask()
    ended.reject(403, final=False)
    ended.send_body(b"no", final=True)
    for server in (ServerConnection(), ask()[0], whole, ended, opened_server()):
        before = server.bytes_sent
        with pytest.raises(StateError):
            server.send_body(b"no", final=True)
        assert server.bytes_sent == before
    for misuse in (ended.accept, lambda: ended.reject(403)):
        with pytest.raises(StateError):
            misuse()


# Misuse changes nothing


@pytest.mark.parametrize(
    "misuse",
    [
        lambda server: server.accept(subprotocol="other"),
        lambda server: server.accept(headers={"X": "a\r\nb"}),
        lambda server: server.accept(headers={"Upgrade": "x"}),
        lambda server: server.reject(101),
        lambda server: server.reject(999),
        lambda server: server.reject(204, body="x"),
        lambda server: server.reject(204, final=False),
        lambda server: server.reject(403, headers={"Content-Length": "3"}),
        lambda server: server.reject(403, headers={"X": "\x00"}),
    ],
)
def test_values_that_may_not_be_sent(misuse: Callable[[ServerConnection], bytes]) -> None:
    server, _ = ask()
    with pytest.raises(InvalidValueError):
        misuse(server)
    assert server.data_to_send() == b""
    assert server.subprotocol is None
    assert server.bytes_sent == 0
    assert server.accept() == SWITCHED


def waiting() -> ServerConnection:
    return ServerConnection()


def answered() -> ServerConnection:
    server, _ = ask()
    server.reject(403)
    return server


def turned_down() -> ServerConnection:
    server = ServerConnection()
    list(server.receive_data(b"nonsense\r\n\r\n"))
    server.data_to_send()
    return server


def vanished() -> ServerConnection:
    server, _ = ask()
    end(server)
    return server


@pytest.mark.parametrize("make", [waiting, opened_server, answered, turned_down, vanished])
@pytest.mark.parametrize(
    "misuse", [ServerConnection.accept, lambda server: server.reject(403)], ids=["accept", "reject"]
)
def test_answers_without_a_request(
    make: Callable[[], ServerConnection], misuse: Callable[[ServerConnection], bytes]
) -> None:
    server = make()
    before = server.state, server.transport, server.bytes_sent
    with pytest.raises(StateError, match="no request to answer"):
        misuse(server)
    assert (server.state, server.transport, server.bytes_sent) == before
    assert server.data_to_send() == b""


@pytest.mark.parametrize(
    "misuse",
    [
        lambda server: server.send("x"),
        lambda server: server.send_ping(),
        lambda server: server.send_close(),
        lambda server: server.fail(),
        lambda server: server.send_fragment("x", final=True),
    ],
)
def test_no_frame_leaves_before_the_answer(misuse: Callable[[ServerConnection], bytes]) -> None:
    server, _ = ask()
    with pytest.raises(StateError):
        misuse(server)
    assert server.accept() == SWITCHED


# Requests that someone else parsed


def test_a_request_from_elsewhere() -> None:
    server = ServerConnection()
    request = Request("GET", "/chat", Headers(wire.REQUEST_FIELDS))
    assert list(server.receive_request(request)) == [request]
    assert list(server.receive_data(HELLO)) == []
    assert server.accept() == SWITCHED
    assert list(server.receive_data(b"")) == ["hello"]


def test_a_request_from_elsewhere_answered_on_the_spot() -> None:
    server = ServerConnection()
    for event in server.receive_request(Request("GET", "/chat", Headers(wire.REQUEST_FIELDS))):
        assert isinstance(event, Request)
        assert server.accept() == SWITCHED
    assert list(server.receive_data(HELLO)) == ["hello"]


def test_a_bad_request_from_elsewhere() -> None:
    server = ServerConnection()
    bad = Request("GET", "/", Headers({**wire.REQUEST_FIELDS, "Sec-WebSocket-Version": "\u0661\u0663"}))
    assert list(server.receive_request(bad)) == []
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert end(server).header == "Sec-WebSocket-Version"


def test_a_plain_request_from_elsewhere() -> None:
    server = ServerConnection()
    (request,) = server.receive_request(Request("GET", "/", Headers()))
    assert isinstance(request, Request)
    assert server.reject(404).startswith(b"HTTP/1.1 404 Not Found\r\n")


@pytest.mark.parametrize("before", [GOOD, PLAIN, b"G", b"nonsense\r\n\r\n"])
def test_only_one_request_is_taken(before: bytes) -> None:
    server = ServerConnection()
    list(server.receive_data(before))
    # At the call, not at the first event.
    with pytest.raises(StateError, match="received before"):
        server.receive_request(Request("GET", "/", Headers()))


def test_an_extended_connect_is_not_answered_in_http_1() -> None:
    server = ServerConnection()
    with pytest.raises(InvalidValueError):
        server.receive_request(Request("CONNECT", "/", Headers(), "2", "websocket"))
    assert server.next_timeout() == float("-inf")


# Time


def test_silence_is_dropped_without_a_word() -> None:
    server = ServerConnection(timeouts=Timeouts(open=5))
    assert server.next_timeout() == float("-inf")
    assert list(server.handle_timeout(1000)) == []
    assert server.next_timeout() == 1005
    assert list(server.handle_timeout(1004.9)) == []
    (last,) = server.handle_timeout(1005)
    assert isinstance(last, Disconnected)
    assert (last.code, last.clean) == (1006, False)
    assert (last.cause.kind, last.cause.initiator) == (CauseKind.OPEN_TIMEOUT, Side.LOCAL)
    assert server.data_to_send() == b""
    assert server.transport is Transport.CLOSE
    assert server.next_timeout() is None


@pytest.mark.parametrize("data", [b"G", GOOD[:-1], b"GET / HTTP/1.1\r\nX: y\r\n"])
def test_a_slow_request_is_told_so(data: bytes) -> None:
    server = ServerConnection(timeouts=Timeouts(open=5))
    list(server.handle_timeout(0))
    for i, piece in enumerate(octets(data)):
        assert list(server.receive_data(piece)) == []
        assert list(server.handle_timeout(4.9 * i / len(data))) == []
    (last,) = server.handle_timeout(5)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.OPEN_TIMEOUT
    assert server.data_to_send().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert server.transport is Transport.CLOSE


@pytest.mark.parametrize(("data", "status"), [(GOOD, b"503"), (PLAIN, b"426")])
def test_a_request_that_nobody_answers(data: bytes, status: bytes) -> None:
    server, _ = ask(data)
    list(server.handle_timeout(0))
    (last,) = server.handle_timeout(10)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.OPEN_TIMEOUT
    assert server.data_to_send().startswith(b"HTTP/1.1 " + status)
    with pytest.raises(StateError):
        server.accept()


def test_the_open_timer_ends_with_the_handshake() -> None:
    server = opened_server(timeouts=Timeouts(open=5, ping_interval=None))
    assert server.next_timeout() is None
    assert list(server.handle_timeout(1000)) == []
    assert server.state is State.OPEN


def test_the_open_timer_can_be_off() -> None:
    server = ServerConnection(timeouts=Timeouts(open=None))
    assert server.next_timeout() is None
    assert list(server.handle_timeout(1e9)) == []
    assert server.state is State.CONNECTING


@pytest.mark.parametrize("wish", [{"origins": "https://example.com"}, {"compression": "deflate"}])
def test_arguments_of_another_type(wish: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wish))):
        ServerConnection(**wish)
