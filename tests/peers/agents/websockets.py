"""websockets, with its asyncio and its blocking classes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.sync.client
import websockets.sync.server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from .agent import HOST, REFUSAL, Agent, AsyncioAgent, Message, Options, Pieces, ThreadsAgent


def refuse(connection: Any, request: Any) -> Any:
    return connection.respond(403, REFUSAL.decode()) if request.path.startswith("/refuse") else None


class Websockets(Agent):
    def common(self, options: Options, factory: type[Any]) -> dict[str, Any]:
        return {
            # Without parameters, what its users get.
            "compression": "deflate" if options.deflate == {} else None,
            "extensions": [factory(**options.deflate)] if options.deflate else None,
            "subprotocols": options.subprotocols or None,
            "max_size": options.max_size or 2**20,
            "ping_interval": options.ping_interval or 20,
        }

    def serving(self, options: Options) -> dict[str, Any]:
        context = self.server_context() if options.tls else None
        common = self.common(options, ServerPerMessageDeflateFactory)
        return {"ssl": context, "process_request": refuse, **common}

    def asking(self, options: Options) -> dict[str, Any]:
        context = self.client_context(options) if options.tls else None
        return {"ssl": context, **self.common(options, ClientPerMessageDeflateFactory)}

    def facts(self, ws: Any) -> dict[str, Any]:
        extensions = ws.response.headers.get("Sec-WebSocket-Extensions")
        return {"subprotocol": ws.subprotocol, "extensions": extensions}

    def end(self, ws: Any) -> tuple[int | None, str]:
        return ws.close_code, ws.close_reason

    def status(self, error: Exception) -> int | None:
        return error.response.status_code if isinstance(error, InvalidStatus) else None


class OnAsyncio(Websockets, AsyncioAgent):
    async def _serve(self, ws: Any) -> None:
        await self.converse(ws.request.path, ws)

    async def listen(self, options: Options) -> int:
        server = await websockets.asyncio.server.serve(self._serve, HOST, 0, **self.serving(options))
        return next(iter(server.sockets)).getsockname()[1]  # type: ignore[no-any-return]

    def connecting(self, uri: str, options: Options) -> contextlib.AbstractAsyncContextManager[Any]:
        return websockets.asyncio.client.connect(uri, **self.asking(options))

    async def messages(self, ws: Any) -> AsyncIterator[Message]:
        with contextlib.suppress(ConnectionClosed):
            async for message in ws:
                yield message

    async def send(self, ws: Any, message: Message) -> None:
        await ws.send(message)

    async def send_pieces(self, ws: Any, pieces: Pieces) -> None:
        await ws.send(self.pieces(ws, pieces))

    async def ping(self, ws: Any) -> None:
        await (await ws.ping())

    async def close(self, ws: Any, code: int, reason: str) -> None:
        await ws.close(code, reason)


class OnThreads(Websockets, ThreadsAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._servers: list[Any] = []

    def _serve(self, ws: Any) -> None:
        self.converse_blocked(ws.request.path, ws)

    async def listen(self, options: Options) -> int:
        server = websockets.sync.server.serve(self._serve, HOST, 0, **self.serving(options))
        threading.Thread(target=server.serve_forever).start()
        self._servers.append(server)
        return server.socket.getsockname()[1]  # type: ignore[no-any-return]

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, options: Options) -> AsyncIterator[Any]:
        with websockets.sync.client.connect(uri, **self.asking(options)) as ws:
            yield ws

    async def messages(self, ws: Any) -> AsyncIterator[Message]:
        with contextlib.suppress(ConnectionClosed):
            for message in ws:
                yield message

    async def send(self, ws: Any, message: Message) -> None:
        ws.send(message)

    async def send_pieces(self, ws: Any, pieces: Pieces) -> None:
        def one_by_one() -> Iterator[Message]:
            for piece in pieces:
                if piece is None:
                    ws.ping().wait()
                else:
                    yield piece

        ws.send(one_by_one())

    async def ping(self, ws: Any) -> None:
        ws.ping().wait()

    async def close(self, ws: Any, code: int, reason: str) -> None:
        ws.close(code, reason)

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
