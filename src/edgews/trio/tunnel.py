"""The way to a server through a proxy."""

from __future__ import annotations

from typing import Any

import trio

from edgews.proxies import Proxy
from edgews.tunnels import NEVER, complete, exactly, explained, tunneller
from edgews.uri import URI

from .streams import dial


async def tunnel(proxy: Proxy, uri: URI) -> trio.SocketStream:
    """Return a stream that leads to the server.

    Raises:
        ProxyError: there is none.
        MissingExtraError: python-socks is not installed.
    """
    way = _Way(proxy)
    through = tunneller("async_.trio", proxy, way)
    with explained(proxy):
        await through.connect(uri.host, uri.port, timeout=NEVER)
    return way.stream


class _Way:
    """What python-socks speaks to the proxy through."""

    stream: trio.SocketStream

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def connect(self, **_: Any) -> _Way:
        self.stream = await dial(self._proxy.host, self._proxy.port)
        return self

    async def write(self, data: bytes) -> None:
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise ConnectionError("it has ended the stream") from error

    async def read(self) -> bytes:
        reply = bytearray()
        while not complete(reply, await self._receive(4096)):
            pass
        return bytes(reply)

    async def read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += exactly(await self._receive(size - len(data)))
        return data

    async def close(self) -> None:
        await trio.aclose_forcefully(self.stream)

    async def _receive(self, size: int) -> bytes:
        try:
            return await self.stream.receive_some(size)
        except trio.BrokenResourceError as error:
            raise ConnectionError("it has ended the stream") from error
