"""What a peer may try before the connection is open, and what the engine has to make of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import count

import pytest

from edgews import (
    URI,
    Accepted,
    CauseKind,
    ClientConnection,
    Connection,
    Disconnected,
    Event,
    Headers,
    Limits,
    LocalProtocolError,
    PerMessageDeflate,
    Rejected,
    Request,
    Role,
    ServerConnection,
    Timeouts,
    Transport,
)
from tests import wire
from tests.handshakes import fastest, fields, octets, refused, serve, switch

HELLO = wire.frame(wire.TEXT, b"hello")
Cut = Callable[[bytes], list[bytes]]

both_cuts = pytest.mark.parametrize("cut", [lambda data: [data], octets], ids=["at once", "byte by byte"])


def without(name: str) -> bytes:
    return wire.request({name: None})


def twice(name: str) -> bytes:
    return wire.request(extra=(f"{name}: {wire.REQUEST_FIELDS[name]}",))


# Many ways to say the same

REWRITTEN = wire.request(
    dict.fromkeys(wire.REQUEST_FIELDS),
    extra=tuple(f"{name.upper()}:{value}" for name, value in wire.REQUEST_FIELDS.items()),
)


@pytest.mark.parametrize(
    "data",
    [
        # Firefox.
        wire.request({"Connection": "keep-alive, Upgrade"}),
        wire.request({"Connection": "keep-alive"}, extra=("Connection: Upgrade",)),
        wire.request({"Connection": None}, extra=("CONNECTION: x", "connection: y", "Connection: upgrade")),
        wire.request({"Connection": "UPGRADE", "Upgrade": "WEBSOCKET"}),
        wire.request({"Connection": " \t keep-alive\t,\tUpgrade\t ", "Upgrade": "\twebsocket "}),
        wire.request({"Connection": ",Upgrade,,"}),
        wire.request({"Upgrade": "websocket, h2c"}),
        wire.request({"Upgrade": "h2c,websocket"}),
        wire.request({"Upgrade": "TLS/1.0"}, extra=("upgrade: WebSocket",)),
        REWRITTEN,
    ],
    ids=count(),
)
@both_cuts
def test_spellings_that_mean_an_upgrade(data: bytes, cut: Cut) -> None:
    server = ServerConnection()
    events, written = serve(server, cut(data + HELLO))
    assert [type(event) for event in events] == [Request, str]
    assert written.startswith(b"HTTP/1.1 101 ")
    assert fields(written)["sec-websocket-accept"] == [wire.ACCEPT]


@both_cuts
def test_frames_right_behind_the_handshake_are_not_lost(cut: Cut) -> None:
    stream = HELLO + wire.frame(wire.BINARY, b"\0" * 300) + HELLO
    events, _ = serve(ServerConnection(), cut(wire.request() + stream))
    assert events[1:] == ["hello", b"\0" * 300, "hello"]

    client = ClientConnection("ws://example.com/")
    unmasked = wire.frame(wire.TEXT, b"hello", key=None) + wire.frame(wire.BINARY, b"\0" * 300, key=None)
    received = [event for piece in cut(switch(client) + unmasked) for event in client.receive_data(piece)]
    assert isinstance(received[0], Accepted)
    assert received[1:] == ["hello", b"\0" * 300]


# Requests that have to be refused

UNICODE_DIGITS = ("1\xb3", "\xb9\xb3")

REFUSED = [
    *((without(name), 400, name) for name in ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version")),
    *((twice(name), 400, name) for name in ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version")),
    *(
        (wire.request({name: ""}), 400, name)
        for name in ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    ),
    *(
        (wire.request({"Sec-WebSocket-Key": key}), 400, "Sec-WebSocket-Key")
        for key in ("short", "c2hvcnQ=", "A" * 24, "A" * 43 + "=", "dGhlIHNhbXBsZSBub25jZQ", "!" * 22 + "==")
    ),
    *((wire.request({"Sec-WebSocket-Version": d}), 400, "Sec-WebSocket-Version") for d in UNICODE_DIGITS),
    *(
        (wire.request({"Sec-WebSocket-Version": version}), 426, "Sec-WebSocket-Version")
        for version in ("0", "7", "8", "12", "14", "25", "013", "99999999999999999999")
    ),
    *(
        (wire.request(line=f"{m} /chat HTTP/1.1"), 405, None)
        for m in ("POST", "HEAD", "PUT", "get", "OPTIONS")
    ),
    (wire.request(line="GET /chat HTTP/1.0"), 505, None),
    (wire.request(line="GET /chat HTTP/2.0"), 505, None),
    (wire.request(line="GET /chat HTTP/0.9"), 505, None),
    (wire.request({"Content-Length": "5"}) + b"hello", 400, "Content-Length"),
    (wire.request({"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n", 400, "Transfer-Encoding"),
    (
        wire.request({"Transfer-Encoding": "chunked", "Content-Length": "5"}) + b"0\r\n\r\n",
        400,
        "Transfer-Encoding",
    ),
    (wire.request(line="GET http://example.com/chat HTTP/1.1"), 400, None),
    (wire.request(line="GET * HTTP/1.1"), 400, None),
    (wire.request(line="CONNECT example.com:80 HTTP/1.1"), 405, None),
    # What h11 alone would let through, or read in its own way.
    (wire.request().replace(b"\r\n", b"\n"), 400, None),
    (wire.request(extra=("X: a\nY: b",)), 400, None),
    (wire.request(extra=("X: a\rY: b",)), 400, None),
    (wire.request(extra=("X: a\x00b",)), 400, None),
    (wire.request(extra=("X: a", " folded")), 400, None),
    (wire.request(extra=("X: a", "\tfolded")), 400, None),
    (wire.request(extra=("X : a",)), 400, None),
    (wire.request(extra=("Host\t: other",)), 400, None),
    (wire.request(extra=("X\xe9: a",)), 400, None),
    (wire.request(extra=("no colon",)), 400, None),
    (wire.request(extra=(": no name",)), 400, None),
    # More than the limits.
    (wire.request({"X": "y" * 20_000}), 431, None),
    (b"GET /" + b"x" * 20_000, 431, None),
    (wire.request(extra=("X: y",) * 100), 431, None),
]


@pytest.mark.parametrize(("data", "status", "header"), REFUSED, ids=count())
@both_cuts
def test_requests_that_are_refused(data: bytes, status: int, header: str | None, cut: Cut) -> None:
    server = ServerConnection()
    found, last, written = refused(server, cut(data))
    assert (found, last.cause.header) == (status, header)
    assert last.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert str(status) in last.cause.detail
    assert ("sec-websocket-version" in fields(written)) == (status == 426)
    if status == 426:
        assert fields(written)["sec-websocket-version"] == ["13"]
    assert "close" in fields(written)["connection"][0]
    # One answer, once, and nothing of a connection.
    assert written.count(b"HTTP/1.1 ") == 1
    assert server.data_to_send() == b""


def test_digits_of_other_scripts_from_another_parser() -> None:
    for name, value in (("Sec-WebSocket-Version", "\u0661\u0663"), ("Sec-WebSocket-Version", "\uff11\uff13")):
        server = ServerConnection()
        request = Request("GET", "/", Headers({**wire.REQUEST_FIELDS, name: value}))
        assert list(server.receive_request(request)) == []
        assert server.data_to_send().startswith(b"HTTP/1.1 400 ")


# Time and memory


def endless(size: int) -> None:
    server = ServerConnection(limits=Limits(max_header_size=size))
    list(server.receive_data(b"GET / HTTP/1.1\r\n"))
    while server.transport is Transport.KEEP_OPEN:
        list(server.receive_data(b"X: y\r\n"))


def test_an_endless_head_is_refused_in_linear_time() -> None:
    endless(1000)
    # Four times the bytes: quadratic would be sixteen times the time.
    assert fastest(lambda: endless(80_000)) < 8 * fastest(lambda: endless(20_000))


def test_an_endless_head_takes_bounded_memory() -> None:
    server = ServerConnection()
    piece = b"X: " + b"y" * 4000 + b"\r\n"
    tracemalloc.start()
    try:
        list(server.receive_data(b"GET / HTTP/1.1\r\n"))
        for _ in range(1000):
            list(server.receive_data(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.data_to_send().startswith(b"HTTP/1.1 431 ")
    assert peak < 128 * 1024


EIGHT = 8 * 1024
# The start, what is repeated, and the end of a field value.
VALUES = [
    ("", ",", ""),
    ("", ", ", "x"),
    ("", " \t", ","),
    ("x", " ", "y"),
    ("", "x,", ""),
    ("", "x;", ""),
    ("", "x;y,", ""),
    ("x; ", "y=z; ", "y"),
    ("x; ", 'y="z"; ', "y"),
    ('x; y="', "\\", '"'),
    ('x; y="', '\\"', ""),
    ('x; y="', "a", ""),
    ('x; y="', ' "', ""),
    ("", "permessage-deflate,", ""),
    ("", "permessage-deflate; server_max_window_bits=16, ", ""),
    ("permessage-deflate; ", "client_max_window_bits; ", ""),
    ("permessage-deflate; ", "a=b;", "\x7f"),
    ("", "\x80", ""),
    ("", "=", ""),
    ("", "(", ")"),
    ("", " \t", "\x0b"),
    ("", "v \t", "\x0c"),
]


@pytest.mark.parametrize(("start", "middle", "end"), VALUES, ids=count())
@pytest.mark.parametrize(
    "name", ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Connection", "Upgrade", "Origin", "X"]
)
def test_no_field_takes_long(name: str, start: str, middle: str, end: str) -> None:
    value = start + middle * ((EIGHT - len(start) - len(end)) // len(middle)) + end
    data = wire.request(extra=(f"{name}: {value}",))

    def ask() -> None:
        server = ServerConnection(compression=PerMessageDeflate(), origins=["https://example.com", None])
        list(server.receive_data(data))

    assert fastest(ask, 3) < 0.02


@pytest.mark.parametrize(("start", "middle", "end"), VALUES, ids=count())
@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Connection"])
def test_no_field_of_an_answer_takes_long(name: str, start: str, middle: str, end: str) -> None:
    value = start + middle * ((EIGHT - len(start) - len(end)) // len(middle)) + end

    def answer() -> None:
        client = ClientConnection("ws://x/", subprotocols=["a"], compression=PerMessageDeflate())
        list(client.receive_data(switch(client, extra=(f"{name}: {value}",))))

    assert fastest(answer, 3) < 0.02


def test_hundreds_that_dawdle_are_dropped_and_stop_nobody() -> None:
    timeouts = Timeouts(open=10)
    silent = [ServerConnection(timeouts=timeouts) for _ in range(250)]
    slow = [ServerConnection(timeouts=timeouts) for _ in range(250)]
    for second in range(10):
        for server in silent + slow:
            assert list(server.handle_timeout(second)) == []
        for server in slow:
            assert list(server.receive_data(wire.request()[second : second + 1])) == []
        events, _ = serve(ServerConnection(timeouts=timeouts), [wire.request() + HELLO])
        assert events[1] == "hello"
    for server in silent + slow:
        (last,) = server.handle_timeout(10)
        assert isinstance(last, Disconnected)
        assert last.cause.kind is CauseKind.OPEN_TIMEOUT
        assert server.transport is Transport.CLOSE
        assert server.next_timeout() is None
    assert all(server.data_to_send() == b"" for server in silent)
    assert all(server.data_to_send().startswith(b"HTTP/1.1 408 ") for server in slow)


# Where a browser comes from


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://example.com.evil.example",
        "https://evilexample.com",
        "https://evil.example/?https://example.com",
        "https://example.com@evil.example",
        "https://example.co",
        "http://example.com",
        "https://example.com:444",
        "https://example.com/",
        "https://sub.example.com",
        "https://example.com, https://evil.example",
    ],
)
def test_foreign_origins(origin: str | None) -> None:
    server = ServerConnection(origins=["https://example.com"])
    status, last, _ = refused(server, [wire.request({"Origin": origin})])
    assert (status, last.cause.header) == (403, "Origin")


def test_the_own_origin() -> None:
    for origin in ("https://example.com", "HTTPS://Example.com"):
        server = ServerConnection(origins=["https://example.com"])
        events, _ = serve(server, [wire.request({"Origin": origin})])
        assert isinstance(events[0], Request)


# What the application itself must not inject

CONTROLS = ["\r\n", *map(chr, range(9)), *map(chr, range(10, 32)), "\x7f"]


@pytest.mark.parametrize("control", CONTROLS)
def test_nothing_the_application_supplies_breaks_the_head(control: str) -> None:
    bad = f"a{control}X: y"
    server = ServerConnection()
    list(server.receive_data(wire.request({"Sec-WebSocket-Protocol": "a"})))
    plain = ServerConnection()
    list(plain.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    calls: list[Callable[[], object]] = [
        lambda: ClientConnection("ws://example.com/", headers={"X": bad}),
        lambda: ClientConnection("ws://example.com/", headers={bad: "x"}),
        lambda: ClientConnection("ws://example.com/", origin=bad),
        lambda: ClientConnection("ws://example.com/", subprotocols=[bad]),
        lambda: ClientConnection(f"ws://example.com/{bad}"),
        lambda: ClientConnection(f"ws://example.com/?{bad}"),
        lambda: ClientConnection(f"ws://{bad}/"),
        lambda: ClientConnection(URI(False, bad, 80, "/")),
        lambda: ClientConnection(URI(False, "example.com", 80, f"/{bad}")),
        lambda: server.accept(subprotocol=bad),
        lambda: server.accept(headers={"X": bad}),
        lambda: server.accept(headers={bad: "x"}),
        lambda: server.reject(403, headers={"X": bad}),
        lambda: plain.reject(200, headers={"Content-Type": bad}),
    ]
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()
    for connection in (server, plain):
        assert connection.data_to_send() == b""
        assert connection.bytes_sent == 0


def test_reasons_stay_within_their_frame() -> None:
    connection = Connection(Role.SERVER)
    for reason in ("x" * 124, "\u20ac" * 42, "\ud800"):
        with pytest.raises(LocalProtocolError):
            connection.send_close(1000, reason)
    assert connection.data_to_send() == b""
    # A Close frame has a length: what is in front of its end is nothing but the reason.
    (frame,) = wire.frames(connection.send_close(1000, "a\r\nb\0"))
    assert frame.payload[2:] == b"a\r\nb\0"


# As a client


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Accept": wire.ACCEPT},
        {"Sec-WebSocket-Accept": None},
        {"Upgrade": None},
        {"Upgrade": "websockets"},
        {"Connection": None},
        {"Connection": "close"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Sec-WebSocket-Extensions": "x-other"},
        {"Sec-WebSocket-Extensions": "permessage-deflate, permessage-deflate"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=15"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9; unknown"},
        {"Sec-WebSocket-Protocol": "b"},
        {"Sec-WebSocket-Protocol": "a, a"},
    ],
    ids=count(),
)
@both_cuts
def test_answers_that_are_refused(changes: dict[str, str | None], cut: Cut) -> None:
    client = ClientConnection(
        "ws://example.com/", subprotocols=["a"], compression=PerMessageDeflate(server_max_window_bits=10)
    )
    assert client.data_to_send()
    data = switch(client, changes) + wire.frame(wire.TEXT, b"hello", key=None)
    (last,) = (event for piece in cut(data) for event in client.receive_data(piece))
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert last.cause.header in changes
    assert client.transport is Transport.CLOSE
    # Not even a Close frame: there is no connection to close.
    assert client.data_to_send() == b""


@pytest.mark.parametrize("name", ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"])
def test_what_the_client_did_not_ask_for(name: str) -> None:
    client = ClientConnection("ws://example.com/")
    (last,) = client.receive_data(switch(client, {name: "permessage-deflate"}))
    assert isinstance(last, Disconnected)
    assert last.cause.header == name


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 101 S\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"", b"h"),
        (b"HTTP/1.1 403 X\r\n\r\n", b"v" * 100),
        (b"HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nv\r\n"),
        (b"HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"f"),
    ],
)
def test_endless_answers(start: bytes, piece: bytes) -> None:
    client = ClientConnection("ws://example.com/", limits=Limits(max_header_size=4000, max_body_size=4000))
    events: list[Event] = list(client.receive_data(start))
    fed = 0
    while not events:
        events += client.receive_data(piece)
        fed += len(piece)
        assert fed < 50_000
    assert isinstance(events[-1], Disconnected)
    if len(events) > 1:
        assert isinstance(events[0], Rejected)
        assert len(events[0].response.body) <= 4000


def test_dribbled_answers_end_with_the_open_timeout() -> None:
    client = ClientConnection("ws://example.com/", timeouts=Timeouts(open=10))
    data = switch(client)
    for second in range(10):
        assert list(client.handle_timeout(second)) == []
        assert list(client.receive_data(data[second : second + 1])) == []
    (last,) = client.handle_timeout(10)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.OPEN_TIMEOUT
    assert list(client.receive_data(data[10:])) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_reported_and_not_followed(status: int) -> None:
    client = ClientConnection("wss://example.com/", headers={"Authorization": "Basic secret"})
    assert b"secret" in client.data_to_send()
    data = b"HTTP/1.1 %d X\r\nLocation: wss://evil.example/\r\nContent-Length: 0\r\n\r\n" % status
    rejected, last = client.receive_data(data)
    assert isinstance(rejected, Rejected)
    assert rejected.response.headers.get("Location") == "wss://evil.example/"
    assert isinstance(last, Disconnected)
    assert client.data_to_send() == b""
