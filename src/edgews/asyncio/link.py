"""A byte stream of asyncio with an engine on it: what both levels of this adapter share.

The engine's deadline is one timer of the loop. It is asked for anew only where it may have come nearer, so
a read of plain messages touches no timer and reads no clock.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from edgews.broadcasting import CLOSED, SLOW, YES, Sent
from edgews.client import ClientConnection
from edgews.errors import StateError
from edgews.frames import CloseCode
from edgews.limits import Timeouts
from edgews.messages import BytesLike, PreparedMessage
from edgews.server import ServerConnection
from edgews.states import State, Transport
from edgews.timers import ASAP

# At most so many frames go out in one write, and none behind one of more than so many bytes. From there on,
# two pieces for a transport cost less than a copy.
_CORKED = 64
LARGE = 16384


# For a timer that shall not run, where asyncio takes None for its own default (seconds).
_NEVER = 1e9


def tls_timeouts(timeouts: Timeouts) -> dict[str, float]:
    """Return the arguments of asyncio that keep a peer from drawing out the handshakes of TLS."""
    return {
        "ssl_handshake_timeout": _NEVER if timeouts.open is None else timeouts.open,
        "ssl_shutdown_timeout": _NEVER if timeouts.close is None else timeouts.close,
    }


class Engine(Protocol):
    """What a link tells the time: a connection, or a session around one."""

    def handle_timeout(self, now: float) -> Any: ...
    def next_timeout(self) -> float | None: ...


class Link(asyncio.Protocol):
    """The protocol of one transport; it is not used alone."""

    __slots__ = (
        "_conn",
        "_corked",
        "_drained",
        "_due",
        "_ended",
        "_engine",
        "_gathers",
        "_loop",
        "_reading",
        "_stall",
        "_taken",
        "_timer",
        "_transport",
        "_unsent",
    )

    def __init__(
        self, engine: Engine, conn: ServerConnection | ClientConnection, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._engine = engine
        self._conn = conn
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        # When it is due: not every loop's handle can tell.
        self._due = 0.0
        # There only while the transport takes no more: who waits for room, and when it is given up.
        self._drained: asyncio.Future[None] | None = None
        self._stall: asyncio.TimerHandle | None = None
        # How much waited after the last write, and whether less has since the last look.
        self._unsent = 0
        self._taken = False
        self._ended = False
        self._reading = True
        # The transport takes pieces without copying them, and minds how much waits.
        self._gathers = False
        # What goes out in one write at the end of a read, None outside of it.
        self._corked: list[bytes] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        if not self._transport.can_write_eof():
            self._conn.cannot_half_close()
        # Those of asyncio itself join the pieces, or in some versions forget to say when they are full
        # (CVE-2024-12254).
        self._gathers = type(transport).__module__.startswith("uvloop.")
        self._advance()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._drained = self._loop.create_future()
            self._read_on(self._transport)
            self._watch(self._transport)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        self._advance()

    def eof_received(self) -> bool:
        self._eof()
        transport = self._transport
        # What waits is still answered, where the stream can be half-closed.
        return transport is not None and transport.can_write_eof() and not transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.resume_writing()
        if self._conn.state is not State.CLOSED:
            self._eof()

    def _eof(self) -> None:
        """Take the end of the byte stream, in order or not."""
        raise NotImplementedError

    # What both levels call

    def _put(self, data: bytes) -> None:
        """Write now, or together with what else is sent in this read."""
        if self._corked is None:
            self._write(data)
            return
        self._corked.append(data)
        # So that the transport sees what piles up, and says when it is too much.
        if len(self._corked) == _CORKED or len(data) > LARGE:
            self._uncork()

    def _send_large(self, message: str | BytesLike, compress: bool | None) -> bytes:
        """Send a message of more than `LARGE` bytes without a copy, if that is possible.

        Returns:
            What is still to be written: all of it, or nothing.
        """
        transport = self._transport
        if not self._gathers or transport is None or self._corked is not None or self._drained is not None:
            return self._conn.send(message, compress=compress)
        header, payload = self._conn.send_parts(message, compress=compress)
        if not payload or self._ended:
            return header
        transport.writelines((header, payload))
        return b""

    def _uncork(self) -> None:
        """Write what was put aside in this read."""
        corked, self._corked = self._corked, None
        if corked:
            self._write(corked[0] if len(corked) == 1 else b"".join(corked))

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if data and transport is not None and not self._ended:
            if self._drained is None:
                transport.write(data)
            else:
                self._note_progress(transport)
                transport.write(data)
                self._unsent = transport.get_write_buffer_size()

    def _advance(self) -> None:
        """Write what the engine sends by itself, do with the stream what it says, and set the timer."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        due = self._engine.next_timeout()
        if due == ASAP:
            self._tell_time()
            due = self._engine.next_timeout()
        if self._corked is not None:
            # Nothing overtakes what was put aside; the rest of this read is written as it comes.
            self._uncork()
        conn = self._conn
        state = conn.transport
        # As long as bytes wait, the engine keeps its replies, and answers only the last of many Pings.
        if self._drained is None or state is Transport.CLOSE:
            self._write(conn.data_to_send())
        if state is Transport.CLOSE:
            self._close(transport)
            return
        if state is Transport.HALF_CLOSE and self._drained is None and not self._ended:
            self._ended = True
            try:
                transport.write_eof()
            except OSError:
                # The peer has reset the connection, and nobody reads who would notice.
                transport.abort()
                return
        self._read_on(transport)
        self._schedule(due)

    def _read_on(self, transport: asyncio.Transport) -> None:
        """Let the transport read, unless what was read waits."""
        reading = self._wants_more()
        if reading is not self._reading and not transport.is_closing():
            self._reading = reading
            if reading:
                transport.resume_reading()
                # Meanwhile the engine was not asked when it wants to be told the time.
                self._schedule(self._engine.next_timeout())
            else:
                transport.pause_reading()

    def _wants_more(self) -> bool:
        """Say whether there is room for what the peer sends."""
        return True

    def _close(self, transport: asyncio.Transport) -> None:
        """Drop the stream once what was written is out, and in any case after the close timeout."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Without TLS, and with nothing left to write, there is nothing to wait for.
        waits = not transport.can_write_eof() or transport.get_write_buffer_size()
        if waits and self._conn.timeouts.close is not None:
            self._timer = self._loop.call_later(self._conn.timeouts.close, transport.abort)
        transport.close()

    def _schedule(self, due: float | None) -> None:
        """Come back when the engine wants to be told the time; ASAP is as soon as the loop can."""
        if self._timer is not None:
            # One that comes too early does no harm: it looks, and is set anew.
            if due is not None and self._due <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._due = due
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._tell_time()
        self._advance()

    def _tell_time(self) -> None:
        self._engine.handle_timeout(self._loop.time())

    # A peer that takes little, or nothing

    async def _make_room(self) -> None:
        """Wait until the peer has taken enough of what was sent, and let others run in any case."""
        if self._drained is not None:
            await asyncio.shield(self._drained)
        else:
            await asyncio.sleep(0)

    def _watch(self, transport: asyncio.Transport) -> None:
        if self._conn.timeouts.ping_timeout is not None:
            self._taken = False
            self._unsent = transport.get_write_buffer_size()
            self._stall = self._loop.call_later(self._conn.timeouts.ping_timeout, self._look, transport)

    def _note_progress(self, transport: asyncio.Transport) -> None:
        """Remember whether less waits than at the last write, whatever has been added since the last look."""
        if transport.get_write_buffer_size() < self._unsent:
            self._taken = True

    def _look(self, transport: asyncio.Transport) -> None:
        """Give up a peer that has taken nothing since the last look."""
        self._note_progress(transport)
        if self._taken:
            self._watch(transport)
        else:
            self._stall = None
            # Nobody will see this Close, but it is the cause of the end.
            self._fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
            transport.abort()

    def _fail(self, code: int, reason: str = "") -> None:
        """Fail the connection, if it is open."""
        if self._conn.state is State.OPEN:
            self._put(self._conn.fail(code, reason))
            self._advance()

    # For `broadcast`

    def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
        """Send a message, unless the peer does not keep up."""
        if self._drained is not None:
            return SLOW
        transport = self._transport
        if transport is None:
            return CLOSED
        try:
            frame = self._conn.send_prepared(message, compress=compress)
        except StateError:
            return CLOSED
        if self._corked is None:
            transport.write(frame)
        else:
            self._put(frame)
        return YES
