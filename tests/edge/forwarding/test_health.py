"""Whether an origin is up, against a model that looks at the whole history."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.health import PASSIVE, Health, Plan


def model(outcomes: list[bool], rise: int, fall: int) -> bool:
    """Say whether an origin is up after all this: as the last run that was long enough says."""
    up, start = True, 0
    for at, outcome in enumerate(outcomes):
        if outcome is not outcomes[start]:
            start = at
        if at - start + 1 >= (rise if outcome else fall):
            up = outcome
    return up


plans = st.builds(Plan, rise=st.integers(1, 4), fall=st.integers(1, 4))


@given(st.lists(st.booleans(), max_size=30), plans)
def test_so_many_in_a_row_change_it(outcomes, plan):
    health = Health(plan=plan)
    since = None
    for now, outcome in enumerate(outcomes):
        before = health.up
        changed = health.passed(now) if outcome else health.failed("why", now)
        assert health.up is model(outcomes[: now + 1], plan.rise, plan.fall)
        assert changed is (health.up is not before)
        since = now if changed else since
        assert health.cause == ("" if outcome else "why")
    report = health.report(100.0)
    assert json.loads(json.dumps(report)) == report
    assert report["up"] is health.up
    assert report["for"] == (None if since is None else 100 - since)


def test_without_checks_one_failure_is_enough():
    health = Health()
    assert health.plan is PASSIVE
    assert health.failed("origin refused", 1.0)
    assert health.passed(2.0)


@given(st.floats(0, 1), st.floats(0.1, 1e6), st.floats(0, 1))
def test_checks_come_in_time_and_not_all_at_once(jitter, interval, chance):
    health = Health(plan=Plan(interval=interval, jitter=jitter))
    wait = health.wait(chance)
    assert interval * (1 - jitter) - 1e-6 <= wait <= interval * (1 + jitter) * (1 + 1e-9)
    assert 0 <= health.first_wait(chance) <= interval * jitter
    if jitter > 0.01:
        assert health.wait(0.0) < health.wait(1.0)
