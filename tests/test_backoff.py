"""How long to wait before the next attempt."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Headers, Response
from edgews.backoff import DEFAULT_BACKOFF, Backoff, retry_after

portions = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10_000)


@given(st.floats(0.001, 100), st.floats(0.001, 1000), portions, attempts)
def test_any_time_up_to_a_bound_that_doubles(base: float, cap: float, portion: float, number: int) -> None:
    backoff = Backoff(base=base, cap=cap, random=lambda: portion)
    # The oracle doubles as the words say, as long as a float can.
    bound = base
    for _ in range(min(number, 100) - 1):
        bound = min(cap, bound * 2)
    assert backoff.delay(number) == pytest.approx(portion * min(cap, bound))


@given(attempts)
def test_the_jitter_is_full(number: int) -> None:
    """Half of the numbers of a fair source are below the middle: nothing is left of a common beat."""
    delays = [DEFAULT_BACKOFF.delay(number) for _ in range(200)]
    bound = min(60.0, 2.0 ** min(number - 1, 100))
    assert all(0 <= delay < bound for delay in delays)
    # Wrong once in 10^17 runs.
    assert 40 < sum(delay < bound / 2 for delay in delays) < 160


@given(st.floats(0, 1e9), portions, attempts)
def test_the_server_is_heard_within_reason(asked: float, portion: float, number: int) -> None:
    backoff = Backoff(random=lambda: portion)
    delay = backoff.delay(number, asked)
    assert delay == min(asked, 3600.0) + backoff.delay(number)


@pytest.mark.parametrize("name", ["base", "cap", "longest", "steady"])
@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_time_is_finite(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Backoff(**{name: value})


# Retry-After


def refusal(*values: str) -> Response:
    return Response(503, Headers([("Retry-After", value) for value in values]))


@given(st.integers(0, 10**10 - 1), st.floats(0, 1e10))
def test_seconds(seconds: int, wall: float) -> None:
    assert retry_after(refusal(str(seconds)), wall) == seconds


dates = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(
    lambda date: date.replace(microsecond=0)
)


@given(dates, st.integers(-(10**6), 10**6))
def test_a_date(date: datetime, ahead: int) -> None:
    wall = date.timestamp() - ahead
    assert retry_after(refusal(format_datetime(date, usegmt=True)), wall) == max(0, ahead)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_the_forms_of_a_date(value: str) -> None:
    """RFC 9110 §5.6.7."""
    wall = (datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC) - timedelta(seconds=90)).timestamp()
    assert retry_after(refusal(value), wall) == 90


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("1", "2"),
        ("",),
        ("-1",),
        ("1.5",),
        ("\u0661",),
        ("1" * 11,),
        ("soon",),
        ("Sun, 99 Nov 1994 08:49:37 GMT",),
        ("Sun, 06 Nov 99999999999 08:49:37 GMT",),
        ("Sun, 06 Nov 1994 08:49:37 +99999999999999999999",),
    ],
)
def test_what_says_nothing(values: tuple[str, ...]) -> None:
    assert retry_after(refusal(*values), 0.0) is None


@given(st.text(max_size=40))
def test_no_answer_raises(value: str) -> None:
    asked = retry_after(refusal(value), 0.0)
    assert asked is None or asked >= 0
