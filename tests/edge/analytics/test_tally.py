from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.series import SPAN
from edgews.edge.analytics.tally import KEPT, MAX_TEXT, NO_TRAFFIC, SHOWN, Tally, plus

from .happenings import ROUTES, Happening, Process, happenings, traffics


def total(rows: list[list[Any]], *wanted: str) -> int:
    return sum(number for labels, number in rows if set(wanted) <= set(labels))


@given(happenings(1))
def test_what_happens_is_counted(happened: list[Happening]) -> None:
    now, process = 1000.0, Process(1000.0)
    for number, happening in enumerate(list(happened)):
        now += happening.pause
        if not process.may(happening):
            happened.remove(happening)
            continue
        process.happen(happening.what, happening.values, now, number)
    report = process.report(now, opening=3)
    assert json.loads(json.dumps(report)) == report
    times = {what: [one.values for one in happened if one.what == what] for what in happening_names(happened)}
    counters = report["counters"]
    assert total(counters["connections_opened"]) == len(times.get("opened", ()))
    assert total(counters["connections_ended"]) == len(times.get("ended", ()))
    assert total(counters["upgrades_refused"]) == len(times.get("refused", ()))
    assert total(counters["connections_abandoned"]) == len(times.get("abandoned", ()))
    assert total(counters["connections_dropped"]) == len(times.get("dropped", ()))
    assert total(counters["plain_requests"]) == len(times.get("answered", ()))
    assert total(counters["plain_requests"], "2xx") == sum(
        values[1] in (200, 204) for values in times.get("answered", ())
    )
    assert total(counters["log_lines_lost"]) == len(times.get("unlogged", ()))
    assert total(counters["origin_failures"]) == len(times.get("unreachable", ()))
    assert total(counters["connections_ended"], "client") == sum(
        values[1] == "client" for values in times.get("ended", ())
    )
    carried = NO_TRAFFIC
    for values in (*times.get("ended", ()), *times.get("flow", ())):
        carried = plus(carried, values[-1])
    a, b, c, d, e, f = carried
    assert total(counters["messages"], "up", "text") == a
    assert total(counters["messages"], "up", "binary") == b
    assert total(counters["messages"], "down", "text") == d
    assert total(counters["messages"], "down", "binary") == e
    assert [total(counters["bytes"], way) for way in ("up", "down")] == [c, f]
    if now - 1000.0 < SPAN:
        assert sum(report["series"]["messages_up"]) == a + b
        assert sum(report["series"]["bytes_down"]) == f
    assert report["gauges"]["connections_opening"] == [[[], 3]]
    assert len(report["ended"]) == min(len(times.get("ended", ())), SHOWN)
    assert sum(counts for _, counts, _ in report["histograms"]["ping_seconds"] for counts in counts) == len(
        times.get("ponged", ())
    )


def happening_names(happened: list[Happening]) -> set[str]:
    return {one.what for one in happened}


@given(st.lists(st.sampled_from(ROUTES), max_size=10))
def test_connections_are_open_until_they_end(routes: list[str]) -> None:
    process = Process(0.0)
    for route in routes:
        process.tally.opened(route, 1.0, 0.1)
    assert process.tally.open == len(routes)
    gauge = {route: routes.count(route) for route in sorted(set(routes))}
    assert process.report(1.0)["gauges"]["connections_open"] == [[[route], n] for route, n in gauge.items()]
    for number, route in enumerate(routes):
        process.happen("ended", (route, "client", "close", 1000, 1.0, NO_TRAFFIC), 2.0, number)
    assert process.tally.open == 0
    assert process.report(2.0)["gauges"]["connections_open"] == []


@given(traffics, traffics)
def test_a_connection_that_ends_is_not_counted_twice(first: Any, then: Any) -> None:
    tally = Tally(0.0)
    tally.opened("chat", 0.0, 0.0)
    tally.look(1.0, {"chat": first})
    carried = plus(first, then)
    record = {"time": 2.0, "ray": "r", "route": "chat", "by": "client", "why": "close", "code": 1000}
    tally.ended(record | {"duration": 2.0}, carried, 2.0)
    report = tally.report(3.0, {})
    assert sum(report["series"]["bytes_up"]) == carried[2]
    assert total(report["counters"]["bytes"], "up") == carried[2]


def refusal(ray: str, cause: str, time: float) -> dict[str, Any]:
    return {"time": time, "ray": ray, "route": "", "status": 400, "header": "", "cause": cause}


def test_the_last_ones_are_kept_and_their_texts_are_cut() -> None:
    tally = Tally(0.0)
    for number in range(KEPT + 10):
        tally.refused(refusal(str(number), "x" * 10_000, float(number)), "no", float(number))
    shown = tally.report(2000.0, {})["refused"]
    assert [record["ray"] for record in shown] == [str(KEPT + 9 - at) for at in range(SHOWN)]
    assert tally.trace("9") is None
    found = tally.trace("10")
    assert found is not None
    assert found["cause"] == "x" * (MAX_TEXT - 1) + "…"


def test_a_trace_is_found_among_ends_and_refusals() -> None:
    tally = Tally(0.0)
    record = {"time": 1.0, "ray": "e", "route": "chat", "by": "client", "why": "close", "code": 1000}
    tally.ended(record | {"duration": 2.0}, NO_TRAFFIC, 1.0)
    tally.refused(refusal("r", "why", 1.0), "no", 1.0)
    assert tally.trace("e") == record | {"duration": 2.0}
    assert tally.trace("r") == refusal("r", "why", 1.0)
    assert tally.trace("unknown") is None


def test_limits_and_origins_are_told_as_they_are() -> None:
    limit = {"kind": "all", "name": "x", "state": "ok", "count": 1, "soft": 2, "burst": 0, "spent": 0.0}
    origin = {"route": "chat", "origin": "ws://o", "active": 1, "checks": 0, "cause": "", "state": "ok"}
    rules = {("two", "log"): 3, ("one", "block"): 1}
    report = Tally(0.0).report(
        1.0,
        {},
        limits=[limit],
        origins=[origin],
        rules=rules,
        use={"two": (5, 6), "one": (1, 0)},
        keys={"two": (1, 2, 30), "one": (0, 0, 10)},
    )
    assert (report["limits"], report["origins"]) == ([limit], [origin])
    assert report["counters"]["rule_matches"] == [[["one", "block"], 1], [["two", "log"], 3]]
    assert report["counters"]["limiter_decisions"] == [
        [["one", "allowed"], 1],
        [["one", "refused"], 0],
        [["two", "allowed"], 5],
        [["two", "refused"], 6],
    ]
    assert report["gauges"]["limiter_limited"] == [[["one"], 0], [["two"], 1]]
    assert report["gauges"]["limiter_keys"] == [[["one"], 0], [["two"], 2]]
    assert report["gauges"]["limiter_max_keys"] == [[["one"], 10], [["two"], 30]]
