"""A server: its handlers, its end, and what it costs that connections come and go."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from typing import Any

import pytest

from edgews import Request, Response, Timeouts
from edgews.asyncio import ConnectionClosed, Server, WebSocket, connect, serve
from edgews.asyncio.link import Link as AnyLink
from tests import wire
from tests.asyncio.harness import (
    BRIEF_CLOSE,
    HOST,
    LINKS,
    PLAIN,
    Held,
    Link,
    NewLoop,
    Report,
    address,
    code_in,
    echo,
    frames_of,
    open_sockets,
    raw_client,
    run,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import Raw


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("edgews")]


async def everything(ws: WebSocket) -> list[str | bytes]:
    return [message async for message in ws]


class TestHandlers:
    async def test_returns(self, link: Link) -> None:
        async def leave(ws: WebSocket) -> None:
            await ws.send("bye")

        async with link.open(leave) as ws:
            assert await soon(everything(ws)) == ["bye"]
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.clean) == (1000, True)

    async def test_raises(self, link: Link, caplog: pytest.LogCaptureFixture) -> None:
        async def fail(ws: WebSocket) -> None:
            await ws.send("oh")
            raise RuntimeError("a defect of the handler")

        async with link.open(fail) as ws:
            assert await soon(everything(ws)) == ["oh"]
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.clean) == (1011, True)
        (record,) = logged(caplog)
        assert record.levelno == logging.ERROR
        assert "a defect of the handler" in caplog.text

    async def test_raises_after_process_request_has_waited(self, caplog: pytest.LogCaptureFixture) -> None:
        async def fail(ws: WebSocket) -> None:
            raise RuntimeError("a defect of the handler")

        async def process(request: Request) -> None:
            await asyncio.sleep(0)

        async with PLAIN.serve(fail, process_request=process) as server, connect(uri(server)) as ws:
            await soon(everything(ws))
            assert ws.closed is not None
            assert ws.closed.code == 1011
        assert len(logged(caplog)) == 1

    @pytest.mark.parametrize("waiting", [False, True])
    @pytest.mark.parametrize("handler", [lambda ws: None, lambda: None, lambda ws: 1 // 0])
    async def test_is_no_coroutine_function(
        self, handler: Any, waiting: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def allow(_: Request) -> None:
            await asyncio.sleep(0)

        decide = allow if waiting else None
        async with serve(handler, HOST, 0, process_request=decide) as server, connect(uri(server)) as ws:
            assert (await soon(ws.wait_closed())).code == 1011
        assert [record.message for record in logged(caplog)] == ["the handler of a connection failed"]

    async def test_returns_any_awaitable(self) -> None:
        def leave(ws: WebSocket) -> asyncio.Future[None]:
            return asyncio.ensure_future(ws.send("bye"))

        async with serve(leave, HOST, 0) as server, connect(uri(server)) as ws:
            assert await soon(everything(ws)) == ["bye"]

    async def test_tasks_that_met_the_end_are_no_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: WebSocket) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(ws.recv())
                group.create_task(ws.ping())

        async with PLAIN.serve(handler) as server:
            async with raw_client(server) as raw:
                assert (await asyncio.to_thread(raw.read_frame) or (0, b""))[0] == wire.PING
            await until(lambda: not server._connections)
        assert not logged(caplog)

    async def test_is_woken_by_a_message_and_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        """Within the read of that message; what it sent before goes out."""

        async def fail(ws: WebSocket) -> None:
            await ws.recv()
            await ws.send("oh")
            raise RuntimeError("a defect of the handler")

        async with PLAIN.serve(fail) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"x") + wire.frame(wire.TEXT, b"y"))
            assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"oh")
            assert code_in(await asyncio.to_thread(raw.read_frame)) == 1011
        assert "a defect of the handler" in caplog.text

    async def test_is_told_of_the_end_and_lets_it_pass(self, caplog: pytest.LogCaptureFixture) -> None:
        ends = []

        async def receive(ws: WebSocket) -> None:
            try:
                await ws.recv()
            except ConnectionClosed as error:
                ends.append(error.disconnected)
                raise

        async with PLAIN.serve(receive) as server:
            async with connect(uri(server)) as ws:
                await ws.close(4000)
            await until(lambda: ends)
        assert ends[0].code == 4000
        assert not logged(caplog)

    async def test_closes_and_goes_on(self) -> None:
        done = asyncio.Event()
        log = []

        async def work(ws: WebSocket) -> None:
            await ws.close(4000)
            log.append(ws.closed)
            await done.wait()
            log.append("done")

        async with PLAIN.serve(work) as server, connect(uri(server)) as ws:
            await soon(everything(ws))
            await until(lambda: log)
            closing = asyncio.create_task(server.close())
            await turns()
            assert not closing.done()
            done.set()
            await soon(closing)
        assert log[1] == "done"

    async def test_each_connection_has_a_task_of_its_own(self) -> None:
        tasks = []

        async def tell(ws: WebSocket) -> None:
            tasks.append(asyncio.current_task())
            await ws.wait_closed()

        async with PLAIN.serve(tell) as server, connect(uri(server)), connect(uri(server)):
            await until(lambda: len(tasks) == 2)
        assert tasks[0] is not tasks[1]


class TestConnections:
    async def test_are_those_that_are_open_now(self) -> None:
        held = Held()
        async with PLAIN.serve(held) as server:
            assert server.connections == set()
            raw = await asyncio.to_thread(Raw.connect, address(server))
            with raw:
                await until(lambda: server._connections)
                assert server.connections == set()
            async with connect(uri(server)) as ws:
                theirs = await held.ws()
                found = server.connections
                assert found == {theirs}
                await ws.close()
            await until(lambda: not server.connections)
            assert found == {theirs}, "it is a copy"


class TestClose:
    async def test_says_1001_to_every_connection(self, link: Link) -> None:
        async with link.serve(echo) as server:
            clients = [await link.connect(server) for _ in range(3)]
            await soon(server.close())
            for ws in clients:
                assert await soon(everything(ws)) == []
                closed = await soon(ws.wait_closed())
                assert (closed.code, closed.clean) == (1001, True)
            assert list(server.sockets) == []

    async def test_nobody_comes_afterwards(self) -> None:
        async with PLAIN.serve(echo) as server:
            where = uri(server)
            await soon(server.close())
            with pytest.raises(ConnectionRefusedError):
                await connect(where)

    async def test_twice_and_at_once(self) -> None:
        async with PLAIN.serve(echo) as server, connect(uri(server)):
            await soon(asyncio.gather(server.close(), server.close(), server.wait_closed()))
            await soon(server.close())

    async def test_what_was_sent_before_still_comes(self) -> None:
        held = Held()
        async with PLAIN.serve(held) as server, connect(uri(server)) as ws:
            theirs = await held.ws()
            for number in range(100):
                await theirs.send(str(number))
            closing = asyncio.create_task(server.close())
            assert await soon(everything(ws)) == [str(number) for number in range(100)]
            await soon(closing)

    async def test_waits_for_handlers(self) -> None:
        go = asyncio.Event()
        log = []

        async def tidy_up(ws: WebSocket) -> None:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            await go.wait()
            log.append("tidy")

        async with PLAIN.serve(tidy_up) as server, connect(uri(server)):
            closing = asyncio.create_task(server.close())
            await turns(20)
            assert not closing.done()
            go.set()
            await soon(closing)
        assert log == ["tidy"]

    async def test_with_a_timeout_and_a_handler_that_is_stuck(self, link: Link) -> None:
        log = []

        async def stick(ws: WebSocket) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                log.append(ws.closed)
                raise

        async with link.serve(stick) as server:
            async with link.connect(server) as ws:
                await until(lambda: server.connections)
                await soon(server.close(0.05))
                assert ws.closed is None or ws.closed.code == 1001
            assert not server._connections
        assert len(log) == 1

    async def test_with_a_timeout_and_a_peer_that_does_not_answer(self) -> None:
        held = Held()
        async with PLAIN.serve(held) as server, raw_client(server) as raw:
            ws = await held.ws()
            await soon(server.close(0.05))
            assert ws.closed is not None
            assert not ws.closed.clean
            assert await asyncio.to_thread(raw.read_frame) == (wire.CLOSE, b"\x03\xe9")

    async def test_without_a_timeout_and_a_peer_that_does_not_answer(self) -> None:
        """The timeout of the closing handshake holds."""
        async with PLAIN.serve(Held(), timeouts=BRIEF_CLOSE) as server, raw_client(server):
            await until(lambda: server.connections)
            await soon(server.close())

    async def test_with_a_timeout_that_is_not_needed(self) -> None:
        async with PLAIN.serve(echo) as server, connect(uri(server)) as ws:
            await soon(server.close(60))
            assert (await soon(ws.wait_closed())).code == 1001

    async def test_while_a_request_is_decided(self) -> None:
        asked, go = asyncio.Event(), asyncio.Event()
        report = Report()

        async def process(request: Request) -> Response | None:
            asked.set()
            await go.wait()
            return None

        async with PLAIN.serve(report, process_request=process) as server:
            raw = await asyncio.to_thread(Raw.connect, address(server))
            with raw:
                raw.send(wire.request())
                await soon(asked.wait())
                closing = asyncio.create_task(server.close())
                await turns()
                go.set()
                await soon(closing)
        assert report.ws is None

    async def test_while_a_request_is_decided_for_too_long(self) -> None:
        asked = asyncio.Event()

        async def process(request: Request) -> Response | None:
            asked.set()
            await asyncio.Event().wait()
            return None

        async with PLAIN.serve(echo, process_request=process) as server:
            with await asyncio.to_thread(Raw.connect, address(server)) as raw:
                raw.send(wire.request())
                await soon(asked.wait())
                await soon(server.close(0.05))

    @pytest.mark.parametrize("kind", ["plain", "unix"])
    @pytest.mark.parametrize("count", [0, *range(4, 8)])
    async def test_while_a_client_comes(self, kind: str, count: int) -> None:
        """It says nothing yet, and is dropped at once, however far the server has got with it.

        In between asyncio has accepted it and has no transport for it; then it loses it by itself.
        """
        link = LINKS[kind]
        async with link.serve(echo, timeouts=Timeouts(open=None)) as server:
            sock = _connected(server)
            await turns(count)
            await soon(server.close())
            with Raw(sock) as raw:
                assert await asyncio.to_thread(raw.read_until_gone) == b""

    async def test_while_a_client_asks(self) -> None:
        for count in (0, *range(4, 8)):
            async with PLAIN.serve(echo, timeouts=BRIEF_CLOSE) as server:
                with Raw(_connected(server)) as raw:
                    raw.send(wire.request())
                    await turns(count)
                    await soon(server.close())
                    answer = await asyncio.to_thread(raw.read_until_gone)
                    assert answer[:12] in (b"", b"HTTP/1.1 101", b"HTTP/1.1 503")

    async def test_by_a_block_that_raises(self) -> None:
        with pytest.raises(RuntimeError, match="mine"):
            async with PLAIN.serve(echo) as server, connect(uri(server)):
                raise RuntimeError("mine")

    async def test_a_server_as_a_block(self) -> None:
        async with await serve(echo, HOST, 0) as server:
            ws = await connect(uri(server))
        assert (await soon(ws.wait_closed())).code == 1001


def _connected(server: Server) -> socket.socket:
    where = address(server)
    sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    sock.connect(where)
    return sock


class TestServeForever:
    async def test_closes_when_it_is_cancelled(self) -> None:
        server = await serve(echo, HOST, 0)
        task = asyncio.create_task(server.serve_forever())
        ws = await connect(uri(server))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
        assert not server._connections
        assert (await soon(ws.wait_closed())).code == 1001

    async def test_ends_when_the_server_is_closed(self) -> None:
        server = await serve(echo, HOST, 0)
        task = asyncio.create_task(server.serve_forever())
        ws = await connect(uri(server))
        await turns()
        assert not task.done()
        await soon(server.close())
        await soon(task)
        await soon(ws.wait_closed())

    async def test_waits_for_what_is_open_when_the_server_is_closed(self) -> None:
        go = asyncio.Event()

        async def stay(ws: WebSocket) -> None:
            await go.wait()

        server = await serve(stay, HOST, 0)
        task = asyncio.create_task(server.serve_forever())
        ws = await connect(uri(server))
        await until(lambda: server.connections)
        closing = asyncio.create_task(server.close())
        await soon(ws.wait_closed())
        await turns()
        assert not task.done()
        go.set()
        await soon(task)
        await soon(closing)

    async def test_serves_meanwhile(self) -> None:
        async with PLAIN.serve(echo) as server:
            task = asyncio.create_task(server.serve_forever())
            for _ in range(3):
                async with connect(uri(server)) as ws:
                    await ws.send("x")
                    assert await soon(ws.recv()) == "x"
            task.cancel()
            await asyncio.wait([task])


class TestComingAndGoing:
    @pytest.mark.parametrize(("kind", "count"), [("plain", 200), ("deflate", 100), ("tls1.3", 100)])
    def test_connections_leave_nothing(self, kind: str, count: int, new_loop: NewLoop) -> None:
        """No task, no transport, no descriptor, no thread, no object: each ends in one of several ways."""
        threads = threading.active_count()
        run(self._test(LINKS[kind], count), new_loop)
        assert threading.active_count() == threads

    async def _test(self, link: Link, count: int) -> None:
        async with link.serve(_echo_once_or_fail) as server:
            await self._come_and_go(link, server, 0)
            await until(lambda: not server._connections)
            await turns()
            before = len(asyncio.all_tasks()), open_sockets()
            for start in range(0, count, 20):
                await asyncio.gather(*(self._come_and_go(link, server, start + n) for n in range(20)))
            await until(lambda: not server._connections)
            await until(lambda: (len(asyncio.all_tasks()), open_sockets()) == before)
            await turns()
            gc.collect()
            left = [thing for thing in gc.get_objects() if isinstance(thing, AnyLink)]
            assert left == []

    async def _come_and_go(self, link: Link, server: Server, number: int) -> None:
        ws = await link.connect(server)
        await ws.send(str(number))
        assert await soon(ws.recv()) == str(number)
        match number % 4:
            case 0:
                await ws.close()
            case 1:
                ws._abort()
                await soon(ws.wait_closed())
            case 2:
                # The handler leaves.
                await ws.send("leave")
                assert await soon(everything(ws)) == []
            case 3:
                pinging = asyncio.create_task(ws.ping())
                receiving = asyncio.create_task(ws.recv())
                await turns(1)
                await ws.close()
                results = await asyncio.gather(pinging, receiving, return_exceptions=True)
                assert isinstance(results[1], ConnectionClosed)
        await soon(ws.wait_closed())

    @pytest.mark.parametrize("polite", [True, False])
    async def test_the_garbage_collector_finds_nothing(self, polite: bool) -> None:
        """What has ended is freed there and then: no connection refers to itself in a circle."""
        async with PLAIN.serve(echo) as server:
            gc.collect()
            gc.disable()
            try:
                async with raw_client(server) as raw:
                    await asyncio.to_thread(raw.send, wire.frame(wire.TEXT, b"x"))
                    assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"x")
                    if polite:
                        await asyncio.to_thread(raw.send, wire.frame(wire.CLOSE))
                        await frames_of(raw)
                await until(lambda: not server._connections)
                await turns()
                assert [thing for thing in gc.get_objects() if isinstance(thing, AnyLink)] == []
            finally:
                gc.enable()

    async def test_timers_of_a_connection_go_with_it(self) -> None:
        """Timeouts of days do not keep what has ended."""
        days = Timeouts(open=9e5, close=9e5, idle=9e5, ping_interval=9e5, ping_timeout=9e5)
        async with PLAIN.serve(echo, timeouts=days) as server:
            for number in range(8):
                ws = await connect(uri(server), timeouts=days)
                if number % 2:
                    await soon(ws.close())
                else:
                    ws._abort()
                    await soon(ws.wait_closed())
            del ws
            await until(lambda: not server._connections)
            await turns()
            gc.collect()
            assert [thing for thing in gc.get_objects() if isinstance(thing, AnyLink)] == []


async def _echo_once_or_fail(ws: WebSocket) -> None:
    async for message in ws:
        if message == "leave":
            return
        await ws.send(message)
