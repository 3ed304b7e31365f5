"""Streams that are gone while messages wait to be received, or to be sent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from edgews import CauseKind, Delivery
from edgews.outcomes import ConnectionClosed
from edgews.trio import WebSocket, connect
from tests import wire
from tests.trio.harness import (
    MOST,
    URI,
    Peer,
    cancel_at,
    discard,
    every_checkpoint,
    flood,
    linked,
    peer_of_client,
    peer_of_server,
)

MESSAGES = ["one", b"two", "three"]
WHOLE = [(wire.TEXT, b"one", True), (wire.BINARY, b"two", True), (wire.TEXT, b"three", True)]
IN_PIECES = [
    (wire.TEXT, b"o", False),
    (wire.CONTINUATION, b"n", False),
    (wire.CONTINUATION, b"e", True),
    (wire.BINARY, b"two", True),
    (wire.TEXT, b"thr", False),
    (wire.CONTINUATION, b"ee", True),
]


def encoded(frames: list[tuple[int, bytes, bool]]) -> bytes:
    return b"".join(wire.frame(opcode, payload, fin=fin, key=None) for opcode, payload, fin in frames)


class Resettable(trio.abc.HalfCloseableStream):
    """A stream in memory that can be reset as TCP can: what was read was read, and the rest is gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._reset = trio.Event()
        self.closed = False

    def reset(self) -> None:
        self._reset.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._reset.is_set():
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                nonlocal data
                data = await self._stream.receive_some(max_bytes)
                nursery.cancel_scope.cancel()

            nursery.start_soon(receive)
            await self._reset.wait()
            nursery.cancel_scope.cancel()
        if self._reset.is_set():
            raise trio.BrokenResourceError
        return data

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()


