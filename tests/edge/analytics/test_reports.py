from __future__ import annotations

from typing import Any

from hypothesis import given

from edgews.edge.analytics.reports import STATES, merge, since
from edgews.edge.analytics.series import FIELDS, SPAN

from .happenings import Happening, Process, happenings

LIMIT = {"kind": "route", "name": "chat", "state": "ok", "count": 1, "soft": 2, "burst": 1, "spent": 1.0}
ORIGIN = {"route": "chat", "origin": "ws://o", "active": 1, "checks": 0, "cause": "", "state": "ok"}


@given(happenings(3))
def test_reports_of_parts_are_the_report_of_the_whole(happened: list[Happening]) -> None:
    now = 1000.0
    whole, parts = Process(now), [Process(now) for _ in range(3)]
    for number, happening in enumerate(happened):
        now += happening.pause
        if happening.what == "look":
            # Everybody looks at the same moments: between them nobody knows when bytes came.
            for process in (whole, *parts):
                process.happen("look", (), now, number)
        elif parts[happening.part].may(happening):
            for process in (whole, parts[happening.part]):
                process.happen(happening.what, happening.values, now, number)
    expected = whole.report(now, opening=3)
    found = merge([part.report(now, opening=1) for part in parts])
    # What is spread over seconds is rounded in each part by itself.
    for field in FIELDS:
        one, other = found["series"].pop(field), expected["series"].pop(field)
        assert sum(one) == sum(other)
    assert found.pop("workers") == 3
    assert expected.pop("workers") == 1
    # A part of which no connection ended has no row of zeros.
    for rows in (*found["counters"].values(), *expected["counters"].values()):
        rows[:] = [row for row in rows if row[1]]
    assert found == expected


def test_one_report_is_itself() -> None:
    report = Process(0.0).report(1.0, limits=[LIMIT], origins=[ORIGIN])
    assert merge([report]) == report


def test_limits_and_origins_are_as_bad_as_the_worst() -> None:
    def report(state: str, origin: str) -> dict[str, Any]:
        return Process(0.0).report(
            1.0, limits=[LIMIT | {"state": state, "spent": 2.0}], origins=[ORIGIN | {"state": origin}]
        )

    found = merge([report("over", "ok"), report("burst", "down"), report("ok", "failing")])
    # Each process tells what all have.
    assert found["limits"] == [LIMIT | {"state": "over", "spent": 2.0}]
    assert found["origins"] == [ORIGIN | {"state": "down", "active": 3}]
    assert {"ok", "over", "down"} <= set(STATES)


def test_what_each_process_counts_for_itself_is_added() -> None:
    opening = LIMIT | {"kind": "opening", "name": "max_opening", "burst": 0, "spent": 0.0}
    parts = [opening | {"count": 3, "soft": 4}, opening | {"count": 4, "soft": 4, "state": "over"}]
    found = merge([Process(0.0).report(1.0, limits=[part, LIMIT]) for part in parts])
    assert found["limits"] == [opening | {"count": 7, "soft": 8, "state": "over"}, LIMIT]


def test_who_has_a_report_is_told_what_is_new() -> None:
    process = Process(0.0)
    for second in range(1, 11):
        process.happen("refused", ("chat", 400, ""), float(second), second)
    report = process.report(10.5)
    new = since(report, seconds=8, records=9.0)
    assert new["series"]["refused"] == [1, 1, 1]
    assert new["series"]["end"] == 10
    assert [record["time"] for record in new["refused"]] == [10.0, 9.0]
    assert new["counters"] == report["counters"]
    assert len(since(report, seconds=-1e9, records=0.0)["series"]["open"]) == SPAN
    assert len(since(report, seconds=50, records=0.0)["series"]["open"]) == 1
