"""Peers and applications that are slow or stuck: who has to wait, what it costs, and that nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import pytest

from edgews import CauseKind, Disconnected, Timeouts
from edgews.asyncio import ConnectionClosed, Server, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    LINKS,
    PLAIN,
    Held,
    Link,
    Listener,
    address,
    echo,
    raw_client,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import accept

KIB = 1024
CHUNK = b"x" * (64 * KIB)

# What the sockets of both ends take may be several MiB; what we hold is far less.
KERNEL = 32 * KIB * KIB
# What asyncio buffers before it says so, a message, and what a read brings.
OURS = 64 * KIB + len(CHUNK) + 256 * KIB

STALL = Timeouts(close=0.2, ping_interval=None, ping_timeout=0.3)


@contextlib.asynccontextmanager
async def narrow(server: Server) -> AsyncIterator[Raw]:
    """Open a WebSocket connection whose end takes little that is not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(TIMEOUT)
    sock.connect(address(server))
    with Raw(sock) as raw:
        raw.send(wire.request())
        await asyncio.to_thread(raw.read_head)
        yield raw


class Sender:
    """Sends without end, and counts."""

    def __init__(self, ws: WebSocket) -> None:
        self.ws = ws
        self.sent = 0
        self.most = 0
        self.closed: Disconnected | None = None

    async def run(self) -> None:
        try:
            while True:
                await self.ws.send(CHUNK)
                self.sent += len(CHUNK)
                self.most = max(self.most, self.ws.buffered_amount)
        except ConnectionClosed as error:
            self.closed = error.disconnected


class TestAPeerThatNeverReads:
    async def test_our_server_waits_and_gives_it_up(self) -> None:
        senders = []

        async def shout(ws: WebSocket) -> None:
            senders.append(Sender(ws))
            await senders[0].run()

        async with PLAIN.serve(shout, timeouts=STALL) as server, narrow(server):
            await until(lambda: not server._connections)
        (sender,) = senders
        assert 0 < sender.sent < KERNEL
        assert sender.most <= OURS
        assert sender.closed is not None
        assert (sender.closed.code, sender.closed.cause.kind) == (1006, CauseKind.FAILED)
        assert "too slow" in sender.closed.cause.detail

    async def test_our_client_waits_and_gives_it_up(self) -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def mute(raw: Raw) -> None:
            accept(raw)
            asyncio.run_coroutine_threadsafe(done.wait(), loop).result(TIMEOUT)

        async with Listener(mute) as listener:
            sender = Sender(await connect(listener.uri, timeouts=STALL))
            await soon(sender.run())
            done.set()
        assert 0 < sender.sent < KERNEL
        assert sender.most <= OURS
        assert sender.closed is not None
        assert sender.closed.cause.kind is CauseKind.FAILED

    async def test_many_senders_at_once(self) -> None:
        """Each of them waits, and each is told."""
        senders: list[Sender] = []

        async def shout(ws: WebSocket) -> None:
            senders.extend(Sender(ws) for _ in range(10))
            await asyncio.gather(*(sender.run() for sender in senders))

        async with PLAIN.serve(shout, timeouts=STALL) as server, narrow(server):
            await until(lambda: not server._connections)
        assert max(sender.most for sender in senders) <= OURS + 9 * len(CHUNK)
        assert all(sender.closed is not None for sender in senders)

    async def test_a_sender_that_was_woken_by_a_message(self) -> None:
        """It runs within the read of that message, which must come to an end: others are served."""
        senders = []

        async def answer(ws: WebSocket) -> None:
            if await ws.recv() == "flood":
                senders.append(Sender(ws))
                await senders[0].run()
            else:
                await ws.send("served")

        async with (
            PLAIN.serve(answer, timeouts=STALL) as server,
            narrow(server) as raw,
            raw_client(server) as other,
        ):
            raw.send(wire.frame(wire.TEXT, b"flood"))
            await until(lambda: senders)
            other.send(wire.frame(wire.TEXT, b"me too"))
            assert await asyncio.to_thread(other.read_frame) == (wire.TEXT, b"served")
            await until(lambda: senders[0].closed)
        assert senders[0].most <= OURS

    async def test_many_small_messages(self) -> None:
        """Frames that are put together in one write count as well."""
        most = [0]

        async def flood(ws: WebSocket) -> None:
            while True:
                await ws.send(b"x" * 1000)
                most[0] = max(most[0], ws.buffered_amount)

        async def answer(ws: WebSocket) -> None:
            await ws.recv()
            with pytest.raises(ConnectionClosed):
                await flood(ws)

        async with PLAIN.serve(answer, timeouts=STALL) as server, narrow(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"go"))
            await until(lambda: not server._connections)
        assert 0 < most[0] <= OURS

    async def test_a_flood_to_an_echo(self) -> None:
        """The peer sends as much as it is let, and reads nothing: it is stopped."""
        async with PLAIN.serve(echo, timeouts=STALL) as server, narrow(server) as raw:
            (ws,) = server.connections
            frame = wire.frame(wire.BINARY, CHUNK)
            raw.sock.settimeout(0)
            most = taken = 0
            while ws._transport is not None:
                with contextlib.suppress(OSError):
                    taken += raw.sock.send(frame[taken % len(frame) :])
                await turns(1)
                most = max(most, ws.buffered_amount + ws._session._cost)
        assert taken < KERNEL
        # The inbox holds 128 KiB and what one read adds.
        assert most <= OURS + 128 * KIB + 256 * KIB

    async def test_a_flood_of_pings(self) -> None:
        """RFC 6455 §5.5.3: the last one's Pong is enough."""
        pings = wire.frame(wire.PING, b"p" * 125) * 1000
        async with (
            PLAIN.serve(echo, timeouts=Timeouts(ping_timeout=None)) as server,
            narrow(server) as raw,
        ):
            (ws,) = server.connections
            raw.sock.settimeout(0)
            most = sent = 0
            while sent < 16 * KIB * KIB:
                with contextlib.suppress(BlockingIOError):
                    sent += raw.sock.send(pings[sent % len(pings) :])
                await turns(1)
                most = max(most, ws.buffered_amount)
            assert ws._conn.pongs_sent < ws._conn.pings_received
        assert most <= OURS


