"""Connections over byte streams of any kind: in lockstep, in crumbs, with TLS, without half-close."""

from __future__ import annotations

import functools
import random
import socket
from typing import Any
from unittest.mock import ANY

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from edgews import CauseKind, PerMessageDeflate, Request, Response, Timeouts
from edgews.headers import Headers
from edgews.outcomes import ConnectionClosed, InvalidHandshake
from edgews.trio import WebSocket, connect, serve
from edgews.trio.streams import PeerStalled, with_patience
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import HOST, client_context, server_context
from tests.trio.harness import (
    PAIRS,
    URI,
    MemoryListener,
    OneWayOut,
    Pair,
    Peer,
    discard,
    echo,
    flood,
    linked,
    peer_of_client,
    peer_of_server,
    run,
)

MESSAGES = [message for size in (0, 125, 126, 65535, 65536, 1 << 20) for message in ("x" * size, bytes(size))]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return PAIRS[request.param]


class Crumbs(trio.abc.HalfCloseableStream):
    """A stream that gives away as little at a time as a random generator says."""

    def __init__(self, stream: Any, generator: random.Random) -> None:
        self._stream = stream
        self._generator = generator

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(self._generator.choice((1, 2, 3, 7, 100, max_bytes)))

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class TestAnyStream:
    async def test_messages_come_back(self, pair: Pair) -> None:
        async with linked(echo, pair=pair) as ws:
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
        assert ws.closed is not None
        assert ws.closed.clean

    @given(
        st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=20), st.integers(0), st.booleans()
    )
    def test_messages_survive_any_cut(self, messages: list[str | bytes], seed: int, deflate: bool) -> None:
        def crumbs() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            generator = random.Random(seed)
            left, right = trio.testing.memory_stream_pair()
            return Crumbs(left, generator), Crumbs(right, generator)

        async def scenario() -> None:
            wish = {"compression": PerMessageDeflate(threshold=0)} if deflate else {}
            linking = linked(echo, pair=crumbs, serving=wish, connecting=wish)
            async with linking as ws, trio.open_nursery() as nursery:
                nursery.start_soon(send_all, ws)
                assert [await ws.recv() for _ in messages] == messages
            assert ws.closed is not None
            assert ws.closed.clean

        async def send_all(ws: WebSocket) -> None:
            for message in messages:
                await ws.send(message)

        run(scenario)

    async def test_both_ways_at_once_in_lockstep(self) -> None:
        """There is no room between the two at all."""
        messages = [b"%d " % number + bytes(70_000) for number in range(50)]

        async def send_all(ws: WebSocket) -> None:
            for message in messages:
                await ws.send(message)

        async def exchange(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, ws)
                assert [await ws.recv() for _ in messages] == messages

        async with linked(exchange, pair=trio.testing.lockstep_stream_pair) as ws:
            await exchange(ws)

    async def test_one_that_cannot_be_half_closed(self, clock: MockClock) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        listener = MemoryListener(lambda: (theirs, stream))
        async with serve(echo, listeners=[listener]):
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await peer.send(peer.frame(wire.TEXT, b"x") + peer.close_frame())
            assert await peer.read_frames() == [(wire.TEXT, b"x"), (wire.CLOSE, b"\x03\xe8")]
            # All is said.
            assert trio.current_time() == 0.0
        assert stream.closed

    @pytest.mark.parametrize("end", [True, False], ids=["until it ends", "until it is silent"])
    async def test_a_peer_that_may_still_send_is_listened_to(self, clock: MockClock, end: bool) -> None:
        """Unread, what it sends would make TCP reset the stream, and it may never see our Close."""
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        listener = MemoryListener(lambda: (theirs, stream))
        async with serve(echo, listeners=[listener]):
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await peer.send(wire.frame(wire.TEXT, b"not masked", key=None))
            assert await peer.read_frame() == (wire.CLOSE, ANY)
            for _ in range(5):
                await trio.sleep(0.7)
                await peer.send(peer.frame(wire.BINARY, bytes(10_000)))
                assert not stream.closed
            if end:
                await peer.stream.send_eof()
            assert await peer.read_frame() is None
            assert stream.closed
            # It looks once a second whether something has come.
            assert 3.5 <= trio.current_time() <= (3.5 if end else 5.5)

    async def test_a_peer_that_goes_on_sending_is_listened_to_no_longer_than_that(
        self, clock: MockClock
    ) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        listener = MemoryListener(lambda: (theirs, stream))
        async with serve(echo, listeners=[listener]):
            peer = Peer(listener.dial(), client=True)
            await peer.open()
            await peer.send(wire.frame(wire.TEXT, b"not masked", key=None))

            async def go_on() -> None:
                while True:
                    await trio.sleep(0.5)
                    await peer.send(peer.frame(wire.BINARY, bytes(10_000)))

            with pytest.raises(trio.BrokenResourceError):
                await go_on()
            assert 10.0 <= trio.current_time() <= 11.0

    async def test_belongs_to_the_connection(self) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        async with serve(discard, listeners=[listener := MemoryListener(lambda: (stream, theirs))]):
            async with connect(URI, stream=listener.dial()) as ws:
                assert ws.remote_address is None
                assert not stream.closed
            assert stream.closed
        assert listener.closed

    async def test_is_closed_when_the_server_refuses(self) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = OneWayOut(ours)
        listener = MemoryListener(lambda: (stream, theirs))
        async with serve(discard, listeners=[listener], process_request=lambda _: Response(403, Headers())):
            with pytest.raises(InvalidHandshake, match="403"):
                async with connect(URI, stream=listener.dial()):
                    pass
        assert stream.closed


