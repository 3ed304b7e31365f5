"""What leaves the blocks of `connect` and `serve`, and what is left behind them."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from edgews import CauseKind
from edgews.outcomes import ConnectionClosed, InvalidHandshake
from edgews.trio import WebSocket, connect, serve
from tests import wire
from tests.trio.harness import (
    URI,
    MemoryListener,
    OneWayOut,
    Peer,
    discard,
    echo,
    linked,
    peer_of_server,
)


class Mine(Exception):
    """An exception of the application."""


ERRORS = [
    Mine("an error"),
    BaseExceptionGroup("a group", [Mine("in it")]),
    ExceptionGroup("another", [Mine("in it"), ExceptionGroup("deeper", [Mine("there")])]),
]


class TestExceptionsAreBare:
    @pytest.mark.parametrize("mine", ERRORS, ids=str)
    async def test_out_of_connect(self, mine: BaseException) -> None:
        codes: list[int] = []

        async def handler(ws: WebSocket) -> None:
            codes.append((await ws.wait_closed()).code)

        listener = MemoryListener()
        async with serve(handler, listeners=[listener]):
            with pytest.raises(BaseException) as caught:  # noqa: PT011 - it is compared
                async with connect(URI, stream=listener.dial()):
                    raise mine
            assert caught.value is mine
            await trio.testing.wait_all_tasks_blocked()
            assert codes == [1011]

    @pytest.mark.parametrize("mine", ERRORS, ids=str)
    async def test_out_of_serve(self, mine: BaseException) -> None:
        listener = MemoryListener()
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - it is compared
            async with serve(echo, listeners=[listener]):
                raise mine
        assert caught.value is mine
        assert listener.closed

    async def test_out_of_both(self) -> None:
        mine = Mine()
        with pytest.raises(Mine) as caught:
            async with linked(echo):
                raise mine
        assert caught.value is mine

    async def test_when_the_connection_ends(self) -> None:
        async def leave(ws: WebSocket) -> None:
            await ws.close(4000)

        with pytest.raises(ConnectionClosed) as caught:
            async with linked(leave) as ws:
                await ws.recv()
        assert caught.value.disconnected.code == 4000

    async def test_when_the_connection_is_not_opened(self) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        with pytest.raises(InvalidHandshake):
            async with connect(URI, stream=ours):
                pass

    async def test_when_the_server_stays_silent_at_the_end(self, clock: MockClock) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        peer = Peer(theirs, client=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.accept)
            with pytest.raises(Mine):
                async with connect(URI, stream=ours) as ws:
                    raise Mine
        assert trio.current_time() == 10.0
        assert ws.closed is not None
        assert ws.closed.cause.kind is CauseKind.CLOSE_TIMEOUT

    async def test_out_of_serve_although_the_surroundings_were_cancelled(self) -> None:
        told: list[BaseException] = []
        with trio.CancelScope() as scope:
            try:
                async with serve(echo, listeners=[MemoryListener()]):
                    scope.cancel()
                    raise Mine
            except Mine as error:
                told.append(error)
        assert len(told) == 1

    async def test_although_the_surroundings_were_cancelled(self) -> None:
        """An error that happens while everything is torn down is still told."""
        listener = MemoryListener()
        async with serve(discard, listeners=[listener]):
            told: list[BaseException] = []
            with trio.CancelScope() as scope:
                try:
                    async with connect(URI, stream=listener.dial()):
                        scope.cancel()
                        raise Mine
                except Mine as error:
                    told.append(error)
            assert len(told) == 1

    async def test_and_those_of_a_nursery_inside_are_grouped_once(self) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with linked(discard) as ws, trio.open_nursery() as nursery:
                nursery.start_soon(self.fail, ws)
        (inner,) = caught.value.exceptions
        assert isinstance(inner, Mine)

    async def fail(self, ws: WebSocket) -> None:
        await ws.ping()
        raise Mine


class TestCancellation:
    async def test_of_the_block_stays_with_its_scope(self, clock: MockClock) -> None:
        with trio.move_on_after(3) as scope:
            async with linked(discard) as ws:
                await ws.recv()
        assert scope.cancelled_caught
        assert trio.current_time() == 3.0
        assert ws.closed is not None

    async def test_inside_the_block_is_no_concern_of_the_connection(self, clock: MockClock) -> None:
        async with linked(echo) as ws:
            with trio.move_on_after(3):
                await ws.recv()
            await ws.send("still here")
            assert await ws.recv() == "still here"

    async def test_of_the_server_cancels_handlers(self) -> None:
        cancelled: list[bool] = []

        async def handler(ws: WebSocket) -> None:
            try:
                await ws.recv()
            except trio.Cancelled:
                cancelled.append(True)
                raise

        listener = MemoryListener()
        peer = Peer(listener.dial(), client=True)
        with trio.CancelScope() as scope:
            async with serve(handler, listeners=[listener]):
                await peer.open()
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        assert cancelled == [True]
        assert listener.closed
        # Nobody waited for anything, so it is cut off.
        await peer.read_rest()


class TestHandlers:
    async def test_that_fail_are_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: WebSocket) -> None:
            raise Mine("a defect of the handler")

        async with linked(handler) as ws:
            assert (await ws.wait_closed()).code == 1011
        assert "a defect of the handler" in caplog.text

    async def test_that_fail_do_not_end_the_server(self) -> None:
        first = True

        async def handler(ws: WebSocket) -> None:
            nonlocal first
            if first:
                first = False
                raise Mine
            await echo(ws)

        listener = MemoryListener()
        async with serve(handler, listeners=[listener]):
            async with connect(URI, stream=listener.dial()) as ws:
                assert (await ws.wait_closed()).code == 1011
            async with connect(URI, stream=listener.dial()) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"

    async def test_with_a_nursery_end_as_quietly_as_those_without(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A nursery makes a group of what its tasks are told of the end."""

        async def handler(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(discard, ws)
                nursery.start_soon(self.tell_news, ws)

        async with peer_of_server(handler) as peer:
            assert await peer.read_frame() == (wire.TEXT, b"news")
            await peer.stream.aclose()
        assert not caplog.records

    async def test_that_are_told_of_another_connection_are_closed_too(self) -> None:
        """As in a proxy, whose connection to the other side ends."""
        behind = MemoryListener()

        async def leave(ws: WebSocket) -> None:
            await ws.close(4000)

        async def relay(ws: WebSocket) -> None:
            async with connect(URI, stream=behind.dial()) as other:
                await ws.send(await other.recv())

        async with serve(leave, listeners=[behind]), linked(relay) as ws:
            assert (await ws.wait_closed()).code == 1000

    async def test_that_fail_while_they_are_cancelled(self, caplog: pytest.LogCaptureFixture) -> None:
        """What comes in a group with a cancellation is logged, and the server ends as it should."""

        async def fail() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Mine("on the way out")

        async def handler(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(self.tell_news, ws)

        listener = MemoryListener()
        async with serve(handler, listeners=[listener]) as server:
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await server.close(timeout=0)
        assert "on the way out" in caplog.text

    async def test_share_a_server_that_outlives_a_defect(self, caplog: pytest.LogCaptureFixture) -> None:
        """A stream that raises what it should not is the end of one connection only."""

        class Defective(OneWayOut):
            async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
                await trio.lowlevel.checkpoint()
                raise Mine("a defect of the stream")

        def pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            ours, theirs = trio.testing.memory_stream_pair()
            return theirs, ours if served else Defective(ours)

        served: list[bool] = []
        listener = MemoryListener(pair)
        async with serve(echo, listeners=[listener]):
            await Peer(listener.dial(), client=True).read_rest()
            served.append(True)
            async with connect(URI, stream=listener.dial()) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
        assert "a defect of the stream" in caplog.text

    async def tell_news(self, ws: WebSocket) -> None:
        while True:
            await ws.send("news")
            await ws.ping()

    async def test_that_exit_end_the_server(self) -> None:
        """An exception that is no error is nobody's to swallow."""

        class Exit(BaseException):
            pass

        async def handler(ws: WebSocket) -> None:
            raise Exit

        listener = MemoryListener()
        peer = Peer(listener.dial(), client=True)
        await peer.send(wire.request())
        with pytest.raises(Exit):
            async with serve(handler, listeners=[listener]):
                await trio.sleep_forever()


async def test_nothing_runs_outside_of_the_blocks() -> None:
    def tasks() -> Any:
        return trio.lowlevel.current_statistics().tasks_living

    before = tasks()
    listener = MemoryListener()
    async with serve(echo, listeners=[listener]):
        await trio.testing.wait_all_tasks_blocked()
        serving = tasks()
        assert serving > before
        async with connect(URI, stream=listener.dial()) as ws:
            await ws.ping()
            assert tasks() > serving
        await trio.testing.wait_all_tasks_blocked()
        assert tasks() == serving
    assert tasks() == before
