"""An echo server of each library on uvloop: `python -m bench.echo.servers NAME`, which prints its port.

It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

LIMIT = 1 << 20


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
    sock.setblocking(False)
    return sock


async def edgews_await(sock: socket.socket) -> None:
    from edgews.asyncio import WebSocket, serve

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    await serve(echo, sock=sock)


async def edgews_callbacks(sock: socket.socket) -> None:
    from edgews import ServerConnection
    from edgews.asyncio import WebSocketProtocol

    class Echo(WebSocketProtocol):
        __slots__ = ()

        def message_received(self, message: str | bytes) -> None:
            self.send(message)

    await asyncio.get_running_loop().create_server(lambda: Echo(ServerConnection()), sock=sock)


async def picows(sock: socket.socket) -> None:
    import picows

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
                transport.send(frame.msg_type, frame.get_payload_as_bytes())
            elif frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    await picows.ws_create_server(lambda request: Echo(), sock=sock)


async def aiohttp(sock: socket.socket) -> None:
    from aiohttp import WSMsgType, web

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, heartbeat=20, max_msg_size=LIMIT)
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()


async def websockets(sock: socket.socket) -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    await serve(echo, sock=sock, compression=None, max_size=LIMIT)


SERVERS: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    "edgews callbacks": edgews_callbacks,
    "edgews async for": edgews_await,
    "picows": picows,
    "aiohttp": aiohttp,
    "websockets": websockets,
}


async def main(name: str) -> None:
    sock = listening()
    await SERVERS[name](sock)
    gc.collect()
    gc.freeze()
    print(sock.getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(sys.argv[1]))
