"""The five timers of a connection, without a clock.

Nothing here reads the time, and receiving data does not need it. A timer that is armed between two looks
at the clock is due at once (`ASAP`); the caller then comes with the time, and the timer starts from it.
Activity is found out later in the same way, by comparing counters with what they were at the last look.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from .limits import Timeouts

ASAP: Final = -math.inf

# The idle timer looks this many times within its time, so it is late by at most one part.
_IDLE_LOOKS = 4

# A byte stream that cannot be half-closed is closed when nothing has come for so long (seconds) after we
# have said our last: a peer that reads our Close stops sending within a round trip.
LINGER: Final = 1.0

# Pings whose Pong is awaited; the oldest is forgotten first, so a peer that never answers costs nothing.
_MAX_PINGS = 16


class Due(Enum):
    """What the connection has to do now."""

    OPEN = "open timeout"
    CLOSE = "close timeout"
    IDLE = "idle timeout"
    SEND_PING = "send a ping"
    PING_TIMEOUT = "ping timeout"


class Timers:
    """Deadlines of one connection, in the caller's clock (seconds as float)."""

    __slots__ = (
        "_close",
        "_idle",
        "_linger",
        "_messages",
        "_open",
        "_ping",
        "_pings",
        "_pong",
        "_pong_came",
        "_quiet_since",
        "_received",
        "latency",
        "timeouts",
    )

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._open: float | None = None
        self._close: float | None = None
        self._idle: float | None = None
        self._ping: float | None = None
        self._pong: float | None = None
        self._linger: float | None = None
        self._quiet_since = 0.0
        self._messages = 0
        self._received = 0
        # Payload -> when it was sent; None until the clock is known. Made on the first Ping.
        self._pings: dict[bytes, float | None] | None = None
        # When the Ping was sent whose Pong has come since the last look at the clock.
        self._pong_came: float | None = None
        self.latency: float | None = None

    def start_open(self) -> None:
        """Begin the opening handshake."""
        self._open = ASAP if self.timeouts.open is not None else None

    def start_session(self) -> None:
        """The connection is open: watch the peer."""
        self._open = None
        self._idle = ASAP if self.timeouts.idle is not None else None
        self._ping = ASAP if self.timeouts.ping_interval is not None else None

    def start_close(self, linger: bool = False) -> None:
        """Begin to wait for the end, anew at each step towards it.

        Args:
            linger: a peer that is silent has nothing more to say.
        """
        self._open = self._idle = self._ping = self._pong = None
        self._close = ASAP if self.timeouts.close is not None else None
        self._linger = ASAP if linger else None

    def stop(self) -> None:
        """Forget everything: the connection is over."""
        self._open = self._close = self._idle = self._ping = self._pong = self._pong_came = None
        self._linger = None
        self._pings = None

    def ping_sent(self, payload: bytes) -> None:
        """Remember a Ping, to know the latency when its Pong comes."""
        if self._pings is None:
            self._pings = {}
        self._pings.pop(payload, None)
        self._pings[payload] = None
        if len(self._pings) > _MAX_PINGS:
            del self._pings[next(iter(self._pings))]
        if self.timeouts.ping_timeout is not None and self._pong is None and self._close is None:
            self._pong = ASAP

    def pong_received(self, payload: bytes) -> None:
        """Match a Pong; it also answers every Ping before its own. RFC 6455 §5.5.3."""
        pings = self._pings
        if pings is None or payload not in pings:
            return
        while True:
            oldest = next(iter(pings))
            sent = pings.pop(oldest)
            if oldest == payload:
                break
        if sent is not None:
            self._pong_came = sent
        if not pings:
            self._pong = None

    def next(self) -> float | None:
        """Return the earliest deadline; `ASAP` when something waits for the clock, None when nothing runs."""
        if self._pong_came is not None or (self._pings and None in self._pings.values()):
            return ASAP
        earliest: float | None = None
        for deadline in (self._open, self._close, self._idle, self._ping, self._pong, self._linger):
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    def look(self, now: float, messages: int, received: int) -> list[Due]:
        """Start what waits for the clock, and return what is due.

        Args:
            now: the time, in the caller's clock.
            messages: a counter that moves with each message, in either direction, and each piece of one.
            received: a counter that moves with each byte from the peer.
        """
        times = self.timeouts
        due: list[Due] = []
        if self._open is not None and times.open is not None:
            if self._open == ASAP:
                self._open = now + times.open
            if now >= self._open:
                due.append(Due.OPEN)
        if self._close is not None and times.close is not None:
            if self._close == ASAP:
                self._close = now + times.close
            if now >= self._close:
                due.append(Due.CLOSE)
        if self._linger is not None:
            if self._linger != ASAP and now >= self._linger and received == self._received:
                due.append(Due.CLOSE)
            if self._linger == ASAP or now >= self._linger:
                self._linger, self._received = now + LINGER, received
        if self._pong is not None and times.ping_timeout is not None:
            if self._pong != ASAP and now >= self._pong and received == self._received:
                due.append(Due.PING_TIMEOUT)
            if self._pong == ASAP or now >= self._pong:
                self._pong, self._received = now + times.ping_timeout, received
        if (
            self._idle is not None
            and times.idle is not None
            and self._is_idle(now, self._idle, times.idle, messages)
        ):
            due.append(Due.IDLE)
        if self._ping is not None and times.ping_interval is not None:
            if self._ping != ASAP and now >= self._ping:
                due.append(Due.SEND_PING)
            if self._ping == ASAP or now >= self._ping:
                self._ping = now + times.ping_interval
        self.measure(now)
        return due

    def _is_idle(self, now: float, deadline: float, idle: float, messages: int) -> bool:
        if deadline == ASAP or messages != self._messages:
            self._messages, self._quiet_since = messages, now
        end = self._quiet_since + idle
        self._idle = min(now + idle / _IDLE_LOOKS, end)
        return now >= end

    def measure(self, now: float) -> None:
        """Give the Pings that were sent, and the Pong that came, since the last look their time."""
        if self._pong_came is not None:
            self.latency = now - self._pong_came
            self._pong_came = None
        if self._pings:
            for payload, sent in self._pings.items():
                if sent is None:
                    self._pings[payload] = now
