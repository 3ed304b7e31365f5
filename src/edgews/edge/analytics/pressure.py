"""How rate limiters stand, and how fast they are asked: what pages show of several reports in a row."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from .metrics import ALLOWED, REFUSED
from .reports import Report

# Over which time rates are averaged (seconds), and how many reports that may be.
WINDOW: Final = 5.0
_KEPT: Final = 32


class Pressure:
    """Looks at one report after the other."""

    def __init__(self) -> None:
        self._before: deque[tuple[float, dict[tuple[str, str], int]]] = deque(maxlen=_KEPT)

    def look(self, report: Report) -> list[dict[str, Any]]:
        """Return how each limiter stands, those that refuse most first.

        Each has a `name`; the numbers `allowed` and `refused` since the start, and `allowed_rate` and
        `refused_rate` in a second; how many keys are `limited` now; and its table has `keys` of `max_keys`.
        """
        counts = {
            (limiter, what): number for (limiter, what), number in report["counters"]["limiter_decisions"]
        }
        now = report["time"]
        while len(self._before) > 1 and self._before[1][0] <= now - WINDOW:
            self._before.popleft()
        then, known = self._before[0] if self._before else (now, counts)
        self._before.append((now, counts))

        def rate(limiter: str, what: str) -> float:
            more = counts.get((limiter, what), 0) - known.get((limiter, what), 0)
            # A clock that was set back, or a gateway that was started again, says nothing.
            return round(more / (now - then), 3) if now > then and more > 0 else 0.0

        gauges = {
            name: {labels[0]: number for labels, number in report["gauges"][f"limiter_{name}"]}
            for name in ("limited", "keys", "max_keys")
        }
        rows = [
            {
                "name": limiter,
                **{what: counts.get((limiter, what), 0) for what in (ALLOWED, REFUSED)},
                **{f"{what}_rate": rate(limiter, what) for what in (ALLOWED, REFUSED)},
                **{name: found.get(limiter, 0) for name, found in gauges.items()},
            }
            for limiter in gauges["max_keys"]
        ]
        return sorted(rows, key=lambda row: (-row["limited"], -row["refused_rate"], row["name"]))
