"""The end in order: who closes, what both sides are told, and what was in flight."""

from __future__ import annotations

import random
from typing import Any

import pytest

from edgews import CauseKind, Disconnected, InvalidValueError, Side, Timeouts
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import PATIENCE, Driver
from tests.contract.peers import raw_client
from tests.sync.harness import LINKS, Link

CODES = ((1000, ""), (1001, "gone"), (1013, "later"), (3000, "x" * 123), (4999, "é"))

# Compression does not help.
RANDOM = random.Random(0).randbytes(10_000)


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the inbox fill at once: TLS gives one record at a time, and each would wait for an answer."""
    monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.0)


def told(closed: Disconnected) -> tuple[int, str, bool, CauseKind, Side]:
    return (closed.code, closed.reason, closed.clean, closed.cause.kind, closed.cause.initiator)


class Ends:
    """A handler that echoes, and tells how its connections ended."""

    def __init__(self, d: Driver) -> None:
        self._driver = d
        self._ends: list[Disconnected] = []

    async def __call__(self, ws: Any) -> None:
        try:
            await self._driver.echo(ws)
        finally:
            self._ends.append(ws.closed)

    async def next(self) -> Disconnected:
        await self._driver.until(lambda: self._ends)
        return self._ends.pop(0)


class TestByOneSide:
    async def test_the_client(self, d: Driver, link: Link) -> None:
        ends = Ends(d)
        async with d.serving(ends, **link.serving) as server:
            for code, reason in CODES:
                async with d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws:
                    await d.close(ws, code, reason)
                    # The server gives the code back, but not the reason.
                    assert told(ws.closed) == (code, "", True, CauseKind.CLOSED, Side.LOCAL)
                assert told(await ends.next()) == (code, reason, True, CauseKind.CLOSED, Side.PEER)

    async def test_the_server(self, d: Driver, link: Link) -> None:
        ends: list[Disconnected] = []

        async def handler(ws: Any) -> None:
            await d.send(ws, "last words")
            await d.close(ws, *CODES[len(ends)])
            ends.append(ws.closed)

        async with d.serving(handler, **link.serving) as server:
            for count, (code, reason) in enumerate(CODES, 1):
                async with d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws:
                    assert [message async for message in d.messages(ws)] == ["last words"]
                    assert told(ws.closed) == (code, reason, True, CauseKind.CLOSED, Side.PEER)
                    await d.until(lambda count=count: len(ends) == count)
                    assert told(ends[-1]) == (code, "", True, CauseKind.CLOSED, Side.LOCAL)

    async def test_the_block_of_the_client(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server:
            async with d.connecting(server.uri()) as ws:
                pass
            assert told(ws.closed)[:3] == (1000, "", True)
            assert told(await ends.next())[:3] == (1000, "", True)

    async def test_the_block_of_the_client_with_an_exception(self, d: Driver) -> None:
        ends = Ends(d)
        mine = RuntimeError("mine")
        async with d.serving(ends) as server:
            with pytest.raises(RuntimeError) as caught:
                async with d.connecting(server.uri()):
                    raise mine
            assert caught.value is mine
            assert told(await ends.next())[:3] == (1011, "", True)

    async def test_the_handler_that_returns(self, d: Driver) -> None:
        async def handler(ws: Any) -> None:
            pass

        async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
            assert told(await d.end(ws))[:3] == (1000, "", True)

    async def test_the_handler_that_raises(self, d: Driver, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: Any) -> None:
            raise RuntimeError("a defect of the handler")

        async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
            assert told(await d.end(ws))[:3] == (1011, "", True)
        assert "a defect of the handler" in caplog.text

    async def test_the_peer_without_a_code(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server, raw_client(d, server.address) as peer:
            await peer.send(wire.close())
            assert await peer.read_frames() == [(wire.CLOSE, b"")]
            peer.raw.close()
            assert told(await ends.next())[:3] == (1005, "", True)

    async def test_without_a_close_timeout(self, d: Driver, link: Link) -> None:
        """Both Closes are enough: nobody waits for a timer, with TLS either."""
        patient = Timeouts(close=None)
        ends = Ends(d)
        async with d.serving(ends, timeouts=patient, **link.serving) as server:
            async with d.connecting(
                server.uri(scheme=link.scheme), timeouts=patient, **link.connecting
            ) as ws:
                await d.close(ws)
            assert ws.closed.clean
            assert (await ends.next()).clean


class TestByBothSides:
    async def test_at_once(self, d: Driver, link: Link) -> None:
        ends: list[Disconnected] = []
        ready, go = d.event(), d.event()

        async def handler(ws: Any) -> None:
            ready.set()
            await go.wait()
            await d.close(ws, 3001, "server")
            ends.append(ws.closed)

        async with (
            d.serving(handler, **link.serving) as server,
            d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
        ):
            await ready.wait()
            go.set()
            await d.close(ws, 3002, "client")
            await d.until(lambda: ends)
        for closed in (ws.closed, ends[0]):
            assert closed.clean
            assert closed.code in {3001, 3002}

    async def test_whose_frames_cross(self, d: Driver) -> None:
        """Each is told the other's code. RFC 6455 §7.1.5."""
        ends: list[Disconnected] = []

        async def handler(ws: Any) -> None:
            await d.close(ws, 3001, "server")
            ends.append(ws.closed)

        async with d.serving(handler) as server, raw_client(d, server.address) as peer:
            assert await peer.read_frame() == (wire.CLOSE, b"\x0b\xb9server")
            await peer.send(wire.close(3002, b"client"))
            assert await peer.read_frame() is None
            peer.raw.close()
            await d.until(lambda: ends)
        assert told(ends[0])[:3] == (3002, "client", True)

    async def test_from_several_tasks(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server, d.connecting(server.uri()) as ws:
            receiver = d.spawn(d.end, ws)
            closers = [d.spawn(d.close, ws, 4000 + number) for number in range(5)]
            for closer in closers:
                await closer.join()
            assert await receiver.join() is ws.closed
            assert ws.closed.clean
            assert (await ends.next()).code == ws.closed.code


class TestAfterwards:
    async def test_every_call_says_how_it_ended(self, d: Driver) -> None:
        async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
            await d.close(ws, 4000)
            for call in (d.recv(ws), d.ping(ws), d.send(ws, "x")):
                with pytest.raises(ConnectionClosed, match="4000") as caught:
                    await call
                assert caught.value.disconnected is ws.closed
            assert [message async for message in d.messages(ws)] == []
            # Again, it only waits.
            await d.close(ws, 4001)
            assert ws.closed.code == 4000

    async def test_a_wrong_code_or_reason_is_refused_and_harmless(self, d: Driver) -> None:
        async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
            for code, reason in ((1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)):
                with pytest.raises(InvalidValueError):
                    await d.close(ws, code, reason)
            await d.send(ws, "still here")
            assert await d.recv(ws, PATIENCE) == "still here"

    async def test_a_waiting_recv_is_told(self, d: Driver) -> None:
        async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
            receiver = d.spawn(d.end, ws)
            await d.ping(ws, PATIENCE)
            await d.close(ws)
            assert await receiver.join() is ws.closed


class TestInFlight:
    async def test_messages_that_came_before_are_received(self, d: Driver, link: Link) -> None:
        expected = [str(number) for number in range(500)]

        async def handler(ws: Any) -> None:
            for message in expected:
                await d.send(ws, message)

        async with (
            d.serving(handler, **link.serving) as server,
            d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
        ):
            assert [message async for message in d.messages(ws)] == expected
            assert ws.closed.clean

    async def test_what_is_in_the_inbox_outlives_our_own_close(self, d: Driver) -> None:
        async def handler(ws: Any) -> None:
            for number in range(5):
                await d.send(ws, str(number))
            await d.all(ws)

        async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
            await d.until(lambda: ws.stats.messages_received == 5)
            await d.close(ws)
            assert await d.all(ws) == ["0", "1", "2", "3", "4"]

    @pytest.mark.usefixtures("eager")
    async def test_a_full_inbox_does_not_keep_the_connection_open(self, d: Driver, link: Link) -> None:
        """Closing gives up what finds no room; what is in the inbox stays."""
        ends: list[Disconnected] = []

        async def flood(ws: Any) -> None:
            try:
                number = 0
                while True:
                    await d.send(ws, b"%06d" % number + RANDOM)
                    number += 1
            finally:
                ends.append(ws.closed)

        async with (
            d.serving(flood, **link.serving) as server,
            d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
        ):
            await d.until(lambda: ws._session.full)
            await d.close(ws, 4000, "enough")
            assert told(ws.closed)[:3] == (4000, "", True)
            kept = await d.all(ws)
            assert kept
            assert [message[:6] for message in kept] == [b"%06d" % number for number in range(len(kept))]
            await d.until(lambda: ends)
        assert told(ends[0])[:3] == (4000, "enough", True)

    async def test_a_full_inbox_of_the_server_too(self, d: Driver) -> None:
        ends: list[Disconnected] = []

        async def handler(ws: Any) -> None:
            await d.until(lambda: ws._session.full)
            await d.close(ws, 4001, "full")
            ends.append(ws.closed)

        async def flood(ws: Any) -> None:
            with pytest.raises(ConnectionClosed):
                await d.flood(ws, bytes(10_000))

        async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
            flooding = d.spawn(flood, ws)
            assert told(await d.end(ws))[:3] == (4001, "full", True)
            await flooding.join()
            await d.until(lambda: ends)
        assert told(ends[0])[:3] == (4001, "", True)

    async def test_answers_go_out_in_front_of_the_answer_to_close(self, d: Driver) -> None:
        async with d.serving(d.echo) as server, raw_client(d, server.address) as peer:
            await peer.send(b"".join(wire.frame(wire.TEXT, b"%d" % n) for n in range(5)) + wire.close(1000))
            expected = [*((wire.TEXT, b"%d" % n) for n in range(5)), (wire.CLOSE, b"\x03\xe8")]
            assert await peer.read_frames() == expected

    async def test_a_peer_that_does_not_stop_sending_reads_our_close(self, d: Driver) -> None:
        """No reset: what is unread when a socket is closed makes the system drop what it has not sent."""

        async def leave(ws: Any) -> None:
            await d.recv(ws, PATIENCE)
            await d.close(ws, 1000, "leaving")

        async with d.serving(leave) as server, raw_client(d, server.address) as peer:
            await peer.send(wire.frame(wire.TEXT, b"x" * 100_000) * 30)
            assert await peer.read_frame() == (wire.CLOSE, b"\x03\xe8leaving")
            await peer.send(wire.frame(wire.TEXT, b"x" * 100_000) + wire.close(1000))
            assert await peer.read_frame() is None