class TestTls:
    @pytest.mark.parametrize("compatible", [True, False])
    async def test_over_memory(self, compatible: bool) -> None:
        listener = MemoryListener()
        async with serve(echo, listeners=[listener], ssl=server_context()):
            stream = trio.SSLStream(
                listener.dial(), client_context(), server_hostname=HOST, https_compatible=compatible
            )
            async with connect(f"wss://{HOST}/", stream=stream) as ws:
                for message in MESSAGES:
                    await ws.send(message)
                    assert await ws.recv() == message
        assert ws.closed is not None
        assert ws.closed.clean

    async def test_says_its_end(self) -> None:
        """A stream that ends without close_notify may have been cut by anybody. RFC 8446 §6.1."""

        async def leave(ws: WebSocket) -> None:
            await ws.close(4000)

        def talk(address: tuple[str, int]) -> tuple[int, bytes]:
            with (
                socket.create_connection(address, TIMEOUT) as tcp,
                client_context().wrap_socket(tcp, server_hostname=HOST, suppress_ragged_eofs=False) as tls,
            ):
                raw = Raw(tls)
                raw.send(wire.request())
                raw.read_head()
                frame = raw.read_frame()
                raw.send(wire.close(4000))
                assert raw.read_frame() is None
                assert frame is not None
                return frame

        async with serve(leave, HOST, 0, ssl=server_context()) as server:
            listener: Any = server.listeners[0]
            address = listener.transport_listener.socket.getsockname()
            assert await trio.to_thread.run_sync(talk, address) == (wire.CLOSE, b"\x0f\xa0")

    async def test_that_is_none_ends_the_connection(self) -> None:
        listener = MemoryListener()
        handled = False

        async def handler(ws: WebSocket) -> None:
            nonlocal handled
            handled = True

        async with serve(handler, listeners=[listener], ssl=server_context()) as server:
            peer = Peer(listener.dial(), client=True)
            await peer.send(wire.request())
            # An alert.
            assert (await peer.read_rest())[:1] in {b"\x15", b""}
            assert not server.connections
        assert not handled

    async def test_that_breaks_in_the_middle(self) -> None:
        """What is not from the peer fails the connection; it does not crash the server."""
        listener = MemoryListener()
        ended = trio.Event()

        async def handler(ws: WebSocket) -> None:
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.disconnected.cause.kind is CauseKind.PEER_VANISHED
            ended.set()

        async with serve(handler, listeners=[listener], ssl=server_context()):
            transport: Any = listener.dial()
            stream = trio.SSLStream(transport, client_context(), server_hostname=HOST, https_compatible=True)
            with pytest.raises(ConnectionClosed):
                await self.spoil(stream, transport)
            await ended.wait()

    async def spoil(self, stream: trio.abc.Stream, transport: trio.abc.Stream) -> None:
        async with connect(f"wss://{HOST}/", stream=stream) as ws:
            await transport.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
            await ws.recv()


