from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.counters import Counter, Histogram, add_rows, most_rows
from edgews.edge.analytics.metrics import OTHER, Metric

METRIC = Metric("Seconds.", ("route",), (1.0, 2.0))
labels = st.tuples(st.text(max_size=2))
# So that they add up without being rounded.
seconds = st.integers(0, 300).map(lambda number: number / 64)


@given(st.lists(st.tuples(labels, st.integers(0, 5))))
def test_numbers_add_up(added: list[tuple[tuple[str], int]]) -> None:
    counter = Counter()
    for key, number in added:
        counter.add(key, number)
    expected = {key: sum(n for k, n in added if k == key) for key, _ in added}
    assert counter.rows() == [[list(key), number] for key, number in sorted(expected.items())]


@given(st.lists(labels))
def test_whatever_comes_a_counter_stays_small(added: list[tuple[str]]) -> None:
    counter = Counter(limit=3)
    for key in added:
        counter.add(key)
    rows = counter.rows()
    assert len(rows) <= 4
    assert sum(number for _, number in rows) == len(added)
    assert len(rows) <= 3 or [OTHER] in [row[0] for row in rows]


@given(st.lists(st.tuples(labels, seconds)))
def test_a_histogram_counts_values_between_bounds(observed: list[tuple[tuple[str], float]]) -> None:
    histogram = Histogram(METRIC)
    for key, value in observed:
        histogram.observe(key, value)
    for key, counts, total in histogram.rows():
        values = [value for k, value in observed if k == tuple(key)]
        assert total == sum(values)
        assert counts == [
            sum(value <= 1.0 for value in values),
            sum(1.0 < value <= 2.0 for value in values),
            sum(value > 2.0 for value in values),
        ]


@given(st.lists(labels))
def test_whatever_comes_a_histogram_stays_small(added: list[tuple[str]]) -> None:
    histogram = Histogram(METRIC, limit=3)
    for key in added:
        histogram.observe(key, 1.5)
    rows = histogram.rows()
    assert len(rows) <= 4
    assert sum(counts[1] for _, counts, _ in rows) == len(added)


@given(st.lists(st.lists(st.tuples(labels, st.integers(0, 5), seconds)), max_size=3))
def test_rows_of_parts_are_the_rows_of_the_whole(parts: list[list[tuple[tuple[str], int, float]]]) -> None:
    whole, wholes = Counter(), Histogram(METRIC)
    counters, histograms = [], []
    for part in parts:
        counter, histogram = Counter(), Histogram(METRIC)
        for key, number, value in part:
            for one in (counter, whole):
                one.add(key, number)
            for other in (histogram, wholes):
                other.observe(key, value)
        counters.append(counter.rows())
        histograms.append(histogram.rows())
    assert add_rows(counters) == whole.rows()
    assert add_rows(histograms) == wholes.rows()


@given(st.lists(st.dictionaries(labels, st.integers(0, 5))))
def test_the_most_of_each(parts: list[dict[tuple[str], int]]) -> None:
    rows = [[[list(key), number] for key, number in part.items()] for part in parts]
    keys = sorted({key for part in parts for key in part})
    most = [[list(key), max(part[key] for part in parts if key in part)] for key in keys]
    assert most_rows(rows) == most
