from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.series import FIELDS, SPAN, Series, add_series


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(FIELDS), st.integers(1, 5)), max_size=30),
    st.integers(400, 800),
)
def test_each_second_has_what_happened_in_it(added: list[tuple[int, str, int]], end: int) -> None:
    series = Series()
    for second, field, number in sorted(added):
        series.add(second + 0.9, field, number)
    report = series.report(end + 0.5, 7)
    assert report["end"] == end
    for field in FIELDS:
        expected = [0] * SPAN
        for second, name, number in added:
            at = second - (end - SPAN + 1)
            if name == field and at >= 0:
                expected[at] += number
        assert report[field] == expected


@given(st.lists(st.sampled_from(["opened", "ended", ""]), max_size=40))
def test_how_many_were_open_follows_from_what_came_and_went(happened: list[str]) -> None:
    series = Series()
    open_, history = 100, []
    for second, field in enumerate(happened):
        if field:
            series.add(second, field)
            open_ += 1 if field == "opened" else -1
        history.append(open_)
    report = series.report(len(history) - 1, open_)
    assert report["open"] == [100] * (SPAN - len(history)) + history


@given(
    st.floats(0, 1000),
    st.floats(0.0, 700),
    st.integers(0, 10_000),
)
def test_what_came_within_a_time_is_spread_over_it(since: float, pause: float, number: int) -> None:
    series = Series()
    series.spread(since, since + pause, "bytes_up", number)
    values = series.report(since + pause, 0)["bytes_up"]
    assert sum(values) == number
    if number:
        seconds = sum(value > 0 for value in values)
        assert seconds <= max(pause + 1, 1)
        # Equal parts, and the rest in the last one.
        assert len({value for value in values[:-1] if value}) <= 1


def test_a_clock_that_is_set_leaves_nothing_behind() -> None:
    series = Series()
    for start in (0, 10_000, 0, -10_000):
        for second in range(2 * SPAN):
            series.add(start + second, "opened")
    assert len(series._seconds) <= 2 * SPAN
    assert sum(series.report(-10_000 + 2 * SPAN, 0)["opened"]) == SPAN - 1


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 20), st.sampled_from(FIELDS), st.integers(1, 5)),
        max_size=30,
    )
)
def test_the_sum_of_parts_is_the_whole(added: list[tuple[int, int, str, int]]) -> None:
    whole, parts = Series(), [Series() for _ in range(3)]
    for part, second, field, number in added:
        whole.add(second, field, number)
        parts[part].add(second, field, number)
    assert add_series([part.report(20.0, at) for at, part in enumerate(parts)]) == whole.report(20.0, 3)


def test_the_sum_ends_where_all_have_a_second() -> None:
    early, late = Series(), Series()
    early.add(9, "opened", 2)
    late.add(9, "opened", 3)
    late.add(10, "opened", 5)
    found = add_series([early.report(9.9, 2), late.report(10.0, 8)])
    assert (found["end"], found["opened"][-1], found["opened"][-2]) == (9, 5, 0)
    assert found["open"][-1] == 2 + 3
    far = add_series([early.report(9.9, 2), late.report(10_000.0, 8)])
    assert (far["end"], far["opened"][-1], far["open"][-1]) == (9, 2, 2)
