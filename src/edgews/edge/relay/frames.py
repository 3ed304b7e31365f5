"""A relayed connection whose frames pass as they came, and may be counted on their way. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from edgews.frames import CloseCode
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts

from .ends import Why
from .legs import Leg
from .scanner import FrameScanner
from .tunnel import Tunnel

# Counts a message of the client at a time; False if it is one too many.
Meter: TypeAlias = Callable[[float], bool]

# What the client is told then.
TOO_MANY: Final = "too many messages"


def scanned(
    *,
    deflate: bool,
    meter: Meter | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    max_age: float | None = None,
) -> Tunnel:
    """Return a tunnel in which frames are scanned, and pass as they came.

    Args:
        deflate: permessage-deflate was agreed.
        meter: of the client's messages. The read in which there is one too many still passes.
        limits, timeouts, max_age: see `FrameScanner` and `Tunnel`.
    """
    kind = FrameScanner if meter is None else _CountedScanner
    client = Leg(kind(masked=True, deflate=deflate, limits=limits), client=True)
    origin = Leg(FrameScanner(masked=False, deflate=deflate, limits=limits), client=False)
    if meter is None:
        return Tunnel(client, origin, timeouts=timeouts, max_age=max_age)
    return _Metered(client, origin, meter, timeouts=timeouts, max_age=max_age)


class _CountedScanner(FrameScanner):
    """Have all reads looked at, whatever is in them."""

    __slots__ = ()

    def scan(self, data: bytes) -> bytes:
        passes = super().scan(data)
        return data if passes is None else passes


class _Metered(Tunnel):
    """A tunnel that ends when the client sends too many messages."""

    __slots__ = ("_counted", "_meter")

    def __init__(
        self, client: Leg, origin: Leg, meter: Meter, *, timeouts: Timeouts, max_age: float | None
    ) -> None:
        super().__init__(client, origin, timeouts=timeouts, max_age=max_age)
        self._meter = meter
        self._counted = 0

    def passed(self, leg: Leg, data: bytes, now: float) -> bool:
        plain = super().passed(leg, data, now)
        messages = self.client.scanner.messages
        while self._counted < messages:
            self._counted += 1
            if not self._meter(now):
                self._counted = messages
                self.finish(CloseCode.TRY_AGAIN_LATER, TOO_MANY, now, why=Why.LIMIT)
        return plain