@contextlib.asynccontextmanager
async def resettable(**options: Any) -> AsyncIterator[tuple[Peer, Resettable, WebSocket]]:
    ours, theirs = trio.testing.memory_stream_pair()
    stream = Resettable(ours)
    peer = Peer(theirs, client=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        async with connect(URI, stream=stream, **options) as ws:
            yield peer, stream, ws


async def rest(ws: WebSocket) -> list[str | bytes]:
    """Receive to the end, which is none in order."""
    messages: list[str | bytes] = []

    async def receive() -> None:
        while True:
            messages.append(await ws.recv())

    with pytest.raises(ConnectionClosed) as caught:
        await receive()
    assert caught.value.disconnected is ws.closed
    assert ws.closed is not None
    assert ws.closed.cause.kind is CauseKind.PEER_VANISHED
    return messages


class TestReset:
    @pytest.mark.parametrize("delivery", Delivery)
    @pytest.mark.parametrize("frames", [WHOLE, IN_PIECES], ids=["whole", "in pieces"])
    async def test_loses_no_message(
        self, clock: MockClock, delivery: Delivery, frames: list[tuple[int, bytes, bool]]
    ) -> None:
        async with resettable(delivery=delivery) as (peer, stream, ws):
            await peer.send(encoded(frames))
            await trio.sleep(10)
            # All is in the inbox.
            stream.reset()
            await trio.testing.wait_all_tasks_blocked()
            assert stream.closed
            now = trio.current_time()
            assert await rest(ws) == MESSAGES
            assert trio.current_time() == now

    async def test_ends_the_stream_at_once(self) -> None:
        """The end is behind a message, but nobody needs the stream to receive that."""
        async with resettable() as (peer, stream, ws):
            await peer.send(encoded(WHOLE[:1]))
            await trio.testing.wait_all_tasks_blocked()
            stream.reset()
            await trio.testing.wait_all_tasks_blocked()
            assert stream.closed
            assert ws.closed is None
            assert await rest(ws) == MESSAGES[:1]

    async def test_that_is_seen_behind_held_messages(self, clock: MockClock) -> None:
        async with resettable() as (peer, stream, ws):
            await peer.send(encoded(WHOLE))
            await trio.testing.wait_all_tasks_blocked()
            stream.reset()
            assert await rest(ws) == MESSAGES
            assert trio.current_time() == 0.0

    @pytest.mark.parametrize("delivery", Delivery)
    async def test_in_the_middle_of_a_frame(self, delivery: Delivery) -> None:
        async with resettable(delivery=delivery) as (peer, stream, ws):
            await peer.send(encoded(WHOLE) + encoded(WHOLE)[:3])
            assert await ws.recv() == "one"
            stream.reset()
            found = await rest(ws)
            assert found[:2] == MESSAGES[1:]

    @pytest.mark.parametrize(
        "call",
        [
            lambda ws: ws.send("x"),
            lambda ws: ws.send(["x", "y"]),
            lambda ws: ws.ping(),
            lambda ws: ws.close(),
            lambda ws: ws.wait_closed(),
        ],
        ids=["send", "send in pieces", "ping", "close", "wait_closed"],
    )
    @pytest.mark.parametrize("before", [True, False])
    async def test_is_no_reason_to_wait_for_anybody(
        self, clock: MockClock, call: Callable[[WebSocket], Awaitable[object]], before: bool
    ) -> None:
        """A call that does not receive gives up what is held back; what is in the inbox stays there."""

        async def make_it() -> None:
            with contextlib.suppress(ConnectionClosed):
                await call(ws)

        async with resettable() as (peer, stream, ws):
            await peer.send(encoded(WHOLE[:1]))
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as nursery:
                if before:
                    nursery.start_soon(make_it)
                    await trio.testing.wait_all_tasks_blocked()
                stream.reset()
                if not before:
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(make_it)
            await ws.wait_closed()
            assert ws.closed is not None
            if ws.closed.cause.kind is CauseKind.PEER_VANISHED:
                assert await rest(ws) == MESSAGES[:1]
            # Closing waited for the peer's Close, and no longer than until the reset.
            assert trio.current_time() == 0.0

    async def test_wakes_who_waits_behind_a_message_in_pieces(self) -> None:
        """Its pieces may never come, but the connection has an end."""
        told: list[ConnectionClosed] = []

        async def never() -> AsyncIterator[str]:
            yield "half"
            await trio.sleep_forever()

        async def send(message: Any) -> None:
            try:
                await ws.send(message)
            except ConnectionClosed as error:
                told.append(error)

        async with resettable() as (_, stream, ws), trio.open_nursery() as nursery:
            nursery.start_soon(send, never())
            await trio.testing.wait_all_tasks_blocked()
            for message in ("x", ["y"]):
                nursery.start_soon(send, message)
            await trio.testing.wait_all_tasks_blocked()
            assert not told
            stream.reset()
            await trio.testing.wait_all_tasks_blocked()
            assert len(told) == 2
            nursery.cancel_scope.cancel()


class TestEndOfStream:
    async def test_leaves_time_for_the_answer(self) -> None:
        """A peer that has ended its half can still read ours."""

        async def echo(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send(message)

        async with peer_of_server(echo) as peer:
            await peer.send(peer.frame(wire.TEXT, b"last words"))
            await peer.stream.send_eof()
            assert await peer.read_frames() == [(wire.TEXT, b"last words")]

    async def test_then_a_write_that_fails(self, clock: MockClock) -> None:
        """Now nothing is left of the stream, and what is held back does not keep it."""
        ended: list[list[str | bytes]] = []

        async def keep(ws: WebSocket) -> None:
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ConnectionClosed):
                await flood(ws)
            assert trio.current_time() == 0.0
            ended.append(await rest(ws))

        async with peer_of_server(keep) as peer:
            await peer.send(peer.frame(wire.TEXT, b"one"))
            await peer.stream.aclose()
        assert ended == [["one"]]


class TestSendInPieces:
    async def test_is_cancelled_at_every_checkpoint(self) -> None:
        """The message is whole, or the connection is failed: no peer waits for the rest."""

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield bytes(50_000)
                await trio.lowlevel.checkpoint()

        async def attempt(number: int) -> bool:
            received: list[str | bytes] = []

            async def handler(ws: WebSocket) -> None:
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        received.append(await ws.recv())

            async with linked(handler, pair=trio.testing.lockstep_stream_pair) as ws:
                reached = await cancel_at(number, ws.send, pieces())
                assert not ws._in_pieces
                failed = ws._conn.state.value != "open"
                if not failed:
                    await ws.send("behind it")
                else:
                    assert (await ws.wait_closed()).cause.kind is CauseKind.FAILED
            assert received in ([], ["behind it"], [bytes(150_000), "behind it"])
            assert failed is not bool(received)
            return reached

        assert 3 <= await every_checkpoint(attempt) < MOST

    async def test_leaves_no_generator_behind(self) -> None:
        """It would be ended by the garbage collector, which warns of that."""
        ends: list[str] = []

        async def pieces() -> AsyncIterator[str]:
            try:
                yield "half"
                await trio.sleep_forever()
            finally:
                ends.append("in its task")

        async with linked(discard) as ws:
            with trio.move_on_after(0):
                await ws.send(pieces())
            assert ends == []  # cancelled before it began
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.send, pieces())
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            assert ends == ["in its task"]

    async def test_is_closed_in_the_middle(self) -> None:
        go = trio.Event()

        async def pieces() -> AsyncIterator[str]:
            yield "half"
            await go.wait()
            yield "too late"

        async def send(ws: WebSocket) -> None:
            with pytest.raises(ConnectionClosed, match="4000"):
                await ws.send(pieces())

        async with peer_of_client() as (peer, ws), trio.open_nursery() as nursery:
            nursery.start_soon(send, ws)
            assert await peer.read_frame() == (wire.TEXT, b"half")
            nursery.start_soon(ws.close, 4000)
            assert await peer.read_frame() == (wire.CLOSE, b"\x0f\xa0")
            go.set()
            await peer.send(peer.close_frame(4000))
            await peer.stream.send_eof()
            assert await peer.read_frame() is None

    async def test_to_a_peer_that_stops_in_the_middle(self, clock: MockClock) -> None:
        asked = 0

        def pieces() -> Iterator[bytes]:
            nonlocal asked
            for asked in range(1000):  # noqa: B007 - it counts
                yield bytes(10_000)

        async with peer_of_client(pair=trio.testing.lockstep_stream_pair) as (peer, ws):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.stream.receive_some, 25_000)
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.send(pieces())
            assert trio.current_time() == 20.0
            assert "too slow" in caught.value.disconnected.cause.detail
            assert asked < 20

    async def test_an_error_of_its_own_is_not_taken_for_an_end(self) -> None:
        """An iterable may raise what we would raise."""
        other: list[WebSocket] = []

        def pieces() -> Iterator[str]:
            yield other[0]._conn.send("x").decode("latin-1")

        async with linked(discard) as ended:
            await ended.close()
        other.append(ended)
        async with linked(discard) as ws:
            with pytest.raises(Exception, match="cannot send"):
                await ws.send(pieces())
            await ws.send("still open")
