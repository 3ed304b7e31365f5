"""An echo server of each library on uvloop: `python -m bench.echo.servers NAME`, which prints its port.

It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha1
from typing import cast

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


async def edgews_await_let_go(sock: socket.socket) -> None:
    """As `edgews_await`, except that no connection keeps its last message until the next one comes."""
    from edgews.asyncio import WebSocket, serve

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)
            del message

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


class Bare(asyncio.Protocol):
    """Hand back what comes, without the mask's key: what an echo costs without a WebSocket library.

    It knows where a frame ends, with one in flight at a time, and looks at nothing else. What it sends has
    the length of the right answer, and is still masked.
    """

    def __init__(self) -> None:
        self._open = False
        # Bytes that are still to come of a frame.
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
            self._transport.write(data)
        elif self._open:
            size = data[1] & 0x7F
            if size == 126:
                size = int.from_bytes(data[2:4], "big") + 2
            elif size == 127:
                size = int.from_bytes(data[2:10], "big") + 8
            self._left = size + 6 - len(data)
            self._transport.write(data[4:])
        else:
            self._open = True
            key = data.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )


async def bare(sock: socket.socket) -> None:
    await asyncio.get_running_loop().create_server(Bare, sock=sock)


async def under_uvicorn(sock: socket.socket, ws: str) -> None:
    """Serve one Starlette application, with this class for its connections."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        async for message in ws.iter_bytes():
            await ws.send_bytes(message)

    app = Starlette(routes=[WebSocketRoute("/{path:path}", echo)])
    config = uvicorn.Config(app, ws=ws, ws_max_size=LIMIT, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    _running.add(asyncio.create_task(server.serve(sockets=[sock])))
    while not server.started:
        await asyncio.sleep(0.01)


# The loop keeps tasks only as long as somebody else does.
_running: set[asyncio.Task[None]] = set()

SERVERS: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    "edgews callbacks": edgews_callbacks,
    "edgews async for": edgews_await,
    "edgews async for, let go": edgews_await_let_go,
    "picows": picows,
    "aiohttp": aiohttp,
    "websockets": websockets,
    "bare echo": bare,
}

# The same Starlette application under uvicorn.
UVICORN: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    f"uvicorn {name}": partial(under_uvicorn, ws=ws)
    for name, ws in (
        ("EdgewsProtocol", "edgews.compat.uvicorn:EdgewsProtocol"),
        ("websockets-sansio", "websockets-sansio"),
        ("wsproto", "wsproto"),
    )
}


async def serving(sock: socket.socket, start: Awaitable[None]) -> None:
    """Start a server, print its port, and run it until the standard input ends."""
    await start
    gc.collect()
    gc.freeze()
    print(sock.getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def main(name: str) -> None:
    sock = listening()
    await serving(sock, (SERVERS | UVICORN)[name](sock))


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(sys.argv[1]))
