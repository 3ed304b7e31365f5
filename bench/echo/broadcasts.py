"""What a broadcast costs a server: `python -m bench.echo.broadcasts`.

A message of 1 KiB goes to 1,000 connections whenever one of them asks for it. The client reads all of it
before it asks again. Shown is the CPU time of the server's process for one broadcast, the median of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import selectors
import socket
import statistics
import sys
from collections.abc import Awaitable, Callable

import uvloop

from bench.echo.__main__ import Server, opened, show
from bench.echo.servers import listening
from bench.traffic import masked_frames

CONNECTIONS = 1000
# What an application would send: JSON, 1 KiB of it, that compresses to about a third.
ITEMS = [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(100)]
MESSAGE = json.dumps(ITEMS)[:1024]
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


async def edgews(sock: socket.socket, compressed: bool) -> None:
    from edgews import PerMessageDeflate
    from edgews.asyncio import WebSocket, broadcast, serve

    server: Server

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            broadcast(server.connections, MESSAGE)

    server = await serve(handler, sock=sock, compression=PerMessageDeflate() if compressed else None)


async def websockets(sock: socket.socket, compressed: bool) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    server: object

    async def handler(ws: ServerConnection) -> None:
        async for _ in ws:
            broadcast(server.connections, MESSAGE)  # type: ignore[attr-defined]

    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    server = await serve(handler, sock=sock, compression="deflate" if compressed else None)


SERVERS: dict[str, Callable[[socket.socket, bool], Awaitable[None]]] = {
    "edgews": edgews,
    "websockets": websockets,
}


class Audience:
    """Connections that read everything, and ask for more."""

    def __init__(self, port: int, compressed: bool) -> None:
        fields = OFFER if compressed else b""
        self._socks = [opened(port, fields) for _ in range(CONNECTIONS)]
        self._selector = selectors.EpollSelector()
        for sock in self._socks:
            self._selector.register(sock, selectors.EVENT_READ)
        self._asking = masked_frames([b"more"])

    def ask(self) -> None:
        """Ask for one broadcast, and return when it has arrived everywhere."""
        self._socks[0].sendall(self._asking)
        # What has come to those that miss something.
        missing = dict.fromkeys(self._socks, b"")
        while missing:
            ready = self._selector.select(10)
            if not ready:
                raise TimeoutError(f"nothing comes any more for {len(missing)} connections")
            for key, _ in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                missing[sock] += sock.recv(65536)
                if is_frame(missing[sock]):
                    del missing[sock]

    def end(self) -> None:
        self._selector.close()
        for sock in self._socks:
            sock.close()


def is_frame(data: bytes) -> bool:
    """Say whether one unmasked frame of less than 64 KiB is there; how long it is varies with compression."""
    if len(data) < 4:
        return False
    size = 2 + data[1] if data[1] < 126 else 4 + int.from_bytes(data[2:4], "big")
    assert len(data) <= size
    return len(data) == size


def broadcasts(compressed: bool, rounds: int, times: int) -> dict[str, float]:
    """Return the median CPU seconds of a broadcast, by name."""
    kind = "compressed" if compressed else "plain"
    servers = {name: Server(name, module="bench.echo.broadcasts", arguments=[kind]) for name in SERVERS}
    audiences = {name: Audience(server.port, compressed) for name, server in servers.items()}
    costs: dict[str, list[float]] = {name: [] for name in SERVERS}
    for turn in range(rounds + 1):
        for name, server in servers.items():
            before = server.cpu()
            for _ in range(times):
                audiences[name].ask()
            if turn:
                costs[name].append((server.cpu() - before) / times)
    for name in SERVERS:
        audiences[name].end()
        servers[name].end()
    return {name: statistics.median(values) for name, values in costs.items()}


async def serve(name: str, kind: str) -> None:
    sock = listening()
    await SERVERS[name](sock, kind == "compressed")
    gc.collect()
    gc.freeze()
    print(sock.getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.echo.broadcasts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, default=10, help="broadcasts in a round")
    options = parser.parse_args()
    for compressed in (False, True):
        title = f"broadcast of 1 KiB to {CONNECTIONS} connections{', compressed' if compressed else ''}"
        show(title, broadcasts(compressed, options.rounds, options.times), 1e3, "ms")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in SERVERS:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.run(serve(*sys.argv[1:]))
    else:
        main()
