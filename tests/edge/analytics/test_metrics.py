from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.metrics import (
    COUNTERS,
    GAUGES,
    HEADERS,
    HISTOGRAMS,
    OTHER,
    code_label,
    header_label,
)
from edgews.frames import CloseCode


@given(st.integers(0, 65535))
def test_close_codes_have_few_labels(code: int) -> None:
    known = {str(int(code)) for code in CloseCode}
    assert code_label(code) in known | {"3xxx", "4xxx", OTHER}
    assert (code_label(code) in known) is (code in set(CloseCode))


@pytest.mark.parametrize(
    ("code", "label"), [(1006, "1006"), (3000, "3xxx"), (4999, "4xxx"), (1004, OTHER), (5000, OTHER)]
)
def test_ranges_of_codes(code: int, label: str) -> None:
    assert code_label(code) == label


def test_only_fields_of_the_handshake_are_labels() -> None:
    assert {header_label(name) for name in HEADERS} == HEADERS
    assert (header_label(None), header_label(""), header_label("X-Mine")) == ("", "", OTHER)


def test_names_are_told_apart_and_buckets_rise() -> None:
    assert len({*COUNTERS, *GAUGES, *HISTOGRAMS}) == len(COUNTERS) + len(GAUGES) + len(HISTOGRAMS)
    for metric in HISTOGRAMS.values():
        assert list(metric.bounds) == sorted(set(metric.bounds))
