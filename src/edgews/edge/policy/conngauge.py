"""What one scope may have open at the same time: bursts are tolerated, what lasts is not.

Above its soft limit a scope spends its allowance, second by second; at or below it, the allowance comes
back as fast. While some is left, new connections are taken, up to the burst limit. When it is spent, new
ones are refused; when the excess has gone on for the patience as well, the idlest are told to go.

                    count <= soft     -> ok       taken
    count > soft, allowance left      -> burst    taken, up to soft + burst
    count > soft, allowance spent     -> over     refused: 503 with Retry-After
    ... and patience spent, too       -> over     the excess is shed, idlest first: Close 1013
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum


class Plan(Enum):
    """What a plan allows at the same time; `enterprise` has a number of its own."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


PLAN_CONNECTIONS: dict[Plan, int] = {Plan.FREE: 100_000, Plan.PRO: 100_000, Plan.BUSINESS: 200_000}


class State(Enum):
    """Where a scope stands."""

    OK = "ok"
    BURST = "burst"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """What one scope may have open at the same time.

    Attributes:
        soft: connections that are always welcome.
        burst: how many more for a while.
        allowance: seconds for which there may be more than `soft`.
        patience: seconds after that, until the excess is shed; infinity sheds nobody.
        retry_after: seconds that a refused client is told to wait.
    """

    soft: int
    burst: int = 0
    allowance: float = 60.0
    patience: float = 60.0
    retry_after: int = 30

    def __post_init__(self) -> None:
        if self.soft < 1:
            raise ValueError(f"soft must be at least 1, not {self.soft}")
        if self.burst < 0:
            raise ValueError(f"burst must not be negative, but is {self.burst}")
        if not 0 <= self.allowance < math.inf:
            raise ValueError(f"allowance must be finite and not negative, but is {self.allowance}")
        if not self.patience >= 0:
            raise ValueError(f"patience must not be negative, but is {self.patience}")
        if self.retry_after < 0:
            raise ValueError(f"retry_after must not be negative, but is {self.retry_after}")

    @classmethod
    def of_plan(cls, plan: Plan, connections: int | None = None) -> ConnectionLimit:
        """Return the limit of a plan, with a tenth more for bursts.

        Raises:
            ValueError: `enterprise` without `connections`, or another plan with it.
        """
        soft = PLAN_CONNECTIONS.get(plan, connections)
        if soft is None:
            raise ValueError(f"plan {plan.value} needs a number of connections")
        if plan in PLAN_CONNECTIONS and connections is not None:
            raise ValueError(f"plan {plan.value} has a fixed number of connections")
        return cls(soft, burst=soft // 10)


class Gauge:
    """One scope: who is in it, who was told to go, and what it has spent."""

    __slots__ = ("at", "leaving", "limit", "members", "spent")

    def __init__(self, limit: ConnectionLimit, now: float) -> None:
        self.limit = limit
        self.members: dict[Hashable, None] = {}
        self.leaving = 0
        self.spent = 0.0
        self.at = now

    def enter(self, connection: Hashable) -> None:
        """Take one more."""
        self.members[connection] = None

    def leave(self, connection: Hashable, told: bool) -> None:
        """Let one go, which was told to or not."""
        del self.members[connection]
        self.leaving -= told

    def tell(self) -> None:
        """One was told to go."""
        self.leaving += 1

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.members)

    @property
    def told(self) -> int:
        """Return how many of them were told to go."""
        return self.leaving

    @property
    def excess(self) -> int:
        """Return how many more than the soft limit there are; negative if fewer."""
        return len(self.members) - self.limit.soft

    @property
    def cap(self) -> float:
        """Return the most that can be spent: more would only delay the way back."""
        patience = self.limit.patience if self.limit.patience < math.inf else 0.0
        return self.limit.allowance + patience

    def advance(self, now: float) -> None:
        """Spend, or get back, what has passed."""
        passed = max(now - self.at, 0.0)
        self.at = max(now, self.at)
        if self.excess > 0:
            self.spent = min(self.spent + passed, self.cap)
        else:
            self.spent = max(self.spent - passed, 0.0)

    @property
    def state(self) -> State:
        """Return where it stands."""
        if self.excess <= 0:
            return State.OK
        return State.BURST if self.spent < self.limit.allowance else State.OVER

    @property
    def full(self) -> bool:
        """Say whether one more is too much."""
        if self.excess < 0:
            return False
        return self.excess >= self.limit.burst or self.spent >= self.limit.allowance

    @property
    def to_shed(self) -> int:
        """Return how many have to be told to go, besides those that were."""
        if self.limit.patience == math.inf or self.spent < self.cap:
            return 0
        return max(self.excess - self.told, 0)

    @property
    def sheds_at(self) -> float:
        """Return when there will be somebody to shed, infinity if nothing leads to it."""
        if self.limit.patience == math.inf or self.excess <= self.told:
            return math.inf
        return self.at + self.cap - self.spent
