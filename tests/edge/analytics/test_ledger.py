from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.ledger import DIED, Ledger
from edgews.edge.analytics.series import FIELDS, SPAN

from .happenings import Happening, Process, happenings

PARTS = 3


def counted(report: Mapping[str, Any]) -> dict[tuple[str, ...], int]:
    """Return all that only ever grows."""
    found = {(name, *labels): number for name, rows in report["counters"].items() for labels, number in rows}
    for name, rows in report["histograms"].items():
        found |= {(name, *labels): sum(counts) for labels, counts, _ in rows}
    return found


def total(rows: list[list[Any]]) -> int:
    return sum(number for _, number in rows)


@given(
    happenings(PARTS),
    st.lists(st.sampled_from(("report", "some", "die", "look")), min_size=40, max_size=40),
)
def test_no_count_goes_back_whoever_dies(happened: list[Happening], then: list[str]) -> None:
    now = 1000.0
    ledger = Ledger()
    # A process that has died is followed by another one in its place.
    lives = [0] * PARTS
    parts = [Process(now) for _ in range(PARTS)]
    for index in range(PARTS):
        ledger.begin((index, 0))
    before: dict[tuple[str, ...], int] = {}
    for number, (happening, what) in enumerate(zip(happened, then, strict=False)):
        now += happening.pause
        part = happening.part
        if parts[part].may(happening):
            parts[part].happen(happening.what, happening.values, now, number)
        asked = range(PARTS) if what == "report" else [part] if what == "some" else []
        for index in asked:
            ledger.take((index, lives[index]), parts[index].report(now, opening=1))
        if what == "die":
            ledger.end((part, lives[part]), now)
            # What comes late comes to nothing.
            ledger.take((part, lives[part]), parts[part].report(now))
            lives[part] += 1
            parts[part] = Process(now)
            ledger.begin((part, lives[part]))
        report = ledger.report([(index, lives[index]) for index in asked], now)
        if report is None:
            continue
        found = counted(report)
        assert all(found.get(key, 0) >= value for key, value in before.items())
        before = found
        opened, ended = report["counters"]["connections_opened"], report["counters"]["connections_ended"]
        assert total(opened) == total(ended) + total(report["gauges"]["connections_open"])
        assert report["series"]["end"] == int(now)
        assert {len(report["series"][field]) for field in ("open", *FIELDS)} == {SPAN}
        assert report["series"]["open"][-1] == total(report["gauges"]["connections_open"])


def test_who_died_takes_its_connections_along_and_leaves_its_counts() -> None:
    ledger = Ledger()
    assert ledger.report([], 0.0) is None
    assert ledger.trace("1") is None
    process, other = Process(1000.0), Process(1000.0)
    ledger.begin("one")
    ledger.begin("other")
    assert ledger.report(["one"], 1000.0) is None
    for number in range(3):
        process.happen("opened", ("chat", 0.5), 1000.5, number)
    process.happen("ended", ("chat", "client", "close", 1000, 0.0, (1, 0, 5, 0, 0, 0)), 1000.5, 7)
    process.happen("refused", ("chat", 503, "Host"), 1000.5, 8)
    limit = {"kind": "all", "name": "x", "state": "ok", "count": 2, "soft": 9, "burst": 0, "spent": 0.0}
    ledger.take("one", process.report(1001.0, opening=4, limits=[limit]))
    ledger.take("other", other.report(1001.0))
    assert ledger.end("one", 1010.0) == 2
    # Whoever never reported leaves nothing.
    ledger.begin("late")
    assert ledger.end("late", 1010.0) == 0
    report = ledger.report([], 1020.0)
    assert report is not None
    assert report["workers"] == 1
    assert report["since"] == 1000.0
    assert report["limits"] == []
    assert report["counters"]["connections_ended"] == [
        [["chat", "client", "close", "1000"], 1],
        [["chat", *DIED], 2],
    ]
    assert report["gauges"]["connections_open"] == []
    assert report["gauges"]["connections_opening"] == [[[], 0]]
    # It is seen in the charts when it died.
    assert report["series"]["ended"][-21:] == [1, *[0] * 9, 2, *[0] * 10]
    assert report["series"]["open"][-21:] == [2] * 10 + [0] * 11
    assert [record["ray"] for record in report["ended"]] == ["7"]
    assert ledger.trace("8") == report["refused"][0]
    assert ledger.trace("9") is None
