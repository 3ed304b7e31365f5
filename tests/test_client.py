"""The client's connection: its request, answers that open it, refusals, faulty answers, and time."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    URI,
    Accepted,
    Cause,
    CauseKind,
    ClientConnection,
    Disconnected,
    HandshakeError,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    Rejected,
    Response,
    Side,
    State,
    StateError,
    Timeouts,
    Transport,
    Turn,
    parse_uri,
)

from . import wire
from .handshakes import CUTS, DEFLATE, asking, fields, octets, opened_client, pieces, receive, switch
from .handshakes import HELLO_TO_CLIENT as HELLO


def failed(client: ClientConnection, data: Sequence[bytes], *, eof: bool = False) -> Cause:
    """Feed a client what is no answer of a WebSocket server; return why it ended, which is the only event."""
    events = receive(client, data)
    if eof:
        events += client.receive_eof()
    (last,) = events
    assert isinstance(last, Disconnected)
    assert (last.code, last.reason, last.clean) == (1006, "", False)
    assert (last.cause.kind, last.cause.initiator) == (CauseKind.HANDSHAKE_FAILED, Side.PEER)
    assert isinstance(last.cause.error, HandshakeError)
    assert last.cause.error.header == last.cause.header
    # Behind it may be what came instead of HTTP.
    assert last.cause.detail.partition(": it begins with ")[0] == str(last.cause.error)
    assert client.transport is Transport.CLOSE
    assert client.data_to_send() == b""
    return last.cause


def rejected(client: ClientConnection, data: Sequence[bytes], *, eof: bool = False) -> tuple[Response, Cause]:
    """Feed a client a refusal; return it, and why the connection ended."""
    events = receive(client, data)
    if eof:
        events += client.receive_eof()
    refusal, last = events
    assert isinstance(refusal, Rejected)
    assert isinstance(last, Disconnected)
    assert (last.code, last.clean) == (1006, False)
    assert (last.cause.kind, last.cause.initiator) == (CauseKind.HANDSHAKE_REFUSED, Side.PEER)
    assert client.transport is Transport.CLOSE
    assert client.turn is Turn.NOBODY
    return refusal.response, last.cause


# The request


def test_the_request_waits_from_the_start() -> None:
    client = ClientConnection("ws://example.com:8080/chat?room=1")
    assert client.state is State.CONNECTING
    assert client.transport is Transport.KEEP_OPEN
    data = client.data_to_send()
    assert client.data_to_send() == b""
    assert client.bytes_sent == len(data)
    assert data.startswith(b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\n")
    assert data.endswith(b"\r\n\r\n")
    sent = fields(data)
    (key,) = sent.pop("sec-websocket-key")
    assert len(base64.b64decode(key, validate=True)) == 16
    assert sent == {
        "host": ["example.com:8080"],
        "upgrade": ["websocket"],
        "connection": ["Upgrade"],
        "sec-websocket-version": ["13"],
    }


def test_what_may_be_added_to_the_request() -> None:
    client = ClientConnection(
        parse_uri("wss://example.com/"),
        origin="https://example.com",
        subprotocols=["a", "b"],
        headers=[("Cookie", "x=y"), ("Authorization", "Basic z")],
        compression=DEFLATE,
    )
    sent = fields(client.data_to_send())
    assert sent["host"] == ["example.com"]
    assert sent["origin"] == ["https://example.com"]
    assert sent["sec-websocket-protocol"] == ["a, b"]
    assert (sent["cookie"], sent["authorization"]) == (["x=y"], ["Basic z"])
    assert sent["sec-websocket-extensions"] == [
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    ]


def test_each_connection_has_its_own_key() -> None:
    keys = {fields(ClientConnection("ws://x").data_to_send())["sec-websocket-key"][0] for _ in range(50)}
    assert len(keys) == 50


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "http://example.com/"},
        {"uri": "ws://example.com/#x"},
        {"uri": "ws://exa mple.com/"},
        {"uri": "ws://example.com/\r\nX: y"},
        {"uri": URI(False, "example.com", 80, "/a b")},
        {"uri": URI(False, "example.com", 80, "/\r\nX: y")},
        {"uri": URI(False, "example.com", 80, "/\xe9")},
        {"uri": URI(False, "example.com\r\nX: y", 80, "/")},
        {"origin": "https://x\r\nX: y"},
        {"subprotocols": ["a", "a"]},
        {"subprotocols": ["a\r\nX: y"]},
        {"headers": {"X": "a\nb"}},
        {"headers": {"X": "a\x00b"}},
        {"headers": {"X": "\u20ac"}},
        {"headers": {"X Y": "z"}},
        {"headers": {"Host": "other"}},
        {"headers": {"Sec-WebSocket-Key": "x"}},
    ],
)
def test_what_may_not_be_sent(options: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        ClientConnection(**{"uri": "ws://example.com/", **options})  # type: ignore[arg-type]


@given(st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_a_request_is_whole_or_an_error(name: str, value: str, path: str) -> None:
    try:
        client = ClientConnection(URI(False, "h", 80, f"/{path}"), headers={f"X{name}": value})
    except InvalidValueError:
        return
    data = client.data_to_send()
    assert data.startswith(f"GET /{path} HTTP/1.1\r\n".encode())
    assert fields(data)[f"x{name}".lower()] == [value]
    assert data.count(b"\r\n") == 8


@pytest.mark.parametrize(
    "misuse",
    [
        lambda client: client.send("x"),
        lambda client: client.send_ping(),
        lambda client: client.send_close(),
        lambda client: client.fail(),
    ],
)
def test_no_frame_leaves_before_the_answer(misuse: Callable[[ClientConnection], bytes]) -> None:
    client = asking()
    with pytest.raises(StateError):
        misuse(client)
    assert isinstance(next(iter(client.receive_data(switch(client)))), Accepted)


# Answers that open


def test_a_connection_opens() -> None:
    client = asking()
    answer = switch(client, extra=("Server: x", "Set-Cookie: a=b", "Set-Cookie: c=\xe9"))
    (opened,) = client.receive_data(answer)
    assert isinstance(opened, Accepted)
    assert opened.subprotocol is client.subprotocol is None
    assert opened.response.status == 101
    assert opened.response.headers.get_all("set-cookie") == ["a=b", "c=\xe9"]
    assert client.state is State.OPEN
    assert client.data_to_send() == b""
    assert list(client.receive_data(HELLO)) == ["hello"]
    (frame,) = wire.frames(client.send("hi"))
    assert (frame.masked, frame.payload) == (True, b"hi")


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "websocket, h2c"},
        {"Connection": "upgrade"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": " \tUpgrade\t "},
        {"Sec-WebSocket-Extensions": ""},
        {"Sec-WebSocket-Protocol": "b"},
    ],
)
def test_answers_in_other_words(changes: dict[str, str | None]) -> None:
    client = asking(subprotocols=["a", "b"])
    (opened,) = client.receive_data(switch(client, changes))
    assert isinstance(opened, Accepted)
    assert opened.subprotocol == client.subprotocol == changes.get("Sec-WebSocket-Protocol")


# Compression: RFC 7692 §7.1

TIGHT = PerMessageDeflate(
    server_max_window_bits=9, client_max_window_bits=9, server_no_context_takeover=True, threshold=0
)
WIDE = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)


@pytest.mark.parametrize(
    ("offers", "answer", "bits"),
    [
        ([TIGHT], "permessage-deflate; server_no_context_takeover; server_max_window_bits=9", 9),
        (
            [TIGHT, WIDE],
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8;"
            " client_max_window_bits=9",
            9,
        ),
        # Only the second offer allows a server that keeps its context.
        ([TIGHT, WIDE], "permessage-deflate", 15),
        ([TIGHT, WIDE], "permessage-deflate; client_max_window_bits=10", 10),
        ([WIDE, TIGHT], 'permessage-deflate; server_max_window_bits="11"', 15),
        (WIDE, "permessage-deflate; client_no_context_takeover", 15),
    ],
)
def test_the_offer_that_fits_the_answer_counts(
    offers: PerMessageDeflate | list[PerMessageDeflate], answer: str, bits: int
) -> None:
    client = asking(compression=offers)
    (opened,) = client.receive_data(switch(client, {"Sec-WebSocket-Extensions": answer}))
    assert isinstance(opened, Accepted)
    message = bytes(range(256)) * 200
    (frame,) = wire.frames(client.send(message))
    assert frame.rsv == 4
    assert zlib.decompressobj(-bits).decompress(frame.payload + b"\0\0\xff\xff") == message


def test_the_server_may_decline_all_offers() -> None:
    client = asking(compression=[TIGHT, WIDE])
    assert len(list(client.receive_data(switch(client)))) == 1
    (frame,) = wire.frames(client.send("hello " * 20))
    assert frame.rsv == 0


# Answers that do not open


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"Upgrade": None}, "Upgrade"),
        ({"Upgrade": "h2c"}, "Upgrade"),
        ({"Connection": None}, "Connection"),
        ({"Connection": "keep-alive"}, "Connection"),
        ({"Sec-WebSocket-Accept": None}, "Sec-WebSocket-Accept"),
        ({"Sec-WebSocket-Accept": wire.ACCEPT}, "Sec-WebSocket-Accept"),
        ({"Content-Length": "5"}, "Content-Length"),
        ({"Transfer-Encoding": "chunked"}, "Transfer-Encoding"),
        ({"Sec-WebSocket-Protocol": "c"}, "Sec-WebSocket-Protocol"),
        ({"Sec-WebSocket-Protocol": "a, b"}, "Sec-WebSocket-Protocol"),
        ({"Sec-WebSocket-Extensions": "x-webkit-deflate-frame"}, "Sec-WebSocket-Extensions"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate, x"}, "Sec-WebSocket-Extensions"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "Sec-WebSocket-Extensions"),
        (
            {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=13"},
            "Sec-WebSocket-Extensions",
        ),
        ({"Sec-WebSocket-Extensions": "permessage-deflate;;"}, "Sec-WebSocket-Extensions"),
    ],
)
@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_bad_answers(
    changes: dict[str, str | None], header: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    client = asking(subprotocols=["a", "b"], compression=DEFLATE)
    cause = failed(client, cut(switch(client, changes) + HELLO))
    assert cause.header == header
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == 101


@pytest.mark.parametrize("name", ["Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"])
def test_fields_that_come_twice(name: str) -> None:
    client = asking(subprotocols=["a"])
    data = switch(client, {"Sec-WebSocket-Protocol": "a"})
    value = fields(data)[name.lower()][0]
    assert failed(client, [data[:-2] + f"{name}: {value}\r\n\r\n".encode()]).header == name


@pytest.mark.parametrize(
    "field", [("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Extensions", "permessage-deflate")]
)
def test_what_was_not_asked_for(field: tuple[str, str]) -> None:
    client = asking()
    assert failed(client, [switch(client, dict([field]))]).header == field[0]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"HTTP/1.1 101\nUpgrade: websocket\n\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        HELLO,
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    client = asking()
    # Of some the engine can only say that nothing came behind them.
    cause = failed(client, [data], eof=data in (HELLO, b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == 0


@pytest.mark.parametrize("limits", [Limits(max_header_size=300), Limits(max_header_count=3)])
def test_an_answer_beyond_the_limits(limits: Limits) -> None:
    client = asking(limits=limits)
    cause = failed(client, [switch(client, extra=("X: " + "y" * 300,))])
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == 0


# Refusals


@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 426, 429, 500, 503, 599]
)
@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_refusals(status: int, cut: Callable[[bytes], list[bytes]]) -> None:
    body = b"" if status == 204 else b"why"
    data = b"HTTP/1.1 %d X\r\nX: y\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    client = asking()
    response, cause = rejected(client, cut(data))
    assert (response.status, response.headers.get("x"), response.body) == (status, "y", body)
    assert cause.detail == f"the server answered {status}, not 101"
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == status
    assert client.data_to_send() == b""
    assert client.next_timeout() is None


@pytest.mark.parametrize("location", ["wss://other.example/chat", "/login", "http://example.com/"])
def test_a_redirect_is_for_the_owner_to_follow(location: str) -> None:
    data = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    response, _ = rejected(asking(), [data])
    assert response.headers.get("Location") == location


@given(CUTS)
def test_a_chunked_refusal(cuts: list[int]) -> None:
    data = b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n1\r\n?\r\n0\r\n\r\n"
    response, _ = rejected(asking(), pieces(data, cuts))
    assert response.body == b"why?"


@given(CUTS)
def test_a_refusal_until_the_end_of_the_stream(cuts: list[int]) -> None:
    data = b"HTTP/1.1 404 Not Found\r\n\r\n<p>nothing here"
    response, _ = rejected(asking(), pieces(data, cuts), eof=True)
    assert response.body == b"<p>nothing here"


def test_a_refusal_that_breaks_off() -> None:
    response, cause = rejected(asking(), [b"HTTP/1.1 403 X\r\nContent-Length: 99\r\n\r\nhalf"], eof=True)
    assert response.body == b"half"
    assert cause.detail == "the server answered 403, not 101"


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_the_body_of_a_refusal_is_cut(cut: Callable[[bytes], list[bytes]]) -> None:
    client = asking(limits=Limits(max_body_size=10))
    events = receive(client, cut(b"HTTP/1.1 403 X\r\nContent-Length: 9999\r\n\r\n" + b"0123456789" * 5))
    assert isinstance(events[0], Rejected)
    assert events[0].response.body == b"0123456789"
    assert isinstance(events[1], Disconnected)
    assert len(events) == 2


# Time


def test_a_refusal_whose_body_takes_too_long() -> None:
    client = asking(timeouts=Timeouts(open=5))
    assert list(client.handle_timeout(100)) == []
    assert list(client.receive_data(b"HTTP/1.1 403 X\r\nContent-Length: 99\r\n\r\nsome")) == []
    assert list(client.handle_timeout(104)) == []
    refusal, last = client.handle_timeout(105)
    assert isinstance(refusal, Rejected)
    assert (refusal.response.status, refusal.response.body) == (403, b"some")
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.HANDSHAKE_REFUSED


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 10", b"HTTP/1.1 403 X\r\nContent-Length: 99\r\n"])
def test_an_answer_that_does_not_come(data: bytes) -> None:
    client = asking(timeouts=Timeouts(open=5))
    assert client.next_timeout() == float("-inf")
    assert list(client.handle_timeout(100)) == []
    for i, piece in enumerate(octets(data)):
        assert list(client.receive_data(piece)) == []
        assert list(client.handle_timeout(100 + 4.9 * i / len(data))) == []
    assert client.next_timeout() == 105
    (last,) = client.handle_timeout(105)
    assert isinstance(last, Disconnected)
    assert (last.cause.kind, last.cause.initiator) == (CauseKind.OPEN_TIMEOUT, Side.LOCAL)
    assert client.transport is Transport.CLOSE
    assert client.next_timeout() is None
    # What still comes does not count.
    for late in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", switch(client), b"\n", HELLO):
        assert list(client.receive_data(late)) == list(client.receive_eof()) == []


def test_the_open_timer_ends_with_the_handshake() -> None:
    client = opened_client(timeouts=Timeouts(open=5, ping_interval=None))
    assert client.next_timeout() is None
    assert client.state is State.OPEN


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        ({"subprotocols": "chat"}, "subprotocols must be a list of str, not str"),
        ({"compression": "deflate"}, "compression must be a PerMessageDeflate, several or None, not str"),
    ],
)
def test_arguments_of_another_type(wish: dict[str, Any], fault: str) -> None:
    with pytest.raises(TypeError, match=fault):
        ClientConnection("ws://example.com/", **wish)
