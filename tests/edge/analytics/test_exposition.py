from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edgews.edge.analytics.exposition import PREFIX, exposition
from edgews.edge.analytics.metrics import COUNTERS, GAUGES, HISTOGRAMS

from .happenings import Happening, Process, happenings
from .test_reports import LIMIT, ORIGIN


def at(name: str, *labels: str) -> tuple[str, tuple[str, ...]]:
    return PREFIX + name, tuple(sorted(labels))


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


# The parser is slow.
@settings(max_examples=20)
@given(happenings(1))
def test_a_parser_reads_what_the_report_says(happened: list[Happening]) -> None:
    process = Process(0.0)
    for number, happening in enumerate(happened):
        process.happen(happening.what, happening.values, float(number), number)
    report = process.report(100.0)
    found = samples(exposition(report))
    for name in COUNTERS:
        for labels, value in report["counters"][name]:
            assert found[at(f"{name}_total", *labels)] == value
    for name in GAUGES:
        for labels, value in report["gauges"][name]:
            assert found[at(name, *labels)] == value
    for name in HISTOGRAMS:
        for labels, counts, total in report["histograms"][name]:
            assert found[at(f"{name}_count", *labels)] == sum(counts)
            assert found[at(f"{name}_sum", *labels)] == total
            assert found[at(f"{name}_bucket", *labels, "+Inf")] == sum(counts)
    assert found[at("workers")] == 1


def test_limits_and_origins() -> None:
    def found(**origin: Any) -> dict[tuple[str, tuple[str, ...]], float]:
        limits = [LIMIT | {"state": "burst"}]
        return samples(exposition(Process(0.0).report(1.0, limits=limits, origins=[ORIGIN | origin])))

    assert found()[at("limit_connections", "route", "chat")] == 1
    assert found()[at("limit_allowed", "route", "chat")] == 2
    assert found()[at("limit_state", "route", "chat")] == 1
    assert found()[at("origin_up", "chat", "ws://o")] == 1
    assert found(state="failing")[at("origin_up", "chat", "ws://o")] == 0
    assert found()[at("origin_connections", "chat", "ws://o")] == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["host", "client", "opening of a client"]),
            st.text(),
            st.sampled_from(["ok", "burst", "over"]),
        ),
        max_size=20,
    )
)
def test_no_name_that_a_client_chooses_is_a_label(scopes: list[tuple[str, str, str]]) -> None:
    limits = [LIMIT | {"kind": kind, "name": name, "state": state} for kind, name, state in scopes]
    found = samples(exposition(Process(0.0).report(1.0, limits=limits)))
    assert found.keys() == samples(exposition(Process(0.0).report(1.0))).keys()
    for kind in ("host", "client", "opening of a client"):
        for state in ("burst", "over"):
            number = sum((one, how) == (kind, state) for one, _, how in scopes)
            assert found[at("limits_exceeded", kind, state)] == number


def test_labels_that_need_escaping() -> None:
    process = Process(0.0)
    process.happen("opened", ('a "quoted"\\\nname', 0.1), 1.0, 0)
    found = samples(exposition(process.report(1.0)))
    assert found[at("connections_opened_total", 'a "quoted"\\\nname')] == 1
