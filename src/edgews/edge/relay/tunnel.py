"""A relayed connection: two directions of frames, and how both come to their end together. Sans-IO.

Who ends it, and what the other side is told (RFC 6455 §7.4.1, and the registry of IANA for 1014):

    a Close                      passes, and so does its answer; if the other side is lost before it has
                                 answered, the gateway answers in its place
    the client is lost           the origin's byte stream ends as the client's did, without a Close
    the origin is lost           the client gets 1014: to it, the gateway is the server
    the client breaks a rule     it gets 1002 or 1009, the origin 1001: its client is gone
    the origin breaks a rule     it gets 1002 or 1009, the client 1014
    the gateway ends it          the origin is told first, with 1001. What it had sent until its own Close
                                 still reaches the client, and then a Close with the gateway's code. What the
                                 client sends meanwhile does not pass, and so was not heard by anyone

A Close of ours needs a place between two frames. If the origin is lost inside one, there is none, and the
client's stream just ends.
"""

from __future__ import annotations

import math
from typing import Final

from edgews.frames import MAX_REASON, CloseCode, Opcode, encode_close
from edgews.limits import DEFAULT_TIMEOUTS, Timeouts
from edgews.states import Transport

from .ends import End, Party, Why
from .legs import Leg

# What our own Pings carry, in front of a number.
_PING: Final = b"edgews gateway "


