"""What `edgews top` shows: a report as lines of text. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edgews.cli.console import Span, shown
from edgews.frames import close_code_meaning

Line = list[Span]
Report = Mapping[str, Any]

# Over how many seconds rates are averaged.
_SPAN: Final = 5
_BARS: Final = " ▁▂▃▄▅▆▇█"
_RANGES: Final = {"3xxx": 3000, "4xxx": 4000, "other": 0}
_TONES: Final = {"ok": "good", "burst": "warning", "over": "bad", "down": "bad"}
# Of the table: title, on which side it stands, how wide it is, and the least that says something.
COLUMNS: Final = (
    ("client", "<", 22, 15),
    ("host and path", "<", 34, 14),
    ("route", "<", 14, 0),
    ("open for", ">", 11, 11),
    ("messages", ">", 15, 13),
    ("bytes", ">", 19, 18),
    ("ping", ">", 8, 0),
)
_PATH: Final = 1
# What becomes narrower, or goes, one after the other.
_NARROWING: Final = (_PATH, 0, 5, 4, 2, 6)
# How much of a terminal that is too low is the table's.
_TABLE: Final = 0.4
SUMMARY: Final = "{:>8} {:>8} {:>9} {:>8} {:>9} {:>11} {:>11}"


def summary_head() -> str:
    """Return the head of the lines that are printed where there is no terminal."""
    return SUMMARY.format("time", "open", "opened/s", "ended/s", "refused/s", "messages/s", "bytes/s")


def summary(report: Report, clock: str) -> str:
    """Return what happened last, in one line."""
    series = report["series"]
    return SUMMARY.format(
        clock,
        _open(report),
        rate(recent(series["opened"])),
        rate(recent(series["ended"])),
        rate(recent(series["refused"])),
        rate(recent(series["messages_up"]) + recent(series["messages_down"])),
        size(recent(series["bytes_up"]) + recent(series["bytes_down"])),
    )


def screen(report: Report, rows: Sequence[Mapping[str, Any]], *, width: int, height: int) -> list[Line]:
    """Return all there is to see, as much as fits."""
    lines = [*_head(report, width), *_closes(report), *_refusals(report), *_limits(report)]
    lines += [*_limiters(report), *_origins(report)]
    widths = _widths(width)
    table: list[Line] = [[(_columns([title for title, *_ in COLUMNS], widths), "dim")]]
    table += [_row(row, widths) for row in rows]
    if not rows:
        table.append([("no connection is open", "dim")])
    # An empty line is between them.
    room = height - 1 - min(len(table), max(height - 1 - len(lines), round(_TABLE * height)))
    if len(lines) > room:
        more = len(lines) - room + 1
        lines = [*lines[: room - 1], [(f"... and {more} lines that a higher terminal shows", "dim")]]
    return [_cut(line, width) for line in [*lines, [], *table][:height]]


def _widths(width: int) -> list[int]:
    """Return how wide each column of the table is; 0 is one that is not there."""
    widths = [wide for _, _, wide, _ in COLUMNS]
    over = sum(widths) + len(widths) - 1 - width
    for at in _NARROWING:
        least = COLUMNS[at][3]
        if over > 0 and not least:
            over -= widths[at] + 1
            widths[at] = 0
        elif over > 0:
            take = min(over, widths[at] - least)
            widths[at] -= take
            over -= take
    # A column that has gone may have been wider than it had to be.
    widths[_PATH] += max(-over, 0) if widths[_PATH] < COLUMNS[_PATH][2] else 0
    return widths


def _columns(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of the table; a column without a width is not there."""
    return " ".join(
        f"{text:{side}{wide}}"
        for text, (_, side, *_), wide in zip(texts, COLUMNS, widths, strict=True)
        if wide
    )


def recent(values: Sequence[int]) -> float:
    """Return the mean of the last whole seconds; the present one is not over."""
    part = values[-1 - _SPAN : -1]
    return sum(part) / max(len(part), 1)


def rate(number: float) -> str:
    """Write a number of things per second."""
    return f"{number:.1f}" if 0 < number < 9.95 else f"{number:,.0f}"


def size(number: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:,.0f} TiB"


def counted(count: int) -> str:
    """Write how many there are in at most five characters."""
    if count < 10_000:
        return str(count)
    value = float(count)
    for unit in ("k", "M", "G", "T"):
        value /= 1000
        if value < 999.5:
            return f"{value:.0f}{unit}" if value >= 99.5 else f"{value:.3g}{unit}"
    return f"{value:.0f}T"


def spell(value: float | None) -> str:
    """Write a time."""
    if value is None:
        return "-"
    if value < 0.0995:
        return f"{value * 1000:.2g} ms"
    if value < 60:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    minutes, hours = int(value // 60), int(value // 3600)
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} days"


def bars(values: Sequence[int], width: int) -> str:
    """Draw numbers as a row of bars, the last ones at the right."""
    part = list(values[-width - 1 : -1])
    top = max(part, default=0)
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // top) if top else 0] for value in part)


def _open(report: Report) -> int:
    return int(sum(number for _, number in report["gauges"]["connections_open"]))


