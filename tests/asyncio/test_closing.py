"""The closing handshake: from either side, from both, with messages on their way, and without an answer."""

from __future__ import annotations

import asyncio

import pytest

from edgews import Disconnected
from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    BRIEF_CLOSE,
    PLAIN,
    Held,
    Link,
    Listener,
    Report,
    code_in,
    echo,
    frames_of,
    raw_client,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import Raw
from tests.sync.harness import accept


def described(closed: Disconnected | None) -> tuple[int, str, bool]:
    assert closed is not None
    return closed.code, closed.reason, closed.clean


class TestByOneSide:
    async def test_the_second_time_only_waits(self) -> None:
        async with PLAIN.open(echo) as ws:
            async with asyncio.TaskGroup() as group:
                group.create_task(ws.close(4001))
                group.create_task(ws.close(4002))
                group.create_task(ws.wait_closed())
            await ws.close(4003)
            assert ws.closed is not None
            assert ws.closed.code == 4001

    async def test_while_another_task_receives(self, link: Link) -> None:
        async with link.open(echo) as ws:
            receiver = asyncio.create_task(ws.recv())
            await turns()
            await soon(ws.close(4001))
            with pytest.raises(ConnectionClosed):
                await receiver


class TestBothAtOnce:
    async def test_each_with_a_code_of_its_own(self, link: Link) -> None:
        """RFC 6455 §7.1.5: each side has the code of the other."""
        held = Held()
        async with link.serve(held) as server, link.connect(server) as ws:
            theirs = await held.ws()
            await soon(asyncio.gather(ws.close(3001, "ours"), theirs.close(3002, "theirs")))
            assert described(ws.closed) == (3002, "theirs", True)
            assert described(theirs.closed) == (3001, "ours", True)

    async def test_with_messages_on_their_way_in_both_directions(self, link: Link) -> None:
        """What was sent in front of a Close comes; nothing is reset."""
        got: list[str | bytes] = []

        async def talk(ws: WebSocket) -> None:
            for number in range(50):
                await ws.send(f"server {number}")
            await ws.close()
            got.extend([message async for message in ws])

        async with link.open(talk) as ws:
            for number in range(50):
                await ws.send(f"client {number}")
            await soon(ws.close())
            mine = [message async for message in ws]
            assert ws.closed is not None
            assert ws.closed.clean
        assert mine == [f"server {number}" for number in range(50)]
        assert got == [f"client {number}" for number in range(50)]


class TestWithMessagesThatWait:
    async def test_a_peers_close_behind_a_full_inbox_waits_for_its_turn(self, link: Link) -> None:
        held = Held()
        message = "x" * 40_000
        async with link.serve(held) as server, link.connect(server) as ws:
            theirs = await held.ws()
            async with asyncio.TaskGroup() as senders:
                for _ in range(20):
                    senders.create_task(ws.send(message))
                await until(lambda: theirs._session.full)
                closing = asyncio.create_task(ws.close(4000))
                await turns()
                assert theirs.closed is None
                got = [message async for message in theirs]
            await soon(closing)
            assert described(theirs.closed) == (4000, "", True)
            assert got == [message] * 20
            assert ws.closed is not None
            assert ws.closed.clean

    async def test_an_answer_that_takes_a_moment_goes_out_in_front_as_well(self) -> None:
        async def ponder(ws: WebSocket) -> None:
            async for message in ws:
                await turns()
                await ws.send(message)

        async with PLAIN.serve(ponder) as server, raw_client(server) as raw:
            raw.send(b"".join(wire.frame(wire.TEXT, b"%d" % n) for n in range(5)) + wire.close(1000))
            assert await frames_of(raw) == [
                *((wire.TEXT, b"%d" % n) for n in range(5)),
                (wire.CLOSE, b"\x03\xe8"),
            ]

    async def test_a_last_word_and_the_close_in_their_order(self) -> None:
        """Both are sent within the read of the question."""

        async def dismiss(ws: WebSocket) -> None:
            await ws.recv()
            await ws.send("last")
            await ws.send("words")
            await ws.close(4000)

        async with PLAIN.serve(dismiss) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"question"))
            frames = [await asyncio.to_thread(raw.read_frame) for _ in range(3)]
            assert frames == [(wire.TEXT, b"last"), (wire.TEXT, b"words"), (wire.CLOSE, b"\x0f\xa0")]

    async def test_a_ping_is_answered_in_front_of_the_close(self) -> None:
        async with PLAIN.serve(echo) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.PING, b"p") + wire.frame(wire.TEXT, b"m") + wire.close(1000))
            frames = await frames_of(raw)
            assert frames[-1] == (wire.CLOSE, b"\x03\xe8")
            assert sorted(frames[:-1]) == [(wire.TEXT, b"m"), (wire.PONG, b"p")]


