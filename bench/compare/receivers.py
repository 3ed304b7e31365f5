"""The receive path of each library, driven without I/O: bytes in, messages out, and every message looked at.

Each function takes the reads of one pass. aiohttp's and picows's parsers are not public; what is used here
are the internals of aiohttp 3.14 and picows 2.3, and another release may move them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import picows
import picows.picows
import wsproto.connection
import wsproto.events
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from websockets.protocol import SERVER, Protocol

import edgews
from bench.traffic import REQUEST

from .contender import Contender, feed

Messages = list[str | bytes]


def edgews_receiver(reads: list[bytes]) -> Contender:
    receive = edgews.Connection(edgews.Role.SERVER).receive_data

    def run(passes: int) -> None:
        for data in feed(reads, passes):
            for _ in receive(data):
                pass

    def produced() -> Messages:
        return [event for data in reads for event in receive(data) if isinstance(event, (str, bytes))]

    return Contender(run, produced)


def wsproto_receiver(reads: list[bytes]) -> Contender:
    connection = wsproto.connection.Connection(wsproto.connection.ConnectionType.SERVER)
    receive, events = connection.receive_data, connection.events

    def run(passes: int) -> None:
        for data in feed(reads, passes):
            receive(data)
            for _ in events():
                pass

    def produced() -> Messages:
        messages: Messages = []
        parts: list[Any] = []
        for data in reads:
            receive(data)
            for event in events():
                assert isinstance(event, wsproto.events.Message)
                parts.append(event.data)
                if event.message_finished:
                    messages.append("".join(parts) if isinstance(parts[0], str) else b"".join(parts))
                    parts = []
        return messages

    return Contender(run, produced)


def websockets_receiver(reads: list[bytes]) -> Contender:
    protocol = Protocol(SERVER, max_size=None, logger=quiet("websockets"))
    receive, events = protocol.receive_data, protocol.events_received

    def run(passes: int) -> None:
        for data in feed(reads, passes):
            receive(data)
            for _ in events():
                pass

    def produced() -> Messages:
        messages: Messages = []
        for data in reads:
            receive(data)
            for frame in events():
                payload = bytes(frame.data)  # type: ignore[union-attr]
                messages.append(payload.decode() if frame.opcode == 1 else payload)  # type: ignore[union-attr]
        return messages

    return Contender(run, produced)


def aiohttp_receiver(reads: list[bytes]) -> Contender:
    loop = asyncio.new_event_loop()
    protocol = BaseProtocol(loop)
    # The queue is emptied here and not by its own coroutine, which would add to what is measured. Its
    # count of bytes therefore only grows (modulo 2**32), and this limit is one that it never passes.
    protocol._reading_paused = True
    queue = WebSocketDataQueue(protocol, 0x7FFFFFFF, loop=loop)
    receive = WebSocketReader(queue, 0, False, True).feed_data
    waiting = queue._buffer
    clear = waiting.clear

    def run(passes: int) -> None:
        for data in feed(reads, passes):
            receive(data)
            for _ in waiting:
                pass
            clear()

    def produced() -> Messages:
        for data in reads:
            receive(data)
        messages: Messages = [message.data for message, _ in waiting]
        clear()
        return messages

    loop.close()
    return Contender(run, produced)


class Transport(asyncio.Transport):
    """A transport to nowhere, so cheap that no library is charged for it."""

    def __init__(self, extra: dict[str, object] | None = None) -> None:
        super().__init__(extra)
        self.written: list[Any] = []
        # Built-in callables cost less than methods: `bool()` is False.
        self.write = self.written.append  # type: ignore[method-assign,assignment]
        self.is_closing = bool  # type: ignore[method-assign]

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class _Listener(picows.WSListener):
    """Takes messages as an application would: makes the string, and is done with it."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        frame.get_payload_as_utf8_text()


class _BinaryListener(picows.WSListener):
    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        frame.get_payload_as_bytes()


class _CheckingListener(picows.WSListener):
    def __init__(self) -> None:
        self.got: Messages = []

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        text = frame.msg_type == picows.WSMsgType.TEXT
        self.got.append(frame.get_payload_as_utf8_text() if text else frame.get_payload_as_bytes())


def picows_receiver(reads: list[bytes], *, text: bool = True) -> Contender:
    push = _picows(_Listener() if text else _BinaryListener())
    checked = _CheckingListener()
    push_checked = _picows(checked)

    def run(passes: int) -> None:
        for data in feed(reads, passes):
            push(data)

    def produced() -> Messages:
        checked.got.clear()
        for data in reads:
            push_checked(data)
        return checked.got

    return Contender(run, produced)


def _picows(listener: picows.WSListener) -> Callable[[bytes], None]:
    """Return a function that copies a read into the parser's buffer, as the event loop's recv_into does."""
    # It sets options on the socket, so it needs a real one of TCP.
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    loop = asyncio.new_event_loop()

    async def opened() -> Any:
        protocol: Any = picows.picows.WSProtocol(  # type: ignore[attr-defined]
            None,
            None,
            False,
            lambda request: listener,
            quiet("picows"),
            True,
            5,
            False,
            10,
            10,
            picows.WSAutoPingStrategy.PING_WHEN_IDLE,
            False,
            1 << 30,
            None,
            65536,
        )
        protocol.connection_made(Transport({"socket": theirs}))
        return protocol

    protocol = loop.run_until_complete(opened())
    get_buffer, buffer_updated = protocol.get_buffer, protocol.buffer_updated

    def push(data: bytes) -> None:
        size = len(data)
        room = get_buffer(-1)
        if size <= len(room):
            room[:size] = data
            buffer_updated(size)
            return
        view = memoryview(data)
        while view:
            room = get_buffer(-1)
            size = min(len(room), len(view))
            room[:size] = view[:size]
            buffer_updated(size)
            view = view[size:]

    push(REQUEST)
    # The parser asks its loop for the time and its socket for nothing more, but both have to live.
    push.__dict__["alive"] = (loop, ours, theirs, listener)
    return push


def quiet(name: str) -> logging.Logger:
    """Return the library's logger, silenced, so that nobody pays for messages that are not shown."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL)
    return logger
