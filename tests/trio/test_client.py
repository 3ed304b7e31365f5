"""What a client on trio has of its own: its clock, its streams, its cancellation."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from edgews import Disconnected, Timeouts
from edgews.trio import Attempt, Backoff, WebSocket, connect, reconnect, serve
from tests.raw import TIMEOUT
from tests.sync.harness import HOST

SLOW = Timeouts(open=10.0)
NEVER = Backoff(base=3600.0, cap=3600.0, random=lambda: 0.5)


def slowly(seconds: float) -> Callable[..., Awaitable[trio.abc.Stream]]:
    """Return what opens a stream to a server that never answers, but takes its time for it."""

    async def open_stream(*_: object) -> trio.abc.Stream:
        await trio.sleep(seconds)
        ours, _theirs = trio.testing.memory_stream_pair()
        streams.append(_theirs)
        return ours

    streams: list[trio.abc.Stream] = []
    return open_stream


@pytest.mark.parametrize("dialling", [0.0, 6.0, 9.5, 20.0])
def test_the_open_time_is_one_for_all(dialling: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """By trio's own clock, which runs as fast as nobody does anything."""
    monkeypatch.setattr(trio, "open_tcp_stream", slowly(dialling))
    took = math.inf

    async def main() -> None:
        nonlocal took
        start = trio.current_time()
        with pytest.raises(TimeoutError):
            async with connect("ws://server.example/", timeouts=SLOW):
                raise AssertionError("it is open")
        took = trio.current_time() - start

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert took == pytest.approx(10.0)


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
def test_the_time_for_a_proxy_is_part_of_it(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio, "open_tcp_stream", slowly(6.0))

    async def main() -> float:
        start = trio.current_time()
        with pytest.raises(TimeoutError):
            async with connect("ws://server.example/", timeouts=SLOW, proxy=f"{scheme}://proxy.example"):
                raise AssertionError("it is open")
        return trio.current_time() - start

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(10.0)


def test_and_so_is_the_time_for_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n"
    servers: list[trio.abc.Stream] = []

    async def open_stream(*_: object) -> trio.abc.Stream:
        await trio.sleep(4.0)
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(answer % len(servers))
        servers.append(theirs)
        return ours

    async def main() -> float:
        start = trio.current_time()
        with pytest.raises(TimeoutError):
            async with connect("ws://server.example/", timeouts=SLOW, redirects=1000):
                raise AssertionError("it is open")
        return trio.current_time() - start

    monkeypatch.setattr(trio, "open_tcp_stream", open_stream)
    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(10.0)
    assert len(servers) == 2


def served(test: Callable[[str, list[Disconnected | None]], Awaitable[None]]) -> None:
    """Run a test with the URI of a server, which notes how its connections ended."""
    ended: list[Disconnected | None] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async for _ in ws:
                pass
        finally:
            ended.append(ws.closed)

    async def main() -> None:
        with trio.fail_after(TIMEOUT):
            async with serve(handler, HOST, 0) as server:
                listener = server.listeners[0]
                assert isinstance(listener, trio.SocketListener)
                await test(f"ws://{HOST}:{listener.socket.getsockname()[1]}/", ended)
                while not ended:
                    await trio.sleep(0.001)

    trio.run(main)


def test_a_wait_can_be_cancelled() -> None:
    async def test(uri: str, ended: list[Disconnected | None]) -> None:
        seen: list[Attempt] = []

        def waiting(attempt: Attempt) -> None:
            seen.append(attempt)
            scope.cancel()

        with trio.CancelScope() as scope:
            async with reconnect(uri, backoff=NEVER, on_attempt=waiting) as connections:
                async for _ in connections:
                    pass
        assert scope.cancelled_caught
        assert seen == [Attempt(1, None, 1800.0)]

    served(test)


def test_a_turn_can_be_cancelled() -> None:
    async def test(uri: str, ended: list[Disconnected | None]) -> None:
        with trio.CancelScope() as scope:
            async with reconnect(uri) as connections:
                async for ws in connections:
                    scope.cancel()
                    await ws.recv()
        assert scope.cancelled_caught
        assert ws.closed is not None

    served(test)
