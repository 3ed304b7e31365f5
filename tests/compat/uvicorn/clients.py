"""Two clients of different making, with the same few methods."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import connect as their_connect
from websockets.exceptions import InvalidStatus

import edgews.asyncio
from edgews import PerMessageDeflate
from edgews.asyncio import ConnectionClosed, InvalidHandshake


@dataclass
class Refused(Exception):
    """The answer of a server that did not open the connection."""

    status: int
    body: bytes


class Closed(Exception):
    """The connection has ended while something was to be received."""


class Ours:
    """A connection of `edgews.asyncio`."""

    def __init__(self, ws: edgews.asyncio.WebSocket) -> None:
        self._ws = ws
        self.subprotocol = ws.subprotocol

    @classmethod
    async def open(
        cls, uri: str, deflate: bool, subprotocols: Sequence[str], tls: ssl.SSLContext | None
    ) -> Ours:
        wish = PerMessageDeflate(threshold=0) if deflate else None
        try:
            return cls(
                await edgews.asyncio.connect(uri, compression=wish, subprotocols=subprotocols, ssl=tls)
            )
        except InvalidHandshake as error:
            if error.response is None:
                raise
            raise Refused(error.response.status, error.response.body) from None

    @property
    def compressed(self) -> bool:
        response = self._ws.response
        return response is not None and response.headers.has("Sec-WebSocket-Extensions")

    async def send(self, message: str | bytes) -> None:
        await self._ws.send(message)

    async def recv(self) -> str | bytes:
        try:
            return await self._ws.recv()
        except ConnectionClosed:
            raise Closed from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._ws.close(code, reason)

    def drop(self) -> None:
        """Go without a word."""
        self._ws._abort()

    async def ended(self) -> tuple[int, str]:
        closed = await self._ws.wait_closed()
        return closed.code, closed.reason


class Theirs:
    """A connection of `websockets`."""

    def __init__(self, ws: websockets.ClientConnection) -> None:
        self._ws = ws
        self.subprotocol = ws.subprotocol

    @classmethod
    async def open(
        cls, uri: str, deflate: bool, subprotocols: Sequence[str], tls: ssl.SSLContext | None
    ) -> Theirs:
        options: dict[str, Any] = {"compression": "deflate" if deflate else None, "proxy": None}
        if tls is not None:
            options["ssl"] = tls
        try:
            return cls(await their_connect(uri, subprotocols=list(subprotocols) or None, **options))
        except InvalidStatus as error:
            raise Refused(error.response.status_code, bytes(error.response.body or b"")) from None

    @property
    def compressed(self) -> bool:
        return bool(self._ws.protocol.extensions)

    async def send(self, message: str | bytes) -> None:
        await self._ws.send(message)

    async def recv(self) -> str | bytes:
        try:
            return await self._ws.recv()
        except websockets.ConnectionClosed:
            raise Closed from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._ws.close(code, reason)

    def drop(self) -> None:
        """Go without a word."""
        self._ws.transport.abort()

    async def ended(self) -> tuple[int, str]:
        await self._ws.wait_closed()
        return self._ws.close_code or 1006, self._ws.close_reason or ""


@dataclass
class Kind:
    """Which client, and whether it offers compression."""

    client: type[Ours] | type[Theirs]
    deflate: bool

    @contextlib.asynccontextmanager
    async def open(
        self, uri: str, *, subprotocols: Sequence[str] = (), tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Ours | Theirs]:
        client = await self.client.open(uri, self.deflate, subprotocols, tls)
        try:
            yield client
        finally:
            await client.close()


KINDS = {
    "edgews": Kind(Ours, False),
    "edgews, compressed": Kind(Ours, True),
    "websockets": Kind(Theirs, False),
    "websockets, compressed": Kind(Theirs, True),
}
