"""Timing that a noisy, shared machine does not spoil.

All contenders of a row take turns in many short rounds, and who begins changes from round to round. What a
machine does for a while (another program, a slower clock) then meets all of them. A ratio is taken within
each round, between times that were measured next to each other, and the median of these ratios is shown.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from .rows import Row


class Timed(Protocol):
    def seconds(self, passes: int) -> float: ...


@dataclass(frozen=True)
class Pace:
    """How many rounds, and for about how many seconds each contender runs in one."""

    rounds: int = 61
    slice: float = 0.002


THOROUGH = Pace()
QUICK = Pace(15, 0.001)


@dataclass(frozen=True)
class Timing:
    """Seconds per message, one figure for each round."""

    rounds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def best(self) -> float:
        return min(self.rounds)

    def times_faster(self, other: Timing) -> float:
        """Return how many times as fast this one is as `other`."""
        return statistics.median(b / a for a, b in zip(self.rounds, other.rounds, strict=True))


def race(row: Row, contenders: Mapping[str, Timed], pace: Pace) -> dict[str, Timing]:
    """Time the contenders of a row side by side."""
    passes = {name: calibrate(timed, pace.slice) for name, timed in contenders.items()}
    order = list(contenders)
    rounds: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(pace.rounds):
        for name in order:
            # The one before has left its own data in the caches.
            contenders[name].seconds(max(1, passes[name] // 8))
            seconds = contenders[name].seconds(passes[name])
            rounds[name].append(seconds / passes[name] / row.per_pass)
        order.append(order.pop(0))
    return {name: Timing(rounds[name]) for name in contenders}


def calibrate(timed: Timed, slice: float) -> int:
    """Warm up, and return how many passes take about `slice` seconds."""
    passes = 1
    while (seconds := timed.seconds(passes)) < slice / 2:
        passes *= 2
    return max(1, round(passes * slice / seconds))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the cyclic collector out, as `timeit` does; it favours libraries that make many objects."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