class TestAnApplicationThatIsSlow:
    @pytest.mark.parametrize("link", [LINKS["plain"], LINKS["tls1.3"]], ids=["plain", "tls1.3"])
    async def test_the_peer_has_to_wait_and_nothing_is_lost(self, link: Link) -> None:
        held = Held()
        async with link.serve(held) as server, link.connect(server) as ws:
            theirs = await held.ws()
            sent = [b"%d " % number + os.urandom(50_000) for number in range(250)]

            async def send_all() -> None:
                for message in sent:
                    await ws.send(message)

            sender = asyncio.create_task(send_all())
            await until(lambda: ws._drained is not None and theirs._session.full)
            before = theirs._conn.bytes_received
            await turns(50)
            assert theirs._conn.bytes_received == before
            assert theirs._session._cost < 128 * KIB + 512 * KIB
            assert not sender.done()
            assert [await soon(theirs.recv()) for _ in sent] == sent
            await sender

    async def test_pings_are_answered_while_it_is_busy(self) -> None:
        busy = asyncio.Event()

        async def work(ws: WebSocket) -> None:
            await ws.recv()
            await busy.wait()

        async with PLAIN.serve(work) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"work") + wire.frame(wire.PING, b"there?"))
            assert await asyncio.to_thread(raw.read_frame) == (wire.PONG, b"there?")
            raw.send(wire.frame(wire.PING, b"and now?"))
            assert await asyncio.to_thread(raw.read_frame) == (wire.PONG, b"and now?")
            busy.set()

    async def test_two_that_send_before_they_receive(self, link: Link) -> None:
        """Each sends more than all buffers hold, and reads only then; each takes what the inbox holds."""
        count = 30

        async def talk(ws: WebSocket) -> None:
            receiving = asyncio.create_task(self._take(ws, count))
            for number in range(count):
                await ws.send(f"{number} " + "c" * 500_000)
            await receiving

        async with link.open(talk) as ws:
            await soon(talk(ws))

    async def _take(self, ws: WebSocket, count: int) -> None:
        for number in range(count):
            assert str(await ws.recv()).startswith(f"{number} ")


async def test_buffered_amount_tells_what_has_not_left() -> None:
    held = Held()
    async with PLAIN.serve(held) as server, raw_client(server) as raw:
        ws = await held.ws()
        assert ws.buffered_amount == 0
        sending = asyncio.create_task(ws.send(b"x" * (16 * KIB * KIB)))
        await until(lambda: ws.buffered_amount)
        assert 0 < ws.buffered_amount <= 16 * KIB * KIB + 14
        reading = asyncio.create_task(asyncio.to_thread(raw.read_frame))
        await soon(sending)
        await until(lambda: ws.buffered_amount == 0)
        frame = await soon(reading)
        assert frame is not None
        assert len(frame[1]) == 16 * KIB * KIB


async def test_a_client_of_a_server_that_stops_reading_and_goes_on() -> None:
    go = asyncio.Event()

    async def pause(ws: WebSocket) -> None:
        await go.wait()
        await echo(ws)

    async with PLAIN.serve(pause) as server, connect(uri(server)) as ws:
        sender = asyncio.create_task(_send_all(ws))
        await until(lambda: ws._drained is not None)
        go.set()
        for number in range(200):
            assert str(await soon(ws.recv())).startswith(f"{number} ")
        await sender


async def _send_all(ws: WebSocket) -> None:
    for number in range(200):
        await ws.send(f"{number} " + "d" * 60_000)
