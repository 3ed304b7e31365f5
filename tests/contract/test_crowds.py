"""Many connections: they come and go, and a server ends in the middle of their work."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
import trio

from edgews import Timeouts
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import PATIENCE, AsyncioDriver, Driver, TrioDriver
from tests.raw import Raw
from tests.sync.harness import descriptors

# At a time; with threads, each of them has four.
WAVE = 50
COUNT = 2000
# Nobody is given up because a machine is slow.
UNHURRIED = Timeouts(close=PATIENCE, ping_interval=None)


def running(d: Driver) -> int:
    """Return how many tasks there are, or threads."""
    if isinstance(d, TrioDriver):
        return trio.lowlevel.current_statistics().tasks_living
    if isinstance(d, AsyncioDriver):
        return len(asyncio.all_tasks())
    return threading.active_count()


async def test_2000_connections_leave_nothing(d: Driver) -> None:
    """They end in every way there is, and the server is as it was before."""
    handled = 0

    async def handler(ws: Any) -> None:
        nonlocal handled
        async for message in d.messages(ws):
            handled += 1
            if message == "leave":
                return
            await d.send(ws, message)

    async def visit(number: int) -> None:
        if number % 4 == 3:
            raw = await d.blocking(Raw.open, server.address)
            await d.blocking(raw.send, wire.frame(wire.TEXT, b"half")[:-1])
            await d.blocking((raw.reset, raw.close)[number // 4 % 2])
            return
        async with d.connecting(server.uri()) as ws:
            await d.send(ws, str(number))
            assert await d.recv(ws, PATIENCE) == str(number)
            if number % 4 == 0:
                await d.send(ws, "leave")
                assert (await d.end(ws)).clean
            elif number % 4 == 1:
                await d.close(ws)

    async with d.serving(handler) as server:
        # So that what listens is there.
        await d.pause()
        before = running(d), descriptors()
        for wave in range(COUNT // WAVE):
            tasks = [d.spawn(visit, wave * WAVE + number) for number in range(WAVE)]
            for task in tasks:
                await task.join()
            d._tasks.clear()
        await d.until(lambda: running(d) <= before[0] and descriptors() <= before[1])
    assert handled == COUNT


async def test_a_server_closes_in_the_middle_of_its_work(d: Driver) -> None:
    """Everyone is told, in order, although both sides have the hands full."""
    talking: set[int] = set()
    ends: list[Any] = []
    # All of them want to run, all the time, each of them in six threads or four tasks.
    count = 5

    async def flood(ws: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await d.send(ws, bytes(5000))

    async def handler(ws: Any) -> None:
        flooding = d.spawn(flood, ws)
        await d.all(ws)
        await flooding.join()

    async def talk(number: int) -> None:
        async with d.connecting(server.uri(), timeouts=UNHURRIED) as ws:
            flooding = d.spawn(flood, ws)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await d.recv(ws, PATIENCE)
                    talking.add(number)
            await flooding.join()
        ends.append(ws.closed)

    async with d.serving(handler, timeouts=UNHURRIED) as server:
        clients = [d.spawn(talk, number) for number in range(count)]
        await d.until(lambda: len(talking) == count)
        await server.close(PATIENCE)
        for client in clients:
            await client.join()
    assert [(end.code, end.clean) for end in ends] == [(1001, True)] * count


@pytest.mark.parametrize("timeout", [0.0, 0.2])
async def test_a_server_that_has_no_more_time_drops_who_is_left(d: Driver, timeout: float) -> None:
    """Deaf, silent and half-open peers, and handlers that do not read."""
    go = d.event()
    ended: list[Any] = []

    async def handler(ws: Any) -> None:
        message = await d.recv(ws, PATIENCE)
        with contextlib.suppress(ConnectionClosed):
            while message == "flood me":
                await d.send(ws, bytes(100_000))
            await d.recv(ws, PATIENCE)
        await d.until(lambda: ws.closed)
        ended.append(ws.closed)

    slow = Timeouts(close=PATIENCE, ping_interval=None, ping_timeout=PATIENCE)
    async with d.serving(handler, timeouts=slow) as server:
        peers = [await d.blocking(Raw.open, server.address) for _ in range(6)]
        silent = await d.blocking(Raw.connect, server.address)
        for peer, message in zip(peers, [b"flood me", b"stay"] * 3, strict=True):
            await d.blocking(peer.send, wire.frame(wire.TEXT, message))
        before = descriptors()
        await server.close(timeout)
        await d.until(lambda: descriptors() <= before - 7)
        go.set()
        for peer in (*peers, silent):
            await d.blocking(peer.close)