class TestWithoutAnAnswer:
    async def test_a_server_that_never_ends_its_stream(self) -> None:
        """RFC 6455 §7.1.1: a client waits for it, though not for ever."""

        def linger(raw: Raw) -> None:
            accept(raw)
            frame = raw.read_frame()
            raw.send(wire.close(1000, key=None))
            assert frame == (wire.CLOSE, b"\x03\xe8")
            assert raw.read_frame() is None

        async with Listener(linger) as listener:
            ws = await connect(listener.uri, timeouts=BRIEF_CLOSE)
            await soon(ws.close())
            assert ws.closed is not None
            assert ws.closed.clean

    async def test_a_client_that_reads_nothing(self) -> None:
        """Our Close stands behind what it does not read; it is given up all the same."""
        ends: list[Disconnected] = []

        async def shout(ws: WebSocket) -> None:
            sender = asyncio.create_task(_send_all(ws))
            await until(lambda: ws._drained is not None)
            await ws.close()
            ends.append(await ws.wait_closed())
            with pytest.raises(ConnectionClosed):
                await soon(sender)

        async with PLAIN.serve(shout, timeouts=BRIEF_CLOSE) as server, raw_client(server):
            await until(lambda: ends)
        assert not ends[0].clean


async def _send_all(ws: WebSocket) -> None:
    while True:
        await ws.send(b"x" * 100_000)


class TestContextManagers:
    async def test_the_block_of_a_client_is_cancelled(self) -> None:
        report = Report()
        inside = asyncio.Event()
        async with PLAIN.serve(report) as server:

            async def stay() -> None:
                async with connect(uri(server)):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(stay())
            await soon(inside.wait())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert described(await report.closed()) == (1011, "", True)

    async def test_the_peers_end_leaves_the_block_as_it_is(self) -> None:
        async def leave(ws: WebSocket) -> None:
            await ws.close(4000)

        with pytest.raises(ConnectionClosed, match="4000"):
            async with PLAIN.open(leave) as ws:
                await ws.recv()

    async def test_a_websocket_by_itself(self) -> None:
        report = Report()
        async with PLAIN.serve(report) as server:
            async with await connect(uri(server)) as ws:
                await ws.send("hello")
            assert ws.closed is not None
            assert described(await report.closed()) == (1000, "", True)


async def test_the_code_of_a_close_that_was_answered_late() -> None:
    """What comes between our Close and the peer's is received, and the peer's code is what counts."""

    def talk_on(raw: Raw) -> None:
        accept(raw)
        assert code_in(raw.read_frame()) == 3000
        raw.send(wire.frame(wire.TEXT, b"one more", key=None))
        raw.send(wire.frame(wire.PING, b"p", key=None))
        assert raw.read_frame() == (wire.PONG, b"p")
        raw.send(wire.close(3001, b"at last", key=None))

    async with Listener(talk_on) as listener:
        ws = await connect(listener.uri)
        await soon(ws.close(3000))
        assert await soon(ws.recv()) == "one more"
        assert described(ws.closed) == (3001, "at last", True)
