"""Every timeout, to the second, with a clock that jumps."""

from __future__ import annotations

import functools
import math

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from edgews import CauseKind, Request, Timeouts
from edgews.outcomes import ConnectionClosed
from edgews.trio import WebSocket, connect, serve
from tests import wire
from tests.sync.harness import HOST, client_context, server_context
from tests.trio.harness import (
    URI,
    MemoryListener,
    Peer,
    discard,
    flood,
    linked,
    peer_of_client,
    peer_of_server,
)

NONE = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)
QUIET = Timeouts(ping_interval=None)


def now() -> float:
    """Return the time since the beginning of the test."""
    return trio.current_time()


class TestOpen:
    @pytest.mark.parametrize("open_time", [10.0, 3.0])
    async def test_a_server_that_says_nothing(self, clock: MockClock, open_time: float) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        with pytest.raises(TimeoutError):
            async with connect(URI, stream=ours, timeouts=Timeouts(open=open_time)):
                pass
        assert now() == open_time
        assert (await Peer(theirs, client=False).read_rest()).startswith(b"GET /chat HTTP/1.1\r\n")

    async def test_a_server_that_says_nothing_in_tls(self, clock: MockClock) -> None:
        ours, _ = trio.testing.memory_stream_pair()
        stream = trio.SSLStream(ours, client_context(), server_hostname=HOST, https_compatible=True)
        with pytest.raises(TimeoutError):
            async with connect(f"wss://{HOST}/", stream=stream):
                pass
        assert now() == 10.0

    async def test_none_waits_for_as_long_as_it_takes(self, clock: MockClock) -> None:
        listener = MemoryListener()

        async def decide(request: Request) -> None:
            await trio.sleep(1000)

        async with (
            serve(discard, listeners=[listener], timeouts=NONE, process_request=decide),
            connect(URI, stream=listener.dial(), timeouts=NONE) as ws,
        ):
            assert now() == 1000.0
            await ws.ping()

    async def test_a_client_that_says_nothing(self, clock: MockClock) -> None:
        listener = MemoryListener()
        async with serve(discard, listeners=[listener]):
            assert await Peer(listener.dial(), client=True).read_rest() == b""
            assert now() == 10.0

    async def test_a_client_that_says_nothing_in_tls(self, clock: MockClock) -> None:
        listener = MemoryListener()
        async with serve(discard, listeners=[listener], ssl=server_context()):
            await Peer(listener.dial(), client=True).read_rest()
            assert now() == 10.0

    async def test_a_client_that_says_half_of_it(self, clock: MockClock) -> None:
        listener = MemoryListener()
        async with serve(discard, listeners=[listener]):
            peer = Peer(listener.dial(), client=True)
            await peer.send(b"GET / HTTP/1.1\r\n")
            assert (await peer.read_head()).startswith(b"HTTP/1.1 408 ")
            assert now() == 10.0

    async def test_an_application_that_does_not_decide(self, clock: MockClock) -> None:
        listener = MemoryListener()
        decided: list[float] = []

        async def decide(request: Request) -> None:
            await trio.sleep(60)
            decided.append(now())

        async with serve(discard, listeners=[listener], process_request=decide):
            peer = Peer(listener.dial(), client=True)
            await peer.send(wire.request())
            assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
            assert now() == 10.0
            await peer.stream.aclose()
            await trio.sleep(100)
        # It comes too late, and that is all.
        assert decided == [60.0]


class TestClose:
    async def test_a_server_that_does_not_answer(self, clock: MockClock) -> None:
        async with peer_of_client() as (peer, ws):
            await trio.sleep(5)
            await ws.close()
            assert now() == 15.0
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.cause.kind) == (1006, CauseKind.CLOSE_TIMEOUT)
            assert await peer.read_frames() == [(wire.CLOSE, b"\x03\xe8")]

    async def test_a_client_that_does_not_end_its_stream(self, clock: MockClock) -> None:
        ended: list[float] = []

        async def handler(ws: WebSocket) -> None:
            await ws.wait_closed()
            ended.append(now())

        async with peer_of_server(handler) as peer:
            await peer.send(peer.close_frame())
            assert await peer.read_frame() == (wire.CLOSE, b"\x03\xe8")
            assert await peer.read_frame() is None
            # The server's half of the stream has ended, and in ten seconds nothing is left of it.
            assert now() == 0.0
            await trio.sleep(11)
            assert ended == [10.0]
            with pytest.raises(trio.BrokenResourceError):
                await peer.send(b"x")

    async def test_a_server_that_does_not_end_the_stream(self, clock: MockClock) -> None:
        async with peer_of_client() as (peer, ws), trio.open_nursery() as nursery:
            nursery.start_soon(ws.close)
            assert await peer.read_frame() == (wire.CLOSE, b"\x03\xe8")
            await trio.sleep(4)
            await peer.send(peer.close_frame())
            await ws.wait_closed()
            # The time runs anew from each step.
            assert now() == 14.0
            assert ws.closed is not None
            assert ws.closed.clean

    async def test_goes_on_behind_a_call_that_was_cancelled(self, clock: MockClock) -> None:
        async with peer_of_client() as (peer, ws):
            with trio.move_on_after(2) as scope:
                await ws.close(4000)
            assert scope.cancelled_caught
            assert await peer.read_frame() == (wire.CLOSE, b"\x0f\xa0")
            assert (await ws.wait_closed()).cause.kind is CauseKind.CLOSE_TIMEOUT
            assert now() == 10.0


