"""Rate limits against plain models: a bucket of tokens in fractions, and the list of what was granted."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.edge.policy.ratelimit import DIGEST, SECOND, Decision, RateLimit, RateLimiter
from tests.edge.policy.rates import TICK, Bucket, arrivals, limits


@given(limits(), arrivals)
def test_it_is_a_bucket_of_tokens_for_each_key(limit: RateLimit, arrivals: list[tuple[str, int]]) -> None:
    limiter = RateLimiter(limit)
    buckets: dict[str, Bucket] = {}
    now = Fraction(0)
    for key, ticks in arrivals:
        now += ticks * TICK
        bucket = buckets.setdefault(key, Bucket(limit, at=now))
        decision = limiter.decide((key,), float(now))
        assert decision.allowed is bucket.decide(now)
        assert not decision.shared
        if decision.allowed:
            assert decision.retry_after == 0
            assert decision.remaining == math.floor(bucket.tokens)
        else:
            assert decision.remaining == 0
            # Rounded up to a tick of the clock.
            assert bucket.wait() <= Fraction(decision.retry_after) + Fraction(1, 10**12)
            assert Fraction(decision.retry_after) < bucket.wait() + Fraction(2, SECOND)


@given(limits(), arrivals)
def test_no_stretch_of_time_has_more_than_the_limit(
    limit: RateLimit, arrivals: list[tuple[str, int]]
) -> None:
    limiter = RateLimiter(limit)
    granted: list[Fraction] = []
    now = Fraction(0)
    for _, ticks in arrivals:
        now += ticks * TICK
        if limiter.decide((), float(now)).allowed:
            granted.append(now)
    for first, start in enumerate(granted):
        for count, end in enumerate(granted[first:], 1):
            assert count <= limit.requests + limit.requests * (end - start) / Fraction(limit.period)


@given(limits(), st.integers(0, 10**6))
def test_whoever_waits_as_told_is_allowed_and_no_earlier(limit: RateLimit, start: int) -> None:
    limiter = RateLimiter(limit)
    now = float(start * TICK)
    decision = limiter.decide(("k",), now)
    while decision.allowed:
        decision = limiter.decide(("k",), now)
    early = now + decision.retry_after - 1e-4
    if early > now:
        assert not limiter.decide(("k",), early).allowed
    # Asking while it is refused does not make it longer.
    assert limiter.decide(("k",), now + decision.retry_after + 1e-9).allowed


@given(limits(max_keys=st.integers(1, 3)), arrivals)
# c is refused in the mitigation of e, and has one of its own to sit out.
@example(
    RateLimit(1, 100 / 512, 1.0, 1),
    [("a", 0), ("c", 0), ("e", 0), ("c", 50), ("a", 50), *[("a", 100)] * 4, ("c", 20)],
)
# a is refused in the mitigation of e; an endless table would have granted it.
@example(
    RateLimit(1, 1 / 512, 1338 / 512, 1),
    [("a", 610), ("c", 0), ("e", 0), ("a", 5), ("b", 5), ("a", 717), ("a", 1337)],
)
def test_a_full_table_is_never_more_generous(limit: RateLimit, arrivals: list[tuple[str, int]]) -> None:
    """What each key was granted, an endless table would have granted as well; and a mitigation holds."""
    limiter = RateLimiter(limit)
    buckets: dict[str, Bucket] = {}
    refused: dict[str, Fraction] = {}
    now = Fraction(0)
    for key, ticks in arrivals:
        now += ticks * TICK
        bucket = buckets.setdefault(key, Bucket(limit, at=now))
        bucket.refill(now)
        if limiter.decide((key,), float(now)).allowed:
            assert bucket.decide(now)
            if key in refused:
                assert now >= refused.pop(key) + Fraction(limit.mitigation_timeout)
        elif bucket.tokens < 1:
            # An endless table would have refused it as well, and begun a mitigation with the first refusal.
            refused.setdefault(key, now)
        assert len(limiter) <= limit.max_keys


@given(limits(max_keys=st.just(4)), arrivals)
def test_keys_that_have_everything_back_make_room(limit: RateLimit, arrivals: list[tuple[str, int]]) -> None:
    limiter = RateLimiter(limit)
    now = Fraction(0)
    for key, ticks in arrivals:
        now += ticks * TICK
        limiter.decide((key,), float(now))
    later = float(now) + limit.period + limit.mitigation_timeout
    for key in ("1", "2", "3", "4"):
        decision = limiter.decide((key,), later)
        assert decision == Decision(True, 0.0, limit.requests - 1, False)


def test_a_key_without_a_place_shares_one() -> None:
    limiter = RateLimiter(RateLimit(2, 60, max_keys=1))
    assert limiter.decide(("a",), 0).allowed
    assert limiter.decide(("b",), 0) == Decision(True, 0.0, 1, True)
    assert limiter.decide(("c",), 0) == Decision(True, 0.0, 0, True)
    assert limiter.decide(("d",), 0) == Decision(False, 30.0, 0, True)
    # A has everything back, d gets its place, and is no freer for it: the shared one has half.
    assert limiter.decide(("d",), 31) == Decision(True, 0.0, 0, False)
    assert len(limiter) == 1


def test_forgetting_takes_few_steps_at_a_time() -> None:
    """A crowd that has passed leaves room at once, and is forgotten after as many calls as it had keys."""
    limiter = RateLimiter(RateLimit(1, 1, max_keys=1000))
    for number in range(1000):
        limiter.decide((str(number),), 0)
    assert len(limiter) == limiter.known(0) == 1000
    for number in range(1000):
        assert not limiter.decide((f"new {number}",), 2 + 2 * number).shared
    assert len(limiter) < 10


def test_a_key_that_went_on_is_kept_past_its_first_end() -> None:
    limiter = RateLimiter(RateLimit(2, 2, max_keys=1))
    assert limiter.decide(("a",), 0).allowed  # has everything back at 1
    assert limiter.decide(("a",), 0.5).allowed  # now at 2
    assert limiter.decide(("b",), 1.5).shared
    assert not limiter.decide(("b",), 2).shared


@given(st.lists(st.lists(st.text(max_size=3), max_size=3).map(tuple), unique=True, max_size=20))
def test_keys_are_told_apart(keys: list[tuple[str, ...]]) -> None:
    limiter = RateLimiter(RateLimit(1, 1), salt=b"salt")
    assert all(limiter.decide(key, 0).allowed for key in keys)
    assert not any(limiter.decide(key, 0).allowed for key in keys)


def test_a_long_key_takes_no_more_memory_than_a_short_one() -> None:
    limiter = RateLimiter(RateLimit(1, 1))
    limiter.decide(("x" * 10**6, "\ud800"), 0)
    assert [len(key) for key in limiter._table] == [DIGEST]


def test_a_clock_that_goes_back_stands_still() -> None:
    limiter = RateLimiter(RateLimit(1, 10))
    assert limiter.decide((), 100).allowed
    assert limiter.decide((), 50) == Decision(False, 10.0, 0, False)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"requests": 0}, "requests"),
        ({"requests": 10**9 + 1}, "requests"),
        ({"period": 0.0}, "period"),
        ({"period": math.inf}, "period"),
        ({"period": math.nan}, "period"),
        ({"mitigation_timeout": -1.0}, "mitigation_timeout"),
        ({"max_keys": 0}, "max_keys"),
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        RateLimit(**{"requests": 1, "period": 1.0, **wrong})  # type: ignore[arg-type]
