"""The thread of a connection: it reads, meets Pings and the peer's Close, and keeps the timers.

The application's calls encode and write on their own threads. Everything happens under one lock, which nobody
holds while waiting; what is waited for is told by one condition.

Memory is bounded on both sides. What was received waits in an inbox; when that is full nothing is read, so
that the peer has to wait in its turn. A call that sends returns when its bytes are with the operating system,
and the next message is encoded only then; automatic replies wait in the engine, which bounds them itself.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from time import monotonic

from edgews.client import ClientConnection
from edgews.events import (
    Accepted,
    Cause,
    CauseKind,
    Disconnected,
    Event,
    Pong,
    Rejected,
    Request,
    Response,
    Side,
)
from edgews.frames import CloseCode
from edgews.limits import Timeouts
from edgews.server import ServerConnection
from edgews.states import State, Transport

from .poller import Poller
from .streams import Stream

# The inbox is full with this much, in bytes; a message costs its size and what Python adds to it.
HIGH_WATER = 65536
MESSAGE_COST = 64

# What the peer sent behind a message is not looked at until the application has come back for more, though
# for no longer than this (seconds). If it is a Close, or breaks a rule, then the answer to the message still
# goes out in front of our own Close; if it is a Ping, then a busy application delays its Pong by so much.
ANSWER_TIME = 1.0

NOW = -math.inf


class Pump:
    """What `WebSocket` runs on; it is not used alone."""

    def __init__(
        self, conn: ClientConnection | ServerConnection, stream: Stream, timeouts: Timeouts, name: str
    ) -> None:
        self._conn = conn
        self._stream = stream
        self.request: Request | None = conn.request if isinstance(conn, ClientConnection) else None
        self.response: Response | None = None
        self.closed: Disconnected | None = None
        # Guards all that follows, and the engine and the stream.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._opened = False
        self._inbox: deque[str | bytes] = deque()
        self._inbox_cost = 0
        # Events that the engine was not asked for yet, None if there are none.
        self._events: Iterator[Event] | None = None
        self._held_until = NOW
        # The application wants no more: nothing is held back, and what finds no room is dropped.
        self._leaving = False
        self._aborted = False
        # Threads that wait until their bytes are with the operating system.
        self._writers = 0
        # Ping payload -> when its Pong came.
        self._pings: dict[bytes, float | None] = {}
        # How long, in seconds, bytes may wait for a peer that takes none; how many had gone out at the last
        # look, and when that number last moved.
        self._patience = math.inf if timeouts.ping_timeout is None else timeouts.ping_timeout
        self._written = 0
        self._moved = 0.0
        # What the thread is waiting for: something to read, room to write.
        self._watched = (False, False)
        self._poller = Poller(stream.sock)
        self._thread = threading.Thread(target=self._run, name=f"{name}-io", daemon=True)
        self._thread.start()

    # The thread

    def _run(self) -> None:
        try:
            while True:
                with self._lock:
                    deadline = self._step(monotonic())
                    if self.closed is not None:
                        return
                    read, write = self._watched
                    timeout = None if deadline is None else max(0.0, deadline - monotonic())
                self._poller.wait(read=read, write=write, timeout=timeout)
        finally:
            with self._lock:
                if self.closed is None:
                    # Only a defect leads here; nobody shall wait for what cannot come.
                    cause = Cause(CauseKind.FAILED, Side.LOCAL, "the thread of the connection has died")
                    self.closed = Disconnected(CloseCode.ABNORMAL_CLOSURE, "", False, cause)
                self._stream.close()
                self._poller.close()
                self._changed.notify_all()

    def _step(self, now: float) -> float | None:
        """Do all that can be done now.

        Returns:
            When to come back at the latest, None if no timer runs.
        """
        if self._aborted:
            self._feed(self._conn.receive_eof())
        self._draw(now)
        deadlines: list[float] = []
        reading = self._events is None and self._ready(now) and self.closed is None
        if reading:
            data = self._stream.read()
            if data is not None:
                self._feed(self._conn.receive_data(data) if data else self._conn.receive_eof())
                deadlines.append(NOW)
            due = self._conn.next_timeout()
            # Only after a read, for that may have brought the sign of life that a timer waits for.
            if self._events is None and due is not None and due <= now:
                self._feed(self._conn.handle_timeout(now))
                due = self._conn.next_timeout()
            if due is not None:
                deadlines.append(due)
        if self._held_until > now and not reading:
            deadlines.append(self._held_until)
        self._flush()
        if self._stream.pending:
            deadlines.append(self._watch_writing(now))
        self._watched = (reading, self._stream.wants_write)
        return min(deadlines, default=None)

    def _watch_writing(self, now: float) -> float:
        """Give up a peer that takes nothing for too long; return when that will be."""
        if self._written != self._stream.bytes_written or not self._moved:
            self._written, self._moved = self._stream.bytes_written, now
        if now < self._moved + self._patience:
            return self._moved + self._patience
        if self._conn.state is State.OPEN:
            self._conn.fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
            return NOW
        # The close timer runs.
        return math.inf

    # Under the lock, on any thread

    def _feed(self, events: Iterable[Event]) -> None:
        """Take what the engine has to say, behind what it has not said yet."""
        self._events = iter(events) if self._events is None else chain(self._events, events)
        self._draw(monotonic())

    def _ready(self, now: float) -> bool:
        """Say whether the application is ready for what comes next."""
        if self._leaving or not self._opened or self._stream.broken or self._aborted:
            return True
        # Whoever waits for a Pong has nothing to answer.
        return (now >= self._held_until or bool(self._pings)) and self._inbox_cost < HIGH_WATER

    def _draw(self, now: float) -> None:
        """Take events from the engine, as far as the application is ready for them."""
        while self._events is not None and self._ready(now):
            event = next(self._events, None)
            if event is None:
                self._events = None
            else:
                self._handle(event, now)

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case str() | bytes():
                if self._inbox_cost < HIGH_WATER:
                    if not self._inbox:
                        self._hold(now)
                    self._inbox.append(event)
                    self._inbox_cost += len(event) + MESSAGE_COST
            case Pong(data):
                if data in self._pings:
                    self._pings[data] = now
            case Request():
                self.request = event
            case Accepted(_, response):
                self.response = response
                self._opened = True
            case Rejected(response):
                self.response = response
            case Disconnected():
                self.closed = event
            case _:
                return
        self._changed.notify_all()

    def _hold(self, now: float) -> None:
        """Give the application time to answer the message that it has, or has waiting."""
        self._held_until = now + ANSWER_TIME

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        if self._stream.broken or (self._stream.wants_write and not self._watched[1]):
            self._poller.wake()

    def _flush(self) -> None:
        """Write what waits, and end our stream when it is time. RFC 6455 §7.1.1."""
        stream = self._stream
        if stream.pending:
            stream.flush()
        # As long as bytes wait, the engine keeps its replies, and answers only the last of many Pings.
        if not stream.pending:
            stream.write(self._conn.data_to_send())
        if not stream.pending:
            if self._conn.transport is Transport.HALF_CLOSE:
                stream.end()
            if self._writers:
                self._changed.notify_all()
