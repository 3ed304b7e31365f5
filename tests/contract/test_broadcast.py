"""One message to many connections, on every adapter."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from edgews import CauseKind, PerMessageDeflate
from edgews.broadcasting import broadcast
from tests import wire
from tests.contract.drivers import PATIENCE, Driver
from tests.contract.peers import raw_client

LONG = b"x" * 300_000


@pytest.mark.parametrize("compression", [None, PerMessageDeflate(threshold=0)], ids=["plain", "deflate"])
async def test_everyone_gets_it(d: Driver, compression: PerMessageDeflate | None) -> None:
    async with d.serving(d.all, compression=compression) as server, contextlib.AsyncExitStack() as stack:
        room = [
            await stack.enter_async_context(d.connecting(server.uri(), compression=wish))
            for wish in (compression, compression, None)
        ]
        await d.until(lambda: len(server.server.connections) == 3)
        for message in ("to all of you", b"and to all of you", "é" * 70_000):
            assert broadcast(server.server.connections, message) == 3
            for ws in room:
                assert await d.recv(ws, PATIENCE) == message


async def test_connections_are_those_that_are_open_in_the_order_in_which_they_came(d: Driver) -> None:
    theirs: list[Any] = []

    async def keep(ws: Any) -> None:
        theirs.append(ws)
        async for _ in d.messages(ws):
            pass

    async with d.serving(keep) as server, contextlib.AsyncExitStack() as stack:
        assert server.server.connections == set()
        for count in range(10):
            await stack.enter_async_context(d.connecting(server.uri()))
            await d.until(lambda count=count: len(theirs) > count)
        found = server.server.connections
        assert list(found) == theirs
        await stack.aclose()
        await d.until(lambda: not server.server.connections)
        assert len(found) == 10, "it is a copy"


async def test_a_handler_tells_everyone(d: Driver) -> None:
    """From within the read that brought the message, too."""

    async def tell(ws: Any) -> None:
        async for message in d.messages(ws):
            broadcast(server.server.connections, message)

    async with (
        d.serving(tell) as server,
        d.connecting(server.uri()) as one,
        d.connecting(server.uri()) as other,
    ):
        await d.until(lambda: len(server.server.connections) == 2)
        for number in range(20):
            await d.send(one, str(number))
        for ws in (one, other):
            assert [await d.recv(ws, PATIENCE) for _ in range(20)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("slow", ["skip", "close"])
async def test_who_does_not_keep_up_is_skipped_or_closed(d: Driver, slow: Any) -> None:
    ends: list[Any] = []

    async def handler(ws: Any) -> None:
        ends.append(await d.end(ws))

    async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
        async with raw_client(d, server.address) as deaf:
            await d.until(lambda: len(server.server.connections) == 2)
            sent = 0
            # Until what the system takes for the one that does not read is full.
            while broadcast(server.server.connections, LONG, slow="skip") == 2:
                assert await d.recv(ws, PATIENCE) == LONG
                sent += 1
                await d.pause()
            assert await d.recv(ws, PATIENCE) == LONG
            assert broadcast(server.server.connections, "next", slow=slow) == 1
            assert await d.recv(ws, PATIENCE) == "next"
            if slow == "close":
                *frames, last = await deaf.read_frames()
                assert len(frames) == sent
                assert last[0] == wire.CLOSE
                assert wire.close_code(last[1]) == 1008
        await d.until(lambda: ends)
        assert ends[0].cause.kind is (CauseKind.FAILED if slow == "close" else CauseKind.PEER_VANISHED)


async def test_who_is_gone_or_closing_or_amid_a_message_is_left_out(d: Driver) -> None:
    half, go_on = d.event(), d.event()

    async def handler(ws: Any) -> None:
        kind = await d.recv(ws, PATIENCE)
        if kind == "pieces":
            frame = ws._conn.send_fragment("half", final=False)
            assert frame
            half.set()
            await go_on.wait()
            ws._conn.send_fragment("", final=True)
        else:
            await d.close(ws)

    async with (
        d.serving(handler) as server,
        d.connecting(server.uri()) as amid,
        d.connecting(server.uri()) as closing,
    ):
        await d.until(lambda: len(server.server.connections) == 2)
        everyone = server.server.connections
        await d.send(amid, "pieces")
        await half.wait()
        await d.send(closing, "close")
        assert (await d.end(closing)).clean
        await d.until(lambda: len(server.server.connections) == 1)
        assert broadcast(everyone, "to nobody") == 0
        go_on.set()
