"""What happens after a time, on a loop whose clock a test moves forward."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from edgews import CauseKind, State, Timeouts
from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio import harness
from tests.asyncio.harness import (
    LINKS,
    PLAIN,
    Held,
    Listener,
    NewLoop,
    Report,
    code_in,
    echo,
    raw_client,
    soon,
    turns,
    until,
    uri,
)
from tests.asyncio.test_tls import raw_tls
from tests.raw import Raw, check
from tests.sync.harness import accept

KIB = 1024

# So much of it passes by itself while a test runs, at most.
LONG = 60.0


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on by itself, and further when it is told to."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.fixture
def new_loop(monkeypatch: pytest.MonkeyPatch) -> NewLoop:
    # The time that a test may take is that of its loop as well.
    monkeypatch.setattr(harness, "LIMIT", 1e6)
    return ClockLoop


async def pass_time(seconds: float) -> None:
    """Let time pass, and what is due happen."""
    cast(ClockLoop, asyncio.get_running_loop()).ahead += seconds
    await turns()


def take(sock: socket.socket, size: int) -> None:
    """Read so many bytes."""
    while size > 0:
        data = sock.recv(min(size, 64 * KIB))
        check(data, "the stream has ended")
        size -= len(data)


class TestAPeerThatIsSlow:
    TIMEOUTS = Timeouts(ping_interval=None, ping_timeout=LONG, close=LONG)

    @pytest.mark.parametrize("kind", ["plain", "tls1.3"])
    async def test_is_not_given_up_as_long_as_it_takes_something(self, kind: str) -> None:
        """Whatever is sent meanwhile: what counts is what left, not whether there is less to send."""
        size = 512 * KIB
        held = Held()
        async with LINKS[kind].serve(held, timeouts=self.TIMEOUTS) as server:
            opening: Callable[..., Raw] = Raw.open if kind == "plain" else raw_tls
            with await asyncio.to_thread(opening, server.sockets[0].getsockname()) as raw:
                ws = await held.ws()
                senders: list[asyncio.Task[None]] = []
                while ws._drained is None:
                    senders.append(asyncio.create_task(ws.send(bytes(size))))
                    await turns()
                for _ in range(5):
                    before = ws._unsent
                    # The system has room for less than it takes now, so something leaves us.
                    await asyncio.to_thread(take, raw.sock, 8 * size)
                    await until(lambda before=before: ws.buffered_amount < before or ws._drained is None)
                    while ws._drained is None or ws.buffered_amount < before:
                        senders.append(asyncio.create_task(ws.send(bytes(size))))
                        await turns()
                    await pass_time(LONG - 1)
                    assert ws.closed is None
                ws._abort()
                await asyncio.gather(*senders, return_exceptions=True)

    async def test_is_given_up_when_it_takes_nothing(self) -> None:
        held = Held()
        async with PLAIN.serve(held, timeouts=self.TIMEOUTS) as server, raw_client(server):
            ws = await held.ws()
            sender = asyncio.create_task(_flood(ws))
            await until(lambda: ws._drained is not None)
            await pass_time(LONG - 1)
            assert ws.closed is None
            await pass_time(1)
            await until(lambda: ws.closed)
            with pytest.raises(ConnectionClosed, match="too slow"):
                await soon(sender)


async def _flood(ws: WebSocket) -> None:
    while True:
        await ws.send(bytes(64 * KIB))


class TestKeepalive:
    async def test_does_not_blame_the_peer(self) -> None:
        """Its Pong stands behind what was not taken, for longer than a Pong may take."""
        count = 100
        timeouts = Timeouts(ping_interval=LONG, ping_timeout=LONG)
        held = Held()

        def talk(raw: Raw) -> list[tuple[int, bytes]]:
            for number in range(count):
                raw.send(wire.frame(wire.TEXT, b"%d " % number + b"b" * 100_000))
            other = []
            while (frame := raw.read_frame()) is not None:
                if frame[0] == wire.PING:
                    raw.send(wire.frame(wire.PONG, frame[1]))
                else:
                    other.append(frame)
                    if frame[0] == wire.CLOSE:
                        raw.send(wire.close(1000))
            raw.close()
            return other

        async with PLAIN.serve(held, timeouts=timeouts) as server, raw_client(server) as raw:
            ws = await held.ws()
            talking = asyncio.create_task(asyncio.to_thread(talk, raw))
            for stop in (0, count // 2):
                await until(lambda: ws._session.full)
                for _ in range(3):
                    await pass_time(LONG)
                for number in range(stop, stop + count // 2):
                    assert str(await soon(ws.recv())).startswith(f"{number} ")
            await ws.ping()
            await ws.close(4000)
            assert await soon(talking) == [(wire.CLOSE, b"\x0f\xa0")]

    async def test_finds_a_peer_that_is_gone(self) -> None:
        report = Report()
        timeouts = Timeouts(ping_interval=LONG, ping_timeout=LONG, close=LONG)
        async with PLAIN.serve(report, timeouts=timeouts) as server, raw_client(server) as raw:
            await until(lambda: report.ws)
            await pass_time(LONG)
            assert (await asyncio.to_thread(raw.read_frame) or (0, b""))[0] == wire.PING
            await pass_time(LONG)
            closed = await report.closed()
        assert closed.cause.kind is CauseKind.PING_TIMEOUT

    async def test_on_both_sides_of_a_quiet_connection(self) -> None:
        timeouts = Timeouts(ping_interval=LONG, ping_timeout=LONG)
        async with (
            PLAIN.serve(echo, timeouts=timeouts) as server,
            connect(uri(server), timeouts=timeouts) as ws,
        ):
            for count in range(1, 10):
                await pass_time(LONG)
                await until(lambda count=count: ws.stats.pongs_received == ws.stats.pings_received == count)
            assert ws.latency is not None


class TestAfterAFailureOverTls:
    """There is no half-close, so our Close could be lost to a reset if the stream were closed at once."""

    async def test_the_peer_may_go_on_for_a_while(self) -> None:
        report = Report()
        async with LINKS["tls1.3"].serve(report, timeouts=Timeouts(close=LONG)) as server:
            with await asyncio.to_thread(raw_tls, server.sockets[0].getsockname()) as raw:
                raw.send(wire.frame(wire.TEXT, b"x", rsv=1))
                await until(lambda: report.ws and report.ws._conn.state is State.CLOSING)
                ws = report.ws
                assert ws is not None
                for _ in range(5):
                    before = ws.stats.bytes_received
                    raw.send(wire.frame(wire.TEXT, b"more"))
                    await until(lambda before=before: ws.stats.bytes_received > before)
                    await pass_time(0.9)
                    assert ws._transport is not None
                await pass_time(1.1)
                await pass_time(1.1)
                assert code_in(await asyncio.to_thread(raw.read_frame)) == 1002
                assert await asyncio.to_thread(raw.read_frame) is None
            closed = await report.closed()
        assert closed.cause.kind is CauseKind.PROTOCOL_ERROR

    async def test_but_not_for_longer_than_the_close_timeout(self) -> None:
        report = Report()
        async with LINKS["tls1.3"].serve(report, timeouts=Timeouts(close=LONG)) as server:
            with await asyncio.to_thread(raw_tls, server.sockets[0].getsockname()) as raw:
                raw.send(wire.frame(wire.TEXT, b"x", rsv=1))
                assert code_in(await asyncio.to_thread(raw.read_frame)) == 1002
                raw.send(wire.frame(wire.TEXT, b"more"))
                await pass_time(LONG)
                # TLS has an end of its own, which the peer does not answer.
                await pass_time(LONG)
                await report.closed()


class TestTheCloseTimeout:
    async def test_of_a_client(self) -> None:
        def mute(raw: Raw) -> None:
            accept(raw)
            raw.read_frame()
            raw.read_until_gone()

        async with Listener(mute) as listener:
            ws = await connect(listener.uri, timeouts=Timeouts(close=LONG))
            closing: asyncio.Task[Any] = asyncio.create_task(ws.close())
            await turns()
            await pass_time(LONG - 1)
            assert not closing.done()
            await pass_time(1)
            await soon(closing)
        assert ws.closed is not None
        assert ws.closed.cause.kind is CauseKind.CLOSE_TIMEOUT
