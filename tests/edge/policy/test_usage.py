from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy import usage as module
from edgews.edge.policy.ratelimit import Decision, RateLimit, RateLimiter
from edgews.edge.policy.usage import Usage

keys = st.sampled_from("abcd").map(lambda name: (name,))
pauses = st.integers(0, 64).map(lambda number: number / 8)


@given(
    st.builds(RateLimit, st.integers(1, 3), st.sampled_from([1.0, 10.0]), st.sampled_from([0.0, 5.0])),
    st.lists(st.tuples(keys, pauses), max_size=60),
)
def test_who_is_limited_would_be_refused(limit: RateLimit, asked: list[tuple[tuple[str], float]]) -> None:
    limiter, usage, now = RateLimiter(limit), Usage(), 100.0
    refused_last: set[tuple[str]] = set()
    decisions: list[Decision] = []
    for key, pause in asked:
        now += pause
        decision = limiter.decide(key, now)
        usage.take(key, decision, now)
        decisions.append(decision)
        if decision.allowed:
            refused_last.discard(key)
        else:
            refused_last.add(key)
        # To ask costs something, so only copies are asked.
        expected = 0
        for other in refused_last:
            probe, _ = limiter._judge(
                limiter._table.get(limiter._digest(other), (0, 0)), limiter._at(now), False
            )
            expected += not probe.allowed
        assert usage.limited(now) == expected
    assert usage.allowed == sum(decision.allowed for decision in decisions)
    assert usage.refused == len(decisions) - usage.allowed


def test_a_key_that_has_to_wait_longer_is_limited_longer() -> None:
    usage = Usage()
    usage.take(("a",), Decision(False, 1.0, 0, False), 0.0)
    usage.take(("a",), Decision(False, 5.0, 0, True), 0.5)
    assert [usage.limited(now) for now in (1.0, 2.0, 5.0, 5.5)] == [1, 1, 1, 0]


def test_memory_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_LIMITED", 100)
    usage = Usage()
    for number in range(1000):
        usage.take((str(number),), Decision(False, 10.0, 0, False), 1.0)
    assert usage.limited(2.0) == 100
    assert usage.refused == 1000
    # When time has made room, others are known.
    usage.take(("later",), Decision(False, 10.0, 0, False), 20.0)
    assert usage.limited(20.0) == 1
    usage.forget()
    assert usage.limited(20.0) == 0
    assert usage.refused == 1001
