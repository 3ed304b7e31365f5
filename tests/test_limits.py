from __future__ import annotations

import dataclasses
import inspect
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts

SIZES = [field.name for field in dataclasses.fields(Limits)]
OPTIONAL_SIZES = ["max_message_size", "max_frame_size"]
TIMES = [field.name for field in dataclasses.fields(Timeouts)]


@given(st.sampled_from(SIZES), st.integers())
def test_sizes_are_taken_or_refused_by_their_least_value(name, size):
    least = 0 if name in OPTIONAL_SIZES else 1
    if least <= size <= sys.maxsize:
        assert getattr(Limits(**{name: size}), name) == size
    elif size > sys.maxsize:
        with pytest.raises(ValueError, match=f"^{name} is {size}; it must be {sys.maxsize} or less"):
            Limits(**{name: size})
    else:
        with pytest.raises(ValueError, match=f"^{name} is {size}; it must be {least} or more"):
            Limits(**{name: size})


@pytest.mark.parametrize("name", OPTIONAL_SIZES)
def test_none_takes_a_limit_of_messages_away(name):
    assert getattr(Limits(**{name: None}), name) is None


@given(st.sampled_from(TIMES), st.floats() | st.integers())
def test_times_are_finite_and_more_than_zero(name, seconds):
    if 0 < seconds <= 1e9:
        assert getattr(Timeouts(**{name: seconds}), name) == seconds
    else:
        with pytest.raises(ValueError, match=f"^{name} is .*; it must be (more than 0|1000000000) seconds"):
            Timeouts(**{name: seconds})


@pytest.mark.parametrize("seconds", [0, 0.0, -0.0, -1, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", TIMES)
def test_no_timer_runs_for_no_time_or_for_ever(name, seconds):
    with pytest.raises(ValueError, match=name):
        Timeouts(**{name: seconds})


@pytest.mark.parametrize("name", TIMES)
def test_none_turns_a_timer_off(name):
    assert getattr(Timeouts(**{name: None}), name) is None


def test_every_default_is_finite():
    # max_frame_size alone has none of its own: it follows max_message_size.
    sizes = dataclasses.asdict(DEFAULT_LIMITS)
    assert sizes.pop("max_frame_size") is None
    assert all(0 < size <= 1 << 20 for size in sizes.values())
    # The idle timer alone is off: pings find dead peers.
    times = dataclasses.asdict(DEFAULT_TIMEOUTS)
    assert times.pop("idle") is None
    assert all(0 < seconds <= 60 for seconds in times.values())
    assert Limits() == DEFAULT_LIMITS
    assert Timeouts() == DEFAULT_TIMEOUTS


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_the_values_are_shared_and_so_cannot_change(kind):
    value = kind()
    for name in (field.name for field in dataclasses.fields(kind)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)
    with pytest.raises(TypeError):
        kind(1)


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_every_value_has_its_reason_in_the_docstring(kind):
    for field in dataclasses.fields(kind):
        assert f"\n    {field.name}: " in inspect.getdoc(kind)
