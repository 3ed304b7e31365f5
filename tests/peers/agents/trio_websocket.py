"""trio-websocket, client and server on wsproto. It knows no extensions.

Its `open_websocket` leaves the stream open for good where the server has closed first: `aclose` does
nothing any more, and the server, which has ended its own stream, waits for the client's end (RFC 6455 §7.1.1)
until its close timeout. So the stream is opened and closed here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import trio
import trio_websocket
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, WebSocketRequest

from .agent import HOST, REFUSAL, Message, Options, TrioAgent

LIMIT = 2**20


class TrioWebsocket(TrioAgent):
    async def listen(self, options: Options) -> int:
        async def handler(request: WebSocketRequest) -> None:
            if request.path.startswith("/refuse"):
                await request.reject(403, body=REFUSAL)
                return
            subprotocol = next(filter(request.proposed_subprotocols.__contains__, options.subprotocols), None)
            await self.converse(request.path, await request.accept(subprotocol=subprotocol))

        context = self.server_context() if options.tls else None
        serve = partial(trio_websocket.serve_websocket, max_message_size=options.max_size or LIMIT)
        server = await self.nursery.start(serve, handler, HOST, 0, context)
        return server.port  # type: ignore[no-any-return]

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, options: Options) -> AsyncIterator[WebSocketConnection]:
        parts = urlsplit(uri)
        assert parts.hostname is not None
        assert parts.port is not None
        stream: Any = await trio.open_tcp_stream(parts.hostname, parts.port)
        if options.tls:
            context = self.client_context(options)
            stream = trio.SSLStream(stream, context, server_hostname=parts.hostname, https_compatible=True)
        async with stream, trio.open_nursery() as nursery:
            if options.tls:
                await stream.do_handshake()
            yield await trio_websocket.wrap_client_stream(
                nursery,
                stream,
                parts.netloc,
                parts.path,
                subprotocols=options.subprotocols or None,
                max_message_size=options.max_size or LIMIT,
            )

    async def messages(self, ws: WebSocketConnection) -> AsyncIterator[Message]:
        with contextlib.suppress(ConnectionClosed):
            while True:
                yield await ws.get_message()

    def facts(self, ws: WebSocketConnection) -> dict[str, Any]:
        return {"subprotocol": ws.subprotocol, "compressed": False}

    def end(self, ws: WebSocketConnection) -> tuple[int | None, str]:
        assert ws.closed is not None
        return ws.closed.code, ws.closed.reason or ""

    def status(self, error: Exception) -> int | None:
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        return error.status_code if isinstance(error, ConnectionRejected) else None

    async def send(self, ws: WebSocketConnection, message: Message) -> None:
        await ws.send_message(message)

    async def ping(self, ws: WebSocketConnection) -> None:
        await ws.ping(os.urandom(4))

    async def close(self, ws: WebSocketConnection, code: int, reason: str) -> None:
        await ws.aclose(code, reason)