class TestPing:
    async def test_is_sent_and_awaited(self, clock: MockClock) -> None:
        async with peer_of_client() as (peer, ws):
            frame = await peer.read_frame()
            assert frame is not None
            assert (frame[0], now()) == (wire.PING, 20.0)
            frame = await peer.read_frame()
            assert frame is not None
            # The next Ping is due at the same time as the answer to the first.
            if frame[0] == wire.PING:
                frame = await peer.read_frame()
            assert frame == (wire.CLOSE, b"\x03\xf3ping timeout")
            assert now() == 40.0
            closed = await ws.wait_closed()
            assert (closed.code, closed.cause.kind) == (1006, CauseKind.PING_TIMEOUT)

    async def test_every_sign_of_life_counts(self, clock: MockClock) -> None:
        async with peer_of_client(timeouts=Timeouts(close=1.0)) as (peer, ws):
            for _ in range(20):
                await trio.sleep(15)
                await peer.send(peer.frame(wire.BINARY, b"x"))
                assert await ws.recv() == b"x"
            assert ws.closed is None
            assert now() == 300.0

    async def test_quiet_connections_live(self, clock: MockClock) -> None:
        async with linked(discard) as ws:
            await trio.sleep(10_000)
            assert ws.closed is None
            assert ws._conn.pongs_received >= 499

    async def test_measures_time(self, clock: MockClock) -> None:
        async with peer_of_client(timeouts=QUIET) as (peer, ws), trio.open_nursery() as nursery:
            nursery.start_soon(self.answer, peer)
            assert await ws.ping() == 3.0
            assert ws.latency == 3.0

    async def answer(self, peer: Peer) -> None:
        frame = await peer.read_frame()
        assert frame is not None
        await trio.sleep(3)
        await peer.send(peer.frame(wire.PONG, frame[1]))


class TestIdle:
    async def test_is_closed(self, clock: MockClock) -> None:
        async with linked(discard, serving={"timeouts": Timeouts(idle=60.0)}) as ws:
            for _ in range(5):
                await trio.sleep(50)
                await ws.send("not idle")
            closed = await ws.wait_closed()
            assert (closed.code, closed.reason, closed.clean) == (1001, "idle timeout", True)
            assert 250.0 + 60.0 <= now() <= 250.0 + 75.0


class TestAnswerTime:
    """What the peer sent behind a message waits for the answer to it, for a second."""

    @pytest.mark.parametrize(
        ("behind", "reaction"),
        [
            (wire.close(1000), (wire.CLOSE, b"\x03\xe8")),
            (wire.frame(wire.PING, b"?"), (wire.PONG, b"?")),
            (wire.frame(wire.TEXT, b"x", key=None), (wire.CLOSE, None)),
        ],
        ids=["close", "ping", "violation"],
    )
    @pytest.mark.parametrize("busy", [0.0, 0.5, 30.0])
    async def test_an_application(
        self, clock: MockClock, behind: bytes, reaction: tuple[int, bytes | None], busy: float
    ) -> None:
        async def work(ws: WebSocket) -> None:
            async for message in ws:
                await trio.sleep(busy)
                await ws.send(message)

        async with peer_of_server(work) as peer:
            await peer.send(peer.frame(wire.TEXT, b"work") + behind)
            seen = []
            for _ in range(2 if busy <= 1 else 1):
                frame = await peer.read_frame()
                assert frame is not None
                seen.append(
                    (frame[0], frame[1] if reaction[1] is not None or frame[0] != wire.CLOSE else None)
                )
            if busy <= 1:
                assert seen == [(wire.TEXT, b"work"), reaction]
                assert now() == busy
            else:
                assert seen == [reaction]
                assert now() == 1.0
            await peer.stream.aclose()


class TestSlowPeer:
    async def test_that_takes_nothing_is_given_up(self, clock: MockClock) -> None:
        ended: list[float] = []

        async def handler(ws: WebSocket) -> None:
            with pytest.raises(ConnectionClosed) as caught:
                await flood(ws)
            assert caught.value.disconnected.cause.kind is CauseKind.FAILED
            assert ws._conn.messages_sent < 20
            ended.append(now())

        async with peer_of_server(handler, pair=trio.testing.lockstep_stream_pair, timeouts=QUIET):
            await trio.sleep(1000)
        assert ended == [20.0]

    async def test_that_takes_little_is_not(self, clock: MockClock) -> None:
        """A thousand bytes a second are few, but not nothing."""
        message = bytes(range(256)) * 1024

        async def handler(ws: WebSocket) -> None:
            await ws.send(message)

        async with peer_of_server(
            handler,
            pair=trio.testing.lockstep_stream_pair,
            timeouts=Timeouts(ping_interval=None, close=1000.0),
        ) as peer:
            received = peer._buffer
            while len(received) < len(message) + 10:
                data = await peer.stream.receive_some(1000)
                assert data, f"given up at {now()} s"
                received += data
                await trio.sleep(1)
            assert message in received
            await peer.stream.aclose()


