"""The send path of each library without I/O: a message in, the bytes to write out.

A text goes in as `str`, so each of them also encodes it. websockets and aiohttp take encoded text, and are
given what their own connection classes make of it: `str.encode()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import repeat
from typing import Any

import wsproto.connection
import wsproto.events
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.base_protocol import BaseProtocol
from websockets.protocol import CLIENT, SERVER, Protocol

import edgews

from .contender import Contender
from .receivers import Transport, quiet


def edgews_sender(message: str | bytes, *, client: bool) -> Contender:
    connection = edgews.Connection(edgews.Role.CLIENT if client else edgews.Role.SERVER)
    send: Callable[[Any], bytes] = connection.send_text if isinstance(message, str) else connection.send_bytes

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            send(message)

    return Contender(run, lambda: send(message))


def edgews_parts(message: bytes) -> Contender:
    """Send as header and payload; the check is that the payload is the very object that was given."""
    send = edgews.Connection(edgews.Role.SERVER).send_parts

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            send(message)

    def produced() -> bytes:
        head, payload = send(message)
        assert payload is message, "send_parts copied the payload"
        return head + payload

    return Contender(run, produced)


def wsproto_sender(message: str | bytes, *, client: bool) -> Contender:
    types = wsproto.connection.ConnectionType
    connection = wsproto.connection.Connection(types.CLIENT if client else types.SERVER)
    send = connection.send
    kind: Callable[[Any], Any] = (
        wsproto.events.TextMessage if isinstance(message, str) else wsproto.events.BytesMessage
    )

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            send(kind(message))

    return Contender(run, lambda: send(kind(message)))


def websockets_sender(message: str | bytes, *, client: bool) -> Contender:
    protocol = Protocol(CLIENT if client else SERVER, max_size=None, logger=quiet("websockets"))
    text, binary, waiting = protocol.send_text, protocol.send_binary, protocol.data_to_send

    def run_text(passes: int) -> None:
        for _ in repeat(None, passes):
            text(message.encode())  # type: ignore[union-attr]
            waiting()

    def run_binary(passes: int) -> None:
        for _ in repeat(None, passes):
            binary(message)  # type: ignore[arg-type]
            waiting()

    run = run_text if isinstance(message, str) else run_binary

    def produced() -> bytes:
        run_once = text if isinstance(message, str) else binary
        run_once(message.encode() if isinstance(message, str) else message)
        return b"".join(waiting())

    return Contender(run, produced)


def aiohttp_sender(message: str | bytes, *, client: bool) -> Contender:
    loop = asyncio.new_event_loop()
    transport = Transport()
    writer = WebSocketWriter(BaseProtocol(loop), transport, use_mask=client)
    loop.close()
    send = writer.send_frame
    forget = transport.written.clear

    async def text(passes: int) -> None:
        for _ in repeat(None, passes):
            await send(message.encode(), 1)  # type: ignore[union-attr]
            forget()

    async def binary(passes: int) -> None:
        for _ in repeat(None, passes):
            await send(message, 2)  # type: ignore[arg-type]
            forget()

    many = text if isinstance(message, str) else binary

    def run(passes: int) -> None:
        finish(many(passes))

    async def once() -> bytes:
        await send(
            message.encode() if isinstance(message, str) else message, 1 if isinstance(message, str) else 2
        )
        written = b"".join(transport.written)
        forget()
        return written

    return Contender(run, lambda: finish(once()))


def finish(coroutine: Any) -> Any:
    """Drive a coroutine that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the writer waits for its transport")
