"""Rate limits in shared memory: several tables on the same bytes are one limiter, whoever is killed."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.ratelimit import SECOND, Decision, RateLimit, RateLimiter
from edgews.edge.policy.ratetable import PLACES, RateTable, table_size
from tests.edge.policy.memory import dying, killed, storage
from tests.edge.policy.rates import TICK, Bucket, arrivals, limits
from tests.raw import check

# What comes to one of three processes, whose clocks are a little behind; and where it is killed.
spread = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.integers(0, 1500),
        st.integers(0, 2),
        st.none() | st.integers(0, 7),
    ),
    max_size=80,
)


def processes(limit: RateLimit, count: int = 3) -> list[RateTable]:
    memory = storage(table_size(limit))
    return [RateTable(limit, memory, salt=b"salt") for _ in range(count)]


@given(limits(), arrivals, st.randoms())
def test_several_are_one(limit: RateLimit, arrivals: list[tuple[str, int]], chance: Any) -> None:
    """They decide like a limiter in one process; with as many keys as this, like a bucket for each key."""
    tables = processes(limit)
    one = RateLimiter(limit, salt=b"salt")
    buckets: dict[str, Bucket] = {}
    now = Fraction(0)
    for key, ticks in arrivals:
        now += ticks * TICK
        decision = chance.choice(tables).decide((key,), float(now))
        assert decision == one.decide((key,), float(now))
        assert decision.allowed is buckets.setdefault(key, Bucket(limit, at=now)).decide(now)


@given(limits(max_keys=st.integers(1, 4)), spread)
def test_it_is_never_more_generous(
    limit: RateLimit, arrivals: list[tuple[str, int, int, int | None]]
) -> None:
    """What was granted, an endless table would have granted; however full, and whoever was killed in it."""
    memory = storage(table_size(limit))
    buckets: dict[str, Bucket] = {}
    now = Fraction(0)
    for key, ticks, process, stores in arrivals:
        now += ticks * TICK
        # The third one's clock is behind.
        late = max(now - (TICK * 50 if process == 2 else 0), Fraction(0))
        table = RateTable(limit, memory if stores is None else dying(memory, stores), salt=b"salt")
        decision = killed(partial(table.decide, (key,), float(late)))
        # So few keys have one bucket, and what comes late comes when its clock says.
        bucket = buckets.setdefault(key, Bucket(limit))
        bucket.refill(Fraction(memory.words[0], SECOND))
        if decision is not None and decision.allowed:
            assert bucket.decide(bucket.at)


@pytest.mark.parametrize("stores", range(9))
def test_whoever_is_killed_grants_nothing_and_takes_little(stores: int) -> None:
    limit = RateLimit(3, 3, 100.0, max_keys=1)
    memory = storage(table_size(limit))
    second = RateTable(limit, memory)
    assert second.decide(("old",), 1.5).allowed
    killed(lambda: RateTable(limit, dying(memory, stores)).decide(("new",), 5.5))
    # It has either counted or not, and nobody else had to pay for it.
    decisions = [second.decide(("new",), 5.75) for _ in range(4)]
    assert 2 <= sum(one.allowed for one in decisions) <= 3
    assert second.decide(("old",), 300).allowed


@pytest.mark.parametrize("count", [PLACES, PLACES + 1, 2000])
def test_as_many_keys_as_it_says_are_told_apart(count: int) -> None:
    limit = RateLimit(1, 100, max_keys=count)
    first, second = processes(limit, 2)
    assert not any(first.decide((str(number),), 1).shared for number in range(count))
    assert not any(second.decide((str(number),), 1).allowed for number in range(count))
    # Far beyond, some have none; and later everybody has one again.
    others = [first.decide((f"x{number}",), 1) for number in range(3 * count)]
    assert sum(one.shared for one in others) >= count
    assert second.decide(("y",), 500) == Decision(True, 0.0, 0, False)


def test_how_many_keys_are_known() -> None:
    few, _ = processes(RateLimit(1, 100, max_keys=200), 2)
    for number in range(150):
        few.decide((str(number),), number)
    # Each has its own back after a hundred seconds.
    assert few.known(149) == 100
    assert few.known(1000) == 0
    many, other = processes(RateLimit(1, 100, max_keys=20_000), 2)
    # A few are counted one by one, wherever they are.
    for number in range(30):
        many.decide((f"early {number}",), 1)
        assert other.known(50) == number + 1
    for number in range(10_000):
        many.decide((str(number),), 200)
    # Some buckets are looked at, and keys are spread by chance.
    assert 7_000 < other.known(200) < 13_000


def test_a_full_table_is_shared_like_that_of_one_process() -> None:
    first, second = processes(RateLimit(2, 60, max_keys=1), 2)
    assert first.decide(("a",), 0).allowed
    assert second.decide(("b",), 0) == Decision(True, 0.0, 1, True)
    assert first.decide(("c",), 0) == Decision(True, 0.0, 0, True)
    assert second.decide(("d",), 0) == Decision(False, 30.0, 0, True)
    # A has everything back, d gets its place, and is no freer for it: the shared one has half.
    assert first.decide(("d",), 31) == Decision(True, 0.0, 0, False)


def test_it_takes_a_third_of_the_memory() -> None:
    limit = RateLimit(1, 1, max_keys=100_000)
    check(table_size(limit) <= 120 * limit.max_keys, f"it has {table_size(limit)} bytes")