class TestServerClose:
    async def test_waits_for_handlers(self, clock: MockClock) -> None:
        async def stubborn(ws: WebSocket) -> None:
            await discard(ws)
            await trio.sleep(500)

        async with linked(stubborn) as ws:
            assert ws.closed is None
        # The client has closed; the server waited for its handler.
        assert now() == 500.0

    async def test_with_a_timeout_cancels_a_stuck_handler(self, clock: MockClock) -> None:
        cancelled: list[float] = []

        async def stuck(ws: WebSocket) -> None:
            try:
                await trio.sleep(math.inf)
            finally:
                cancelled.append(now())

        listener = MemoryListener()
        async with serve(stuck, listeners=[listener]) as server, connect(URI, stream=listener.dial()) as ws:
            await trio.sleep(3)
            await server.close(timeout=5)
            assert now() == 8.0
            assert cancelled == [8.0]
            closed = await ws.wait_closed()
            assert (closed.code, closed.clean) == (1001, True)
            assert server.connections == set()
        assert now() == 8.0

    async def test_with_a_timeout_drops_who_does_not_answer(self, clock: MockClock) -> None:
        listener = MemoryListener()
        async with serve(discard, listeners=[listener]) as server:
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await server.close(timeout=5)
            assert now() == 5.0
            assert await peer.read_frames() == [(wire.CLOSE, b"\x03\xe9")]

    async def test_without_a_timeout_leaves_it_to_that_of_the_connection(self, clock: MockClock) -> None:
        listener = MemoryListener()
        async with serve(discard, listeners=[listener]) as server:
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await server.close()
            assert now() == 10.0

    async def test_by_a_handler(self, clock: MockClock) -> None:
        """It is one of those that are waited for, and so the last to be cancelled."""

        async def handler(ws: WebSocket) -> None:
            await ws.recv()
            await server.close(timeout=5)

        listener = MemoryListener()
        async with serve(handler, listeners=[listener]) as server:
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await peer.send(peer.frame(wire.TEXT, b"stop"))
            with trio.move_on_after(100) as patience:
                await server.serve_forever()
            # Where it waits for itself, nothing else would set it free.
            server._closed.set()
            assert not patience.cancelled_caught
            assert now() == 5.0

    async def test_by_several_handlers_at_once(self, clock: MockClock) -> None:
        """They do not wait for one another, nor for ever; who answers the Close sees an end in order."""
        called: list[float] = []

        async def handler(ws: WebSocket) -> None:
            await ws.recv()
            try:
                async with trio.open_nursery() as nursery:
                    # Not in the handler's own task.
                    nursery.start_soon(server.close)
            finally:
                called.append(now())

        listener = MemoryListener()
        async with (
            serve(handler, listeners=[listener]) as server,
            connect(URI, stream=listener.dial()) as one,
            connect(URI, stream=listener.dial()) as other,
        ):
            await one.send("stop")
            await other.send("stop")
            await server.serve_forever()
            for ws in (one, other):
                closed = await ws.wait_closed()
                assert (closed.code, closed.clean) == (1001, True)
        assert called == [0.0, 0.0]

    async def test_that_is_spread(self, clock: MockClock) -> None:
        times: list[float] = []

        async def stay() -> None:
            async with connect(URI, stream=listener.dial()) as ws:
                closed = await ws.wait_closed()
                assert (closed.code, closed.reason) == (1012, "restarting")
                times.append(now())

        listener = MemoryListener()
        async with serve(discard, listeners=[listener]) as server, trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(stay)
            await trio.testing.wait_all_tasks_blocked()
            await server.close(spread=10.0, code=1012, reason="restarting")
            assert now() == 8.0
        assert times == [0.0, 2.0, 4.0, 6.0, 8.0]

    async def test_accepts_nobody_any_more(self, clock: MockClock) -> None:
        """Who was accepted in the same moment is not served either, whatever the order of the tasks."""
        for steps in range(8):
            listener = MemoryListener()
            handled: list[str] = []

            async def stay(ws: WebSocket, handled: list[str] = handled) -> None:
                handled.append(ws.request.target)
                await trio.sleep(30)

            async with serve(stay, listeners=[listener]) as server, trio.open_nursery() as nursery:
                peer = Peer(listener.dial(), client=True)
                await peer.open()
                late = Peer(listener.dial(), client=True)
                await late.send(wire.request(line="GET /late HTTP/1.1"))
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                begin = now()
                nursery.start_soon(functools.partial(server.close))
                await peer.read_frames()
                await peer.stream.aclose()
                rest = await late.read_rest()
                # It was opened in time and told the end, or it was not opened.
                assert rest == b"" or b"\x88\x02\x03\xe9" in rest
                await late.stream.aclose()
            assert now() <= begin + 30.0
