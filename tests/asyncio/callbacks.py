"""A callback protocol that writes down what it is told, and ways to put one at either end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from edgews import ClientConnection, Disconnected, Fragment, Request, Response, ServerConnection
from edgews.asyncio import WebSocketProtocol
from tests.asyncio.harness import HOST, soon, until
from tests.raw import check


class Counted:
    """A transport that remembers each write, and passes for the one that it stands before."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.writes: list[bytes] = []
        self.parts: list[tuple[bytes, ...]] = []

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))
        self._transport.write(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.parts.append(parts)
        self.writes.append(b"".join(parts))
        self._transport.writelines(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Recorder(WebSocketProtocol):
    """Writes every callback down, and does in it what a test wants.

    `answer` decides about requests, `on_message` takes messages; what they raise leaves the callback.
    """

    def __init__(
        self,
        conn: ServerConnection | ClientConnection,
        on_message: Callable[[Recorder, str | bytes], object] | None = None,
        answer: Callable[[Request], Response | str | None] | None = None,
        on_open: Callable[[Recorder], object] | None = None,
        on_close: Callable[[Recorder], object] | None = None,
    ) -> None:
        super().__init__(conn)
        self.on_message = on_message
        self.answer = answer
        self.on_open = on_open
        self.on_close = on_close
        self.log: list[str] = []
        self.messages: list[str | bytes] = []
        self.fragments: list[Fragment] = []
        self.ends: list[Disconnected] = []
        self.counted: Counted | None = None
        self._depth = 0

    @contextlib.contextmanager
    def _noted(self, name: str) -> Any:
        """Write a callback down; none may come within another, or after the last."""
        check(self._depth == 0, f"{name} within another callback: {self.log}")
        check("closed" not in self.log, f"{name} behind the end: {self.log}")
        self.log.append(name)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @property
    def writes(self) -> list[bytes]:
        assert self.counted is not None
        return self.counted.writes

    @property
    def lost(self) -> bool:
        """Whether nothing is left of the transport."""
        return self.counted is not None and self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        kind = type("Counted", (Counted,), {"__module__": type(transport).__module__})
        self.counted = kind(transport)
        super().connection_made(self.counted)  # type: ignore[arg-type]

    def request_received(self, request: Request) -> Response | str | None:
        with self._noted("request"):
            return None if self.answer is None else self.answer(request)

    def connection_opened(self) -> None:
        with self._noted("opened"):
            if self.on_open is not None:
                self.on_open(self)

    def message_received(self, message: str | bytes) -> None:
        with self._noted("message"):
            self.messages.append(message)
            if self.on_message is not None:
                self.on_message(self, message)

    def fragment_received(self, fragment: Fragment) -> None:
        with self._noted("fragment"):
            self.fragments.append(fragment)

    def connection_closed(self, disconnected: Disconnected) -> None:
        with self._noted("closed"):
            self.ends.append(disconnected)
            if self.on_close is not None:
                self.on_close(self)


class Listening:
    """A server of recorders."""

    def __init__(self) -> None:
        self.protocols: list[Recorder] = []
        self.server: asyncio.AbstractServer | None = None

    @property
    def sockets(self) -> Any:
        return self.server.sockets  # type: ignore[union-attr]

    async def protocol(self) -> Recorder:
        """Return that of the first connection, once it is open."""
        await until(lambda: self.protocols and "opened" in self.protocols[0].log)
        return self.protocols[0]


@contextlib.asynccontextmanager
async def listening(
    conn: Callable[[], ServerConnection] = ServerConnection,
    ssl: ssl.SSLContext | None = None,
    **callbacks: Any,
) -> AsyncIterator[Listening]:
    """Serve; at the end of the block every connection has to end by itself."""
    found = Listening()

    def protocol() -> Recorder:
        found.protocols.append(Recorder(conn(), **callbacks))
        return found.protocols[-1]

    loop = asyncio.get_running_loop()
    found.server = await loop.create_server(protocol, HOST, 0, ssl=ssl)
    try:
        yield found
        await until(lambda: all(protocol.lost for protocol in found.protocols))
        for protocol_ in found.protocols:
            check(len(protocol_.ends) == 1, f"connection_closed was called {len(protocol_.ends)} times")
            check(protocol_.log[-1] == "closed", f"{protocol_.log}")
    finally:
        found.server.close()
        await soon(found.server.wait_closed())


@contextlib.asynccontextmanager
async def client(
    where: tuple[str, int], conn: Callable[[str], ClientConnection] = ClientConnection, **callbacks: Any
) -> AsyncIterator[Recorder]:
    """Open a connection as a client, which is dropped at the end of the block if it is there still."""
    loop = asyncio.get_running_loop()
    uri = f"ws://{where[0]}:{where[1]}/"
    _, protocol = await loop.create_connection(lambda: Recorder(conn(uri), **callbacks), *where[:2])
    try:
        yield protocol
    finally:
        protocol.abort()
        await until(lambda: protocol.lost)
    check(len(protocol.ends) == 1, f"connection_closed was called {len(protocol.ends)} times")


def echo(protocol: Recorder, message: str | bytes) -> None:
    protocol.send(message)
