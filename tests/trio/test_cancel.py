"""Cancelled wherever it can be: nothing is lost, nothing is cut, nothing is left."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from edgews.outcomes import ConnectionClosed
from edgews.trio import WebSocket, connect, serve
from tests import wire
from tests.trio.harness import (
    PAIRS,
    URI,
    MemoryListener,
    OneWayOut,
    Peer,
    cancel_at,
    cancelling,
    discard,
    echo,
    every_checkpoint,
    linked,
    run,
)

steps = st.integers(1, 6)


class TestRecv:
    @given(st.lists(steps, max_size=30), st.sampled_from(sorted(PAIRS)))
    def test_takes_nothing_or_returns_it(self, attempts: list[int], pair: str) -> None:
        async def talk(ws: WebSocket) -> None:
            for number in range(len(attempts)):
                await ws.send(str(number))
                # At times several are there, at times none.
                for _ in range(number % 5):
                    await trio.lowlevel.checkpoint()

        async def scenario() -> None:
            received: list[str | bytes] = []

            async def take() -> None:
                received.append(await ws.recv())

            async with linked(talk, pair=PAIRS[pair]) as ws:
                for attempt in attempts:
                    try:
                        await cancel_at(attempt, take)
                    except ConnectionClosed:
                        break
                received.extend([message async for message in ws])
            assert received == [str(number) for number in range(len(attempts))]

        run(scenario)

    async def test_in_vain(self) -> None:
        async def attempt(number: int) -> bool:
            return await cancel_at(number, ws.recv)

        async with linked(discard) as ws:
            # It waits at its first checkpoint, so it is never further than that.
            for _ in range(20):
                assert await attempt(1)

    async def test_before_it_begins(self) -> None:
        async with linked(echo) as ws:
            await ws.send("x")
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                scope.cancel()
                await ws.recv()
            assert scope.cancelled_caught
            assert await ws.recv() == "x"


class TestSend:
    @given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, 30_000, 200_000])), max_size=15))
    def test_sends_nothing_or_all_of_it(self, attempts: list[tuple[int, int]]) -> None:
        async def scenario() -> None:
            received: list[str | bytes] = []
            expected: list[bytes] = []

            async def take(ws: WebSocket) -> None:
                async for message in ws:
                    received.append(message)
                    await trio.lowlevel.checkpoint()

            async with linked(take, pair=trio.testing.lockstep_stream_pair) as ws:
                for number, (attempt, size) in enumerate(attempts):
                    message = b"%d " % number + bytes(size)
                    if attempt:
                        # Once it has come to a checkpoint, it is sent.
                        await cancel_at(attempt, ws.send, message)
                        expected.append(message)
                    else:
                        with trio.CancelScope() as scope:
                            scope.cancel()
                            await ws.send(message)
                        assert scope.cancelled_caught
            assert received == expected

        run(scenario)

    async def test_that_waits_for_room(self) -> None:
        go = trio.Event()
        received: list[str | bytes] = []

        async def handler(ws: WebSocket) -> None:
            await go.wait()
            received.extend([message async for message in ws])

        async with linked(handler, pair=trio.testing.lockstep_stream_pair) as ws:
            big = bytes(1_000_000)
            # The inbox of the server is full with it.
            await ws.send(big)
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ws.send, big)
                    await trio.testing.wait_all_tasks_blocked()
                    assert nursery.child_tasks
                    scope.cancel()
            go.set()
            await ws.send("behind it")
        assert received == [big, big, "behind it"]


class TestPing:
    async def test_leaves_nothing(self) -> None:
        async def attempt(number: int) -> bool:
            return await cancel_at(number, ws.ping)

        async with linked(echo) as ws:
            assert await every_checkpoint(attempt) >= 1
            assert ws._session.pings == {}
            # The Pongs of those that were given up answer no other.
            assert await ws.ping() >= 0
            await ws.send("x")
            assert await ws.recv() == "x"


class TestClose:
    async def test_closes_all_the_same(self) -> None:
        codes: list[int] = []

        async def handler(ws: WebSocket) -> None:
            codes.append((await ws.wait_closed()).code)

        async def attempt(number: int) -> bool:
            async with linked(handler) as ws:
                reached = await cancel_at(number, ws.close, 4000 + number)
                closed = await ws.wait_closed()
                await trio.testing.wait_all_tasks_blocked()
                assert closed.clean
                assert closed.code == codes.pop() == 4000 + number
            return reached

        assert await every_checkpoint(attempt) >= 1

    async def test_of_a_server_ends_everything(self) -> None:
        async def attempt(number: int) -> bool:
            listener = MemoryListener()
            peer = Peer(listener.dial(), client=True)
            async with serve(discard, listeners=[listener]) as server:
                await peer.open()
                await peer.send(peer.frame(wire.TEXT, b"x"))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(answer, peer)
                    reached = await cancel_at(number, server.close)
                await server.close()
                assert server.connections == set()
            assert listener.closed
            return reached

        async def answer(peer: Peer) -> None:
            # Where the call was cancelled, nobody listens any more.
            with contextlib.suppress(trio.BrokenResourceError):
                await peer.read_frame()
                await peer.send(peer.close_frame(1001))
            await peer.stream.aclose()

        assert await every_checkpoint(attempt) >= 1


class TestConnect:
    @pytest.mark.parametrize("pair", PAIRS)
    async def test_gives_the_stream_back(self, pair: str) -> None:
        async def attempt(number: int) -> bool:
            listener = MemoryListener(PAIRS[pair])
            async with serve(discard, listeners=[listener]):
                stream = OneWayOut(listener.dial())
                with cancelling(number) as steps:
                    async with connect(URI, stream=stream) as ws:
                        steps.counting = False
                        await ws.ping()
                assert stream.closed
            return steps.reached

        assert await every_checkpoint(attempt) >= 1

    async def test_at_the_end_of_its_block(self) -> None:
        async def attempt(number: int) -> bool:
            listener = MemoryListener()
            async with serve(echo, listeners=[listener]):
                stream = OneWayOut(listener.dial())
                with cancelling(number, counting=False) as steps:
                    async with connect(URI, stream=stream) as ws:
                        await ws.ping()
                        steps.counting = True
                assert stream.closed
                assert ws.closed is not None
            return steps.reached

        assert await every_checkpoint(attempt) >= 1

    async def test_while_the_server_says_nothing(self, clock: MockClock) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        with trio.move_on_after(2) as scope:
            async with connect(URI, stream=stream):
                raise AssertionError("nobody has answered")
        assert scope.cancelled_caught
        assert trio.current_time() == 2.0
        assert stream.closed
        assert (await Peer(theirs, client=False).read_rest()).startswith(b"GET ")


class TestServe:
    async def test_gives_its_listeners_back(self) -> None:
        async def attempt(number: int) -> bool:
            listener = MemoryListener()
            reached = await cancel_at(number, self.serve, listener)
            assert listener.closed
            return reached

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
            assert await every_checkpoint(attempt) >= 1

    async def serve(self, listener: MemoryListener) -> None:
        async with serve(echo, listeners=[listener]), connect(URI, stream=listener.dial()) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


class TestCheckpoints:
    """Every call is a checkpoint, whether it has to wait or not."""

    async def test_send(self) -> None:
        async with linked(discard) as ws:
            for message in ("x", b"x", bytes(1_000_000)):
                with trio.testing.assert_checkpoints():
                    await ws.send(message)

    async def test_recv(self) -> None:
        async with linked(echo) as ws:
            for number in range(3):
                await ws.send(str(number))
            await trio.testing.wait_all_tasks_blocked()
            for number in range(3):
                with trio.testing.assert_checkpoints():
                    assert await ws.recv() == str(number)
            await ws.send("waited for")
            with trio.testing.assert_checkpoints():
                assert await ws.recv() == "waited for"

    async def test_iteration(self) -> None:
        async def talk(ws: WebSocket) -> None:
            await ws.send("x")

        async with linked(talk) as ws:
            await ws.wait_closed()
            with trio.testing.assert_checkpoints():
                assert await anext(ws) == "x"
            with pytest.raises(StopAsyncIteration):
                await anext(ws)

    async def test_ping(self) -> None:
        async with linked(discard) as ws:
            with trio.testing.assert_checkpoints():
                await ws.ping()

    async def test_close(self) -> None:
        async with linked(discard) as ws:
            for _ in range(2):
                with trio.testing.assert_checkpoints():
                    await ws.close()
            with trio.testing.assert_checkpoints():
                await ws.wait_closed()

    async def test_close_of_a_server(self) -> None:
        async with serve(echo, listeners=[MemoryListener()]) as server:
            for _ in range(2):
                with trio.testing.assert_checkpoints():
                    await server.close()

    async def test_a_flood_lets_others_run(self) -> None:
        """Nobody who only sends, or only receives what is there, keeps the loop for itself."""
        turns = itertools.count()

        async def count() -> None:
            while True:
                next(turns)
                await trio.lowlevel.checkpoint()

        async with linked(echo) as ws, trio.open_nursery() as nursery:
            nursery.start_soon(count)
            before = next(turns)
            for number in range(100):
                await ws.send(str(number))
            between = next(turns)
            assert between - before >= 100
            for number in range(100):
                assert await ws.recv() == str(number)
            assert next(turns) - between >= 100
            nursery.cancel_scope.cancel()
