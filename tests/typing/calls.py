"""What may be passed, and what comes back. An ignored error that is none is an error, for both checkers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_type

import edgews.asyncio
import edgews.sync
import edgews.trio
from edgews import (
    Cause,
    CauseKind,
    ClientConnection,
    Connection,
    Disconnected,
    Event,
    HandshakeError,
    Headers,
    PerMessageDeflate,
    PreparedMessage,
    Role,
    ServerConnection,
    State,
    Transport,
    Turn,
    parse_uri,
)


def sends(connection: Connection) -> None:
    assert_type(connection.send("text"), bytes)
    connection.send(b"bytes")
    connection.send(bytearray(b"bytes"))
    connection.send(memoryview(b"bytes"))
    connection.send(5)  # type: ignore[arg-type]
    connection.send(None)  # type: ignore[arg-type]
    connection.send(["text"])  # type: ignore[arg-type]
    connection.send_text("text", compress=False)
    connection.send_text(b"bytes")  # type: ignore[arg-type]
    connection.send_bytes(memoryview(b"bytes"))
    connection.send_bytes("text")  # type: ignore[arg-type]
    connection.send_bytes(5)  # type: ignore[arg-type]
    connection.send_utf8(b"bytes")
    connection.send_utf8("text")  # type: ignore[arg-type]
    connection.send_fragment("text", final=True)
    connection.send_fragment("text", True)  # type: ignore[call-arg]
    connection.send_prepared(PreparedMessage(b"bytes"))
    connection.send_prepared(b"bytes")  # type: ignore[arg-type]
    connection.send_ping(b"bytes")
    connection.send_ping("text")  # type: ignore[arg-type]
    connection.send_close(1000, "reason")
    connection.send_close("reason")  # type: ignore[arg-type]
    assert_type(connection.send_parts(b"bytes"), tuple[bytes, bytes])
    assert_type(connection.data_to_send(), bytes)


def receives(connection: Connection) -> None:
    events: Iterable[Event] = connection.receive_data(b"bytes")
    for event in connection.receive_data(b"bytes"):
        assert_type(event, Event)
    del events
    connection.receive_data(memoryview(b"bytes"))
    connection.receive_data("text")  # type: ignore[arg-type]
    assert_type(connection.receive_eof(), Iterable[Event])
    assert_type(connection.handle_timeout(1.5), Iterable[Event])
    assert_type(connection.next_timeout(), float | None)
    assert_type(connection.latency, float | None)
    assert_type(connection.transport, Transport)
    assert_type(connection.state, State)
    assert_type(connection.turn, Turn)


def opens() -> None:
    server = ServerConnection(origins=["https://example.com", None], compression=PerMessageDeflate())
    assert_type(server.accept(subprotocol="a", headers={"X": "y"}), bytes)
    assert_type(server.reject(404, headers=[("X", "y")], body="text"), bytes)
    assert_type(server.subprotocol, str | None)
    server.accept("a")  # type: ignore[call-arg]
    server.accept(headers={"X": 5})  # type: ignore[arg-type]
    client = ClientConnection("ws://example.com/", headers=Headers({"X": "y"}))
    assert_type(client.subprotocol, str | None)
    ClientConnection(parse_uri("ws://example.com/"), compression=[PerMessageDeflate()])
    ClientConnection(b"ws://example.com/")  # type: ignore[arg-type]
    Connection(Role.CLIENT, trailing_data=b"bytes")
    Connection("client")  # type: ignore[arg-type]


def ends(end: Disconnected) -> None:
    assert_type(end.code, int)
    assert_type(end.clean, bool)
    assert_type(end.cause, Cause)
    assert_type(end.cause.kind, CauseKind)
    assert_type(end.cause.header, str | None)
    if end.cause.error is not None:
        assert_type(end.cause.error.section, str)
        assert_type(end.cause.error.code, int)
    if isinstance(end.cause.error, HandshakeError):
        assert_type(end.cause.error.status, int)


async def connects() -> None:
    async with edgews.asyncio.reconnect("ws://x/", redirects=1, proxy=None, path="/socket") as connections:
        async for ws in connections:
            assert_type(ws, edgews.asyncio.WebSocket)
    async for again in edgews.asyncio.connect("ws://x/", on_attempt=print, cookies={"a": "b"}):
        assert_type(again, edgews.asyncio.WebSocket)
    async with edgews.trio.reconnect("ws://x/", backoff=edgews.trio.Backoff(cap=5)) as theirs:
        async for other in theirs:
            assert_type(other, edgews.trio.WebSocket)
    with edgews.sync.reconnect("ws://x/", headers={"X": "y"}) as blocking:
        for one in blocking:
            assert_type(one, edgews.sync.WebSocket)
    edgews.sync.reconnect("ws://x/", sock=None)  # type: ignore[call-arg]
    edgews.sync.reconnect("ws://x/", redirects="1")  # type: ignore[arg-type]
