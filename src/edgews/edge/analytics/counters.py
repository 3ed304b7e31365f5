"""Numbers by labels, in bounded memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

from .metrics import OTHER, Metric

# Sets of labels that one metric may have: those of a hundred routes that each end in twenty ways.
MAX_LABEL_SETS: Final = 2000

Labels = tuple[str, ...]


class Counter:
    """Numbers by labels; what finds no place any more is counted together."""

    __slots__ = ("_limit", "_values")

    def __init__(self, limit: int = MAX_LABEL_SETS) -> None:
        self._limit = limit
        self._values: dict[Labels, int] = {}

    def add(self, labels: Labels, number: int = 1) -> None:
        """Add to one of the numbers."""
        values = self._values
        if labels not in values and len(values) >= self._limit:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0) + number

    def rows(self) -> list[list[Any]]:
        """Return `[labels, number]` for each, in the order of the labels."""
        return [[list(labels), number] for labels, number in sorted(self._values.items())]


class Histogram:
    """How many values lie between bounds, by labels."""

    __slots__ = ("_bounds", "_limit", "_values")

    def __init__(self, metric: Metric, limit: int = MAX_LABEL_SETS) -> None:
        self._bounds = metric.bounds
        self._limit = limit
        self._values: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Take a value, which may lie on a bound and then belongs below it."""
        values = self._values
        if labels not in values and len(values) >= self._limit:
            labels = (OTHER,) * len(labels)
        if labels not in values:
            values[labels] = [0] * (len(self._bounds) + 1), [0.0]
        counts, total = values[labels]
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def rows(self) -> list[list[Any]]:
        """Return `[labels, counts, sum]` for each; the last count has no upper bound."""
        return [
            [list(labels), [*counts], total[0]] for labels, (counts, total) in sorted(self._values.items())
        ]


def add_rows(parts: Iterable[list[list[Any]]]) -> list[list[Any]]:
    """Add what the same labels have in several lists of rows, of counters or of histograms."""
    found: dict[Labels, list[Any]] = {}
    for rows in parts:
        for labels, *values in rows:
            key = tuple(labels)
            if key in found:
                found[key] = [_plus(one, other) for one, other in zip(found[key], values, strict=True)]
            else:
                found[key] = values
    return [[list(key), *values] for key, values in sorted(found.items())]


def most_rows(parts: Iterable[list[list[Any]]]) -> list[list[Any]]:
    """Return the greatest number that the same labels have in several lists of rows of one number each."""
    found: dict[Labels, int] = {}
    for rows in parts:
        for labels, number in rows:
            key = tuple(labels)
            found[key] = max(number, found.get(key, number))
    return [[list(key), number] for key, number in sorted(found.items())]


def _plus(one: Any, other: Any) -> Any:
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other
