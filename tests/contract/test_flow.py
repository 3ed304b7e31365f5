"""Who is slow makes the other side wait; nothing piles up, nothing is lost."""

from __future__ import annotations

import select
import threading
from typing import Any

import pytest

from edgews import CauseKind, Disconnected, Timeouts
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import OVERALL, PATIENCE, Driver
from tests.contract.peers import RawPeer, opened, raw_client, raw_server
from tests.raw import Raw
from tests.sync.harness import LINKS, Link

CHUNK = bytes(1 << 16)
# More than the operating system keeps for a connection, with the inbox and what a call that sends may hold.
ROOM = 24 << 20
MUCH = 48 << 20
IMPATIENT = Timeouts(ping_interval=None, ping_timeout=0.3, close=0.3)


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()


class TestPeerThatDoesNotRead:
    @pytest.mark.parametrize("first", [True, False], ids=["at once", "as an answer"])
    async def test_is_given_up_by_a_server(self, d: Driver, first: bool) -> None:
        sent = 0
        ends: list[Disconnected] = []

        async def flood(ws: Any) -> None:
            nonlocal sent
            if not first:
                await d.recv(ws, PATIENCE)
            try:
                while sent < MUCH:
                    await d.send(ws, CHUNK)
                    sent += len(CHUNK)
            finally:
                ends.append(ws.closed)

        async with d.serving(flood, timeouts=IMPATIENT) as server, raw_client(d, server.address) as peer:
            if not first:
                await peer.send(wire.frame(wire.TEXT, b"go"))
            await d.until(lambda: ends)
            assert sent < ROOM
            assert (ends[0].code, ends[0].clean, ends[0].cause.kind) == (1006, False, CauseKind.FAILED)

    async def test_is_given_up_by_a_client(self, d: Driver) -> None:
        sent = 0
        ended = threading.Event()

        def idle(raw: Raw) -> None:
            assert ended.wait(OVERALL)

        async def send_much(ws: Any) -> None:
            nonlocal sent
            while sent < MUCH:
                await d.send(ws, CHUNK)
                sent += len(CHUNK)

        async with raw_server(d, opened(idle)) as uri:
            async with d.connecting(uri, timeouts=IMPATIENT) as ws:
                with pytest.raises(ConnectionClosed):
                    await send_much(ws)
            ended.set()
            assert ws.closed.cause.kind is CauseKind.FAILED
        assert sent < ROOM


def writable(peer: RawPeer) -> bool:
    """Say whether the peer may send, now or in a while in which a reader would have made room."""
    return bool(select.select([], [peer.raw.sock], [], 0.3)[1])


def push(peer: RawPeer, data: bytes, most: int) -> int:
    """Send `data` over and over until there is no more room, or `most`; return how much went."""
    sent = 0
    peer.raw.sock.setblocking(False)
    try:
        while sent < most and writable(peer):
            at = sent % len(data)
            sent += peer.raw.sock.send(memoryview(data)[at : at + most - sent])
    finally:
        peer.raw.sock.settimeout(OVERALL)
    return sent


