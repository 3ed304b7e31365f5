"""The thread of a connection: it reads, meets Pings and the peer's Close, and keeps the timers.

The application's calls encode and write on their own threads. Everything happens under one lock, which nobody
holds while waiting; what is waited for is told by one condition.

Memory is bounded on both sides. What was received waits in the session's inbox; when that is full nothing
is read, so that the peer has to wait in its turn. A call that sends returns when its bytes are with the
operating system, and the next message is encoded only then; automatic replies wait in the engine, which
bounds them itself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from edgews.client import ClientConnection
from edgews.errors import LocalProtocolError
from edgews.events import Cause, CauseKind, Disconnected, Side
from edgews.fragments import new_session
from edgews.frames import CloseCode
from edgews.server import ServerConnection
from edgews.states import State, Transport
from edgews.timers import ASAP

from .condition import Condition
from .poller import Poller
from .streams import Stream

T = TypeVar("T")

# The cause of an end that follows from such an interruption.
INTERRUPTED = "an exception from outside, such as Ctrl-C, interrupted the work on a message"


class Pump:
    """What `WebSocket` runs on; it is not used alone."""

    def __init__(self, conn: ClientConnection | ServerConnection, stream: Stream, name: str) -> None:
        self._conn = conn
        self._stream = stream
        if not stream.half_closes:
            conn.cannot_half_close()
        # Guards all that follows, and the engine and the stream.
        self._lock = threading.Lock()
        self._changed = Condition(self._lock)
        self._session = new_session(conn, self._changed.notify_all)
        self._aborted = False
        # A handler of a signal has raised while the engine was at work.
        self._interrupted = False
        # It did so while a message was taken, and the session's books may be wrong.
        self._torn = False
        # The peer's half of the stream has ended; nothing is left of the stream.
        self._eof = False
        self._gone = False
        # Threads that wait until their bytes are with the operating system.
        self._writers = 0
        # How long, in seconds, bytes may wait for a peer that takes none; how many had gone out at the last
        # look, and when that number last moved.
        timeout = conn.timeouts.ping_timeout
        self._patience = math.inf if timeout is None else timeout
        self._written = 0
        self._moved = 0.0
        # What the thread is waiting for: something to read, room to write.
        self._watched = (False, False)
        self._poller = Poller(stream.sock)
        self._thread = threading.Thread(target=self._run, name=f"{name}-io", daemon=True)

    def _start(self) -> None:
        """Begin; from here on, the end comes with `_abort` at the latest."""
        try:
            self._thread.start()
        except RuntimeError:
            # The system has no more threads.
            self._stream.close()
            self._poller.close()
            raise

    # The thread

    def _run(self) -> None:
        session = self._session
        try:
            while True:
                with self._lock:
                    if self._interrupted:
                        return
                    deadline = self._step(monotonic())
                    if session.closed is not None or self._is_dead:
                        return
                    read, write = self._watched
                    timeout = None if deadline is None else max(0.0, deadline - monotonic())
                self._poller.wait(read=read, write=write, timeout=timeout)
        finally:
            with self._lock:
                if session.closed is None and not self._is_dead:
                    # Else only a defect leads here; nobody shall wait for what cannot come.
                    detail = INTERRUPTED if self._interrupted else "the thread of the connection has died"
                    cause = Cause(CauseKind.FAILED, Side.LOCAL, detail)
                    session.closed = Disconnected(CloseCode.ABNORMAL_CLOSURE, "", False, cause)
                self._gone = True
                self._stream.close()
                self._poller.close()
                self._changed.notify_all()

    @property
    def _is_dead(self) -> bool:
        """Whether nothing can be read or written any more.

        What came before may still wait to be taken, with the end behind it. That needs no stream.
        """
        return self._eof and self._stream.broken

    def _step(self, now: float) -> float | None:
        """Do all that can be done now.

        Returns:
            When to come back at the latest, None if no timer runs.
        """
        session = self._session
        if self._aborted:
            session.leave()
            session.receive_eof()
        deadlines: list[float] = []
        stalled = not session.reading
        if not stalled and session.closed is None:
            data = self._stream.read()
            if data is not None:
                if not data:
                    self._eof = True
                    session.receive_eof()
                elif session.receive_data(data):
                    self._changed.notify_all()
                deadlines.append(ASAP)
        # Only after a read, for that may have brought the sign of life that a timer waits for.
        due = session.next_timeout()
        if due is not None and due <= now:
            session.handle_timeout(now)
            due = session.next_timeout()
        if due is not None:
            deadlines.append(due)
        if stalled and session.reading:
            # There is room since then, and with TLS the socket does not tell of what it has given already.
            deadlines.append(ASAP)
        self._flush()
        if self._stream.pending:
            deadlines.append(self._watch_writing(now))
        self._watched = (session.reading and session.closed is None, self._stream.wants_write)
        return min(deadlines, default=None)

    def _watch_writing(self, now: float) -> float:
        """Give up a peer that takes nothing for too long; return when that will be."""
        if self._written != self._stream.bytes_written or not self._moved:
            self._written, self._moved = self._stream.bytes_written, now
        if now < self._moved + self._patience:
            return self._moved + self._patience
        if self._conn.state is State.OPEN:
            self._conn.fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
            return ASAP
        # The close timer runs.
        return math.inf

    # Under the lock, on any thread

    def _write(self, encode: Callable[[], bytes]) -> None:
        """Write what the engine encodes.

        Where the handler of a signal raises within the engine, as that of Ctrl-C does, nobody knows what the
        peer has to get next, and the connection ends. That is rare, for a message is encoded in microseconds;
        writing it takes longer, and then the stream keeps to the byte.

        Raises:
            LocalProtocolError, TypeError: what `encode` refuses.
        """
        try:
            self._stream.put(encode())
        except (LocalProtocolError, TypeError):
            raise
        except BaseException:
            self._give_up()
            raise
        try:
            self._stream.flush()
            if self._stream.broken or (self._stream.wants_write and not self._watched[1]):
                self._poller.wake()
        except BaseException:
            # The thread goes on where this one was interrupted.
            self._poller.wake()
            raise

    def _ask(self, take: Callable[[], T]) -> T:
        """Call the session; as in `_write`, what interrupts that ends the connection."""
        try:
            return take()
        except BaseException:
            self._torn = True
            self._give_up()
            raise

    def _give_up(self) -> None:
        self._interrupted = True
        self._stream.abandon()
        self._poller.wake()

    def _answer(self) -> None:
        """Look at what was held back, for the application has come back."""
        self._session.draw()
        self._flush()

    def _flush(self) -> None:
        """Write what waits, and end our stream when it is time. RFC 6455 §7.1.1."""
        stream = self._stream
        if stream.pending:
            stream.flush()
        # As long as bytes wait, the engine keeps its replies, and answers only the last of many Pings.
        if not stream.pending:
            stream.put(self._conn.data_to_send())
            stream.flush()
        if not stream.pending:
            state = self._conn.transport
            # TLS has an end of its own to say.
            if state is Transport.HALF_CLOSE or (state is Transport.CLOSE and not stream.half_closes):
                stream.end()
            if self._writers:
                self._changed.notify_all()
