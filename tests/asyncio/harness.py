"""What the tests of edgews.asyncio share: a runner that leaves nothing behind, servers, peers, streams."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import ssl
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from edgews import Disconnected, PerMessageDeflate, Timeouts
from edgews.asyncio import Server, WebSocket, connect, serve
from tests import sync, wire
from tests.raw import Raw, check
from tests.sync.harness import HOST, client_context, server_context
from tests.sync.harness import Listener as BlockingListener

__all__ = ["HOST", "client_context", "server_context", "sync", "wire"]

NewLoop = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop") is not None:
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

# For a test as a whole, for one condition in it, and for what ends by itself when it is over. The last is
# below the default timeouts: nothing may have to wait for one of those.
LIMIT = 120.0
SOON = 60.0
AFTERWARDS = 8.0

# Brief times for a peer that never does what it should, each by itself, so that no other comes first.
BRIEF_OPEN = Timeouts(open=0.5)
BRIEF_CLOSE = Timeouts(close=0.2)
BRIEF_PING = Timeouts(close=0.2, ping_interval=0.1, ping_timeout=0.3)
"""A stalled peer is given up by the last one, too."""


def run(test: Coroutine[Any, Any, object], new_loop: NewLoop, debug: bool = True) -> None:
    """Run a test, in debug mode unless it is too long for that; fail when it leaves anything behind."""
    failures: list[str] = []

    def remember(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A client that fails in the TLS handshake is told of in debug mode only.
        if not context["message"].startswith("Error on transport creation for incoming connection"):
            failures.append(f"{context['message']}: {context.get('exception')!r}")

    with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
        runner.get_loop().set_exception_handler(remember)
        # A busy machine is no news.
        runner.get_loop().slow_callback_duration = LIMIT
        runner.run(_watched(test))
        # What nobody retrieved is told when it is freed; a transport that is not closed warns then.
        gc.collect()
    check(not failures, f"the loop was told of {failures}")


async def _watched(test: Coroutine[Any, Any, object]) -> None:
    before = open_sockets()
    async with asyncio.timeout(LIMIT):
        await test

    def left() -> list[object]:
        tasks: list[object] = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return [*tasks, *(f"socket {number}" for number in open_sockets() - before)]

    with contextlib.suppress(TimeoutError):
        await until(lambda: not left(), AFTERWARDS)
    check(not left(), f"left behind: {left()}")


def open_sockets() -> set[int]:
    """Return the descriptors of this process that are sockets; a loop opens others when it likes."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.add(int(name))
    return found


async def until(condition: Callable[[], object], seconds: float = SOON) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Let the loop go round, so that all has happened that needs nobody else."""
    for _ in range(count):
        await asyncio.sleep(0)


async def soon(work: Awaitable[Any]) -> Any:
    """Wait for something that must not take long."""
    return await asyncio.wait_for(work, SOON)


# Handlers


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@dataclass
class Report:
    """An echo handler that tells what came and how its connection ended."""

    received: list[str | bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ws: WebSocket | None = None

    async def __call__(self, ws: WebSocket) -> None:
        self.ws = ws
        try:
            async for message in ws:
                self.received.append(message)
                await ws.send(message)
        finally:
            self.ended.set()

    async def closed(self) -> Disconnected:
        """Wait for the end of handler and connection."""
        await soon(self.ended.wait())
        assert self.ws is not None
        return await soon(self.ws.wait_closed())


@dataclass
class Held:
    """A handler that hands its connection to the test, and stays as long as it is there."""

    opened: asyncio.Future[WebSocket] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def __call__(self, ws: WebSocket) -> None:
        self.opened.set_result(ws)
        await ws.wait_closed()

    async def ws(self) -> WebSocket:
        return await asyncio.wait_for(asyncio.shield(self.opened), SOON)


# Addresses


def address(server: Server | asyncio.AbstractServer) -> Any:
    return server.sockets[0].getsockname()  # type: ignore[union-attr]


def uri(server: Server | asyncio.AbstractServer, path: str = "/", scheme: str = "ws") -> str:
    return f"{scheme}://{HOST}:{address(server)[1]}{path}"


# Raw peers: each of their calls that waits has to be made with `asyncio.to_thread`.


class Listener(BlockingListener):
    """A raw server: `peer` is called in a thread with the one connection that it accepts."""

    async def __aenter__(self) -> Listener:
        self.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)


@contextlib.asynccontextmanager
async def raw_client(
    server: Server | asyncio.AbstractServer, behind: bytes = b"", **changes: str | None
) -> AsyncIterator[Raw]:
    """Open a WebSocket connection byte by byte; `behind` goes out with the request."""
    raw = await asyncio.to_thread(Raw.open, address(server), behind, **changes)
    with raw:
        yield raw


async def frames_of(raw: Raw) -> list[tuple[int, bytes]]:
    """Return all frames up to the end of the stream."""
    return await asyncio.to_thread(lambda: list(iter(raw.read_frame, None)))


def code_in(frame: tuple[int, bytes] | None) -> int | None:
    """Return the code of a Close frame."""
    assert frame is not None
    check(frame[0] == wire.CLOSE, f"{frame!r} is no Close")
    return wire.close_code(frame[1])


# Every kind of byte stream


@dataclass
class Link:
    """How a client reaches a server."""

    scheme: str = "ws"
    serving: Callable[[], dict[str, Any]] = dict
    connecting: Callable[[], dict[str, Any]] = dict
    unix: bool = False

    @contextlib.asynccontextmanager
    async def serve(
        self, handler: Callable[[WebSocket], Awaitable[None]], **options: Any
    ) -> AsyncIterator[Server]:
        options = {**self.serving(), **options}
        if not self.unix:
            async with serve(handler, HOST, 0, **options) as server:
                yield server
        else:
            with tempfile.TemporaryDirectory() as folder:
                async with serve(handler, path=str(Path(folder, "ws")), **options) as server:
                    yield server

    def connect(self, server: Server, **options: Any) -> connect:
        options = {**self.connecting(), **options}
        if self.unix:
            return connect("ws://localhost/", path=address(server), **options)
        return connect(uri(server, scheme=self.scheme), **options)

    @contextlib.asynccontextmanager
    async def open(
        self, handler: Callable[[WebSocket], Awaitable[None]], **options: Any
    ) -> AsyncIterator[WebSocket]:
        """Open a connection to a server of its own; the options are the client's."""
        async with self.serve(handler) as server, self.connect(server, **options) as ws:
            yield ws


_client_context = cache(client_context)
_server_context = cache(server_context)


def _tls(version: ssl.TLSVersion) -> Link:
    return Link("wss", lambda: {"ssl": _server_context(version)}, lambda: {"ssl": _client_context()})


PLAIN = Link()
LINKS = {
    "plain": PLAIN,
    "deflate": Link(
        serving=lambda: {"compression": PerMessageDeflate(threshold=0)},
        connecting=lambda: {"compression": PerMessageDeflate(level=9)},
    ),
    "tls1.2": _tls(ssl.TLSVersion.TLSv1_2),
    "tls1.3": _tls(ssl.TLSVersion.TLSv1_3),
    "unix": Link(unix=True),
}