def _head(report: Report, width: int) -> list[Line]:
    series = report["series"]
    processes = "one process" if report["workers"] == 1 else f"{report['workers']} processes"
    head: Line = [("edgews gateway", "strong")]
    head.append((f"  up {spell(report['time'] - report['since'])}, {processes}", "dim"))
    lines: list[Line] = [head, []]
    for name, value, field in (
        ("connections", f"{_open(report):,}", "open"),
        ("opened", f"{rate(recent(series['opened']))}/s", "opened"),
        ("refused", f"{rate(recent(series['refused']))}/s", "refused"),
        ("messages ↑", f"{rate(recent(series['messages_up']))}/s", "messages_up"),
        ("messages ↓", f"{rate(recent(series['messages_down']))}/s", "messages_down"),
        ("bytes ↑", f"{size(recent(series['bytes_up']))}/s", "bytes_up"),
        ("bytes ↓", f"{size(recent(series['bytes_down']))}/s", "bytes_down"),
    ):
        bar = bars(series[field], max(min(width - 30, 120), 0))
        lines.append([(f"{name:<12}", "dim"), (f"{value:>14}  ", "strong"), (bar, "text")])
    return lines


def _closes(report: Report) -> list[Line]:
    by_code: dict[str, int] = {}
    for labels, number in report["counters"]["connections_ended"]:
        by_code[labels[3]] = by_code.get(labels[3], 0) + number
    if not by_code:
        return []
    lines: list[Line] = [[], [("closes", "strong")]]
    for code, number in sorted(by_code.items(), key=lambda item: -item[1])[:5]:
        meaning = close_code_meaning(_RANGES[code] if code in _RANGES else int(code))
        lines.append([(f"  {code:<6}", "strong"), (f"{number:>8,}  ", ""), (meaning, "dim")])
    return lines


def _refusals(report: Report) -> list[Line]:
    rows = list(report["counters"]["upgrades_refused"])
    for (awaited, why), number in report["counters"]["connections_dropped"]:
        rows.append([["", "-", f"awaiting {awaited}: {why}", ""], number])
    found = sorted(rows, key=lambda row: -row[1])[:5]
    lines: list[Line] = [[], [("refused upgrades", "strong")]] if found else []
    for (route, status, reason, header), number in found:
        where = f" ({header})" if header else ""
        lines.append(
            [
                (f"  {status:<6}", "warning"),
                (f"{number:>8,}  {shown(reason)}{where}", ""),
                (f"  {f'route {shown(route)}' if route else 'no route'}", "dim"),
            ]
        )
    return lines


def _limits(report: Report) -> list[Line]:
    lines: list[Line] = [[], [("limits", "strong")]]
    for limit in report["limits"]:
        used = f"{limit['count']:,} of {limit['soft']:,}" + (
            f" + {limit['burst']:,}" if limit["burst"] else ""
        )
        lines.append(
            [
                (f"  {limit['state']:<6}", _TONES.get(limit["state"], "")),
                (f"{used:>20}  {shown(limit['name'] or limit['kind'])}", ""),
                (f"  {limit['kind']}" if limit["name"] else "", "dim"),
            ]
        )
    return lines


def _limiters(report: Report) -> list[Line]:
    lines: list[Line] = [[], [("rate limits", "strong")]] if report["limiters"] else []
    for one in report["limiters"]:
        full = one["keys"] >= one["max_keys"]
        state, tone = ("full", "bad") if full else ("limits", "warning") if one["limited"] else ("ok", "good")
        lines.append(
            [
                (f"  {state:<6}", tone),
                (f"{one['limited']:>12,} limited  {shown(one['name'])}", ""),
                (f"  allowed {one['allowed']:,} ({rate(one['allowed_rate'])}/s)", "dim"),
                (f"  refused {one['refused']:,} ({rate(one['refused_rate'])}/s)", "dim"),
                (f"  {one['keys']:,} of {one['max_keys']:,} keys", "dim"),
            ]
        )
    return lines


def _origins(report: Report) -> list[Line]:
    lines: list[Line] = [[], [("origins", "strong")]]
    for origin in report["origins"]:
        state = origin["state"]
        text = f"{origin['active']:>14,} open  {shown(origin['origin'])}"
        lines.append(
            [
                (f"  {state:<6}", _TONES.get(state, "")),
                (text, ""),
                (f"  route {shown(origin['route'])}", "dim"),
            ]
        )
    return lines


def _row(row: Mapping[str, Any], widths: Sequence[int]) -> Line:
    texts = [
        _fit(row["client"] or "Unix socket", widths[0]),
        _fit(row["host"] + row["target"], widths[1]),
        _fit(row["route"], widths[2]),
        "closing" if row["closing"] else spell(row["age"]),
        f"↑{counted(row['messages_up'])} ↓{counted(row['messages_down'])}",
        f"↑{size(row['bytes_up'])} ↓{size(row['bytes_down'])}".replace(" B", "B").replace(" ", ""),
        spell(row["ping"]),
    ]
    return [(_columns(texts, widths), "dim" if row["closing"] else "")]


def _fit(text: str, width: int) -> str:
    text = shown(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def _cut(line: Line, width: int) -> Line:
    found: Line = []
    for text, style in line:
        found.append((text[:width], style))
        width -= len(text)
        if width <= 0:
            break
    return found
