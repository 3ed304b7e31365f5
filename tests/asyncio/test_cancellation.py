"""Calls that are cancelled, wherever they wait: nothing is lost, nothing comes twice, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    LINKS,
    PLAIN,
    Held,
    Link,
    Listener,
    NewLoop,
    Report,
    address,
    echo,
    run,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import Raw
from tests.sync.harness import accept

# Each call is cancelled so many turns of the loop after it began, or not at all.
some_turns = st.integers(0, 8)


async def cancelled(task: asyncio.Task[object]) -> bool:
    """Cancel a task, and say whether that was in time."""
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


class TestRecv:
    @settings(max_examples=15)
    @given(
        patience=st.lists(some_turns, min_size=1, max_size=30),
        bursts=st.lists(st.integers(1, 4), min_size=1, max_size=10),
        kind=st.sampled_from(["plain", "deflate", "tls1.3"]),
    )
    def test_nothing_is_lost(
        self, new_loop: NewLoop, patience: list[int], bursts: list[int], kind: str
    ) -> None:
        messages = [str(number) for number in range(sum(bursts))]

        async def talk(ws: WebSocket) -> None:
            rest = iter(messages)
            for burst in bursts:
                for _ in range(burst):
                    await ws.send(next(rest))
                await turns(3)

        async def test() -> None:
            got = []
            async with LINKS[kind].open(talk) as ws:
                for count in patience:
                    task = asyncio.create_task(ws.recv())
                    await turns(count)
                    if not await cancelled(task) and task.exception() is None:
                        got.append(task.result())
                got += [message async for message in ws]
            assert got == messages

        run(test(), new_loop)

    async def test_the_next_call_in_the_same_turn(self) -> None:
        async with PLAIN.open(echo) as ws:
            first = asyncio.create_task(ws.recv())
            await turns()
            await ws.send("one")
            await ws.send("two")
            first.cancel()
            assert [await ws.recv(), await ws.recv()] == ["one", "two"]
            with pytest.raises(asyncio.CancelledError):
                await first

    async def test_another_task_in_the_same_turn(self) -> None:
        async with PLAIN.open(echo) as ws:
            first = asyncio.create_task(ws.recv())
            await turns()
            second = asyncio.create_task(ws.recv())
            first.cancel()
            await turns()
            assert first.cancelled()
            await ws.send("for the second")
            assert await soon(second) == "for the second"

    async def test_a_message_and_a_timeout_at_the_same_moment(self) -> None:
        """Whichever comes first: the message is returned now or next time."""
        count = 200
        got = []
        async with PLAIN.open(echo) as ws:
            for number in range(count):
                await ws.send(str(number))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.0002):
                        got.append(await ws.recv())
            while len(got) < count:
                got.append(await soon(ws.recv()))
        assert got == [str(number) for number in range(count)]

    async def test_when_the_message_has_come_and_the_task_has_not_run(self) -> None:
        """The end of the connection wakes it a turn later, and the cancellation comes in between."""
        held = Held()
        async with PLAIN.serve(held) as server, connect(uri(server)) as ws:
            theirs = await held.ws()
            receiver = asyncio.create_task(ws.recv())
            await turns()
            await theirs.close(4000)
            receiver.cancel()
            await asyncio.wait([receiver])
            with pytest.raises(ConnectionClosed, match="4000"):
                await soon(ws.recv())

    async def test_while_iterating(self) -> None:
        async with PLAIN.open(echo) as ws:
            got: list[str | bytes] = []

            async def take() -> None:
                async for message in ws:
                    got.append(message)  # noqa: PERF401 - it is cancelled

            for number in range(5):
                task = asyncio.create_task(take())
                await turns()
                await ws.send(str(number))
                await until(lambda number=number: len(got) > number)
                assert await cancelled(task)
        assert got == [str(number) for number in range(5)]


class TestSend:
    @settings(max_examples=10)
    @given(
        patience=st.lists(some_turns, min_size=1, max_size=20),
        size=st.sampled_from([1, 70_000, 1_000_000]),
        kind=st.sampled_from(["plain", "deflate", "tls1.3"]),
    )
    def test_every_message_that_was_begun_comes_whole_and_once(
        self, new_loop: NewLoop, patience: list[int], size: int, kind: str
    ) -> None:
        async def test() -> None:
            report = _Taker()
            begun = []
            async with LINKS[kind].open(report) as ws:
                for number, count in enumerate(patience):
                    message = b"%d " % number + bytes(size)
                    task = asyncio.create_task(ws.send(message))
                    await turns(count)
                    if count:
                        begun.append(message)
                    await cancelled(task)
            await soon(report.ended.wait())
            assert report.received == begun

        run(test(), new_loop)

    async def test_one_of_several_that_wait(self) -> None:
        held = Held()
        async with PLAIN.serve(held) as server, connect(uri(server)) as ws:
            theirs = await held.ws()
            senders = [asyncio.create_task(ws.send(b"%d " % number + bytes(900_000))) for number in range(20)]
            await until(lambda: theirs._session.full and ws._drained is not None)
            assert await cancelled(senders[-1])
            assert not senders[-2].done()
            got = [await soon(theirs.recv()) for _ in senders]
            await soon(asyncio.gather(*senders[:-1]))
            assert [bytes(message[:3]).split()[0] for message in got] == [b"%d" % n for n in range(20)]  # type: ignore[arg-type]

    async def test_of_one_that_came_too_late(self) -> None:
        """It waits for the end, which comes whether it waits or not."""

        def slow(raw: Raw) -> None:
            accept(raw)
            raw.read_frame()
            raw.read_until_gone()

        async with Listener(slow) as listener:
            ws = await connect(listener.uri)
            closing = asyncio.create_task(ws.close())
            await turns()
            for call in (ws.send("x"), ws.ping()):
                task = asyncio.ensure_future(call)
                await turns()
                assert not task.done()
                assert await cancelled(task)
            ws._abort()
            await soon(closing)


class _Taker(Report):
    async def __call__(self, ws: WebSocket) -> None:
        try:
            async for message in ws:
                self.received.append(message)
        finally:
            self.ended.set()


class TestPing:
    @pytest.mark.parametrize("count", range(6))
    async def test_leaves_nothing_and_the_next_works(self, link: Link, count: int) -> None:
        async with link.open(echo) as ws:
            for _ in range(3):
                task = asyncio.create_task(ws.ping())
                await turns(count)
                await cancelled(task)
                assert ws._session.pings == {}
                assert not ws._pings
            await ws.send("between")
            assert await soon(ws.recv()) == "between"
            assert await soon(ws.ping()) > 0

    async def test_others_go_on(self) -> None:
        async with PLAIN.open(echo) as ws:
            pings = [asyncio.create_task(ws.ping()) for _ in range(3)]
            await turns(1)
            assert await cancelled(pings[1])
            assert await soon(asyncio.gather(pings[0], pings[2]))


class TestConnect:
    @pytest.mark.parametrize("count", [*range(12), 15, 20, 30, 50])
    async def test_at_every_turn(self, link: Link, count: int) -> None:
        """Wherever it is: in the connection, in TLS, in the request. Nothing is left on either side."""
        async with link.serve(echo) as server:
            task: asyncio.Task[WebSocket] = asyncio.create_task(_await(link.connect(server)))
            await turns(count)
            if not await cancelled(task):
                await task.result().close()
            await until(lambda: not server._connections)

    async def test_when_the_answer_has_come_and_the_task_has_not_run(self) -> None:
        held = Held()
        async with PLAIN.serve(held) as server:
            task: asyncio.Task[WebSocket] = asyncio.create_task(_await(connect(uri(server))))
            await held.ws()
            await cancelled(task)
            await until(lambda: not server._connections or task.done())
            if not task.cancelled():
                await task.result().close()

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
    async def test_with_a_socket_of_the_callers(self, count: int) -> None:
        """It belongs to the connection, and is closed."""
        async with PLAIN.serve(echo) as server:
            ours = socket.create_connection(address(server))
            task: asyncio.Task[WebSocket] = asyncio.create_task(_await(connect("ws://x/", sock=ours)))
            await turns(count)
            if not await cancelled(task):
                await task.result().close()
            if count == 0:
                # It was never begun, so the socket is the caller's still.
                ours.close()
            await until(lambda: ours.fileno() == -1)

    async def test_while_the_server_says_nothing(self) -> None:
        asked = threading.Event()

        def listen(raw: Raw) -> None:
            raw.read_head()
            asked.set()
            raw.read_until_gone()

        async with Listener(listen) as listener:
            task: asyncio.Task[WebSocket] = asyncio.create_task(_await(connect(listener.uri)))
            await until(asked.is_set)
            assert await cancelled(task)

    async def test_while_a_refusal_is_read(self) -> None:
        refused = threading.Event()

        def refuse(raw: Raw) -> None:
            raw.read_head()
            raw.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n12")
            refused.set()
            # Where the client had not read this yet, its kernel resets the connection.
            assert raw.read_until_gone() == b""

        async with Listener(refuse) as listener:
            task: asyncio.Task[WebSocket] = asyncio.create_task(_await(connect(listener.uri)))
            await until(refused.is_set)
            await turns(20)
            assert await cancelled(task)


async def _await(opening: connect) -> WebSocket:
    return await opening


class TestClose:
    @pytest.mark.parametrize("count", range(6))
    async def test_goes_on_without_the_caller(self, link: Link, count: int) -> None:
        report = Report()
        async with link.serve(report) as server:
            ws = await link.connect(server)
            task = asyncio.create_task(ws.close(4000))
            await turns(count)
            await cancelled(task)
            if not count:
                await ws.close(4000)
            assert (await soon(ws.wait_closed())).clean
            assert (await report.closed()).code == 4000

    async def test_one_of_several_that_wait(self) -> None:
        async with PLAIN.open(echo) as ws:
            waiting = [asyncio.create_task(ws.wait_closed()) for _ in range(3)]
            await turns()
            assert await cancelled(waiting[1])
            await soon(ws.close())
            assert [task.done() and not task.cancelled() for task in waiting] == [True, False, True]


async def test_a_handler_that_is_cancelled_from_within() -> None:
    """Its connection is closed as if it had returned."""

    async def give_up(ws: WebSocket) -> None:
        await ws.recv()
        raise asyncio.CancelledError

    async with PLAIN.open(give_up) as ws:
        await ws.send("x")
        assert [message async for message in ws] == []
        assert ws.closed is not None
        assert ws.closed.code == 1000


async def test_a_frame_is_never_cut() -> None:
    """Cancelled senders and a closing connection: what the peer reads are whole frames up to the Close."""

    def read(raw: Raw) -> None:
        accept(raw)
        while not frames or frames[-1][0] != wire.CLOSE:
            frame = raw.read_frame()
            assert frame is not None
            frames.append(frame)

    frames: list[tuple[int, bytes]] = []
    async with Listener(read) as listener:
        ws = await connect(listener.uri)
        for number in range(10):
            task = asyncio.create_task(ws.send(b"%d" % number + bytes(300_000)))
            await turns(2)
            await cancelled(task)
        closing = asyncio.create_task(ws.close())
        await soon(closing)
    assert [payload[:1] for _, payload in frames[:-1]] == [b"%d" % number for number in range(10)]
    assert frames[-1] == (wire.CLOSE, b"\x03\xe8")