class TestSlowApplication:
    async def test_makes_the_peer_wait_and_loses_nothing(self, d: Driver) -> None:
        go = d.event()
        received: list[bytes] = []

        async def slow(ws: Any) -> None:
            await go.wait()
            received.extend(await d.all(ws))

        # One message after another, all alike but for the number at its beginning.
        count = MUCH // len(CHUNK)
        stream = b"".join(
            wire.frame(wire.BINARY, b"%08d" % number + CHUNK, key=bytes(4)) for number in range(count)
        )
        async with d.serving(slow) as server, raw_client(d, server.address) as peer:
            sent = await d.blocking(push, peer, stream, len(stream))
            assert sent < ROOM
            go.set()
            await peer.send(stream[sent:] + wire.close(1000))
            assert await peer.read_frames() == [(wire.CLOSE, b"\x03\xe8")]
        assert [message[:8] for message in received] == [b"%08d" % number for number in range(count)]
        assert {message[8:] for message in received} == {CHUNK}

    async def test_makes_an_edgews_peer_wait_too(self, d: Driver, link: Link) -> None:
        go = d.event()
        sent = 0
        received: list[bytes] = []

        async def slow(ws: Any) -> None:
            await go.wait()
            received.extend([message[:8] async for message in d.messages(ws)])

        async def send_all(ws: Any) -> None:
            nonlocal sent
            for number in range(count):
                await d.send(ws, b"%08d" % number + CHUNK, compress=False)
                sent += 1

        count = ROOM // len(CHUNK)
        async with (
            d.serving(slow, **link.serving) as server,
            d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
        ):
            sender = d.spawn(send_all, ws)
            before = -1
            while before != sent:
                before = sent
                for _ in range(50):
                    await d.pause()
            assert sent < count
            go.set()
            await sender.join()
            await d.close(ws)
            assert ws.closed.clean
        assert received == [b"%08d" % number for number in range(count)]

    async def test_answers_pings_nevertheless(self, d: Driver) -> None:
        """Between two messages, that is: not for longer than a second behind one."""
        done = d.event()

        async def busy(ws: Any) -> None:
            await d.recv(ws, PATIENCE)
            await done.wait()

        async with d.serving(busy) as server, raw_client(d, server.address) as peer:
            await peer.send(wire.frame(wire.TEXT, b"work"))
            await peer.send(wire.frame(wire.PING, b"there?"))
            assert await peer.read_frame() == (wire.PONG, b"there?")
            done.set()

    async def test_that_sends_while_nobody_receives(self, d: Driver) -> None:
        """Sending alone is enough to be kept alive and to be told the end."""

        async def tell(ws: Any) -> None:
            while True:
                await d.send(ws, "news")
                await d.pause()

        async def handler(ws: Any) -> None:
            with pytest.raises(ConnectionClosed) as caught:
                await tell(ws)
            assert caught.value.disconnected.code == 4000
            told.set()

        told = d.event()
        async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
            assert await d.recv(ws, PATIENCE) == "news"
            await d.close(ws, 4000)
            await told.wait()


class TestMany:
    async def test_connections_come_and_go(self, d: Driver, link: Link) -> None:
        workers, each = 20, 10
        handled = 0
        ended = 0

        async def handler(ws: Any) -> None:
            nonlocal ended
            try:
                await d.echo(ws)
            finally:
                ended += 1

        async def come_and_go(worker: int) -> None:
            nonlocal handled
            for turn in range(each):
                async with d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws:
                    await d.send(ws, f"{worker}/{turn}")
                    assert await d.recv(ws, PATIENCE) == f"{worker}/{turn}"
                assert ws.closed.clean
                handled += 1

        async with d.serving(handler, **link.serving) as server:
            tasks = [d.spawn(come_and_go, worker) for worker in range(workers)]
            for task in tasks:
                await task.join()
            await d.until(lambda: ended == workers * each)
        assert handled == workers * each

    async def test_connections_are_apart(self, d: Driver) -> None:
        """One that is stuck, in every way there is, does not hold up another."""
        stuck = d.event()

        async def handler(ws: Any) -> None:
            async for message in d.messages(ws):
                if message == "stop":
                    await stuck.wait()
                await d.send(ws, message)

        async with (
            d.serving(handler, timeouts=Timeouts(open=OVERALL)) as server,
            raw_client(d, server.address) as deaf,
            d.connecting(server.uri()) as ws,
        ):
            await deaf.send(wire.frame(wire.TEXT, b"stop") + wire.frame(wire.TEXT, b"half")[:4])
            with await d.blocking(Raw.connect, server.address) as silent:
                silent.send(b"GET / HTTP/1.1\r\n")
                for number in range(100):
                    await d.send(ws, str(number))
                    assert await d.recv(ws, PATIENCE) == str(number)
            stuck.set()
