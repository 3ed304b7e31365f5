"""What several processes report, and what those have counted that have ended: no count ever goes back.

Of each process the last report is kept. When it ends, what it has counted stays, and what it held at the
moment does not: the connections that were open there have ended with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from typing import Any, Final, TypeAlias

from edgews.edge.relay.ends import Party, Why

from .counters import add_rows
from .metrics import GAUGES
from .reports import Report, merge
from .series import FIELDS, SPAN

Process: TypeAlias = Hashable

# Who ended the connections of a process that died, why, and with which close code: a client sees the end of
# its stream.
DIED: Final = (Party.GATEWAY.value, Why.DIED.value, "1006")


class Ledger:
    """Reports by process; the times are the wall clock's, in seconds."""

    def __init__(self) -> None:
        self._living: dict[Process, Report | None] = {}
        # Labels come from configurations alone, so this does not grow with what clients do.
        self._ended: Report | None = None

    def begin(self, process: Process) -> None:
        """Take reports of a process from now on."""
        self._living[process] = None

    def take(self, process: Process, report: Report) -> None:
        """Keep the last report of a process; one that has ended already is past that."""
        if process in self._living:
            self._living[process] = report

    def end(self, process: Process, now: float) -> int:
        """Keep what a process has counted; return how many connections have died with it, if known."""
        report = self._living.pop(process, None)
        if report is None:
            return 0
        left = _left(report, now)
        self._ended = left if self._ended is None else _merged([self._ended, left], math.floor(now))
        return sum(number for _, number in report["gauges"]["connections_open"])

    def report(self, fresh: Collection[Process], now: float) -> Report | None:
        """Return one report for all, None if nobody has reported yet.

        Args:
            fresh: who has reported just now; the others are as they were last seen.
        """
        living = {process: report for process, report in self._living.items() if report is not None}
        reports = [*living.values(), *([] if self._ended is None else [self._ended])]
        if not reports:
            return None
        ends = [living[process]["series"]["end"] for process in fresh if process in living]
        return _merged(reports, min(ends, default=math.floor(now)))

    def trace(self, ray: str) -> dict[str, Any] | None:
        """Return the record of a request that has ended in a process that has ended as well."""
        if self._ended is None:
            return None
        records = (*self._ended["ended"], *self._ended["refused"])
        return next((dict(record) for record in records if record["ray"] == ray), None)


def _merged(reports: list[Report], end: int) -> Report:
    """Put reports together in which seconds may be missing at the end."""
    return merge([report | {"series": _until(report["series"], end)} for report in reports])


def _until(series: dict[str, Any], end: int) -> dict[str, Any]:
    """Return a series with seconds up to `end`, in which nothing happened."""
    missing = min(end - series["end"], SPAN)
    if missing <= 0:
        return series
    more = {field: series[field][missing:] + [0] * missing for field in FIELDS}
    return {"end": end, "open": series["open"][missing:] + series["open"][-1:] * missing, **more}


def _left(report: Report, now: float) -> Report:
    """Return what stays of the report of a process that has ended."""
    died = [[[*labels, *DIED], number] for labels, number in report["gauges"]["connections_open"] if number]
    series = _until(report["series"], math.floor(now))
    lost = sum(number for _, number in died)
    counters = report["counters"]
    return report | {
        "workers": 0,
        "counters": counters | {"connections_ended": add_rows([counters["connections_ended"], died])},
        "gauges": {name: [] for name in GAUGES},
        "series": series
        | {
            "open": [*series["open"][:-1], series["open"][-1] - lost],
            "ended": [*series["ended"][:-1], series["ended"][-1] + lost],
        },
        "limits": [],
        "origins": [],
    }
