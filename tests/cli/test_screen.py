"""What `edgews top` writes, without a terminal."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from edgews.cli.screen import bars, counted, rate, screen, size, spell, summary, summary_head
from edgews.cli.top import joined
from edgews.edge.analytics.pressure import Pressure
from edgews.edge.analytics.reports import since
from tests.edge.analytics.happenings import Happening, Process, happenings
from tests.edge.analytics.test_reports import LIMIT


@given(st.floats(0, 1e9))
def test_numbers_are_short(value: float) -> None:
    for text in (size(value), spell(value)):
        assert len(text) <= 12
        assert "e+" not in text
    assert rate(value).replace(",", "").replace(".", "").isdigit()


@given(st.integers(0, 10**14))
def test_counts_are_short(count: int) -> None:
    text = counted(count)
    assert len(text) <= 5
    wanted = float(text.rstrip("kMGT")) * 1000 ** " kMGT".index(text[-1] if text[-1] in "kMGT" else " ")
    assert abs(wanted - count) <= 0.01 * count


ROW = {
    "client": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "host": "example.com",
    "target": "/chat/rooms/of/all/kinds",
    "route": "chat",
    "closing": False,
    "age": 47 * 3600 + 59 * 60,
    "messages_up": 123_456,
    "messages_down": 99_999,
    "bytes_up": 1000,
    "bytes_down": 1000,
    "ping": 0.0123,
}


@given(st.integers(75, 200), st.integers(12, 80), st.integers(0, 100))
def test_connections_are_seen_in_any_terminal(width: int, height: int, limits: int) -> None:
    """Columns stand below their titles, and a terminal that is too low has some of everything."""
    report = Process(1000.0).report(
        1000.0, limits=[LIMIT | {"name": f"route {at}", "state": "burst"} for at in range(limits)]
    )

    def shown(height: int) -> tuple[list[str], int]:
        made = screen(report | {"limiters": []}, [ROW] * 50, width=width, height=height)
        lines = ["".join(text for text, _ in line) for line in made]
        (head,) = (at for at, line in enumerate(lines) if line.startswith("client"))
        return lines, head

    lines, head = shown(height)
    whole, wanted = shown(1000)
    assert sum("1 of 2 + 1" in line and line.endswith("  route") for line in whole) == limits
    assert len(whole) - wanted == 51
    assert len(lines) <= height
    assert len(lines) - head > min(51, 0.3 * height)
    assert max(map(len, lines[head:])) <= width
    assert lines[head + 1].index("/") < lines[head].index("open for")
    for title, text in (("open for", "47 h 59 min"), ("messages", "↓100k"), ("bytes", "↓0.977KiB")):
        assert lines[head].index(title) + len(title) == lines[head + 1].index(text) + len(text)
    if re.match(r"\.\.\. and \d+ lines", lines[head - 2]):
        assert head < wanted
    else:
        assert lines[:head] == whole[:head]
        assert head == wanted


def test_numbers() -> None:
    assert [size(number) for number in (0, 999, 1000, 1024**2, 5e15)] == [
        "0 B",
        "999 B",
        "0.977 KiB",
        "1 MiB",
        "4,547 TiB",
    ]
    assert [spell(value) for value in (None, 0.0123, 1.5, 59.0, 3599, 3700, 200_000)] == [
        "-",
        "12 ms",
        "1.5 s",
        "59 s",
        "59 min",
        "1 h 1 min",
        "2 days",
    ]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50), st.integers(0, 60))
def test_bars_are_as_high_as_their_numbers(values: list[int], width: int) -> None:
    drawn = bars(values, width)
    part = values[-width - 1 : -1]
    assert len(drawn) == len(part) <= width
    for one, bar in zip(part, drawn, strict=True):
        # What is not nothing can be seen.
        assert (bar == " ") is (one == 0)
        assert (bar == "█") is (one == max(part) > 0) or one > 0.8 * max(part)


@settings(max_examples=30)
@given(happenings(1), st.integers(20, 200), st.integers(1, 60))
def test_it_fits_whatever_has_happened(happened: list[Happening], width: int, height: int) -> None:
    now, process = 1000.0, Process(1000.0)
    series: dict[str, object] = {}
    end = float("-inf")
    for number, happening in enumerate(happened):
        now += happening.pause
        if process.may(happening):
            process.happen(happening.what, happening.values, now, number)
        if number % 3 == 0:
            report = process.report(now)
            # Updates put together are the whole.
            series = joined(series, since(report, end, 0.0)["series"])
            end = report["series"]["end"]
            assert series == report["series"]
    report = process.report(now, keys={"calm": (0, 3, 10), "busy": (2, 9, 10), "full": (0, 10, 10)})
    report["limiters"] = Pressure().look(report)
    lines = screen(report, [], width=width, height=height)
    assert len(lines) <= height
    assert all(sum(len(text) for text, _ in line) <= width for line in lines)
    full = "\n".join("".join(text for text, _ in line) for line in screen(report, [], width=200, height=99))
    assert [
        full.find(f"  {state} ") < full.find(name)
        for state, name in zip(("limits", "ok", "full"), ("busy", "calm", "full"), strict=True)
    ] == [True] * 3
    assert len(summary(report, "12:00:00")) >= len(summary_head())


def test_who_was_dropped_before_there_was_a_request() -> None:
    process = Process(1000.0)
    for _ in range(3):
        process.tally.dropped("TLS", "too late")
    report = process.report(1001.0) | {"limiters": []}
    text = "\n".join("".join(part for part, _ in line) for line in screen(report, [], width=80, height=60))
    assert "3  awaiting TLS: too late" in text
