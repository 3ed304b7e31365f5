"""`async for ws in connect(uri)`: the loop without a block."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from edgews import Timeouts
from edgews.asyncio import Attempt, Backoff, ConnectionClosed, Server, WebSocket, connect, reconnect, serve
from tests.raw import TIMEOUT
from tests.sync.harness import HOST

AT_ONCE = Backoff(random=lambda: 0.0)
# Whoever waits for this does not see its end.
NEVER = Backoff(base=3600.0, cap=3600.0, random=lambda: 0.5)


class Log:
    """A handler that tells how its connections ended."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.changed = asyncio.Event()

    async def __call__(self, ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            await ws.recv()
        assert ws.closed is not None
        self.codes.append(ws.closed.code)
        self.changed.set()


@contextlib.asynccontextmanager
async def logging() -> AsyncIterator[tuple[Log, str]]:
    log = Log()
    async with serve(log, HOST, 0) as server:
        yield log, uri(server)


def uri(server: Server) -> str:
    return f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/"


def in_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def bounded() -> None:
            async with asyncio.timeout(TIMEOUT):
                await test()

        asyncio.run(bounded())

    return run


@in_time
async def test_each_turn_has_a_connection() -> None:
    seen: list[Attempt] = []
    async with logging() as (log, address):
        turns = 0
        async for ws in connect(address, backoff=AT_ONCE, on_attempt=seen.append):
            assert ws.closed is None
            turns += 1
            if turns == 3:
                break
        # The loop was left: nobody waits, and yet the last one is closed in order.
        while len(log.codes) < 3:
            log.changed.clear()
            await log.changed.wait()
        assert log.codes == [1000, 1000, 1000]
    assert seen == [Attempt(1, None, 0.0), Attempt(2, None, 0.0)]


def test_a_loop_that_is_left_at_the_end_of_the_program_leaves_nothing() -> None:
    """Warnings are errors: of a transport that was not closed, of a generator that was not ended."""
    connections: list[WebSocket] = []

    async def main(address: str) -> None:
        async for ws in connect(address):
            connections.append(ws)
            break

    async def whole() -> None:
        async with logging() as (_, address):
            await asyncio.to_thread(asyncio.run, main(address))

    asyncio.run(whole())
    (ws,) = connections
    assert ws.closed is not None


@in_time
async def test_a_wait_can_be_cancelled() -> None:
    waits = asyncio.Event()

    def waiting(attempt: Attempt) -> None:
        assert attempt.delay == 1800.0
        waits.set()

    async def loop(address: str) -> None:
        async with reconnect(address, backoff=NEVER, on_attempt=waiting) as connections:
            async for _ in connections:
                pass

    async with logging() as (log, address):
        task = asyncio.create_task(loop(address))
        await waits.wait()
        assert log.codes == [1000]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@in_time
async def test_a_turn_can_be_cancelled() -> None:
    opened = asyncio.Event()
    connections: list[WebSocket] = []

    async def loop(address: str) -> None:
        async with reconnect(address) as them:
            async for ws in them:
                connections.append(ws)
                opened.set()
                await ws.recv()

    async with logging() as (log, address):
        task = asyncio.create_task(loop(address))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connections[0].closed is not None
        await log.changed.wait()
    assert log.codes == [1011]


@in_time
async def test_who_has_no_time_to_close_drops() -> None:
    """Cancelled while it waits for the answer to its Close, which never comes."""
    connections: list[WebSocket] = []
    left = asyncio.Event()

    async def mute(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    async def loop(address: str) -> None:
        async with reconnect(address, timeouts=Timeouts(close=None)) as them:
            async for ws in them:
                assert isinstance(ws._transport, asyncio.Transport)
                ws._transport.pause_reading()
                connections.append(ws)
                break
            left.set()

    async with serve(mute, HOST, 0) as server:
        task = asyncio.create_task(loop(uri(server)))
        await left.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (ws,) = connections
        await ws.wait_closed()
        await server.close(0)


def test_a_socket_is_good_for_one_connection() -> None:
    async def main() -> None:
        with socket.socket() as sock, pytest.raises(TypeError, match="good for one"):
            async for _ in connect("ws://x/", sock=sock):
                pass

    asyncio.run(main())
