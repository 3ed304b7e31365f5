"""edgews: the same orders for each of its adapters."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import trio

import edgews.asyncio
import edgews.sync
import edgews.trio
from edgews import Headers, Limits, PerMessageDeflate, Request, Response, Timeouts
from edgews.outcomes import ConnectionClosed, InvalidHandshake

from .agent import HOST, REFUSAL, Agent, AsyncioAgent, Message, Options, Pieces, ThreadsAgent, TrioAgent


def refuse(request: Request) -> Response | None:
    return Response(403, Headers(), REFUSAL) if request.target.startswith("/refuse") else None


class Ours(Agent):
    def common(self, options: Options) -> dict[str, Any]:
        wish = None if options.deflate is None else PerMessageDeflate(threshold=0, **options.deflate)
        pings = options.ping_interval
        return {
            "compression": wish,
            "subprotocols": options.subprotocols,
            "limits": Limits() if options.max_size is None else Limits(max_message_size=options.max_size),
            "timeouts": Timeouts() if pings is None else Timeouts(ping_interval=pings),
        }

    def serving(self, options: Options) -> dict[str, Any]:
        context = self.server_context() if options.tls else None
        return {"ssl": context, "process_request": refuse, **self.common(options)}

    def asking(self, options: Options) -> dict[str, Any]:
        context = self.client_context(options) if options.tls else None
        return {"ssl": context, **self.common(options)}

    def facts(self, ws: Any) -> dict[str, Any]:
        # A server's answer is seen by its client alone.
        answer = ws.response
        extensions = None if answer is None else answer.headers.get("Sec-WebSocket-Extensions")
        return {"subprotocol": ws.subprotocol, "extensions": extensions}

    def end(self, ws: Any) -> tuple[int | None, str]:
        return ws.closed.code, ws.closed.reason

    def status(self, error: Exception) -> int | None:
        if isinstance(error, InvalidHandshake) and error.response is not None:
            return error.response.status
        return None

    async def messages(self, ws: Any) -> AsyncIterator[Message]:
        with contextlib.suppress(ConnectionClosed):
            async for message in ws:
                yield message

    async def send(self, ws: Any, message: Message) -> None:
        await ws.send(message)

    async def send_pieces(self, ws: Any, pieces: Pieces) -> None:
        await ws.send(self.pieces(ws, pieces))

    async def ping(self, ws: Any) -> None:
        await ws.ping()

    async def close(self, ws: Any, code: int, reason: str) -> None:
        await ws.close(code, reason)


class OnAsyncio(Ours, AsyncioAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._servers: dict[int, edgews.asyncio.Server] = {}

    async def _serve(self, ws: edgews.asyncio.WebSocket) -> None:
        await self.converse(ws.request.target, ws)

    async def listen(self, options: Options) -> int:
        server = await edgews.asyncio.serve(self._serve, HOST, 0, **self.serving(options))
        port: int = server.sockets[0].getsockname()[1]
        self._servers[port] = server
        return port

    def connecting(self, uri: str, options: Options) -> contextlib.AbstractAsyncContextManager[Any]:
        return edgews.asyncio.connect(uri, **self.asking(options))

    def left(self, port: int) -> int:
        return len(self._servers[port]._connections)

    async def stop(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers.values()))


class OnUvloop(OnAsyncio):
    @staticmethod
    def loop_factory() -> asyncio.AbstractEventLoop:
        import uvloop

        return uvloop.new_event_loop()


class OnTrio(Ours, TrioAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._servers: dict[int, edgews.trio.serve] = {}

    async def _serve(self, ws: edgews.trio.WebSocket) -> None:
        await self.converse(ws.request.target, ws)

    async def _run_server(self, options: Options, task_status: Any) -> None:
        async with edgews.trio.serve(self._serve, HOST, 0, **self.serving(options)) as server:
            listener: Any = server.listeners[0]
            if isinstance(listener, trio.SSLListener):
                listener = listener.transport_listener
            port = listener.socket.getsockname()[1]
            self._servers[port] = server
            task_status.started(port)
            await server.serve_forever()

    async def listen(self, options: Options) -> int:
        return await self.nursery.start(self._run_server, options)  # type: ignore[no-any-return]

    def connecting(self, uri: str, options: Options) -> contextlib.AbstractAsyncContextManager[Any]:
        return edgews.trio.connect(uri, **self.asking(options))

    def left(self, port: int) -> int:
        return len(self._servers[port]._connections)


class OnThreads(Ours, ThreadsAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._servers: dict[int, tuple[edgews.sync.Server, threading.Thread]] = {}

    def _serve(self, ws: edgews.sync.WebSocket) -> None:
        self.converse_blocked(ws.request.target, ws)

    async def listen(self, options: Options) -> int:
        server = edgews.sync.serve(self._serve, HOST, 0, **self.serving(options))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port: int = server.address[1]
        self._servers[port] = (server, thread)
        return port

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, options: Options) -> AsyncIterator[Any]:
        with edgews.sync.connect(uri, **self.asking(options)) as ws:
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
                    ws.ping()
                else:
                    yield piece

        ws.send(one_by_one())

    async def ping(self, ws: Any) -> None:
        ws.ping()

    async def close(self, ws: Any, code: int, reason: str) -> None:
        ws.close(code, reason)

    def left(self, port: int) -> int:
        return len(self._servers[port][0]._threads)

    def stop(self) -> None:
        # Those that a test has left behind.
        for ws in self._connections.values():
            ws.close()
        for server, thread in self._servers.values():
            server.shutdown()
            thread.join()
