"""Questions, answers and sockets between two ends of a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator

import pytest

from edgews.edge.process.channel import MAX_SOCKETS, Channel, Gone, Refused, With, nothing
from tests.raw import TIMEOUT, check


@contextlib.asynccontextmanager
async def pair(handler) -> AsyncIterator[tuple[Channel, Channel]]:
    one, other = socket.socketpair()
    channels = Channel(one, nothing), Channel(other, handler)
    try:
        async with asyncio.timeout(TIMEOUT):
            yield channels
    finally:
        for channel in channels:
            channel.close()


@contextlib.asynccontextmanager
async def raw() -> AsyncIterator[tuple[socket.socket, Channel]]:
    """A channel, and an end that says anything."""
    one, other = socket.socketpair()
    channel = Channel(other, nothing)
    with one:
        try:
            async with asyncio.timeout(TIMEOUT):
                yield one, channel
        finally:
            channel.close()


async def echo(message, sockets):
    for sock in sockets:
        sock.close()
    return message["value"]


def test_large_questions_in_any_number():
    async def main() -> None:
        async with pair(echo) as (one, _):
            values = ["x" * size for size in (0, 1, 70_000, 3_000_000)] * 3
            asked = (one.ask("echo", timeout=TIMEOUT, value=value) for value in values)
            assert await asyncio.gather(*asked) == values

    asyncio.run(main())


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_sockets_go_along_and_back(count):
    """They are the same ones, in their order, and block neither end."""
    held: list[socket.socket] = []

    async def take(message, sockets):
        held.extend(sockets)
        return With(len(sockets), sockets)

    async def main() -> None:
        ours = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for sock in ours:
            sock.bind(("127.0.0.1", 0))
        async with pair(take) as (one, _):
            answer, back = await one.ask("take", timeout=TIMEOUT, sockets=ours)
        assert answer == count
        names = [sock.getsockname() for sock in ours]
        assert [sock.getsockname() for sock in held] == [sock.getsockname() for sock in back] == names
        for sock in (*held, *back):
            assert not sock.get_inheritable()
            assert not os.get_blocking(sock.fileno())
        for sock in (*ours, *held, *back):
            sock.close()

    asyncio.run(main())


def test_what_goes_wrong_there_is_told_here():
    async def fail(message, sockets):
        if message["do"] == "refuse":
            raise Refused(["line 1", "line 2"])
        raise RuntimeError("a fault")

    async def main() -> None:
        async with pair(fail) as (one, other):
            with pytest.raises(Refused) as caught:
                await one.ask("refuse", timeout=TIMEOUT)
            assert caught.value.faults == ["line 1", "line 2"]
            with pytest.raises(Refused, match="RuntimeError: a fault"):
                await one.ask("fail", timeout=TIMEOUT)
            with pytest.raises(Refused, match="nothing can be asked"):
                await other.ask("anything", timeout=TIMEOUT)

    asyncio.run(main())


def test_who_does_not_answer_is_not_waited_for():
    async def hang(message, sockets):
        await asyncio.Event().wait()

    async def main() -> None:
        async with pair(hang) as (one, other):
            with pytest.raises(Gone, match=r"no answer within 0\.05 s"):
                await one.ask("hang", timeout=0.05)
            waiting = asyncio.ensure_future(one.ask("hang", timeout=None))
            await asyncio.sleep(0)
            other.close()
            with pytest.raises(Gone, match="has ended"):
                await waiting
            await one.closed
            with pytest.raises(Gone, match="has ended"):
                await one.ask("hang", timeout=None)

    asyncio.run(main())


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b"{}\n",
        b'{"id": "one"}\n',
        b'{"id": 1, "do": "x", "sockets": 1}\n',
        b"\xff\n",
        b"1\n",
    ],
)
def test_who_talks_nonsense_is_left(line):
    async def main() -> None:
        async with raw() as (end, channel):
            end.sendall(line)
            await channel.closed
            assert await asyncio.to_thread(end.recv, 1) == b""

    asyncio.run(main())


def test_lines_and_sockets_are_bounded(monkeypatch):
    monkeypatch.setattr("edgews.edge.process.channel.MAX_LINE", 1000)
    monkeypatch.setattr("edgews.edge.process.channel.MAX_SOCKETS", 10)
    check(MAX_SOCKETS > 10, "there is something to lower")

    async def main() -> None:
        async with raw() as (end, channel):
            end.sendall(b"x" * 1001)
            await channel.closed
        async with raw() as (end, channel):
            with socket.socket() as sock:
                socket.send_fds(end, [b" "], [sock.fileno()] * 11)
                await channel.closed

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for():
    async def main() -> None:
        async with raw() as (end, channel):
            with socket.socket() as sock:
                socket.send_fds(end, [b'{"id": 7, "sockets": 1}\n'], [sock.fileno()])
                end.sendall(b'{"id": 1, "do": "x"}\n')
                answer = json.loads(await asyncio.to_thread(end.recv, 1000))
                assert answer == {"id": 1, "faults": ["nothing can be asked here"]}
                assert not channel.closed.done()
            await channel.flushed()

    asyncio.run(main())


def test_answers_are_out_before_the_end():
    async def main() -> None:
        big = "x" * 3_000_000
        async with pair(echo) as (one, other):
            asked = asyncio.ensure_future(one.ask("echo", timeout=TIMEOUT, value=big))
            while not other._out:
                await asyncio.sleep(0)
            await other.flushed()
            other.close()
            assert await asked == big

    asyncio.run(main())
