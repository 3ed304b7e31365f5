"""Opening handshakes: bytes in pieces, answers built without the engine, and ways to play a side."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from edgews import (
    Cause,
    ClientConnection,
    Disconnected,
    Event,
    HandshakeError,
    Headers,
    Limits,
    PerMessageDeflate,
    Request,
    ServerConnection,
    State,
    Transport,
)
from edgews.http1 import RequestReader, ResponseReader

from . import wire

CUTS = st.lists(st.integers(0, 1 << 12), max_size=6)

# One request that is to be accepted, and one for a page.
GOOD = wire.request()
PLAIN = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n"
# A first message for each side.
HELLO_TO_SERVER = wire.frame(wire.TEXT, b"hello")
HELLO_TO_CLIENT = wire.frame(wire.TEXT, b"hello", key=None)

DEFLATE = PerMessageDeflate()
LIMITS = Limits()


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut `data` at some places; a cut beyond its end goes round."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(places)]


def octets(data: bytes) -> list[bytes]:
    """Cut `data` into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]


def accept_for(key: str) -> str:
    """Calculate Sec-WebSocket-Accept as RFC 6455 §4.2.2 says it."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


def switch(
    client: ClientConnection,
    changes: dict[str, str | None] | None = None,
    *,
    line: str = "HTTP/1.1 101 Switching Protocols",
    extra: Sequence[str] = (),
) -> bytes:
    """Build the answer that opens the client's connection; the arguments are those of `wire.request`."""
    key = client.request.headers.get("Sec-WebSocket-Key")
    assert key is not None
    fields: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_for(key),
        **(changes or {}),
    }
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None), *extra]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


Answer = Callable[[ServerConnection, Request], bytes]


def accept(server: ServerConnection, _request: Request) -> bytes:
    """Accept whatever comes."""
    return server.accept()


def serve(
    server: ServerConnection, data: Iterable[bytes], answer: Answer = accept
) -> tuple[list[Event], bytes]:
    """Feed a server, and answer its request on the spot; return the events and all it wrote."""
    events: list[Event] = []
    written = b""
    for piece in data:
        for event in server.receive_data(piece):
            events.append(event)
            if isinstance(event, Request):
                written += answer(server, event)
        written += server.data_to_send()
    return events, written


def refused(server: ServerConnection, data: Iterable[bytes]) -> tuple[int, Disconnected, bytes]:
    """Feed a server what it has to refuse; return the status, the end, and all it wrote."""
    events, written = serve(server, data)
    assert events == []
    (last,) = server.receive_eof()
    assert isinstance(last, Disconnected)
    head, _, _ = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    return int(head[9:12]), last, written


def told(events: Iterable[Event]) -> list[object]:
    """Make events comparable: two errors are equal when all they say is."""
    return [
        (repr(event), vars(event.cause.error) if event.cause.error else None)
        if isinstance(event, Disconnected)
        else event
        for event in events
    ]


def fields(response: bytes) -> dict[str, list[str]]:
    """Read the header fields of a response, without h11 and the engine; names in lower case."""
    head, end, _ = response.partition(b"\r\n\r\n")
    assert end
    found: dict[str, list[str]] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        found.setdefault(name.lower(), []).append(value)
    return found


def outcome(feed: Callable[[bytes], object], data: Iterable[bytes]) -> object:
    """Feed pieces until there is a result; bytes that come behind it are put behind those it has."""
    result: object = None
    for piece in data:
        if isinstance(result, tuple):
            result = (result[0], result[1] + piece)
            continue
        try:
            result = feed(piece)
        except HandshakeError as error:
            return (str(error), error.status, error.header)
    return result


def read_request(data: Iterable[bytes], limits: Limits = LIMITS) -> object:
    """Read the head of a request; the result is that of `outcome`."""
    return outcome(RequestReader(limits).feed, data)


def response_reader(limits: Limits = LIMITS) -> ResponseReader:
    """Make a reader for the answer to a request that is written."""
    reader = ResponseReader(limits)
    reader.request(Request("GET", "/", Headers(wire.REQUEST_FIELDS)))
    return reader


def read_response(data: Iterable[bytes], limits: Limits = LIMITS) -> object:
    """Read an answer; the result is that of `outcome`."""
    reader = response_reader(limits)
    return outcome(lambda piece: reader.feed(piece, False), data)


def ask(data: bytes = GOOD, **options: object) -> tuple[ServerConnection, Request]:
    """Make a server that has a request to answer."""
    server = ServerConnection(**options)  # type: ignore[arg-type]
    (request,) = server.receive_data(data)
    assert isinstance(request, Request)
    return server, request


def end(server: ServerConnection) -> Cause:
    """End the client's stream; return the cause in the one event that follows."""
    (last,) = server.receive_eof()
    assert isinstance(last, Disconnected)
    assert (last.code, last.reason, last.clean) == (1006, "", False)
    assert server.transport is Transport.CLOSE
    assert server.state is State.CLOSED
    return last.cause


def asking(**options: object) -> ClientConnection:
    """Make a client whose request is written."""
    client = ClientConnection("ws://example.com/chat", **options)  # type: ignore[arg-type]
    assert client.data_to_send()
    return client


def receive(client: ClientConnection, data: Iterable[bytes]) -> list[Event]:
    """Feed a client, and return all events."""
    return [event for piece in data for event in client.receive_data(piece)]


def opened_server(**options: object) -> ServerConnection:
    """Make a server whose connection is open."""
    server = ServerConnection(**options)  # type: ignore[arg-type]
    serve(server, [wire.request()])
    return server


def opened_client(**options: object) -> ClientConnection:
    """Make a client whose connection is open."""
    client = ClientConnection("ws://example.com/chat", **options)  # type: ignore[arg-type]
    client.data_to_send()
    list(client.receive_data(switch(client)))
    return client


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Return the least processor time that `work` takes, in seconds: what else runs here only adds to it."""
    best = float("inf")
    for _ in range(times):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return best