class Tunnel:
    """Relay between a client and an origin that has answered 101.

    Give each read to `leg.scanner.scan`. When that returns None, write the read to the other leg, and that is
    all there is to do. Otherwise call `passed`, and then, as after every other call, look at both legs for
    `data_to_send`, `transport` and `holds`, and at `next_timeout`.

    Args:
        timeouts: `open` does not count here.
        max_age: seconds after which the gateway ends the connection, None for never.
    """

    __slots__ = (
        "_age_at",
        "_close_at",
        "_end_code",
        "_end_reason",
        "_idle_at",
        "_look_at",
        "_number",
        "_silent_since",
        "_traffic",
        "client",
        "end",
        "max_age",
        "origin",
        "timeouts",
    )

    def __init__(
        self,
        client: Leg,
        origin: Leg,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_age: float | None = None,
    ) -> None:
        self.client = client
        self.origin = origin
        self.timeouts = timeouts
        self.max_age = max_age
        self.end: End | None = None
        self._age_at = self._close_at = self._idle_at = self._look_at = math.inf
        self._traffic = 0
        self._silent_since = 0.0
        self._number = 0
        # The gateway's Close for the client, when the origin has come to its end.
        self._end_code: int | None = None
        self._end_reason = ""

    def start(self, now: float) -> None:
        """Start the timers; the tunnel is open."""
        if self.max_age is not None:
            self._age_at = now + self.max_age
        if self.timeouts.ping_interval is not None:
            self._look_at = now + self.timeouts.ping_interval
        if self.timeouts.idle is not None:
            self._idle_at = now + self.timeouts.idle / 4
            self._silent_since = now

    @property
    def over(self) -> bool:
        """Whether both streams may be dropped."""
        return self.client.transport is Transport.CLOSE and self.origin.transport is Transport.CLOSE

    def other(self, leg: Leg) -> Leg:
        """Return the leg at the other side."""
        return self.origin if leg is self.client else self.client

    # What happens

    def passed(self, leg: Leg, data: bytes, now: float) -> bool:
        """Take what `leg.scanner.scan` returned, when it was not None.

        Returns:
            Whether no more has happened than that the other leg has something to send.
        """
        self.other(leg).put(data)
        scanner = leg.scanner
        if leg.pinged_at is not None and not scanner.expects_pong:
            leg.latency = now - leg.pinged_at
            leg.pinged_at = None
        if scanner.error is not None:
            self._violated(leg, now)
        elif scanner.close is not None:
            self._said_close(leg, now)
        # A Close of ours may just have found its place.
        self._settle()
        return False

    def more(self, leg: Leg, now: float) -> None:
        """Go on with what a leg `holds`, once the other one is not `full`; each time with a part of it."""

    def ended(self, leg: Leg, now: float, *, lost: bool = False) -> None:
        """Take the end of a byte stream.

        Args:
            lost: nothing can be written there either.
        """
        first = not leg.eof
        leg.eof = True
        if leg.transport is not Transport.CLOSE and (first or lost):
            party = Party.CLIENT if leg.client else Party.ORIGIN
            how = "reset the connection" if lost else "ended its stream"
            if leg.scanner.close is None and not leg.told:
                self._because(
                    party,
                    CloseCode.ABNORMAL_CLOSURE,
                    f"the {party.value} {how} without a Close frame",
                    Why.LOST,
                )
            if leg.client:
                self._client_ended(lost)
            else:
                self._origin_ended(how)
            self._closing(now)
        self._settle()

    def _client_ended(self, lost: bool) -> None:
        if lost:
            # Nobody is there who could get what the origin still says.
            self._drop()
        elif self.origin.transport is Transport.KEEP_OPEN:
            self._shut(self.origin, Transport.HALF_CLOSE)

    def _origin_ended(self, how: str) -> None:
        client, origin = self.client, self.origin
        if not client.told and not client.eof:
            if self._end_code is None and origin.told and client.scanner.close is not None:
                self._tell(client, client.answer)
            else:
                self._tell(client, self._verdict(f"the origin {how}"))
        if not origin.scanner.at_boundary:
            # There is no place for a Close, and never will be.
            self._shut(client, Transport.CLOSE)
        self._shut(origin, Transport.CLOSE)

    def _verdict(self, reason: str) -> bytes:
        """Return what the client is told when the origin fails: 1014, if we have not ended it ourselves."""
        if self._end_code is not None:
            return encode_close(self._end_code, self._end_reason)
        return encode_close(CloseCode.BAD_GATEWAY, reason)

    def finish(
        self,
        code: int,
        reason: str,
        now: float,
        *,
        cause: str = "",
        why: Why = Why.GATEWAY,
        patience: float = math.inf,
    ) -> None:
        """End the connection in order, for a reason of the gateway's.

        Args:
            code, reason: for the client.
            cause: a sentence for whoever runs the gateway, if not the reason.
            why: the same in a word.
            patience: how long the client waits for the origin's end at most, in seconds; the close timeout
                may be shorter.
        """
        if self.end is not None:
            return
        self._because(Party.GATEWAY, code, cause or reason, why)
        self._end_code, self._end_reason = code, reason
        self.origin.scanner.keep_close = True
        self._tell(self.origin, encode_close(CloseCode.GOING_AWAY, reason))
        self._closing(now)
        self._close_at = min(self._close_at, now + patience)

    def abort(self, cause: str) -> None:
        """Drop both streams now."""
        self._because(Party.GATEWAY, CloseCode.ABNORMAL_CLOSURE, cause, Why.DROPPED)
        self._drop()

    def _drop(self) -> None:
        self._shut(self.client, Transport.CLOSE)
        self._shut(self.origin, Transport.CLOSE)

    def _shut(self, leg: Leg, transport: Transport) -> None:
        """Let nothing more be written there."""
        leg.transport = transport
        self.other(leg).scanner.finish(b"")

    # Time

    def next_timeout(self) -> float:
        """Return when `handle_timeout` wants to be called; infinity if never."""
        return min(self._age_at, self._close_at, self._idle_at, self._look_at)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if now >= self._close_at:
            self._give_up(now)
        if self.end is not None:
            return
        if now >= self._age_at:
            self.finish(CloseCode.GOING_AWAY, "the connection is too old", now, why=Why.AGE)
        elif now >= self._idle_at and self.timeouts.idle and self._silent(self.timeouts.idle, now):
            self.finish(CloseCode.GOING_AWAY, "no message for too long", now, why=Why.IDLE)
        elif now >= self._look_at:
            self._look(now)

    def _silent(self, idle: float, now: float) -> bool:
        """Say whether no message has come from either side for so long.

        It looks four times within that time, so it is late by at most a quarter.
        """
        traffic = self.client.scanner.messages + self.origin.scanner.messages
        if traffic != self._traffic:
            self._traffic = traffic
            self._silent_since = now
        self._idle_at = now + idle / 4
        return now - self._silent_since >= idle

    def _look(self, now: float) -> None:
        """Ping who was silent, and give up who stayed silent after that."""
        interval, patience = self.timeouts.ping_interval, self.timeouts.ping_timeout
        assert interval is not None
        waits = False
        for leg in (self.client, self.origin):
            seen = leg.scanner.size
            alive = seen != leg._seen or leg.paused
            leg._seen = seen
            if alive:
                leg._pinged = False
            elif leg._pinged:
                self._vanished(leg, now)
                return
            else:
                self._number += 1
                payload = _PING + b"%d" % self._number
                leg.scanner.expect_pong(payload)
                leg.pinged_at = now
                leg.put(self.other(leg).scanner.inject(leg.frame(Opcode.PING, payload)))
                leg._pinged = waits = patience is not None
        self._look_at = now + (patience if waits and patience is not None else interval)

    def _vanished(self, leg: Leg, now: float) -> None:
        """Give up a peer that does not answer a Ping."""
        party = Party.CLIENT if leg.client else Party.ORIGIN
        reason = f"the {party.value} did not answer a Ping"
        self._because(party, CloseCode.ABNORMAL_CLOSURE, reason, Why.PING)
        leg.eof = True
        self._shut(leg, Transport.CLOSE)
        self._tell(
            self.other(leg),
            encode_close(CloseCode.GOING_AWAY, reason) if leg.client else self._verdict(reason),
        )
        self._closing(now)
        self._settle()

    def _closing(self, now: float) -> None:
        """Give the end its time, and stop all other timers."""
        self._age_at = self._idle_at = self._look_at = math.inf
        if self._close_at == math.inf and self.timeouts.close is not None:
            self._close_at = now + self.timeouts.close

    def _give_up(self, now: float) -> None:
        """Drop who has not come to an end in time; the client of an end of ours gets its Close first."""
        self._close_at = math.inf
        if self._end_code is not None and not self.client.told:
            self._tell(self.client, encode_close(self._end_code, self._end_reason))
            self._shut(self.origin, Transport.CLOSE)
            self._closing(now)
            return
        self._drop()

    # How it ends

    def _because(self, party: Party, code: int, cause: str, why: Why) -> None:
        """Keep the first reason; what follows is a consequence."""
        if self.end is None:
            self.end = End(party, int(code), cause, why)

    def _tell(self, leg: Leg, body: bytes) -> None:
        """Send a Close of ours, as the last thing that goes there."""
        leg.told = True
        leg.put(self.other(leg).scanner.finish(leg.frame(Opcode.CLOSE, body)))

    def _violated(self, leg: Leg, now: float) -> None:
        """Fail both sides for what one did. RFC 6455 §7.1.7."""
        error = leg.scanner.error
        assert error is not None
        other = self.other(leg)
        party = Party.CLIENT if leg.client else Party.ORIGIN
        cause = f"the {party.value} broke a rule: {error} ({error.section})"
        self._because(party, error.code, cause, Why.VIOLATION)
        if not leg.told:
            self._tell(leg, encode_close(error.code, str(error)[:MAX_REASON]))
        if not other.told:
            reason = f"the {party.value} broke a rule"
            self._tell(
                other, encode_close(CloseCode.GOING_AWAY, reason) if leg.client else self._verdict(reason)
            )
        leg.failed = True
        self._closing(now)

    def _said_close(self, leg: Leg, now: float) -> None:
        """Take a Close that a peer has sent, in answer or first. RFC 6455 §5.5.1."""
        scanner = leg.scanner
        close = scanner.close
        assert close is not None
        other = self.other(leg)
        party = Party.CLIENT if leg.client else Party.ORIGIN
        said = f" ({close.reason})" if close.reason else ""
        self._because(party, close.code, f"the {party.value} closed{said}", Why.CLOSE)
        leg.answer = encode_close(None if close.code == CloseCode.NO_STATUS_RECEIVED else close.code)
        if not scanner.keep_close:
            other.told = True
        elif not other.told:
            self._tell(other, self._verdict(""))
        self._closing(now)

    def _settle(self) -> None:
        """Find out which stream is done with: both Closes went over it, or its peer is gone."""
        client, origin = self.client, self.origin
        for leg, other in ((client, origin), (origin, client)):
            if leg.failed and leg.transport is Transport.KEEP_OPEN and not other.scanner.waits:
                self._shut(leg, Transport.HALF_CLOSE)
        told = client.told and not origin.scanner.waits
        if told and (client.scanner.close is not None or client.eof):
            # The server ends the stream first: RFC 6455 §7.1.1.
            self._shut(client, Transport.CLOSE)
        gone = client.transport is Transport.CLOSE
        if gone and (origin.eof or (not origin.told and origin.transport is Transport.KEEP_OPEN)):
            self._shut(origin, Transport.CLOSE)
        if client.eof and origin.transport is Transport.CLOSE:
            self._shut(client, Transport.CLOSE)