class TestPatience:
    """A peer is given up when it takes nothing, however little it takes."""

    async def write(self, stream: trio.abc.Stream, data: bytes) -> float:
        """Write until the peer is given up; return when that was."""
        with pytest.raises(PeerStalled):
            await with_patience(stream, 20.0).send_all(data)
        return trio.current_time()

    async def test_with_any_stream(self, clock: MockClock) -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.take, theirs, 20, 2000, 5.0)
            assert await self.write(ours, bytes(100_000)) >= 20 * 5.0

    async def test_with_tls(self, clock: MockClock) -> None:
        """It is what TLS writes to that is looked at, below all layers of it."""
        ours, theirs = trio.testing.lockstep_stream_pair()
        stream = trio.SSLStream(ours, client_context(), server_hostname=HOST)
        peer = trio.SSLStream(theirs, server_context(), server_side=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.do_handshake)
            await stream.do_handshake()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.take, theirs, 20, 2000, 5.0)
            assert await self.write(stream, bytes(100_000)) >= 20 * 5.0

    async def take(self, stream: trio.abc.Stream, times: int, size: int, pause: float) -> None:
        for _ in range(times):
            await stream.receive_some(size)
            await trio.sleep(pause)

    def test_with_a_socket(self) -> None:
        """Each byte that the system takes counts, and no call waits for all of them."""

        async def scenario() -> None:
            left, right = (trio.SocketStream(sock) for sock in trio.socket.socketpair())
            async with left, right:
                taken = 0

                async def take() -> None:
                    nonlocal taken
                    for _ in range(20):
                        taken += len(await right.receive_some(65536))
                        # Time passes for those alone who wait for time.
                        await trio.sleep(5)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(take)
                    assert await self.write(left, bytes(50_000_000)) >= 20 * 5
                assert 0 < taken <= 20 * 65536

        # The system takes no time of the clock, but some.
        run(scenario, MockClock(autojump_threshold=0.1))

    async def test_what_breaks_is_told_like_trio_does(self) -> None:
        left, right = (trio.SocketStream(sock) for sock in trio.socket.socketpair())
        await right.aclose()
        async with left:
            with pytest.raises(trio.BrokenResourceError) as caught:
                await with_patience(left, 20.0).send_all(bytes(10_000_000))
            assert not isinstance(caught.value, PeerStalled)


