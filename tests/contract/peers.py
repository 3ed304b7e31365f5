"""Raw peers beside a scenario: what blocks in them does not stop the loop of the adapter."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.contract.drivers import Driver
from tests.raw import TIMEOUT, Raw, knock
from tests.sync.harness import HOST, accept


@contextlib.asynccontextmanager
async def raw_client(d: Driver, address: Any, behind: bytes = b"") -> AsyncIterator[RawPeer]:
    """Open a WebSocket connection without the engine; `behind` goes out with the request."""
    raw = await d.blocking(Raw.open, address, behind)
    with raw:
        yield RawPeer(d, raw)


@contextlib.asynccontextmanager
async def raw_server(d: Driver, peer: Callable[[Raw], object]) -> AsyncIterator[str]:
    """Listen, and give the one connection that comes to `peer`; the URI is for the client.

    A client whose time was over before it had connected leaves it with one that ends at once.
    """
    accepted = False

    def serve(listener: socket.socket) -> None:
        nonlocal accepted
        listener.settimeout(TIMEOUT)
        sock, _ = listener.accept()
        accepted = True
        with Raw(sock) as raw:
            peer(raw)

    with socket.create_server((HOST, 0)) as listener:
        task = d.spawn(d.blocking, serve, listener)
        yield f"ws://{HOST}:{listener.getsockname()[1]}/"
        if not accepted:
            await d.blocking(knock, listener.getsockname())
        await task.join()


def dripping(start: bytes) -> Callable[[Raw], None]:
    """Answer with `start`, and then with a byte now and then until the client has gone."""

    def serve(raw: Raw) -> None:
        # What the client says does not matter.
        raw.sock.recv(65536)
        data = start
        try:
            while True:
                raw.send(data)
                data = b"0"
                if select.select([raw.sock], [], [], 0.01)[0] and not raw.sock.recv(65536):
                    return
        except ConnectionError:
            pass

    return serve


def opened(peer: Callable[[Raw], object], behind: bytes = b"") -> Callable[[Raw], object]:
    """Let a raw server open the connection before `peer` has it; `behind` goes out with the answer."""

    def serve(raw: Raw) -> object:
        raw.send = lambda data: Raw.send(raw, data + behind)  # type: ignore[method-assign]
        accept(raw)
        del raw.send
        return peer(raw)

    return serve


class RawPeer:
    """A raw client whose calls can be awaited."""

    def __init__(self, driver: Driver, raw: Raw) -> None:
        self._driver = driver
        self.raw = raw

    async def send(self, data: bytes) -> None:
        await self._driver.blocking(self.raw.send, data)

    async def read_frame(self) -> tuple[int, bytes] | None:
        return await self._driver.blocking(self.raw.read_frame)

    async def read_frames(self) -> list[tuple[int, bytes]]:
        """Return all frames up to the end of the stream."""
        return await self._driver.blocking(lambda: list(iter(self.raw.read_frame, None)))
