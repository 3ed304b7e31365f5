"""Reports as one: of several processes, or of one since the last time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from .counters import add_rows, most_rows
from .metrics import APART, COUNTERS, GAUGES, HISTOGRAMS, WHOLE
from .series import FIELDS, SPAN, add_series
from .tally import SHOWN, newest

Report = dict[str, Any]
Record = dict[str, Any]

# From the best to the worst; what a limit or an origin is in several processes is the worst of them.
STATES: Final = ("ok", "burst", "over", "failing", "down")


def merge(reports: Sequence[Report]) -> Report:
    """Return one report for several processes, at least one.

    Numbers are added, but for limits that count for all processes; of the last ends and refusals the newest
    stay.
    """
    return {
        "time": max(report["time"] for report in reports),
        "since": min(report["since"] for report in reports),
        "workers": sum(report["workers"] for report in reports),
        **{
            kind: {
                name: (most_rows if name in WHOLE else add_rows)([report[kind][name] for report in reports])
                for name in table
            }
            for kind, table in (("counters", COUNTERS), ("gauges", GAUGES), ("histograms", HISTOGRAMS))
        },
        "series": add_series([report["series"] for report in reports]),
        "limits": _limits(reports),
        "origins": _joined(
            (report["origins"] for report in reports), ("route", "origin"), ("active", "checks")
        ),
        **{
            key: newest((record for report in reports for record in report[key]), SHOWN)
            for key in ("ended", "refused")
        },
    }


def _limits(reports: Sequence[Report]) -> list[Record]:
    """Put together how limits stand, which all processes have in common or each of them for itself."""
    common = [[limit for limit in report["limits"] if limit["kind"] not in APART] for report in reports]
    apart = [[limit for limit in report["limits"] if limit["kind"] in APART] for report in reports]
    names, numbers = ("kind", "name"), ("count", "soft", "burst", "spent")
    found = [*_joined(common, names, most=numbers), *_joined(apart, names, sums=numbers)]
    return sorted(found, key=lambda limit: (limit["kind"], limit["name"]))


def _joined(
    parts: Iterable[list[Record]],
    names: tuple[str, ...],
    sums: tuple[str, ...] = (),
    most: tuple[str, ...] = (),
) -> list[Record]:
    """Put together what several processes say of the same limit or origin."""
    found: dict[tuple[str, ...], Record] = {}
    for part in parts:
        for entry in part:
            name = tuple(entry[part] for part in names)
            known = found.get(name)
            if known is None:
                found[name] = dict(entry)
                continue
            for number in sums:
                known[number] += entry[number]
            known["state"] = max(known["state"], entry["state"], key=STATES.index)
            if "cause" in entry:
                known["cause"] = known["cause"] or entry["cause"]
            for number in most:
                known[number] = max(known[number], entry[number])
    return [found[name] for name in sorted(found)]


def since(report: Report, seconds: float, records: float) -> Report:
    """Return a report without what somebody has who got one before.

    Args:
        seconds: the last second of the series that it had, which may have changed since.
        records: the time of that report; ends and refusals from then on are told.
    """
    series = report["series"]
    number = int(min(max(series["end"] - seconds + 1, 1), SPAN))
    return {
        **report,
        "series": {"end": series["end"], **{field: series[field][-number:] for field in ("open", *FIELDS)}},
        **{
            key: [record for record in report[key] if record["time"] >= records]
            for key in ("ended", "refused")
        },
    }
