"""What happened in each of the last seconds, for charts."""

from __future__ import annotations

import math
from typing import Any, Final

# How far back (seconds).
SPAN: Final = 300

EVENTS: Final = ("opened", "refused", "ended")
FLOWS: Final = ("messages_up", "messages_down", "bytes_up", "bytes_down")
FIELDS: Final = (*EVENTS, *FLOWS)
_OPENED: Final = FIELDS.index("opened")
_ENDED: Final = FIELDS.index("ended")


class Series:
    """Numbers for each second of the wall clock; several processes so have the same seconds."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[int, list[int]] = {}

    def add(self, now: float, field: str, number: int = 1) -> None:
        """Add to a number of this second."""
        self._at(math.floor(now))[FIELDS.index(field)] += number

    def spread(self, since: float, now: float, field: str, number: int) -> None:
        """Add what came within a time in equal parts to its seconds; the last gets the rest."""
        if not number:
            return
        last = math.floor(now)
        first = min(max(math.floor(since) + 1, last - SPAN + 1), last)
        share, rest = divmod(number, last - first + 1)
        at = FIELDS.index(field)
        for second in range(first, last + 1):
            self._at(second)[at] += share
        self._at(last)[at] += rest

    def _at(self, second: int) -> list[int]:
        seconds = self._seconds
        if second not in seconds:
            # A clock that was set leaves others behind, too.
            for other in [other for other in seconds if abs(other - second) >= SPAN]:
                del seconds[other]
            seconds[second] = [0] * len(FIELDS)
        return seconds[second]

    def report(self, now: float, open: int) -> dict[str, Any]:
        """Return the last seconds, this one among them, as a list for each field.

        Args:
            open: how many connections are open now. How many there were follows from what came and went.
        """
        last = math.floor(now)
        found: dict[str, Any] = {"end": last, "open": [0] * SPAN}
        found |= {field: [0] * SPAN for field in FIELDS}
        for at in range(SPAN - 1, -1, -1):
            values = self._seconds.get(last - SPAN + 1 + at)
            found["open"][at] = open
            if values is not None:
                open -= values[_OPENED] - values[_ENDED]
                for field, value in zip(FIELDS, values, strict=True):
                    found[field][at] = value
        return found


def add_series(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Add reports of several processes, second by second.

    The last second that all have is the last one of the sum.
    """
    end = min(part["end"] for part in parts)
    found: dict[str, Any] = {"end": end}
    for field in ("open", *FIELDS):
        found[field] = [0] * SPAN
        for part in parts:
            late = min(part["end"] - end, SPAN)
            for at in range(SPAN - late):
                found[field][at + late] += part[field][at]
    return found
