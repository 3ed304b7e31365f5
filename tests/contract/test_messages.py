"""Messages come back as they went, over every kind of byte stream."""

from __future__ import annotations

from typing import Any

import pytest

from edgews import InvalidValueError, PerMessageDeflate, PreparedMessage
from tests.contract.drivers import PATIENCE, Driver
from tests.sync.harness import LINKS, Link

SIZES = (0, 1, 125, 126, 65535, 65536, 1 << 20)
MESSAGES = [message for size in SIZES for message in ("é" * (size // 2) + "x" * (size % 2), bytes(size))]


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()


async def test_come_back_as_they_went(d: Driver, link: Link) -> None:
    async with (
        d.serving(d.echo, **link.serving) as server,
        d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
    ):
        for message in MESSAGES:
            await d.send(ws, message)
            answer = await d.recv(ws, PATIENCE)
            assert type(answer) is type(message)
            assert answer == message
        for alike in (bytearray(b"abc"), memoryview(b"abc")):
            await d.send(ws, alike)
            assert await d.recv(ws, PATIENCE) == b"abc"


async def test_compression_is_agreed_and_can_be_turned_off_for_a_message(d: Driver) -> None:
    wish = PerMessageDeflate(threshold=0)
    async with (
        d.serving(d.echo, compression=wish) as server,
        d.connecting(server.uri(), compression=wish) as ws,
    ):
        assert "permessage-deflate" in (ws.response.headers.get("Sec-WebSocket-Extensions") or "")
        for compress in (True, False, None):
            before = ws._conn.bytes_sent
            await d.send(ws, "y" * 5000, compress=compress)
            assert (ws._conn.bytes_sent - before > 5000) is (compress is False)
            assert await d.recv(ws, PATIENCE) == "y" * 5000


async def test_a_prepared_message_goes_to_several_connections(d: Driver) -> None:
    prepared = PreparedMessage("to all")

    async def handler(ws: Any) -> None:
        await d.send(ws, prepared)

    async with (
        d.serving(handler) as server,
        d.connecting(server.uri()) as first,
        d.connecting(server.uri()) as second,
    ):
        for ws in (first, second):
            assert await d.all(ws) == ["to all"]


async def test_text_without_utf8_is_refused_and_harmless(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        with pytest.raises(InvalidValueError):
            await d.send(ws, "\ud800")
        await d.send(ws, "fine")
        assert await d.recv(ws, PATIENCE) == "fine"


async def test_recv_that_times_out_takes_nothing(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        for turn in range(3):
            with pytest.raises(TimeoutError):
                await d.recv(ws, 0.01)
            await d.send(ws, str(turn))
            assert await d.recv(ws, PATIENCE) == str(turn)


async def test_a_burst_keeps_its_order(d: Driver, link: Link) -> None:
    """Many messages in one read, and one message in many."""
    messages = [f"{number} " + "x" * (number * 37 % 3000) for number in range(600)]

    async def handler(ws: Any) -> None:
        for message in messages:
            await d.send(ws, message)

    async with (
        d.serving(handler, **link.serving) as server,
        d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
    ):
        assert [message async for message in d.messages(ws)] == messages


async def test_both_ways_at_once(d: Driver, link: Link) -> None:
    """More than all buffers hold goes both ways; whoever waits until it may write has to go on reading."""
    messages = [b"%d " % number + bytes(65536) for number in range(400)]

    async def send_all(ws: Any) -> None:
        for message in messages:
            await d.send(ws, message)

    async with (
        d.serving(d.echo, **link.serving) as server,
        d.connecting(server.uri(scheme=link.scheme), **link.connecting) as ws,
    ):
        sender = d.spawn(send_all, ws)
        for message in messages:
            assert await d.recv(ws, PATIENCE) == message
        await sender.join()


async def test_ping_measures_and_keeps_what_came_before(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        for number in range(10):
            await d.send(ws, str(number))
        assert 0 < await d.ping(ws, PATIENCE) < PATIENCE
        assert [await d.recv(ws, PATIENCE) for _ in range(10)] == [str(number) for number in range(10)]
        await d.until(lambda: ws.latency is not None)
        assert 0 <= ws.latency < PATIENCE


async def test_ping_from_both_sides(d: Driver) -> None:
    async def handler(ws: Any) -> None:
        await d.ping(ws, PATIENCE)
        await d.send(ws, "seen")
        await d.recv(ws, PATIENCE)

    async with d.serving(handler) as server, d.connecting(server.uri()) as ws:
        await d.ping(ws, PATIENCE)
        assert await d.recv(ws, PATIENCE) == "seen"
