"""What the tests of edgews.trio share: byte streams in memory, a peer without the engine, cancellation."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import trio
import trio.testing

from edgews.handshake import accept_key
from edgews.trio import WebSocket, connect, serve
from tests import wire
from tests.raw import check

URI = "ws://example.com/chat"
# Longer than any test takes, on any machine.
OVERALL = 120.0
# The same in a time that jumps.
LONG = 100_000.0

# How many checkpoints a call may be expected to have, of which each is tried.
MOST = 40

Pair = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]

PAIRS: dict[str, Pair] = {
    "memory": trio.testing.memory_stream_pair,
    "lockstep": trio.testing.lockstep_stream_pair,
}


def run(test: Callable[[], Awaitable[None]], clock: trio.abc.Clock | None = None) -> None:
    """Run a test; nothing of it may be left, and it may not take for ever."""

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        # With a clock that jumps, this is over as soon as everything stands still.
        with trio.fail_after(OVERALL if clock is None else LONG):
            await test()
        check(trio.lowlevel.current_statistics().tasks_living == before, "tasks are left")

    trio.run(main, clock=clock)


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Listens where `dial` dials."""

    def __init__(self, pair: Pair = trio.testing.memory_stream_pair) -> None:
        self._pair = pair
        self._dialled, self._waiting = trio.open_memory_channel[trio.abc.Stream](100)
        self.closed = False

    def dial(self) -> trio.abc.Stream:
        theirs, ours = self._pair()
        self._dialled.send_nowait(ours)
        return theirs

    async def accept(self) -> trio.abc.Stream:
        return await self._waiting.receive()

    async def aclose(self) -> None:
        self.closed = True
        self._waiting.close()
        await trio.lowlevel.checkpoint()


@contextlib.asynccontextmanager
async def linked(
    handler: Callable[[WebSocket], Awaitable[None]],
    *,
    pair: Pair = trio.testing.memory_stream_pair,
    serving: dict[str, Any] | None = None,
    connecting: dict[str, Any] | None = None,
) -> AsyncIterator[WebSocket]:
    """Connect a client with a server over streams in memory."""
    listener = MemoryListener(pair)
    async with (
        serve(handler, listeners=[listener], **(serving or {})),
        connect(URI, stream=listener.dial(), **(connecting or {})) as ws,
    ):
        yield ws


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def discard(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def flood(ws: WebSocket) -> None:
    """Send until that raises."""
    while True:
        await ws.send(bytes(10_000))


class OneWayOut(trio.abc.Stream):
    """A stream that cannot be half-closed, and counts how often it is closed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.closed = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed += 1
        await self._stream.aclose()


class Peer:
    """The other end of a stream in memory; it does exactly what a test says."""

    def __init__(self, stream: Any, *, client: bool) -> None:
        self.stream = stream
        self._key = wire.KEY if client else None
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def frame(self, opcode: int, payload: bytes = b"") -> bytes:
        return wire.frame(opcode, payload, key=self._key)

    def close_frame(self, code: int | None = 1000) -> bytes:
        return wire.close(code, key=self._key)

    async def open(self) -> None:
        """As a client, open the connection."""
        await self.send(wire.request())
        check((await self.read_head()).startswith(b"HTTP/1.1 101 "), "it was not opened")

    async def accept(self, behind: bytes = b"") -> None:
        """As a server, open the connection; `behind` goes out with the answer."""
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", await self.read_head())
        if key is None:
            raise AssertionError("no key")
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key[1].decode())}\r\n\r\n"
        ).encode()
        await self.send(answer + behind)

    async def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            check(await self._read(), "the stream ended in the head")
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def read_rest(self) -> bytes:
        while await self._read():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    async def read_frame(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame, None at the end of the stream."""
        while True:
            found = self._cut()
            if found is not None:
                return found
            if not await self._read():
                check(not self._buffer, f"the stream ended in a frame: {self._buffer[:100]!r}")
                return None

    async def read_frames(self) -> list[tuple[int, bytes]]:
        frames = []
        while (found := await self.read_frame()) is not None:
            frames.append(found)
        return frames

    async def _read(self) -> bool:
        data = await self.stream.receive_some(65536)
        self._buffer += data
        return bool(data)

    def _cut(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        if length >= 126:
            wide = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        end = at + (4 if data[1] & 0x80 else 0) + length
        if len(data) < end:
            return None
        self._buffer = data[end:]
        found = wire.one(data[:end])
        return found.opcode, found.payload


@contextlib.asynccontextmanager
async def peer_of_server(
    handler: Callable[[WebSocket], Awaitable[None]],
    *,
    pair: Pair = trio.testing.memory_stream_pair,
    **serving: Any,
) -> AsyncIterator[Peer]:
    """Play the client of a server; the connection is open."""
    listener = MemoryListener(pair)
    async with serve(handler, listeners=[listener], **serving):
        peer = Peer(listener.dial(), client=True)
        await peer.open()
        yield peer


@contextlib.asynccontextmanager
async def peer_of_client(
    *, pair: Pair = trio.testing.memory_stream_pair, **connecting: Any
) -> AsyncIterator[tuple[Peer, WebSocket]]:
    """Play the server of a client; the connection is open."""
    ours, theirs = pair()
    peer = Peer(theirs, client=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        async with connect(URI, stream=ours, **connecting) as ws:
            yield peer, ws


class Steps(trio.abc.Instrument):
    """Cancels a scope when a task has come to its n-th checkpoint, as far as they are counted."""

    def __init__(self, scope: trio.CancelScope, number: int, *, counting: bool) -> None:
        self._scope = scope
        self._task = trio.lowlevel.current_task()
        self._left = number
        self.counting = counting

    @property
    def reached(self) -> bool:
        return self._left <= 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task and self.counting:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


@contextlib.contextmanager
def cancelling(number: int, *, counting: bool = True) -> Iterator[Steps]:
    """Cancel a block at its n-th checkpoint.

    That may be one which cannot be cancelled; the block then goes on to its next.
    """
    with trio.CancelScope() as scope:
        steps = Steps(scope, number, counting=counting)
        trio.lowlevel.add_instrument(steps)
        try:
            yield steps
        finally:
            trio.lowlevel.remove_instrument(steps)


async def cancel_at(number: int, function: Callable[..., Awaitable[object]], *args: Any) -> bool:
    """Call something, and cancel it at its n-th checkpoint; say whether it came as far as that."""
    with cancelling(number) as steps:
        await function(*args)
    return steps.reached


async def every_checkpoint(attempt: Callable[[int], Awaitable[bool]]) -> int:
    """Try with the first checkpoint, the second, ...; return how many the call has."""
    for number in range(1, MOST):
        if not await attempt(number):
            return number - 1
    raise AssertionError(f"a call with more than {MOST} checkpoints")
