"""A server that broadcasts when it is asked to: `python -m bench.echo.broadcasting NAME plain|compressed`.

It runs on uvloop, prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

from .servers import listening, serving

# What an application would send: 1 KiB of JSON, which compresses to about a third.
ITEMS = [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(100)]
MESSAGE = json.dumps(ITEMS)[:1024]


async def edgews(sock: socket.socket, compressed: bool) -> None:
    from edgews import PerMessageDeflate
    from edgews.asyncio import Server, WebSocket, broadcast, serve

    server: Server

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            broadcast(server.connections, MESSAGE)

    server = await serve(handler, sock=sock, compression=PerMessageDeflate() if compressed else None)


async def websockets(sock: socket.socket, compressed: bool) -> None:
    from websockets.asyncio.server import Server, ServerConnection, broadcast, serve

    server: Server

    async def handler(ws: ServerConnection) -> None:
        async for _ in ws:
            broadcast(server.connections, MESSAGE)

    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    server = await serve(handler, sock=sock, compression="deflate" if compressed else None)


async def writes(sock: socket.socket, compressed: bool) -> None:
    """Write the same bytes to every transport and nothing else: what uvloop and the system take for it."""
    frame = b"\x81\x7e\x04\x00" + MESSAGE.encode()
    answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    transports: list[asyncio.WriteTransport] = []

    class Writer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            self.open = False

        def data_received(self, data: bytes) -> None:
            if self.open:
                for transport in transports:
                    transport.write(frame)
            else:
                self.open = True
                transports.append(self.transport)  # type: ignore[arg-type]
                self.transport.write(answer)  # type: ignore[attr-defined]

    await asyncio.get_running_loop().create_server(Writer, sock=sock)


SERVERS: dict[str, Callable[[socket.socket, bool], Awaitable[None]]] = {
    "edgews": edgews,
    "websockets": websockets,
    "bare writes": writes,
}


async def main(name: str, kind: str) -> None:
    sock = listening()
    await serving(sock, SERVERS[name](sock, kind == "compressed"))


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(*sys.argv[1:]))
