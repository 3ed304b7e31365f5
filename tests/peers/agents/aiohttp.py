"""aiohttp's client and server.

Its `close` waits for the peer's Close only when nothing else receives, so one task does both. It shows Pongs
only to applications that also answer Pings, so it does that on paths with `by-hand` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from .agent import HOST, REFUSAL, AsyncioAgent, Message, Options

BITS = "server_max_window_bits"


@dataclass
class Connection:
    """A connection, and what passes between the task that has it and the others."""

    ws: Any
    by_hand: bool
    leave: asyncio.Future[tuple[int, str]]
    left: asyncio.Event
    pong: asyncio.Event
    code: int | None = None
    reason: str = ""


def connection(ws: Any, path: str) -> Connection:
    leave = asyncio.get_running_loop().create_future()
    return Connection(ws, "by-hand" in path, leave, asyncio.Event(), asyncio.Event())


class Aiohttp(AsyncioAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._runners: list[web.AppRunner] = []

    async def listen(self, options: Options) -> int:
        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path.startswith("/refuse"):
                return web.Response(status=403, body=REFUSAL)
            ws = web.WebSocketResponse(
                protocols=options.subprotocols,
                compress=options.deflate is not None,
                autoping="by-hand" not in request.path,
                max_msg_size=options.max_size or 4 * 2**20,
                heartbeat=options.ping_interval,
            )
            await ws.prepare(request)
            await self.converse(request.path, connection(ws, request.path))
            return ws

        application = web.Application()
        application.router.add_get("/{name:.*}", handler)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, ssl_context=self.server_context() if options.tls else None).start()
        self._runners.append(runner)
        return runner.addresses[0][1]  # type: ignore[no-any-return]

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, options: Options) -> AsyncIterator[Connection]:
        compress = 0 if options.deflate is None else options.deflate.get(BITS, 15)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                uri,
                ssl=self.client_context(options) if options.tls else True,
                protocols=options.subprotocols,
                compress=compress,
                autoping="by-hand" not in uri,
                max_msg_size=options.max_size or 4 * 2**20,
                heartbeat=options.ping_interval,
            ) as ws,
        ):
            yield connection(ws, uri)

    async def messages(self, ws: Connection) -> AsyncIterator[Message]:
        while True:
            receiving = asyncio.create_task(ws.ws.receive())
            await asyncio.wait([receiving, ws.leave], return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                receiving.cancel()
                await asyncio.wait([receiving])
                code, reason = ws.leave.result()
                await ws.ws.close(code=code, message=reason.encode())
                ws.code = ws.ws.close_code
                ws.left.set()
                return
            message = receiving.result()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data
            elif message.type is WSMsgType.PING:
                await ws.ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                ws.pong.set()
            else:
                # What it has as `close_code` is 1006 when there was no way for an answer.
                closed = message.type is WSMsgType.CLOSE
                ws.code, ws.reason = (message.data, message.extra) if closed else (ws.ws.close_code, "")
                return

    def facts(self, ws: Connection) -> dict[str, Any]:
        protocol = ws.ws.ws_protocol if isinstance(ws.ws, web.WebSocketResponse) else ws.ws.protocol
        return {"subprotocol": protocol, "compressed": bool(ws.ws.compress)}

    def end(self, ws: Connection) -> tuple[int | None, str]:
        return ws.code, ws.reason or ""

    def status(self, error: Exception) -> int | None:
        return error.status if isinstance(error, aiohttp.WSServerHandshakeError) else None

    async def send(self, ws: Connection, message: Message) -> None:
        if isinstance(message, str):
            await ws.ws.send_str(message)
        else:
            await ws.ws.send_bytes(message)

    async def ping(self, ws: Connection) -> None:
        ws.pong.clear()
        await ws.ws.ping(b"to and fro")
        await ws.pong.wait()

    async def close(self, ws: Connection, code: int, reason: str) -> None:
        ws.leave.set_result((code, reason))
        await ws.left.wait()

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
