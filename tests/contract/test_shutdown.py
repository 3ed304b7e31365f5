"""A server that shuts down: who is told what, in which time, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from math import inf
from typing import Any

import pytest

from edgews import CauseKind, Disconnected, InvalidValueError, Side, Timeouts
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import PATIENCE, Driver
from tests.contract.peers import raw_client
from tests.contract.test_closing import Ends, told
from tests.raw import Raw
from tests.sync.harness import LINKS, Link


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()


class TestShutdown:
    async def test_closes_open_connections_with_1001(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server:
            clients = [d.spawn(self.stay, d, server.uri()) for _ in range(5)]
            await d.until(lambda: len(self.waiting) == 5)
            await server.close()
            for client in clients:
                assert told(await client.join())[:3] == (1001, "", True)
            for _ in clients:
                assert told(await ends.next()) == (1001, "", True, CauseKind.CLOSED, Side.LOCAL)
            with pytest.raises(OSError, match=r"refused|failed|Connect"):
                async with d.connecting(server.uri()):
                    pass

    def setup_method(self) -> None:
        self.waiting: list[Any] = []

    def teardown_method(self) -> None:
        # The runner keeps what a test was called on, and others count what is left of connections.
        self.waiting.clear()

    async def stay(self, d: Driver, uri: str) -> Disconnected:
        async with d.connecting(uri) as ws:
            await d.send(ws, "x")
            assert await d.recv(ws, PATIENCE) == "x"
            self.waiting.append(ws)
            return await d.end(ws)

    async def test_says_what_it_is_told_to(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server:
            clients = [d.spawn(self.stay, d, server.uri()) for _ in range(2)]
            await d.until(lambda: len(self.waiting) == 2)
            await server.close(code=1012, reason="restarting")
            for client in clients:
                assert told(await client.join())[:3] == (1012, "restarting", True)

    @pytest.mark.parametrize(
        "how",
        [{"code": 1006}, {"code": 999}, {"reason": "x" * 124}, {"spread": -1.0}, {"spread": inf}],
    )
    async def test_what_cannot_be_said_changes_nothing(self, d: Driver, how: dict[str, Any]) -> None:
        async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
            with pytest.raises((InvalidValueError, ValueError)):
                await server.close(**how)
            await d.send(ws, "still here")
            assert await d.recv(ws, PATIENCE) == "still here"
            async with d.connecting(server.uri()):
                pass

    async def test_one_after_the_other(self, d: Driver) -> None:
        async with d.serving(d.echo) as server:
            clients = [d.spawn(self.stay, d, server.uri()) for _ in range(4)]
            await d.until(lambda: len(self.waiting) == 4)
            await server.close(spread=0.1)
            for client in clients:
                assert told(await client.join())[:3] == (1001, "", True)

    async def test_for_longer_than_there_is_time(self, d: Driver) -> None:
        """Only the first is told; the others are dropped, and so is who is not open yet."""
        async with d.serving(d.echo, timeouts=Timeouts(open=60.0)) as server:
            with await d.blocking(Raw.connect, server.address) as silent:
                clients = [d.spawn(self.stay, d, server.uri()) for _ in range(3)]
                await d.until(lambda: len(self.waiting) == 3)
                await server.close(0.2, spread=1000.0)
                assert await d.blocking(silent.read_rest) == b""
                assert sorted([(await client.join()).code for client in clients]) == [1001, 1006, 1006]

    async def test_of_those_that_go_by_themselves(self, d: Driver) -> None:
        """They are not waited for: the spread has no longer to last than there is someone to close."""
        async with d.serving(d.echo) as server:
            clients = [d.spawn(self.stay, d, server.uri()) for _ in range(3)]
            await d.until(lambda: len(self.waiting) == 3)
            closing = d.spawn(lambda: server.close(spread=0.3))
            for ws in self.waiting:
                await d.close(ws, 4000)
            for client in clients:
                assert (await client.join()).code in {1001, 4000}
            await closing.join()

    async def test_under_load(self, d: Driver, link: Link) -> None:
        """Messages flow in both directions; each client reads whole messages, in order, up to the Close."""
        ends: list[Disconnected] = []

        async def handler(ws: Any) -> None:
            try:
                await d.echo(ws)
            finally:
                ends.append(ws.closed)

        async def chatter(number: int) -> Disconnected:
            uri = server.uri(scheme=link.scheme)
            async with d.connecting(uri, **link.connecting) as ws:
                flooding = d.spawn(flood, ws, (b"%08d" % n + bytes(5000) for n in count()))
                received: list[Any] = []
                self.waiting.append(ws)
                await d.iterate(ws, received)
                assert [message[:8] for message in received] == [b"%08d" % n for n in range(len(received))]
                await flooding.join()
                return ws.closed

        async def send_all(ws: Any, messages: Iterator[bytes]) -> None:
            for message in messages:
                await d.send(ws, message)

        async def flood(ws: Any, messages: Iterator[bytes]) -> None:
            with pytest.raises(ConnectionClosed):
                await send_all(ws, messages)

        async with d.serving(handler, **link.serving) as server:
            clients = [d.spawn(chatter, number) for number in range(5)]
            await d.until(
                lambda: len(self.waiting) == 5 and all(ws.stats.messages_received for ws in self.waiting)
            )
            await server.close(PATIENCE)
            for client in clients:
                assert told(await client.join())[:3] == (1001, "", True)
        assert len(ends) == 5

    @pytest.mark.parametrize("askers", [1, 3])
    async def test_that_handlers_ask_for(self, d: Driver, askers: int) -> None:
        """They wait for all others, and nobody waits for ever."""

        async def handler(ws: Any) -> None:
            async for message in d.messages(ws):
                await d.send(ws, message)
                if message == "enough":
                    await server.close()

        async with d.serving(handler) as server:
            clients = [d.spawn(self.stay, d, server.uri()) for _ in range(3)]
            await d.until(lambda: len(self.waiting) == 3)
            for ws in self.waiting[:askers]:
                with suppress(ConnectionClosed):
                    await d.send(ws, "enough")
            for client in clients:
                assert told(await client.join())[:3] == (1001, "", True)

    async def test_drops_who_has_not_asked_yet(self, d: Driver) -> None:
        entered = d.event()

        async def handler(ws: Any) -> None:
            entered.set()
            await d.all(ws)

        async with d.serving(handler, timeouts=Timeouts(open=60.0)) as server:
            with await d.blocking(Raw.connect, server.address) as raw:
                # So that the server has it: connections are accepted in their order.
                async with d.connecting(server.uri()):
                    await entered.wait()
                await server.close()
                assert await d.blocking(raw.read_rest) == b""

    async def test_gives_up_who_does_not_answer(self, d: Driver) -> None:
        served: list[Any] = []

        async def handler(ws: Any) -> None:
            served.append(ws)
            await d.echo(ws)

        async with d.serving(handler) as server, raw_client(d, server.address) as peer:
            await peer.send(wire.frame(wire.TEXT, b"x"))
            assert await peer.read_frame() == (wire.TEXT, b"x")
            await server.close(0.1)
            assert (served[0].closed.code, served[0].closed.clean) == (1006, False)
            assert await peer.read_frames() == [(wire.CLOSE, b"\x03\xe9")]
