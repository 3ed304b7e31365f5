"""The tasks of a connection: one reads, one writes, one keeps the timers.

What the application sends waits for the writing task, so a call that is cancelled has still sent its message
whole, and nothing is ever cut. Memory is bounded: a call that sends returns when little enough waits, and
nothing is read while the session has no room.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import trio

from edgews.client import ClientConnection
from edgews.fragments import new_session
from edgews.frames import CloseCode
from edgews.server import ServerConnection
from edgews.states import State, Transport

# In bytes. A call that sends waits as long as more than this waits to be written.
HIGH_WATER = 65536
READ_SIZE = 65536
# One write: a peer that does not take so much within `Timeouts.ping_timeout` is given up.
WRITE_SIZE = 65536


class Pump:
    """What `WebSocket` runs on; it is not used alone."""

    def __init__(self, conn: ClientConnection | ServerConnection, stream: trio.abc.Stream) -> None:
        self._conn = conn
        self._stream = stream
        self._session = new_session(conn, self._notify)
        self._output: deque[bytes] = deque()
        self._waiting = 0
        self._aborted = False
        # Everyone who waits for anything looks again when something has changed.
        self._changed = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope()

    def _notify(self) -> None:
        self._changed.unpark_all()

    async def _wait_change(self) -> None:
        await self._changed.park()

    async def _run(self) -> None:
        """Keep the connection going until it has ended; then nothing is left of the stream."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._keep_time)
        finally:
            self._session.leave()
            self._session.receive_eof()
            await trio.aclose_forcefully(self._stream)
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
                session.leave()
                data = b""
            if data:
                session.receive_data(data)
            else:
                session.receive_eof()
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
                await self._write_one()
                continue
            transport = self._session.transport
            if transport is Transport.CLOSE:
                break
            if transport is Transport.HALF_CLOSE and not ended:
                ended = True
                if not await self._end_stream():
                    break
            else:
                await self._wait_change()
        with trio.move_on_after(self._seconds(self._conn.timeouts.close)), suppress(trio.BrokenResourceError):
            await self._stream.aclose()
        self._scope.cancel()

    async def _write_one(self) -> None:
        data = self._output.popleft()
        if len(data) > WRITE_SIZE:
            self._output.appendleft(data[WRITE_SIZE:])
            data = data[:WRITE_SIZE]
        with trio.move_on_after(self._seconds(self._conn.timeouts.ping_timeout)) as patience:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._break()
        if patience.cancelled_caught:
            if self._conn.state is State.OPEN:
                self._conn.fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
            self._break()
        self._waiting -= len(data)
        self._notify()

    def _break(self) -> None:
        """Nothing can be written any more."""
        self._output.clear()
        self._waiting = 0
        self._scope.cancel()

    async def _end_stream(self) -> bool:
        """End our half of the stream; say whether that is possible without ending the other one."""
        if not isinstance(self._stream, trio.abc.HalfCloseableStream):
            return False
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.send_eof()
        return True

    async def _keep_time(self) -> None:
        session = self._session
        while session.closed is None:
            due = session.next_timeout()
            now = trio.current_time()
            if due is not None and due <= now:
                session.handle_timeout(now)
                self._notify()
            else:
                with trio.move_on_at(self._seconds(due)):
                    await self._wait_change()

    def _put(self, data: bytes) -> None:
        if data:
            self._output.append(data)
            self._waiting += len(data)

    @staticmethod
    def _seconds(value: float | None) -> float:
        return float("inf") if value is None else value
