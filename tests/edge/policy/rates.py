"""What rate limits are held against: a bucket of tokens in fractions, and what comes to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import strategies as st

from edgews.edge.policy.ratelimit import RateLimit

# Times are multiples of 1/512 s, which floats and ticks both hold without rounding.
TICK = Fraction(1, 512)


@dataclass
class Bucket:
    """What GCRA is another way to compute: tokens that come back evenly, up to as many as there were."""

    limit: RateLimit
    tokens: Fraction = field(default=Fraction(0))
    at: Fraction = Fraction(0)
    blocked: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self.tokens = Fraction(self.limit.requests)

    def rate(self) -> Fraction:
        return Fraction(self.limit.requests) / Fraction(self.limit.period)

    def refill(self, now: Fraction) -> None:
        self.tokens = min(self.tokens + (now - self.at) * self.rate(), Fraction(self.limit.requests))
        self.at = now

    def decide(self, now: Fraction) -> bool:
        self.refill(now)
        if now < self.blocked:
            return False
        if self.tokens >= 1:
            self.tokens -= 1
            return True
        if self.limit.mitigation_timeout:
            until_one = (1 - self.tokens) / self.rate()
            self.blocked = now + max(Fraction(self.limit.mitigation_timeout), until_one)
        return False

    def wait(self) -> Fraction:
        return max(self.blocked - self.at, (1 - self.tokens) / self.rate(), Fraction(0))


def periods() -> st.SearchStrategy[float]:
    return st.integers(1, 4096).map(lambda ticks: float(ticks * TICK))


def limits(**given_: st.SearchStrategy[int]) -> st.SearchStrategy[RateLimit]:
    return st.builds(
        RateLimit,
        requests=st.integers(1, 7),
        period=periods(),
        mitigation_timeout=st.just(0.0) | periods(),
        **given_,
    )


# What comes: a key, and how long after the one before.
arrivals = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1500)), max_size=80)
