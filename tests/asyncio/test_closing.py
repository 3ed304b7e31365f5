"""The closing handshake: from either side, from both, with messages on their way, and without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from edgews import CauseKind, Disconnected, InvalidValueError
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
    @pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
    async def test_the_client(self, link: Link, code: int) -> None:
        report = Report()
        async with link.open(report) as ws:
            await soon(ws.close(code, "bye"))
            assert ws.closed is not None
            assert ws.closed.clean
            assert ws.closed.cause.kind is CauseKind.CLOSED
            assert await ws.wait_closed() is ws.closed
            closed = await report.closed()
        assert described(closed) == (code, "bye", True)
        assert closed.cause.kind is CauseKind.CLOSED

    @pytest.mark.parametrize("code", [1000, 1013, 4000])
    async def test_the_server(self, link: Link, code: int) -> None:
        theirs = []

        async def leave(ws: WebSocket) -> None:
            await soon(ws.close(code, "enough"))
            theirs.append(ws.closed)

        async with link.open(leave) as ws:
            assert [message async for message in ws] == []
            closed = await soon(ws.wait_closed())
            assert closed is ws.closed
            assert described(closed) == (code, "enough", True)
        assert theirs[0] is not None
        assert theirs[0].clean

    async def test_after_that_every_call_raises(self, link: Link) -> None:
        async def leave(ws: WebSocket) -> None:
            await ws.close(4000, "enough")

        async with link.open(leave) as ws:
            await soon(ws.wait_closed())
            calls: list[Callable[[], Awaitable[object]]] = [ws.recv, ws.ping, partial(ws.send, "x")]
            for call in calls * 2:
                with pytest.raises(ConnectionClosed, match="4000") as caught:
                    await soon(call())
                assert caught.value.disconnected is ws.closed
            assert ws.buffered_amount == 0

    async def test_without_a_code(self) -> None:
        """RFC 6455 §7.1.5: 1005 stands for none, and none is sent back."""
        report = Report()
        async with PLAIN.serve(report) as server, raw_client(server) as raw:
            raw.send(wire.close())
            assert await frames_of(raw) == [(wire.CLOSE, b"")]
            raw.close()
            assert described(await report.closed()) == (1005, "", True)

    async def test_the_second_time_only_waits(self) -> None:
        async with PLAIN.open(echo) as ws:
            async with asyncio.TaskGroup() as group:
                group.create_task(ws.close(4001))
                group.create_task(ws.close(4002))
                group.create_task(ws.wait_closed())
            await ws.close(4003)
            assert ws.closed is not None
            assert ws.closed.code == 4001

    @pytest.mark.parametrize(("code", "reason"), [(1006, ""), (1005, ""), (999, ""), (1000, "x" * 124)])
    async def test_a_wrong_code_or_reason_is_refused_and_harmless(self, code: int, reason: str) -> None:
        async with PLAIN.open(echo) as ws:
            with pytest.raises(InvalidValueError):
                await ws.close(code, reason)
            await ws.send("still here")
            assert await soon(ws.recv()) == "still here"

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
    async def test_those_that_came_before_the_end_are_received(self, link: Link) -> None:
        async def talk(ws: WebSocket) -> None:
            for number in range(1000):
                await ws.send(str(number))

        async with link.open(talk) as ws:
            assert await soon(ws.recv()) == "0"
            assert [message async for message in ws] == [str(number) for number in range(1, 1000)]

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

    async def test_closing_with_a_full_inbox_drops_what_finds_no_room(self, link: Link) -> None:
        """Otherwise the peer's Close would never be read."""
        ends: list[Disconnected] = []

        async def flood(ws: WebSocket) -> None:
            try:
                while True:
                    await ws.send("x" * 10_000)
            finally:
                ends.append(await ws.wait_closed())

        async with link.open(flood) as ws:
            await until(lambda: ws._session.full)
            await soon(ws.close(4000))
            assert ws.closed is not None
            assert ws.closed.clean
            assert await soon(ws.recv()) == "x" * 10_000
            rest = [message async for message in ws]
            assert len(rest) < 60
        assert described(ends[0]) == (4000, "", True)

    async def test_the_answer_goes_out_in_front_of_the_close_that_came_behind_the_question(self) -> None:
        async with PLAIN.serve(echo) as server, raw_client(server) as raw:
            raw.send(b"".join(wire.frame(wire.TEXT, b"%d" % n) for n in range(5)) + wire.close(1000))
            assert await frames_of(raw) == [
                *((wire.TEXT, b"%d" % n) for n in range(5)),
                (wire.CLOSE, b"\x03\xe8"),
            ]

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

    async def test_a_peer_that_goes_on_sending_gets_our_close_whole(self) -> None:
        """No reset: what is unread when a socket is closed makes the kernel drop what it has not sent."""

        async def leave(ws: WebSocket) -> None:
            await ws.recv()
            await ws.close(1000, "leaving")

        async with PLAIN.serve(leave) as server, raw_client(server) as raw:

            def talk() -> tuple[int, bytes] | None:
                raw.send(wire.frame(wire.TEXT, b"x" * 100_000) * 30)
                got = raw.read_frame()
                raw.send(wire.frame(wire.TEXT, b"x" * 100_000) + wire.close(1000))
                return got

            assert await asyncio.to_thread(talk) == (wire.CLOSE, b"\x03\xe8leaving")
            assert await asyncio.to_thread(raw.read_frame) is None

    async def test_a_ping_is_answered_in_front_of_the_close(self) -> None:
        async with PLAIN.serve(echo) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.PING, b"p") + wire.frame(wire.TEXT, b"m") + wire.close(1000))
            frames = await frames_of(raw)
            assert frames[-1] == (wire.CLOSE, b"\x03\xe8")
            assert sorted(frames[:-1]) == [(wire.TEXT, b"m"), (wire.PONG, b"p")]


