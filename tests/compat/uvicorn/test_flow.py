"""What may wait for an application, and how a client that is gone is found out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests import wire
from tests.compat.uvicorn.clients import KINDS
from tests.compat.uvicorn.serving import LOOPS, Impatient, Receive, Seen, Send, running, until
from tests.raw import TIMEOUT, Raw

pytestmark = pytest.mark.peers

ACCEPT = {"type": "websocket.accept"}


async def listens(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send(ACCEPT)
    while (await receive())["type"] == "websocket.receive":
        pass


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class Busy:
    """An application that has no time for its messages until the test says so."""

    def __init__(self) -> None:
        self.free = threading.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.get_running_loop().run_in_executor(None, self.free.wait, TIMEOUT)
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})


def waiting(connection: Any) -> int:
    """Return how many messages wait for the application."""
    return len(connection._session._inbox) + (connection._session.single is not None)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("size", [1, 3, 32])
def test_reading_stops_when_so_many_messages_wait_for_the_application(loop: str, size: int) -> None:
    busy = Busy()
    with running(busy, loop=loop, ws_max_queue=size) as served, Raw.open(served.address) as raw:
        (connection,) = list(served.state.connections)
        for count in range(1, size + 1):
            raw.send(wire.frame(wire.TEXT, b"%d" % count))
            until(lambda count=count: waiting(connection) == count, "it does not come")
            until(lambda count=count: connection._reading is (count < size), "reading goes on, or not")
        # The next one waits in the operating system.
        raw.send(wire.frame(wire.TEXT, b"the last"))
        busy.free.set()
        for count in range(1, size + 1):
            assert raw.read_frame() == (wire.TEXT, b"%d" % count)
        assert raw.read_frame() == (wire.TEXT, b"the last")
        assert connection._reading


def test_long_messages_stop_it_earlier() -> None:
    busy = Busy()
    with running(busy, ws_max_queue=32) as served, Raw.open(served.address) as raw:
        (connection,) = list(served.state.connections)
        for _ in range(3):
            raw.send(wire.frame(wire.BINARY, bytes(65536)))
        until(lambda: not connection._reading, "reading goes on")
        busy.free.set()
        for _ in range(3):
            assert raw.read_frame() == (wire.BINARY, bytes(65536))


def test_without_a_limit_only_bytes_count() -> None:
    busy = Busy()
    with running(busy, ws_max_queue=0) as served, Raw.open(served.address) as raw:
        (connection,) = list(served.state.connections)
        raw.send(wire.frame(wire.TEXT, b"a") * 1000)
        until(lambda: waiting(connection) == 1000, "they do not come")
        assert connection._reading
        busy.free.set()
        for _ in range(1000):
            assert raw.read_frame() == (wire.TEXT, b"a")


@pytest.mark.parametrize("loop", LOOPS)
def test_all_that_came_before_a_close_is_answered_before_it(loop: str) -> None:
    """Also if it comes in one read."""
    frames = b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(100))
    with running(echo, loop=loop) as served, Raw.open(served.address) as raw:
        raw.send(frames + wire.close(4000))
        for number in range(100):
            assert raw.read_frame() == (wire.TEXT, b"%d" % number)
        assert raw.read_frame() == (wire.CLOSE, (4000).to_bytes(2, "big"))
        assert raw.read_rest() == b""


@pytest.mark.parametrize("loop", LOOPS)
def test_an_application_that_only_sends_lets_others_run(loop: str) -> None:
    turns: list[None] = []

    async def sends(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        asyncio.get_running_loop().call_soon(turns.append, None)
        # Far too little to fill the socket, so nothing has to be waited for.
        for _ in range(1000):
            await send({"type": "websocket.send", "text": "" if turns else "alone"})

    with running(sends, loop=loop) as served, Raw.open(served.address) as raw:
        while (frame := raw.read_frame()) == (wire.TEXT, b"alone"):
            pass
        assert frame == (wire.TEXT, b"")


def test_pings_keep_a_connection_that_answers() -> None:
    with (
        running(listens, ws_ping_interval=0.02, ws_ping_timeout=TIMEOUT) as served,
        Raw.open(served.address) as raw,
    ):
        for _ in range(5):
            frame = raw.read_frame()
            assert frame is not None
            assert frame[0] == wire.PING
            raw.send(wire.frame(wire.PONG, frame[1]))
        raw.send(wire.close(1000))
        while (frame := raw.read_frame()) is not None and frame[0] == wire.PING:
            pass
        assert frame == (wire.CLOSE, (1000).to_bytes(2, "big"))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_answers_no_ping_is_given_up(loop: str) -> None:
    seen = Seen(listens)
    with (
        running(seen, loop=loop, ws_ping_interval=0.05, ws_ping_timeout=0.05) as served,
        Raw.open(served.address) as raw,
    ):
        frames = []
        while (frame := raw.read_frame()) is not None:
            frames.append(frame[0])
        assert set(frames) == {wire.PING, wire.CLOSE}
        *_, end = seen.rest()
        assert (end["type"], end["code"]) == ("websocket.disconnect", 1006)
        assert "Ping" in end["reason"]


@pytest.mark.parametrize("off", [None, 0, 0.0])
def test_no_pings(off: float | None) -> None:
    with running(listens, ws_ping_interval=off, ws_ping_timeout=off) as served, Raw.open(served.address):
        (connection,) = list(served.state.connections)
        assert connection._conn.timeouts.ping_interval is None
        assert connection._conn.timeouts.ping_timeout is None


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_takes_nothing_is_given_up(loop: str) -> None:
    """It still answers to TCP, so only the missing progress shows it."""

    async def floods(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(1 << 20)})

    seen = Seen(floods)
    with (
        running(seen, loop=loop, ws=Impatient, ws_ping_timeout=0.3, ws_per_message_deflate=False) as served,
        Raw.open(served.address),
    ):
        *_, error = seen.rest()
        assert type(error).__name__ == "ClientDisconnected"
        served.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_compression_can_be_turned_off(kind: str) -> None:
    async def main(uri: str) -> None:
        async with KINDS[kind].open(uri) as client:
            assert not client.compressed
            await client.send("a" * 1000)
            assert await client.recv() == "a" * 1000

    with running(echo, ws_per_message_deflate=False) as served:
        asyncio.run(main(served.uri()))
