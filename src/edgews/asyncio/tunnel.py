"""The way to a server through a proxy."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from edgews.proxies import Proxy
from edgews.tunnels import NEVER, complete, exactly, explained, tunneller
from edgews.uri import URI

from .dialling import dial


async def tunnel(loop: asyncio.AbstractEventLoop, proxy: Proxy, uri: URI) -> socket.socket:
    """Return a socket that leads to the server.

    Raises:
        ProxyError: there is none.
        MissingExtraError: python-socks is not installed.
    """
    way = _Way(loop, proxy)
    through = tunneller("async_.asyncio", proxy, way)
    with explained(proxy):
        await through.connect(uri.host, uri.port, timeout=NEVER)
    return way.sock


class _Way:
    """What python-socks speaks to the proxy through."""

    sock: socket.socket

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: Proxy) -> None:
        self._loop = loop
        self._proxy = proxy

    async def connect(self, **_: Any) -> _Way:
        self.sock = await dial(self._loop, self._proxy.host, self._proxy.port)
        return self

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def read(self) -> bytes:
        reply = bytearray()
        while not complete(reply, await self._loop.sock_recv(self.sock, 4096)):
            pass
        return bytes(reply)

    async def read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += exactly(await self._loop.sock_recv(self.sock, size - len(data)))
        return data

    async def close(self) -> None:
        self.sock.close()