class TestWithoutAnAnswer:
    async def test_a_client_that_never_says_close(self) -> None:
        ends: list[Disconnected | None] = []

        async def leave(ws: WebSocket) -> None:
            await ws.close()
            ends.append(ws.closed)

        async with PLAIN.serve(leave, timeouts=BRIEF_CLOSE) as server, raw_client(server) as raw:
            assert await asyncio.to_thread(raw.read_frame) == (wire.CLOSE, b"\x03\xe8")
            assert await asyncio.to_thread(raw.read_rest) == b""
            await until(lambda: ends)
        assert ends[0] is not None
        assert ends[0].cause.kind is CauseKind.CLOSE_TIMEOUT
        assert described(ends[0]) == (1006, "", False)

    async def test_a_server_that_never_says_close(self) -> None:
        def mute(raw: Raw) -> None:
            accept(raw)
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
            assert raw.read_frame() is None

        async with Listener(mute) as listener:
            ws = await connect(listener.uri, timeouts=BRIEF_CLOSE)
            await soon(ws.close())
            assert ws.closed is not None
            assert ws.closed.cause.kind is CauseKind.CLOSE_TIMEOUT

    async def test_a_client_that_never_ends_its_stream(self) -> None:
        report = Report()
        async with PLAIN.serve(report, timeouts=BRIEF_CLOSE) as server, raw_client(server) as raw:
            raw.send(wire.close(1000))
            assert await frames_of(raw) == [(wire.CLOSE, b"\x03\xe8")]
            assert (await report.closed()).clean

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
    async def test_the_block_of_a_client_ends(self) -> None:
        report = Report()
        async with PLAIN.open(report):
            pass
        assert described(await report.closed()) == (1000, "", True)

    async def test_the_block_of_a_client_raises(self) -> None:
        report = Report()
        with pytest.raises(RuntimeError, match="mine"):
            async with PLAIN.open(report):
                raise RuntimeError("mine")
        assert described(await report.closed()) == (1011, "", True)

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
