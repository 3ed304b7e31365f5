"""The server's connection: requests in any pieces, accepting them, and bytes that come early."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    CauseKind,
    Disconnected,
    Headers,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    Request,
    ServerConnection,
    Side,
    State,
    StateError,
    Transport,
)

from . import wire
from .handshakes import (
    CUTS,
    GOOD,
    PLAIN,
    accept_for,
    ask,
    end,
    fields,
    octets,
    opened_server,
    pieces,
    refused,
    serve,
    told,
)
from .handshakes import HELLO_TO_SERVER as HELLO

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + wire.ACCEPT.encode() + b"\r\n\r\n"
)


# Any split


def answer_by_kind(server: ServerConnection, request: Request) -> bytes:
    return server.accept() if request.is_upgrade else server.reject(404, body="no")


REQUESTS = [
    GOOD,
    wire.request({"Connection": "keep-alive, Upgrade", "Upgrade": "h2c, WebSocket"}),
    wire.request({"Sec-WebSocket-Version": "8"}),
    wire.request({"Host": None}),
    wire.request({"X": "y" * 400}),
    wire.request({"X": "a\nb"}),
    wire.request(line="POST /chat HTTP/1.1"),
    wire.request(line="nonsense"),
    PLAIN,
    b"GET / HTTP/1.0\r\n\r\n",
    GOOD[:-2],
]
BEHIND = [
    b"",
    HELLO,
    HELLO + wire.frame(wire.PING, b"x") + wire.frame(wire.BINARY, b"\0") + wire.close(1000),
    wire.frame(wire.TEXT, b"a", fin=False) + wire.frame(wire.CONTINUATION, b"b"),
    b"\xff\xff\xff",
    wire.close(1001, b"bye") + b"rest",
    GOOD,
]


@given(st.sampled_from(REQUESTS), st.sampled_from(BEHIND), CUTS)
def test_any_split_of_the_bytes_gives_the_same_events(request: bytes, behind: bytes, cuts: list[int]) -> None:
    def run(data: list[bytes]) -> tuple[list[object], bytes, object]:
        server = ServerConnection(limits=Limits(max_header_size=400))
        events, written = serve(server, data, answer_by_kind)
        transport = server.transport
        events += server.receive_eof()
        assert isinstance(events[-1], Disconnected)
        return told(events), written, transport

    whole = run([request + behind])
    assert run(pieces(request + behind, cuts)) == whole
    assert run(octets(request + behind)) == whole


@given(st.binary(max_size=200), CUTS, st.sampled_from([b"", GOOD, PLAIN, GOOD[:40]]))
def test_arbitrary_bytes_lead_to_one_end(data: bytes, cuts: list[int], start: bytes) -> None:
    for way in ([start + data], pieces(start + data, cuts)):
        server = ServerConnection()
        events, _ = serve(server, way, answer_by_kind)
        events += server.receive_eof()
        assert [type(event) for event in events].count(Disconnected) == 1
        assert isinstance(events[-1], Disconnected)
        assert list(server.receive_data(data)) == list(server.receive_eof()) == []


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


# Bytes that come early


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_frames_in_the_segment_of_the_request(cut: Callable[[bytes], list[bytes]]) -> None:
    events, written = serve(ServerConnection(), cut(GOOD + HELLO + wire.frame(wire.PING, b"x") + HELLO))
    assert events[1] == "hello"
    assert events[3] == "hello"
    assert written == SWITCHED + wire.frame(wire.PONG, b"x", key=None)


@given(CUTS)
def test_frames_before_the_answer_come_after_it(cuts: list[int]) -> None:
    server = ServerConnection()
    events = [
        event for piece in pieces(GOOD + HELLO + HELLO[:4], cuts) for event in server.receive_data(piece)
    ]
    assert len(events) == 1
    assert server.accept() == SWITCHED
    assert list(server.receive_data(b"")) == ["hello"]
    assert list(server.receive_data(HELLO[4:] + HELLO)) == ["hello", "hello"]


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