class TestServer:
    async def test_listeners_of_any_number(self) -> None:
        listeners = [MemoryListener(), MemoryListener()]
        async with serve(echo, listeners=listeners) as server:
            for listener in listeners:
                async with connect(URI, stream=listener.dial()) as ws:
                    await ws.send("x")
                    assert await ws.recv() == "x"
                    assert len(server.connections) == 1
        assert all(listener.closed for listener in listeners)

    async def test_process_request_may_wait(self) -> None:
        go = trio.Event()

        async def decide(request: Request) -> Response | None:
            await go.wait()
            return None if request.path == "/chat" else Response(404, Headers())

        listener = MemoryListener()
        async with serve(echo, listeners=[listener], process_request=decide), trio.open_nursery() as nursery:
            nursery.start_soon(functools.partial(trio.testing.wait_all_tasks_blocked))
            nursery.start_soon(self.talk, listener)
            await trio.testing.wait_all_tasks_blocked()
            go.set()
            with pytest.raises(InvalidHandshake, match="404"):
                async with connect("ws://example.com/other", stream=listener.dial()):
                    pass

    async def talk(self, listener: MemoryListener) -> None:
        async with connect(URI, stream=listener.dial()) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"

    async def test_no_more_than_max_connections(self) -> None:
        listener = MemoryListener()
        async with serve(echo, listeners=[listener], max_connections=1):
            async with connect(URI, stream=listener.dial()):
                with pytest.raises(InvalidHandshake) as caught:
                    async with connect(URI, stream=listener.dial()):
                        pass
                assert caught.value.response is not None
                assert caught.value.response.status == 503
            # There is room again.
            await self.talk(listener)

    async def test_connections_are_those_that_are_open(self) -> None:
        async with linked(discard) as ws:
            await ws.ping()
        listener = MemoryListener()
        async with serve(echo, listeners=[listener]) as server:
            Peer(listener.dial(), client=True)
            await trio.testing.wait_all_tasks_blocked()
            assert server.connections == set()
            async with connect(URI, stream=listener.dial()) as ws:
                (connection,) = server.connections
                assert connection.request.target == ws.request.target
                await ws.close()
                await trio.testing.wait_all_tasks_blocked()
                assert server.connections == set()

    async def test_serve_forever_waits_for_close(self) -> None:
        waited: list[str] = []

        async def wait(server: serve) -> None:
            await server.serve_forever()
            waited.append("to the end")

        async with serve(echo, listeners=[MemoryListener()]) as server, trio.open_nursery() as nursery:
            nursery.start_soon(wait, server)
            await trio.testing.wait_all_tasks_blocked()
            assert waited == []
            await server.close()
            await trio.testing.wait_all_tasks_blocked()
            assert waited == ["to the end"]

    async def test_the_block_goes_on_behind_close(self) -> None:
        listener = MemoryListener()
        async with serve(echo, listeners=[listener]) as server, connect(URI, stream=listener.dial()) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
            await server.close()
            await server.close()
            assert (await ws.wait_closed()).code == 1001
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BrokenResourceError):
                listener.dial()


class TestBrokenWrites:
    async def test_do_not_lose_what_can_still_be_read(self, clock: MockClock) -> None:
        """The peer has gone, but what it sent before is there, as after a reset of TCP."""
        handler = Told()
        async with peer_of_server(handler) as peer:
            # The inbox is full, so the rest stays in the stream.
            big = bytes(65536)
            await peer.send(peer.frame(wire.BINARY, big) * 3)
            await trio.testing.wait_all_tasks_blocked()
            frames = b"".join(peer.frame(wire.TEXT, b"%d" % number) for number in range(5))
            await peer.send(frames + peer.close_frame(4000))
            await peer.stream.receive_stream.aclose()
            await handler.ws.send("nobody takes it")
            await trio.testing.wait_all_tasks_blocked()
            handler.go.set()
            await handler.ended.wait()
        assert handler.received == [big, big, big, *(str(number) for number in range(5))]
        assert handler.closed.code == 4000

    async def test_leave_no_amount_behind(self) -> None:
        async with peer_of_client() as (peer, ws):
            await ws.send(bytes(200_000))
            await peer.stream.aclose()
            with pytest.raises(ConnectionClosed):
                await flood(ws)
            assert ws.buffered_amount == 0


class Told:
    """A handler that waits, and then keeps what it is told."""

    def __init__(self) -> None:
        self.received: list[str | bytes] = []
        self.go = trio.Event()
        self.ended = trio.Event()
        self.closed: Any = None

    async def __call__(self, ws: WebSocket) -> None:
        self.ws = ws
        await self.go.wait()
        try:
            async for message in ws:
                self.received.append(message)
        finally:
            self.closed = ws.closed
            self.ended.set()


async def test_request_and_answer_are_known() -> None:
    async with linked(discard, connecting={"timeouts": Timeouts(open=None)}) as ws:
        assert ws.request.target == "/chat"
        assert ws.response is not None
        assert ws.response.status == 101
        assert ws.subprotocol is None
        assert ws.buffered_amount == 0
