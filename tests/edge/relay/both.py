"""A tunnel between two sides that do what a test says, and what got to each of them."""

from __future__ import annotations

from edgews import Timeouts, Transport
from edgews.edge.relay.frames import scanned
from edgews.edge.relay.legs import Leg
from edgews.edge.relay.tunnel import Tunnel
from tests import wire

TIMES = Timeouts(close=5.0, idle=None, ping_interval=20.0, ping_timeout=4.0)


class Both:
    """A tunnel, what got to each side, and the clock."""

    def __init__(self, tunnel: Tunnel | None = None, **how) -> None:
        self.now = 100.0
        if tunnel is None:
            tunnel = scanned(**{"deflate": False, "timeouts": TIMES, **how})
        self.tunnel = tunnel
        self.tunnel.start(self.now)
        self.got = {id(self.tunnel.client): b"", id(self.tunnel.origin): b""}
        self.closed = {id(self.tunnel.client): False, id(self.tunnel.origin): False}

    @property
    def client(self) -> Leg:
        return self.tunnel.client

    @property
    def origin(self) -> Leg:
        return self.tunnel.origin

    def say(self, leg: Leg, data: bytes) -> None:
        """Let a side send; what comes from a stream that was dropped gets nowhere."""
        if leg.eof or leg.transport is Transport.CLOSE:
            return
        passes = leg.scanner.scan(data)
        if passes is None:
            self.write(self.tunnel.other(leg), data)
        else:
            self.tunnel.passed(leg, passes, self.now)
        self.look()

    def frame(self, leg: Leg, opcode: int, payload: bytes = b"", **how) -> None:
        self.say(leg, framed(leg, opcode, payload, **how))

    def end(self, leg: Leg, *, lost: bool = False) -> None:
        self.tunnel.ended(leg, self.now, lost=lost)
        self.look()

    def finish(self, code: int = 1001, reason: str = "enough") -> None:
        self.tunnel.finish(code, reason, self.now)
        self.look()

    def wait(self, seconds: float) -> None:
        """Let time pass as an adapter does."""
        end = self.now + seconds
        while self.tunnel.next_timeout() <= end:
            self.now = max(self.now, self.tunnel.next_timeout())
            self.tunnel.handle_timeout(self.now)
            self.look()
        self.now = end

    def fill(self, leg: Leg, full: bool) -> None:
        """Let a stream take no more, or take everything again."""
        leg.full = full
        self.tunnel.other(leg).paused = full
        self.look()

    def look(self) -> None:
        """Do what an owner has to do after each call."""
        self.write_out()
        for leg in (self.client, self.origin):
            while leg.holds and not self.tunnel.other(leg).full:
                self.tunnel.more(leg, self.now)
                self.write_out()

    def write_out(self) -> None:
        for leg in (self.client, self.origin):
            self.write(leg, leg.data_to_send())
            self.closed[id(leg)] |= leg.transport is not Transport.KEEP_OPEN

    def write(self, leg: Leg, data: bytes) -> None:
        if data:
            assert not self.closed[id(leg)], "something is written behind the end"
            self.got[id(leg)] += data

    def at(self, leg: Leg) -> list[tuple[int, bytes]]:
        """Return the whole frames that a side has got."""
        return [(frame.opcode, frame.payload) for frame in wire.frames(self.got[id(leg)])]

    def code(self, leg: Leg) -> int | None:
        """Return the code of the Close that a side has got as the last thing."""
        opcode, payload = self.at(leg)[-1]
        assert opcode == wire.CLOSE
        return wire.close_code(payload)


def framed(leg: Leg, opcode: int, payload: bytes = b"", **how) -> bytes:
    return wire.frame(opcode, payload, **{"key": wire.KEY if leg.client else None, **how})


def close_frame(leg: Leg, code: int | None) -> bytes:
    return wire.close(code, key=wire.KEY if leg.client else None)


def whole_frames(data: bytes) -> tuple[list[wire.Parsed], bytes]:
    """Cut what stands complete, and return the rest as well."""
    for end in range(len(data), -1, -1):
        try:
            return wire.frames(data[:end]), data[end:]
        except (ValueError, IndexError):
            continue
    raise AssertionError
