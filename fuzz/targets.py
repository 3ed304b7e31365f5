"""What is fuzzed: each target takes one input, returns what the engine made of it, and raises if it is wrong.

The first bytes of an input choose the settings and the sizes of the pieces; the rest is what the peer sends.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import cycle
from unittest.mock import patch

from edgews import (
    Agreement,
    ClientConnection,
    Connection,
    Delivery,
    Disconnected,
    Event,
    HandshakeError,
    Headers,
    Limits,
    LocalProtocolError,
    PerMessageDeflate,
    RemoteProtocolError,
    Request,
    Role,
    ServerConnection,
    Transport,
    handshake,
)
from edgews.http1 import RequestReader, ResponseReader

# Small, so that short inputs reach them.
LIMITS = Limits(max_message_size=2000, max_header_size=1500, max_header_count=12, max_body_size=300)

# Options, piece sizes.
PREFIX = 5
DEFLATE, CLOCK, ECHO, STREAM, FRAGMENTS, CLIENT, REJECT, PASSIVE = (1 << bit for bit in range(8))

# The client's key, and the answer to it: RFC 6455 §1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RIGHT_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Target = Callable[[bytes], Hashable]


class Wrong(Exception):
    """The engine broke the invariant without raising."""


def cut(data: bytes, sizes: bytes) -> Iterator[bytes]:
    """Cut `data` into pieces whose sizes come round again."""
    at = 0
    # Sizes up to 128 are taken as they are; above that the pieces grow fast.
    for size in cycle([1 + size if size < 128 else (size - 127) ** 2 for size in sizes] or [1]):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


def play(connection: Connection, pieces: Iterable[bytes], options: int) -> list[Event]:
    """Feed a connection, do what its owner would do, and hold it to the invariant."""
    events: list[Event] = []
    for now, piece in enumerate(pieces):
        for event in connection.receive_data(piece):
            events.append(event)
            answer(connection, event, options)
        connection.data_to_send()
        if options & CLOCK:
            events += connection.handle_timeout(now * 3.0)
            connection.data_to_send()
    events += connection.receive_eof()
    connection.data_to_send()
    if [type(event) for event in events].count(Disconnected) != 1:
        raise Wrong(f"Disconnected did not come exactly once: {events}")
    if not isinstance(events[-1], Disconnected):
        raise Wrong(f"Disconnected was not the last event: {events}")
    if connection.transport is not Transport.CLOSE:
        raise Wrong(f"after the end, transport is {connection.transport}")
    if [*connection.receive_data(b"late"), *connection.receive_eof(), *connection.handle_timeout(1e9)]:
        raise Wrong("an event came after Disconnected")
    return events


def answer(connection: Connection, event: Event, options: int) -> None:
    """Do with an event what the owner of the connection might do."""
    try:
        if isinstance(event, Request) and isinstance(connection, ServerConnection):
            if options & REJECT:
                connection.reject(404, body=event.path + event.query)
            else:
                connection.accept(subprotocol=next(iter(event.subprotocols), None))
        elif options & ECHO and isinstance(event, str | bytes):
            connection.send(event)
    except LocalProtocolError:
        # Documented: it is closing, for example.
        pass


def told(event: Event) -> object:
    """Make an event comparable.

    Of two faults at one place, such as a compressed text that is cut off and no UTF-8, the split may decide
    which is found first; so the sentence about it does not count, but all that a program may ask does.
    """
    if not isinstance(event, Disconnected):
        return event
    cause = event.cause
    error = cause.error
    known = (error.code if isinstance(error, RemoteProtocolError) else None, getattr(error, "status", None))
    return event.code, event.reason, event.clean, cause.kind, cause.initiator, cause.header, known


def compare(make: Callable[[], Connection], data: bytes, sizes: bytes, options: int) -> Hashable:
    """Feed two equal connections the same bytes, once whole and once in pieces."""
    in_pieces = play(make(), cut(data, sizes), options)
    if not options & (CLOCK | STREAM):
        whole = play(make(), [data], options)
        if list(map(told, whole)) != list(map(told, in_pieces)):
            raise Wrong(f"the split made a difference:\n{whole}\n{in_pieces}")
    return signature(in_pieces)


def signature(events: list[Event]) -> Hashable:
    """Say roughly what happened, to recognise what has not happened before."""
    last = events[-1]
    detail = last.cause.detail if isinstance(last, Disconnected) else ""
    return (
        tuple(type(event).__name__ for event in events[:4]),
        len(events).bit_length(),
        "".join(character for character in detail if not character.isdigit()),
    )


def settings(options: int) -> tuple[Delivery, bool]:
    """Return the delivery, and whether the engine replies by itself."""
    delivery = Delivery.STREAM if options & STREAM else Delivery.MESSAGES
    delivery = Delivery.FRAGMENTS if options & FRAGMENTS else delivery
    return delivery, not options & PASSIVE


def take(data: bytes) -> tuple[int, bytes, bytes]:
    """Take an input apart: options, sizes of the pieces, bytes of the peer."""
    options = data[0] if data else 0
    if options & FRAGMENTS:
        options &= ~STREAM
    return options, data[1:PREFIX], data[PREFIX:]


def frames(data: bytes) -> Hashable:
    """Fuzz a connection that is open at once, in either role."""
    options, sizes, data = take(data)
    delivery, replies = settings(options)
    deflate = (PerMessageDeflate(threshold=0), Agreement(False, bool(options & ECHO), 12, 12))

    def make() -> Connection:
        return Connection(
            Role.CLIENT if options & CLIENT else Role.SERVER,
            limits=LIMITS,
            delivery=delivery,
            auto_pong=replies,
            auto_close=replies,
            deflate=deflate if options & DEFLATE else None,
        )

    return compare(make, data, sizes, options)


def server(data: bytes) -> Hashable:
    """Fuzz a server from the first byte of the request."""
    options, sizes, data = take(data)
    delivery, replies = settings(options)

    def make() -> Connection:
        return ServerConnection(
            limits=LIMITS,
            delivery=delivery,
            auto_pong=replies,
            auto_close=replies,
            compression=PerMessageDeflate() if options & DEFLATE else None,
            origins=["https://example.com", None] if options & CLIENT else None,
        )

    return compare(make, data, sizes, options)


def client(data: bytes) -> Hashable:
    """Fuzz a client from the first byte of the answer."""
    options, sizes, data = take(data)
    delivery, replies = settings(options)
    compression = [PerMessageDeflate(server_max_window_bits=9), PerMessageDeflate()]

    def make() -> Connection:
        # A fresh key for each connection would make every answer wrong, and no failure repeatable.
        with patch.object(handshake, "new_handshake_key", lambda: KEY):
            return ClientConnection(
                "ws://example.com/",
                limits=LIMITS,
                delivery=delivery,
                auto_pong=replies,
                auto_close=replies,
                subprotocols=["chat", "other"],
                compression=compression if options & DEFLATE else None,
            )

    return compare(make, data, sizes, options)


def http(data: bytes) -> Hashable:
    """Fuzz the two readers of HTTP/1.1 alone."""
    options, sizes, data = take(data)

    def read(pieces: Iterable[bytes]) -> tuple[str, ...]:
        requests, responses = RequestReader(LIMITS), ResponseReader(LIMITS)
        responses.request(Request("GET", "/", Headers({"Host": "x", "Upgrade": "websocket"})))
        result: object = None
        behind = b""
        for piece in pieces:
            if result is not None:
                behind += piece
                continue
            try:
                result = responses.feed(piece, False) if options & CLIENT else requests.feed(piece)
            except HandshakeError as error:
                return "error", str(error), str(error.status), str(error.header)
        if result is None and options & CLIENT:
            try:
                result = responses.feed(b"", True)
            except HandshakeError as error:
                return "error", str(error), str(error.status), str(error.header)
        if isinstance(result, tuple):
            message, rest = result
            # What comes behind the body of a refusal is nobody's.
            behind = b"" if options & CLIENT and message.status != 101 else rest + behind
            return "complete", repr(message), repr(behind)
        return ("incomplete",)

    whole, in_pieces = read([data]), read(cut(data, sizes))
    if whole != in_pieces:
        raise Wrong(f"the split made a difference:\n{whole}\n{in_pieces}")
    return whole[0], whole[1][:40] if len(whole) > 1 else "", whole[2:] if whole[0] == "error" else ""


TARGETS: dict[str, Target] = {"server": server, "client": client, "frames": frames, "http": http}
