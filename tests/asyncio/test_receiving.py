"""Receiving, iterating and Pings."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from edgews import CauseKind, Timeouts
from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    BRIEF_PING,
    PLAIN,
    Held,
    Link,
    Listener,
    echo,
    raw_client,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import accept


class TestTwoReceivers:
    async def test_the_second_is_refused_and_the_first_goes_on(self, link: Link) -> None:
        async with link.open(echo) as ws:
            first = asyncio.create_task(ws.recv())
            await turns()
            with pytest.raises(RuntimeError, match="another task is receiving"):
                await ws.recv()
            with pytest.raises(RuntimeError, match="another task is receiving"):
                async for _ in ws:
                    pass
            await ws.send("for the first")
            assert await soon(first) == "for the first"

    async def test_one_after_the_other(self) -> None:
        async with PLAIN.open(echo) as ws:
            for number in range(3):
                receiver = asyncio.create_task(ws.recv())
                await turns()
                await ws.send(str(number))
                assert await soon(receiver) == str(number)

    async def test_the_second_is_welcome_when_the_first_has_its_message(self) -> None:
        """Whether that one has run yet or not."""
        async with PLAIN.open(echo) as ws:
            for _ in range(20):
                first = asyncio.create_task(ws.recv())
                await turns()
                await ws.send("a")
                await ws.send("b")
                await until(lambda: not ws._receiver.waiting)
                assert {await soon(ws.recv()), await soon(first)} == {"a", "b"}


class TestIterating:
    async def test_ends_after_a_closing_handshake(self) -> None:
        async def talk(ws: WebSocket) -> None:
            await ws.send("one")
            await ws.send(b"two")
            await ws.close(4321, "any code")

        async with PLAIN.open(talk) as ws:
            assert [message async for message in ws] == ["one", b"two"]
            assert [message async for message in ws] == []
            assert ws.closed is not None
            assert ws.closed.code == 4321

    @pytest.mark.parametrize(
        ("last", "kind"),
        [
            (b"", CauseKind.PEER_VANISHED),
            (wire.frame(wire.TEXT, b"x"), CauseKind.PROTOCOL_ERROR),
            (wire.frame(wire.TEXT, b"", key=None, length=2_000_000), CauseKind.MESSAGE_TOO_BIG),
        ],
    )
    async def test_raises_after_any_other_end(self, last: bytes, kind: CauseKind) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.send(wire.frame(wire.TEXT, b"one", key=None) + last)

        async with Listener(peer) as listener:
            ws = await connect(listener.uri)
            got: list[str | bytes] = []
            with pytest.raises(ConnectionClosed) as caught:
                await _take_all(ws, got)
            assert got == ["one"]
            assert caught.value.disconnected is ws.closed
            assert caught.value.disconnected.cause.kind is kind
            with pytest.raises(ConnectionClosed):
                await anext(ws)
            await soon(ws.wait_closed())

    async def test_may_stop_and_go_on(self) -> None:
        async with PLAIN.open(echo) as ws:
            for number in range(6):
                await ws.send(str(number))
            async for message in ws:
                if message == "2":
                    break
            assert await soon(ws.recv()) == "3"
            assert [message async for message in _first(ws, 2)] == ["4", "5"]


async def _first(ws: WebSocket, count: int):  # type: ignore[no-untyped-def]
    async for message in ws:
        yield message
        count -= 1
        if not count:
            return


async def _take_all(ws: WebSocket, into: list[str | bytes]) -> None:
    async for message in ws:
        into.append(message)  # noqa: PERF401 - it may raise


class TestPing:
    async def test_tells_the_time_there_and_back(self, link: Link) -> None:
        async with link.open(echo) as ws:
            assert 0 < await soon(ws.ping()) < TIMEOUT
            assert ws.latency is not None
            assert 0 <= ws.latency < TIMEOUT

    async def test_by_a_server(self, link: Link) -> None:
        times = []

        async def ask(ws: WebSocket) -> None:
            times.append(await soon(ws.ping()))

        async with link.open(ask) as ws:
            assert [message async for message in ws] == []
        assert 0 < times[0] < TIMEOUT

    async def test_measures_how_long_the_peer_took(self) -> None:
        loop = asyncio.get_running_loop()
        go = asyncio.Event()

        def slow(raw: Raw) -> None:
            accept(raw)
            frame = raw.read_frame()
            assert frame is not None
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(TIMEOUT)
            raw.send(wire.frame(wire.PONG, frame[1], key=None))
            raw.read_frame()
            raw.send(wire.close(key=None))

        async with Listener(slow) as listener, connect(listener.uri) as ws:
            asked = monotonic()
            pinging = asyncio.create_task(ws.ping())
            await turns()
            assert not pinging.done()
            go.set()
            latency = await soon(pinging)
            assert 0 < latency <= monotonic() - asked

    async def test_several_at_once(self) -> None:
        async with PLAIN.open(echo) as ws:
            times = await soon(asyncio.gather(*(ws.ping() for _ in range(10))))
            assert len(times) == 10

    async def test_messages_in_front_of_the_pong_are_kept(self, link: Link) -> None:
        async with link.open(echo) as ws:
            for number in range(10):
                await ws.send(str(number))
            await soon(ws.ping())
            assert [await soon(ws.recv()) for _ in range(10)] == [str(number) for number in range(10)]

    async def test_while_another_task_receives(self) -> None:
        async with PLAIN.open(echo) as ws:
            receiver = asyncio.create_task(ws.recv())
            await soon(ws.ping())
            assert not receiver.done()
            await ws.send("x")
            assert await soon(receiver) == "x"

    async def test_behind_more_than_the_inbox_holds(self) -> None:
        async with PLAIN.open(echo) as ws:
            sent = [f"{number} " + "m" * 60_000 for number in range(10)]

            async def send_all() -> None:
                for message in sent:
                    await ws.send(message)

            sender = asyncio.create_task(send_all())
            await until(lambda: ws._session.full)
            pinging = asyncio.create_task(ws.ping())
            assert [await soon(ws.recv()) for _ in sent] == sent
            assert await soon(pinging) > 0
            await sender

    async def test_a_pong_answers_every_ping_before_its_own(self) -> None:
        """RFC 6455 §5.5.3. A Pong that nobody asked for answers none."""

        def last_only(raw: Raw) -> None:
            accept(raw)
            pings = [raw.read_frame() for _ in range(3)]
            raw.send(wire.frame(wire.PONG, b"unasked", key=None))
            assert pings[1] is not None
            raw.send(wire.frame(wire.PONG, pings[1][1], key=None))
            assert raw.read_frame() == (wire.TEXT, b"two came")
            raw.send(wire.close(key=None))

        async with Listener(last_only) as listener:
            ws = await connect(listener.uri)
            pings = [asyncio.create_task(ws.ping()) for _ in range(3)]
            done, waiting = await asyncio.wait(pings[:2], timeout=10)
            assert done == set(pings[:2])
            assert not waiting
            assert not pings[2].done()
            await ws.send("two came")
            with pytest.raises(ConnectionClosed):
                await soon(pings[2])
            await soon(ws.wait_closed())

    async def test_the_connection_ends_instead_of_an_answer(self) -> None:
        async with PLAIN.serve(echo) as server:
            ws = await connect(uri(server))
            pinging = asyncio.create_task(ws.ping())
            await turns(1)
            ws._abort()
            with pytest.raises(ConnectionClosed):
                await soon(pinging)

    async def test_nothing_is_kept_of_those_that_were_answered(self) -> None:
        async with PLAIN.open(echo) as ws:
            for _ in range(5):
                await soon(ws.ping())
            assert ws._session.pings == {}


class TestKeepalive:
    async def test_measures_latency(self) -> None:
        async with PLAIN.open(echo, timeouts=Timeouts(ping_interval=0.01)) as ws:
            await until(lambda: ws._conn.pongs_received >= 2)
            assert ws.latency is not None
            assert 0 <= ws.latency < TIMEOUT

    async def test_finds_a_dead_peer(self) -> None:
        held = Held()
        async with PLAIN.serve(held, timeouts=BRIEF_PING) as server, raw_client(server) as raw:
            frames = await asyncio.to_thread(lambda: list(iter(raw.read_frame, None)))
            closed = await soon((await held.ws()).wait_closed())
        assert frames[0][0] == wire.PING
        assert frames[-1] == (wire.CLOSE, b"\x03\xf3ping timeout")
        assert closed.cause.kind is CauseKind.PING_TIMEOUT

    async def test_a_task_that_receives_is_told(self) -> None:
        def mute(raw: Raw) -> None:
            accept(raw)
            raw.read_until_gone()

        async with Listener(mute) as listener:
            ws = await connect(listener.uri, timeouts=BRIEF_PING)
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.recv())
            assert caught.value.disconnected.cause.kind is CauseKind.PING_TIMEOUT
            await soon(ws.wait_closed())

    async def test_idle(self) -> None:
        async with PLAIN.serve(echo, timeouts=Timeouts(idle=0.1)) as server, connect(uri(server)) as ws:
            assert [message async for message in ws] == []
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.reason) == (1001, "idle timeout")
