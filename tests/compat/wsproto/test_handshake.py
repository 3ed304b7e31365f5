"""The opening handshake, where it is not simply what wsproto's is."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from edgews import Limits
from edgews.compat.wsproto import WSConnection
from edgews.compat.wsproto.connection import CLIENT, SERVER, ConnectionState
from edgews.compat.wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from edgews.compat.wsproto.extensions import PerMessageDeflate
from edgews.compat.wsproto.frame_protocol import CloseReason
from edgews.compat.wsproto.handshake import (
    H11Handshake,
)
from edgews.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_nonce
from edgews.handshake import accept_key
from tests import wire
from tests.handshake_rows import ACCEPT, ACCEPTABLE, ANSWER, EXTENSIONS, KEY, PROTOCOL, UNACCEPTABLE, VERSION

from .ends import receive, waiting


def head(request: Any) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{request.method} {request.target} HTTP/{request.http_version}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def over_http1(rows: list[Any]) -> list[Any]:
    return [row for row in rows if row.protocol is None]


@pytest.mark.parametrize("request_", over_http1(ACCEPTABLE), ids=lambda request: repr(head(request))[:60])
def test_acceptable_requests(request_: Any) -> None:
    server = WSConnection(SERVER)
    (event,) = receive(server, head(request_))
    assert isinstance(event, Request)
    assert event.target == request_.target
    assert event.subprotocols == request_.subprotocols
    assert b"101 Switching Protocols" in server.send(AcceptConnection())
    assert server.state is ConnectionState.OPEN


@pytest.mark.parametrize(
    "request_",
    [row[0] for row in UNACCEPTABLE if row[0].protocol is None and "http://" not in row[0].target],
    ids=lambda request: repr(head(request))[:60],
)
def test_unacceptable_requests(request_: Any) -> None:
    """Refused, with an answer that may be sent as it is; what still comes does not count."""
    server = WSConnection(SERVER)
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(head(request_))
    hint = caught.value.event_hint
    assert isinstance(hint, RejectConnection)
    assert 400 <= hint.status_code <= 599
    assert receive(server, b"more") == []
    with pytest.raises(LocalProtocolError, match="no request to accept"):
        server.send(AcceptConnection())
    assert server.send(hint).startswith(b"HTTP/1.1 %d" % hint.status_code)
    assert server.state is ConnectionState.CLOSED
    assert receive(server, b"more") == []


@pytest.mark.parametrize(("changes", "status"), [({VERSION: "8"}, 426), ({VERSION: None}, 400)])
def test_another_version(changes: dict[str, str | None], status: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        WSConnection(SERVER).receive_data(wire.request(changes))
    assert caught.value.event_hint == RejectConnection(status, [(VERSION.encode(), b"13")])


MALFORMED = [
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"\x16\x03\x01\r\n\r\n",
    b"GET /" + b"x" * 20_000,
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
]


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: repr(data[:30]))
def test_malformed_requests(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message") as caught:
        WSConnection(SERVER).receive_data(data)
    assert isinstance(caught.value.event_hint, RejectConnection)


def test_the_end_of_the_stream_within_a_request() -> None:
    server = WSConnection(SERVER)
    server.receive_data(None)
    server.receive_data(b"GET / HT")
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        server.receive_data(None)


def test_frames_behind_the_request_wait_for_the_answer() -> None:
    server = WSConnection(SERVER)
    hello = wire.frame(wire.TEXT, b"hello")
    (request,) = receive(server, wire.request() + hello[:3])
    assert isinstance(request, Request)
    assert receive(server, hello[3:]) == []
    server.send(AcceptConnection())
    assert list(server.events()) == [TextMessage("hello")]


def test_frames_behind_the_request_are_bounded() -> None:
    server = WSConnection(SERVER)
    receive(server, wire.request())
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        server.receive_data(bytes(20_000))


def test_frames_behind_the_answer_come_after_it() -> None:
    client, server = H11Handshake(CLIENT), WSConnection(SERVER)
    receive(server, client.send(Request("localhost", "/")))
    data = server.send(AcceptConnection()) + server.send(TextMessage("hello"))
    client.receive_data(data)
    assert [type(event) for event in client.events()] == [AcceptConnection]
    assert client.connection is not None
    assert list(client.connection.events()) == [TextMessage("hello")]
    with pytest.raises(LocalProtocolError, match="for its connection"):
        client.receive_data(b"x")


def answer(fields: Any) -> bytes:
    lines = [b"HTTP/1.1 101 Switching Protocols"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in fields]
    return b"\r\n".join([*lines, b"", b""])


def wrong(changes: dict[str, str | None], *extra: tuple[str, str]) -> Any:
    return changes, extra


@pytest.mark.parametrize(
    ("changes", "extra"),
    [
        wrong({"Upgrade": None}),
        wrong({"Connection": "close"}),
        wrong({ACCEPT: KEY}),
        wrong({}, (ACCEPT, "x")),
        wrong({"Content-Length": "5"}),
        wrong({"Transfer-Encoding": "chunked"}),
        wrong({PROTOCOL: "c"}),
        wrong({PROTOCOL: "a"}, (PROTOCOL, "b")),
        wrong({EXTENSIONS: "x-unknown"}),
        wrong({EXTENSIONS: "permessage-deflate, permessage-deflate"}),
        wrong({EXTENSIONS: "permessage-deflate; server_max_window_bits=13"}),
        wrong({EXTENSIONS: "permessage-deflate; client_max_window_bits"}),
        wrong({EXTENSIONS: "permessage-deflate; server_max_window_bits=99"}),
        wrong({EXTENSIONS: "permessage-deflate; server_max_window_bits=abc"}),
        wrong({EXTENSIONS: "permessage-deflate; x"}),
        wrong({EXTENSIONS: "permessage-deflate; \xe9"}),
    ],
)
def test_unacceptable_answers(changes: dict[str, str | None], extra: tuple[tuple[str, str], ...]) -> None:
    """A client has nobody to tell, so there is no hint."""
    client = WSConnection(CLIENT)
    request = client.send(
        Request(
            "localhost",
            "/",
            extensions=[PerMessageDeflate(server_max_window_bits=12)],
            subprotocols=["a", "b"],
        )
    )
    fields = {**ANSWER, ACCEPT: accept_of(request), **changes}
    with pytest.raises(RemoteProtocolError) as caught:
        client.receive_data(answer([*((n, v) for n, v in fields.items() if v is not None), *extra]))
    assert caught.value.event_hint is None
    assert receive(client, b"more") == []


def accept_of(request: bytes) -> str:
    """Return the Sec-WebSocket-Accept that a request asks for."""
    (key,) = (line for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
    return accept_key(key.partition(b": ")[2].decode())


@pytest.mark.parametrize("data", [None, b"HTTP/1.1 \x00\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 101\n\n"])
def test_no_answer(data: bytes | None) -> None:
    client = WSConnection(CLIENT)
    with pytest.raises(RemoteProtocolError):
        client.receive_data(b"an answer without a request")
    client = WSConnection(CLIENT)
    client.send(Request("localhost", "/"))
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        client.receive_data(data)


def test_a_refusal_and_its_body_in_pieces() -> None:
    client, server = WSConnection(CLIENT), WSConnection(SERVER)
    receive(server, client.send(Request("localhost", "/")))
    data = server.send(RejectConnection(403, [(b"x-why", b"rules")], has_body=True))
    assert server.state is ConnectionState.REJECTING
    data += server.send(RejectData(b"no, ", body_finished=False)) + server.send(RejectData(b"sorry"))
    assert server.state is ConnectionState.CLOSED
    events: list[Event] = []
    for octet in data:
        events += receive(client, bytes([octet]))
    first, *body, last = events
    assert isinstance(first, RejectConnection)
    assert (first.status_code, first.has_body) == (403, True)
    assert (b"x-why", b"rules") in first.headers
    assert b"".join(piece.data for piece in body if isinstance(piece, RejectData)) == b"no, sorry"
    assert last == RejectData(b"", body_finished=True)
    assert client.state is ConnectionState.CLOSED
    assert receive(client, b"behind it") == []


def test_a_body_that_is_cut_off() -> None:
    client = WSConnection(CLIENT)
    client.send(Request("localhost", "/"))
    receive(client, b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nabc")
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        client.receive_data(None)


BAD_REQUESTS = [
    Request("local host", "/"),
    Request("localhost/x", "/"),
    Request("user@localhost", "/"),
    Request("", "/"),
    Request("localhost", ""),
    Request("localhost", "*"),
    Request("localhost", "/#x"),
    Request("localhost", "/ \r\nX: y"),
    Request("localhost", "/", extra_headers=[(b"x", b"a\r\nb")]),
    Request("localhost", "/", extra_headers=[(b"Host", b"other")]),
    Request("localhost", "/", subprotocols=["a b"]),
    Request("localhost", "/", subprotocols=["a", "a"]),
    Request("localhost", "/", extensions=["permessage-deflate"]),
    Request(None, "/"),  # type: ignore[arg-type]
    Request("localhost", b"/"),  # type: ignore[arg-type]
    Request("localhost", "/", extra_headers=[(1, 2)]),  # type: ignore[list-item]
]


@pytest.mark.parametrize("event", BAD_REQUESTS, ids=repr)
def test_requests_that_cannot_be_sent(event: Request) -> None:
    client = WSConnection(CLIENT)
    with pytest.raises(LocalProtocolError):
        client.send(event)
    assert client.send(Request("localhost", "/"))
    with pytest.raises(LocalProtocolError, match="only one"):
        client.send(Request("localhost", "/"))


@pytest.mark.parametrize(
    ("host", "field"),
    [
        ("localhost:8000", b"localhost:8000"),
        ("[::1]:8000", b"[::1]:8000"),
        ("b\xfccher.example", b"xn--bcher-kva.example"),
    ],
)
def test_hosts(host: str, field: bytes) -> None:
    data = WSConnection(CLIENT).send(Request(host, "/"))
    assert b"\r\nHost: " + field + b"\r\n" in data
    (request,) = receive(WSConnection(SERVER), data)
    assert isinstance(request, Request)
    assert request.host == host


def test_a_host_that_only_looks_international() -> None:
    for host in ("xn--\xff", "xn--a" * 100):
        (request,) = receive(WSConnection(SERVER), wire.request({"Host": host}))
        assert isinstance(request, Request)
        assert request.host == host


BAD_ANSWERS: list[Event] = [
    AcceptConnection(subprotocol="c"),
    AcceptConnection(extra_headers=[(b"x", b"a\nb")]),
    AcceptConnection(extra_headers=[(b"Sec-WebSocket-Accept", b"x")]),
    AcceptConnection(extensions=["permessage-deflate"]),  # type: ignore[list-item]
    RejectConnection(101),
    RejectConnection("x"),  # type: ignore[arg-type]
    RejectData(b"x"),
    Request("localhost", "/"),
    TextMessage("too early"),
    None,  # type: ignore[list-item]
]


@pytest.mark.parametrize("event", BAD_ANSWERS, ids=repr)
def test_answers_that_cannot_be_sent(event: Event) -> None:
    server = waiting()
    with pytest.raises(LocalProtocolError):
        server.send(event)
    assert b"101 Switching Protocols" in server.send(AcceptConnection("a"))


def test_who_may_say_what() -> None:
    client = WSConnection(CLIENT)
    for event in (AcceptConnection(), RejectConnection(), RejectData(b"")):
        with pytest.raises(LocalProtocolError):
            client.send(event)
    with pytest.raises(LocalProtocolError, match="a client makes its request"):
        client.initiate_upgrade_connection([], "/")
    server = waiting()
    with pytest.raises(LocalProtocolError, match="was received before"):
        server.initiate_upgrade_connection([], "/")
    with pytest.raises(LocalProtocolError):
        server.receive_data("text")  # type: ignore[arg-type]
    server.send(RejectConnection(403))
    with pytest.raises(LocalProtocolError, match="CLOSED"):
        server.send(RejectConnection(403))


@pytest.mark.parametrize(
    ("headers", "path"),
    [([], "/"), ([(b"Host", b"x\n")], "/"), (wire.REQUEST_FIELDS.items(), "\xe9"), (None, 3)],
)
def test_a_parsed_request_that_is_none(headers: Any, path: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        WSConnection(SERVER).initiate_upgrade_connection(headers, path)
    assert isinstance(caught.value.event_hint, RejectConnection)


def test_a_length_that_is_there_is_not_written_twice() -> None:
    assert waiting().send(RejectConnection(304, [(b"content-length", b"0")])).lower().count(b"length") == 1


def test_limits_go_on_to_the_connection() -> None:
    server = WSConnection(SERVER, limits=Limits(max_message_size=3))
    receive(server, wire.request())
    server.send(AcceptConnection())
    assert receive(server, wire.frame(wire.BINARY, b"abc")) == [BytesMessage(b"abc")]
    (event,) = receive(server, wire.frame(wire.BINARY, b"abcd"))
    assert isinstance(event, CloseConnection)
    assert event.code is CloseReason.MESSAGE_TOO_BIG


def test_a_parsed_request() -> None:
    server = H11Handshake(SERVER)
    server.initiate_upgrade_connection(
        [(name.encode(), value.encode()) for name, value in wire.REQUEST_FIELDS.items()], "/chat"
    )
    (request,) = server.events()
    assert isinstance(request, Request)
    assert (request.host, request.target) == ("example.com", "/chat")
    assert server.send(AcceptConnection()).endswith(b"\r\n\r\n")
    assert repr(server) == "H11Handshake(client=False, state=ConnectionState.OPEN)"


def test_behind_a_refusal_nothing_counts() -> None:
    server = waiting()
    server.send(RejectConnection(403))
    assert receive(server, b"more") == []


def test_an_interim_answer_is_a_refusal() -> None:
    """As in wsproto: what the server says later is not looked at."""
    client = WSConnection(CLIENT)
    client.send(Request("localhost", "/"))
    assert receive(client, b"HTTP/1.1 103 Early Hints\r\nX-Y: z\r\n\r\n") == [
        RejectConnection(103, [(b"x-y", b"z")], has_body=False)
    ]
    assert client.state is ConnectionState.CLOSED
    assert receive(client, b"HTTP/1.1 101 Switching Protocols\r\n\r\n") == []


def test_keys() -> None:
    keys = {generate_nonce() for _ in range(10)}
    assert len(keys) == 10
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}
