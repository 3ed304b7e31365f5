"""`async for ws in connect(uri)`: the loop without a block."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trio.testing

from edgews import Response
from edgews.headers import Headers
from edgews.trio import Attempt, Backoff, ConnectionClosed, InvalidHandshake, WebSocket, connect, serve
from tests.raw import TIMEOUT
from tests.sync.harness import HOST

AT_ONCE = Backoff(random=lambda: 0.0)


class Log:
    """A handler that tells how its connections ended."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    async def __call__(self, ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            await ws.recv()
        assert ws.closed is not None
        self.codes.append(ws.closed.code)

    async def until(self, count: int) -> None:
        while len(self.codes) < count:
            await trio.sleep(0.001)


@contextlib.asynccontextmanager
async def logged() -> AsyncIterator[tuple[Log, str]]:
    log = Log()
    async with serve(log, HOST, 0) as server:
        (listener,) = server.listeners
        assert isinstance(listener, trio.SocketListener)
        yield log, f"ws://{HOST}:{listener.socket.getsockname()[1]}/"


def in_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def bounded() -> None:
            with trio.fail_after(TIMEOUT):
                await test()

        trio.run(bounded)

    return run


@in_time
async def test_each_turn_has_a_connection() -> None:
    seen: list[Attempt] = []
    connections: list[WebSocket] = []
    async with logged() as (log, address):
        async for ws in connect(address, backoff=AT_ONCE, on_attempt=seen.append):
            assert ws.closed is None
            # The one before is over.
            assert all(earlier.closed is not None for earlier in connections)
            connections.append(ws)
            if len(connections) == 3:
                break
        # The loop was left: nobody waits, and yet the last one is closed in order.
        await log.until(3)
        assert log.codes == [1000, 1000, 1000]
    assert seen == [Attempt(1, None, 0.0), Attempt(2, None, 0.0)]


@in_time
async def test_what_a_turn_raises_ends_the_loop_and_its_connection() -> None:
    async with logged() as (log, address):
        with pytest.raises(ZeroDivisionError):
            await _fail_in(connect(address))
        await log.until(1)
        assert log.codes == [1000]


async def _fail_in(connecting: connect) -> None:
    async for _ in connecting:
        raise ZeroDivisionError


@in_time
async def test_a_turn_can_be_cancelled() -> None:
    async with logged() as (log, address):
        with trio.CancelScope() as scope:
            async for ws in connect(address):
                scope.cancel()
                await ws.recv()
        assert scope.cancelled_caught
        await log.until(1)
        assert log.codes == [1000]


@in_time
async def test_an_opening_can_be_cancelled_at_each_step() -> None:
    """The loop goes on, and in the end nothing is left of what was cancelled."""
    async with logged() as (log, address):
        for steps in range(1, 40):
            loop = aiter(connect(address, backoff=AT_ONCE))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_after, steps, nursery.cancel_scope)
                await anext(loop)
                nursery.cancel_scope.cancel()
            ws = await anext(loop)
            assert ws.closed is None
            del loop
            await ws.wait_closed()
        await log.until(39)


async def _cancel_after(steps: int, scope: trio.CancelScope) -> None:
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
    scope.cancel()


@in_time
async def test_an_answer_that_stays_the_same_ends_the_loop() -> None:
    async with serve(Log(), HOST, 0, process_request=lambda _: Response(404, Headers(), b"")) as server:
        (listener,) = server.listeners
        assert isinstance(listener, trio.SocketListener)
        with pytest.raises(InvalidHandshake, match="404"):
            await _fail_in(connect(f"ws://{HOST}:{listener.socket.getsockname()[1]}/"))


def test_a_loop_that_is_not_left_ends_with_the_run() -> None:
    """Its last connection is closed in order; and what is left of it can be freed without a run."""
    kept: list[object] = []
    connections: list[WebSocket] = []

    async def begin(address: str) -> None:
        loop = aiter(connect(address))
        connections.append(await anext(loop))
        kept.append(loop)

    async def whole() -> None:
        with trio.fail_after(TIMEOUT):
            async with logged() as (log, address):
                await trio.to_thread.run_sync(trio.run, begin, address)
                await log.until(1)
                assert log.codes == [1000]

    trio.run(whole)
    assert connections[0].closed is not None
    assert connections[0].closed.clean
    kept.clear()
    gc.collect()


@in_time
async def test_a_loop_can_be_freed_on_another_thread() -> None:
    """As by the garbage collector, which runs wherever it likes."""
    async with logged() as (log, address):
        held = [aiter(connect(address))]
        await anext(held[0])
        thread = threading.Thread(target=held.clear)
        thread.start()
        await log.until(1)
        thread.join()
        assert log.codes == [1000]


@in_time
async def test_a_stream_is_good_for_one_connection() -> None:
    ours, _ = trio.testing.memory_stream_pair()
    with pytest.raises(TypeError, match="good for one"):
        aiter(connect("ws://server.example/", stream=ours))


class Odd(trio.abc.HalfCloseableStream):
    """A stream with a defect."""

    async def send_all(self, data: object) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise ZeroDivisionError

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def test_a_defect_ends_the_loop_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def open_stream(*_: object) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return Odd()

    async def main() -> None:
        with pytest.raises(InvalidHandshake):
            await anext(aiter(connect("ws://server.example/", on_attempt=stop)))

    def stop(attempt: Attempt) -> None:
        assert attempt.error is not None
        raise attempt.error

    monkeypatch.setattr(trio, "open_tcp_stream", open_stream)
    with caplog.at_level(logging.ERROR, "edgews.trio"):
        trio.run(main)
    assert "ZeroDivisionError" in caplog.text
