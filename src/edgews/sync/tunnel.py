"""Sockets that lead to a server, through a proxy or not."""

from __future__ import annotations

import math
import socket
from time import monotonic
from typing import Any

from edgews.proxies import Proxy
from edgews.tunnels import NEVER, complete, exactly, explained, tunneller
from edgews.uri import URI


def dial(host: str, port: int, deadline: float) -> socket.socket:
    """Try each address of a host until one answers; all of them together have time until `deadline`.

    Each gets its share of what is left: one that does not answer leaves time for the others.
    """
    failure: OSError = TimeoutError("timed out")
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for behind, (family, kind, protocol, _, address) in zip(
        reversed(range(len(addresses))), addresses, strict=True
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            left = _left(deadline)
            sock.settimeout(None if left is None else left / (behind + 1))
            sock.connect(address)
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def tunnel(proxy: Proxy, uri: URI, deadline: float) -> socket.socket:
    """Return a socket that leads to the server.

    Raises:
        ProxyError: there is none.
        TimeoutError: not until `deadline`.
        MissingExtraError: python-socks is not installed.
    """
    way = _Way(proxy, deadline)
    through = tunneller("sync", proxy, way)
    with explained(proxy):
        through.connect(uri.host, uri.port, timeout=NEVER)
    return way.sock


class _Way:
    """What python-socks speaks to the proxy through."""

    sock: socket.socket

    def __init__(self, proxy: Proxy, deadline: float) -> None:
        self._proxy = proxy
        self._deadline = deadline

    def connect(self, **_: Any) -> _Way:
        self.sock = dial(self._proxy.host, self._proxy.port, self._deadline)
        return self

    def write(self, data: bytes) -> None:
        self.sock.settimeout(_left(self._deadline))
        self.sock.sendall(data)

    def read(self) -> bytes:
        reply = bytearray()
        while not complete(reply, self._receive(4096)):
            pass
        return bytes(reply)

    def read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += exactly(self._receive(size - len(data)))
        return data

    def close(self) -> None:
        self.sock.close()

    def _receive(self, size: int) -> bytes:
        self.sock.settimeout(_left(self._deadline))
        return self.sock.recv(size)


def _left(deadline: float) -> float | None:
    """Return how many seconds are left, None for no limit.

    Raises:
        TimeoutError: none.
    """
    if deadline == math.inf:
        return None
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
