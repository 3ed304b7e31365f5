"""The tasks of a connection: one reads, one writes, one keeps the timers.

What the application sends waits for the writing task, so a call that is cancelled has still sent its message
whole, and nothing is ever cut. Memory is bounded: a call that sends returns when little enough waits, and
nothing is read while the session has no room.
"""

from __future__ import annotations

import math
from contextlib import suppress

import trio

from edgews.client import ClientConnection
from edgews.fragments import new_session
from edgews.frames import CloseCode
from edgews.server import ServerConnection
from edgews.states import State, Transport

from .streams import PeerStalled, with_patience

# In bytes. A call that sends waits as long as more than this waits to be written.
HIGH_WATER = 65536
READ_SIZE = 65536
# What is written at once: of a long message no more is encrypted than soon goes out.
WRITE_SIZE = 65536


class Pump:
    """What `WebSocket` runs on; it is not used alone."""

    def __init__(self, conn: ClientConnection | ServerConnection, stream: trio.abc.Stream) -> None:
        self._conn = conn
        self._stream = stream
        if not isinstance(stream, trio.abc.HalfCloseableStream):
            conn.cannot_half_close()
        self._writer = with_patience(stream, _seconds(conn.timeouts.ping_timeout))
        self._session = new_session(conn, self._notify)
        self._output: list[bytes] = []
        self._waiting = 0
        # The peer's half of the stream is open, as far as we know; ours is; and nothing is left of it.
        self._readable = True
        self._writable = True
        self._gone = False
        # Everyone who waits for anything looks again when something has changed.
        self._changed = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope()

    def _notify(self) -> None:
        self._changed.unpark_all()

    async def _wait_change(self) -> None:
        await self._changed.park()

    async def _run(self) -> None:
        """Keep the connection going until nothing is left of the stream.

        What came before the end may then still wait to be taken, and the end behind it.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._keep_time)
        finally:
            self._mute()
            self._session.receive_eof()
            try:
                await trio.aclose_forcefully(self._stream)
            finally:
                self._gone = True
                self._notify()

    async def _read(self) -> None:
        session = self._session
        while session.closed is None:
            if not session.reading:
                await self._wait_change()
                continue
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # Nothing goes either way any more.
                self._scope.cancel()
                return
            if data:
                session.receive_data(data)
            else:
                self._readable = False
                session.receive_eof()
                if not self._writable:
                    self._scope.cancel()
            self._notify()
            if not data:
                return

    async def _write(self) -> None:
        """Write what waits, and do with the stream what the engine says. RFC 6455 §7.1.1."""
        ended = False
        while True:
            if not self._output:
                # As long as bytes wait, the engine keeps its replies and answers the last of many Pings.
                self._put(self._session.data_to_send())
            if self._output:
                await self._write_out()
                continue
            transport = self._session.transport
            if transport is Transport.CLOSE:
                break
            if transport is Transport.HALF_CLOSE and not ended:
                ended = True
                # Where that is impossible, the engine does not ask for it.
                assert isinstance(self._stream, trio.abc.HalfCloseableStream)
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._stream.send_eof()
            else:
                await self._wait_change()
        # Before anything has come, TLS would begin its end with its beginning.
        if self._conn.bytes_received:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.aclose()
        self._scope.cancel()

    async def _write_out(self) -> None:
        """Write what waits now; if that is impossible, what can be read is still read."""
        left = memoryview(b"".join(self._output))
        self._output.clear()
        while left:
            piece, left = left[:WRITE_SIZE], left[WRITE_SIZE:]
            try:
                await self._writer.send_all(piece)
            except PeerStalled:
                if self._conn.state is State.OPEN:
                    self._conn.fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
                self._mute()
                self._scope.cancel()
                return
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._mute()
                if not self._readable:
                    self._scope.cancel()
                return
            self._waiting -= len(piece)
            self._notify()

    def _mute(self) -> None:
        """Nothing can be written any more."""
        self._writable = False
        self._output.clear()
        self._waiting = 0
        self._notify()

    async def _keep_time(self) -> None:
        session = self._session
        while session.closed is None:
            due = session.next_timeout()
            now = trio.current_time()
            if due is not None and due <= now:
                session.handle_timeout(now)
                self._notify()
            else:
                with trio.move_on_at(_seconds(due)):
                    await self._wait_change()
        # The last that waits to be written, and the end of TLS, get no more than their time either.
        await trio.sleep(_seconds(self._conn.timeouts.close))
        self._scope.cancel()

    def _put(self, data: bytes) -> None:
        if data and self._writable:
            self._output.append(data)
            self._waiting += len(data)


def _seconds(value: float | None) -> float:
    return math.inf if value is None else value
