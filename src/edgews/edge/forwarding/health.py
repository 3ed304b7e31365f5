"""Whether an origin is up: what checks and connections say of it, counted. Sans-IO.

An origin begins as up, so that a gateway that has just started refuses nobody. So many failures in a row as
`fall` says take it down, so many successes as `rise` says bring it back; one of the other kind between them
begins the count anew. Checks of the gateway's own and attempts to connect for clients count alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Kind(Enum):
    """How an origin is checked."""

    TCP = "tcp"
    HTTP = "http"
    WEBSOCKET = "websocket"


@dataclass(slots=True, frozen=True, kw_only=True)
class Plan:
    """How and when an origin is checked; times in seconds.

    Attributes:
        kind: a connection, with TLS where the origin has it; a GET that is answered with 2xx or 3xx; or an
            opening handshake and a Ping that is answered.
        path: target of the request.
        interval: from the end of one check to the begin of the next one.
        timeout: for the whole check.
        rise: how many successes in a row bring it back.
        fall: how many failures in a row take it down.
        jitter: by which part of itself the interval is longer or shorter at random, 0 to 1: so the checks of
            many gateways do not come all at once.
    """

    kind: Kind = Kind.TCP
    path: str = "/"
    interval: float = 10.0
    timeout: float = 5.0
    rise: int = 2
    fall: int = 3
    jitter: float = 0.2


# Without checks one failed connection puts an origin last, and one that comes about brings it back.
PASSIVE: Final = Plan(rise=1, fall=1)


@dataclass(slots=True)
class Health:
    """What is known of one origin.

    Attributes:
        up: whether to prefer it to those that are not.
        since: when that changed last, in the clock of whoever says so; minus infinity if it never did.
        streak: how many outcomes in a row speak against what `up` says.
        checks: of the gateway's own, how many are done.
        cause: why the last one failed, empty if it did not.
    """

    up: bool = True
    since: float = -math.inf
    streak: int = 0
    checks: int = 0
    cause: str = ""
    plan: Plan = field(default=PASSIVE, kw_only=True)

    def passed(self, now: float) -> bool:
        """Count a success; say whether the origin came back with it."""
        self.cause = ""
        return self._count(True, self.plan.rise, now)

    def failed(self, cause: str, now: float) -> bool:
        """Count a failure; say whether the origin went down with it."""
        self.cause = cause
        return self._count(False, self.plan.fall, now)

    def _count(self, good: bool, enough: int, now: float) -> bool:
        if good is self.up:
            self.streak = 0
            return False
        self.streak += 1
        if self.streak < enough:
            return False
        self.up, self.since, self.streak = good, now, 0
        return True

    def wait(self, chance: float) -> float:
        """Return how long to wait until the next check.

        Args:
            chance: any number from 0 to 1, at random.
        """
        return self.plan.interval * (1 + self.plan.jitter * (2 * chance - 1))

    def first_wait(self, chance: float) -> float:
        """Return how long to wait until the first check: nobody knows anything yet, so not for long."""
        return self.plan.interval * self.plan.jitter * chance

    def report(self, now: float) -> dict[str, Any]:
        """Return the state for people and programs: plain values."""
        return {
            "up": self.up,
            "for": None if self.since == -math.inf else round(now - self.since, 3),
            "checks": self.checks,
            "cause": self.cause,
        }
