"""One scope with a limit, against a model that looks at every second."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.edge.policy.conngauge import PLAN_CONNECTIONS, ConnectionLimit, Gauge, Plan
from edgews.edge.policy.connlimit import Kind
from tests.edge.policy.crowds import Model, connection_limits

ALL = (Kind.ALL, "")
# Somebody comes, goes, is told to go; or so many seconds pass.
steps = st.lists(st.sampled_from(["enter", "enter", "leave", "tell"]) | st.integers(1, 4), max_size=60)


@example(ConnectionLimit(1, 2, 1.0, 2.0), ["enter", "enter", "enter", 1, 2, "tell", "leave"])
@given(connection_limits, steps)
def test_it_stands_as_the_model_says(limit: ConnectionLimit, steps: list[str | int]) -> None:
    model = Model({Kind.ALL: limit}, {})
    gauge = Gauge(limit, 0.0)
    for name, step in enumerate(steps):
        staying = [one for one in model.open if one not in model.told]
        if isinstance(step, int):
            for _ in range(step):
                model.second()
        elif step == "enter":
            model.open[name] = [ALL]
            gauge.enter(name)
        elif step == "leave" and model.open:
            one = min(model.open)
            gauge.leave(one, one in model.told)
            del model.open[one]
            model.told.discard(one)
        elif step == "tell" and staying:
            model.told.add(staying[0])
            gauge.tell()
        gauge.advance(float(model.now))
        standing = model.standing(ALL)
        assert (gauge.state, gauge.count, gauge.spent) == (standing.state, standing.count, standing.spent)
        assert gauge.told == len(model.told)
        assert gauge.full is model.refuses(ALL)
        assert gauge.to_shed == model.excess(ALL)
        # If nobody comes or goes, this is the moment at which somebody has to.
        excess = len(model.open) - limit.soft - len(model.told)
        left = limit.allowance + limit.patience - gauge.spent
        assert gauge.sheds_at == (model.now + left if excess > 0 else math.inf)


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    gauge = Gauge(ConnectionLimit(1, burst=1), 0.0)
    gauge.enter("a")
    gauge.enter("b")
    gauge.advance(5.0)
    gauge.advance(3.0)
    assert gauge.spent == 5.0
    gauge.advance(6.0)
    assert gauge.spent == 6.0


@pytest.mark.parametrize("plan", PLAN_CONNECTIONS)
def test_plans_have_their_number(plan: Plan) -> None:
    limit = ConnectionLimit.of_plan(plan)
    assert limit.soft == {"free": 100_000, "pro": 100_000, "business": 200_000}[plan.value]
    assert limit.burst == limit.soft // 10
    with pytest.raises(ValueError, match="fixed"):
        ConnectionLimit.of_plan(plan, limit.soft)


def test_enterprise_says_how_many() -> None:
    assert ConnectionLimit.of_plan(Plan.ENTERPRISE, 7).soft == 7
    with pytest.raises(ValueError, match="enterprise needs"):
        ConnectionLimit.of_plan(Plan.ENTERPRISE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"soft": 0},
        {"burst": -1},
        {"allowance": -1.0},
        {"allowance": math.inf},
        {"patience": -1.0},
        {"patience": math.nan},
        {"retry_after": -1},
    ],
    ids=lambda wrong: "-".join(map(str, *wrong.items())),
)
def test_limits_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ConnectionLimit(**{"soft": 1, **wrong})  # type: ignore[arg-type]
