"""Connections that come one after the other."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import pytest

from edgews import Headers, InvalidValueError, Request, Response
from edgews.attempts import Attempt
from edgews.backoff import Backoff
from edgews.outcomes import ConnectionClosed, InvalidHandshake
from tests.contract.drivers import PATIENCE, Driver
from tests.raw import deaf_port
from tests.sync.harness import HOST, client_context, server_context

# Nobody waits here.
AT_ONCE = Backoff(random=lambda: 0.0)


class Enough(Exception):
    pass


class Door:
    """What decides about requests: it refuses the first with what it was given, and lets the rest in."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, request: Request) -> Response | None:
        self.asked += 1
        return self._answers.pop(0) if self._answers else None


def busy(status: int = 503, **fields: str) -> Response:
    return Response(status, Headers({name.replace("_", "-"): value for name, value in fields.items()}))


class Log:
    """A handler that echoes, and tells how its connections ended."""

    def __init__(self, d: Driver) -> None:
        self._d = d
        self.codes: list[int] = []

    async def __call__(self, ws: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._d.echo(ws)
        self.codes.append(ws.closed.code)


async def test_one_connection_after_the_other(d: Driver) -> None:
    log = Log(d)
    seen: list[Attempt] = []
    connections: list[Any] = []
    async with d.serving(log) as server:
        async with d.reconnect(server.uri(), backoff=AT_ONCE, on_attempt=seen.append) as them:
            async for ws in them:
                # The one before is over.
                assert all(earlier.closed.clean for earlier in connections)
                connections.append(ws)
                await d.send(ws, "x")
                assert await d.recv(ws, PATIENCE) == "x"
                if len(connections) == 3:
                    break
        # And so is the last, though the loop was left.
        assert connections[-1].closed.clean
        await d.until(lambda: len(log.codes) == 3)
    assert log.codes == [1000, 1000, 1000]
    assert seen == [Attempt(1, None, 0.0), Attempt(2, None, 0.0)]


async def test_a_server_that_is_busy_for_a_while(d: Driver) -> None:
    door = Door(busy(Retry_After="0"), busy(429), busy(500))
    seen: list[Attempt] = []
    async with (
        d.serving(d.echo, process_request=door) as server,
        d.reconnect(server.uri(), backoff=AT_ONCE, on_attempt=seen.append) as them,
    ):
        async for ws in them:
            await d.send(ws, "x")
            assert await d.recv(ws, PATIENCE) == "x"
            break
    assert door.asked == 4
    assert [attempt.number for attempt in seen] == [1, 2, 3]
    statuses = [
        attempt.error.response.status
        for attempt in seen
        if isinstance(attempt.error, InvalidHandshake) and attempt.error.response is not None
    ]
    assert statuses == [503, 429, 500]


async def test_the_server_says_when_to_come_back(d: Driver) -> None:
    def stop(attempt: Attempt) -> None:
        assert attempt.delay == 1800.0
        raise Enough

    door = Door(busy(Retry_After="1800"))
    async with d.serving(d.echo, process_request=door) as server:
        with pytest.raises(Enough):
            await nobody(d, server.uri(), backoff=AT_ONCE, on_attempt=stop)
    assert door.asked == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 410, 421, 426, 431, 451, 501])
async def test_an_answer_that_stays_the_same_is_the_last(d: Driver, status: int) -> None:
    door = Door(busy(status, Retry_After="0"))
    async with d.serving(d.echo, process_request=door) as server:
        with pytest.raises(InvalidHandshake, match=str(status)):
            await nobody(d, server.uri(), backoff=AT_ONCE, on_attempt=_never)
    assert door.asked == 1


async def nobody(d: Driver, uri: str, **options: Any) -> None:
    async with d.reconnect(uri, **options) as them:
        async for _ in them:
            raise AssertionError("it is open")


def _never(attempt: Attempt) -> None:
    raise AssertionError("there must be no further attempt")


async def test_a_certificate_stays_what_it_is(d: Driver) -> None:
    async with d.serving(d.echo, ssl=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await nobody(d, server.uri(scheme="wss"), on_attempt=_never)
        # What is handed on arrives.
        async with d.reconnect(server.uri(scheme="wss"), ssl=client_context()) as them:
            async for ws in them:
                assert ws.closed is None
                break


async def test_nobody_listens(d: Driver) -> None:
    seen: list[Attempt] = []

    def three(attempt: Attempt) -> None:
        seen.append(attempt)
        if attempt.number == 3:
            raise Enough

    with deaf_port() as port, pytest.raises(Enough):
        await nobody(d, f"ws://{HOST}:{port}/", backoff=AT_ONCE, on_attempt=three)
    assert all(isinstance(attempt.error, OSError) for attempt in seen)
    assert len(seen) == 3


async def raising(d: Driver, uri: str) -> None:
    async with d.reconnect(uri) as them:
        async for _ in them:
            raise Enough


async def test_what_the_loop_raises_comes_out_as_it_is(d: Driver) -> None:
    log = Log(d)
    async with d.serving(log) as server:
        with pytest.raises(Enough):
            await raising(d, server.uri())
        await d.until(lambda: log.codes)
    assert log.codes == [1011]


async def test_a_connection_that_breaks_is_the_loops_to_catch(d: Driver) -> None:
    async def handler(ws: Any) -> None:
        if ws.request.path == "/":
            await d.close(ws, 1012)

    turns = 0
    async with (
        d.serving(handler) as server,
        d.reconnect(server.uri(), backoff=AT_ONCE) as them,
    ):
        async for ws in them:
            turns += 1
            if turns == 3:
                break
            with pytest.raises(ConnectionClosed) as caught:
                await d.recv(ws, PATIENCE)
            assert caught.value.disconnected.code == 1012
            continue
    assert turns == 3


async def test_a_block_without_a_loop_connects_to_nobody(d: Driver) -> None:
    door = Door()
    async with d.serving(d.echo, process_request=door) as server, d.reconnect(server.uri()):
        pass
    assert door.asked == 0


async def test_a_loop_without_a_block_is_a_mistake(d: Driver) -> None:
    """Nobody would end its last connection."""
    with pytest.raises(RuntimeError, match="stands in a block"):
        await anext(d.reconnect(f"ws://{HOST}:1/"))


@pytest.mark.parametrize("name", ["sock", "stream"])
async def test_a_byte_stream_is_good_for_one_connection(d: Driver, name: str) -> None:
    with pytest.raises(TypeError, match="good for one"):
        d.reconnect(f"ws://{HOST}:1/", **{name: object()})


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "http://server.example/"},
        {"ssl": client_context()},
        {"server_hostname": "server.example"},
        {"server_hostname": 1},
        {"ssl": True},
        {"proxy": 3128},
        {"redirects": -1},
        {"headers": {"X": 1}},
        {"cookies": [("a", "b")]},
        {"limits": 5},
        {"backoff": 1.0},
        {"on_attempt": "print"},
        {"unheard_of": 1},
    ],
    ids=lambda options: "-".join(options),
)
async def test_arguments_are_looked_at_where_they_are_given(d: Driver, options: dict[str, Any]) -> None:
    """And not when the loop has begun, which may be elsewhere."""
    with pytest.raises((TypeError, ValueError, InvalidValueError)):
        d.reconnect(**{"uri": f"ws://{HOST}:1/", **options})


async def test_a_loop_can_be_entered_again(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.reconnect(server.uri(), backoff=AT_ONCE) as them:
        first = await anext(them)
        second = await anext(them)
        assert first.closed.clean
        assert second.closed is None
