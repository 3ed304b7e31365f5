"""The report as text: for the terminal, and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator

from .results import Case, CaseGroup, Ratio, Report
from .rows import EDGEWS, PEERS, PYTHON

_MARK = {"met": "met", "missed": "MISSED", "": ""}


def duration(nanoseconds: float) -> str:
    """Return a time with three digits and a unit."""
    for unit, size in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        value = nanoseconds / size
        if value < 999.5:
            digits = 0 if value >= 99.95 or unit == "ns" else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    return f"{nanoseconds / 1e9:.2f} s"


def times(ratio: float) -> str:
    return f"{ratio:.2f}x" if ratio < 9.995 else f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:.0f}x"


def size(octets: float) -> str:
    return f"{octets / 1024:.2f} KiB" if octets < 10240 else f"{octets / 1024:.1f} KiB"


def terminal(report: Report) -> Iterator[str]:
    """Yield the lines of the whole report."""
    about = report.environment
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield f"edgews {about['edgews']} (backend {about['backend']}) beside {versions}"
    machine = f"{about['platform']}, {about['cpu']}, {about['cores']} cores"
    yield f"{about['python']} on {machine}; {about['clock']}"
    for group in report.groups:
        yield from ["", *terminal_group(group)]
    if report.memory:
        yield from ["", "Memory of one open connection"]
        yield f"  {'':66} {'Python':>10} {'resident':>10}   at most"
        for measured in report.memory:
            bound = verdict = ""
            if measured.at_most is not None:
                bound = size(measured.at_most)
                verdict = "met" if measured.traced <= measured.at_most else "MISSED"
            resident = "" if measured.resident is None else size(measured.resident)
            title = measured.title.replace("`", "")
            yield f"  {title:66} {size(measured.traced):>10} {resident:>10}   {bound:10} {verdict}".rstrip()
    missed = report.missed()
    yield from ["", f"{len(missed)} missed" if missed else "all met", *(f"  {line}" for line in missed)]


def terminal_group(group: CaseGroup) -> Iterator[str]:
    yield f"{group.title} ({group.note})"
    yield f"  {'':34} {'':22} {'median':>9} {'best':>9} {'as fast':>8}   required"
    for case in group.cases:
        ratios = {ratio.against: ratio for ratio in case.ratios}
        title = case.title.replace("`", "")
        for name in [case.subject, *ratios]:
            figure = case.figure(name)
            line = f"  {title:34} {name:22} {duration(figure.median):>9} {duration(figure.best):>9}"
            title = ""
            if name in ratios:
                ratio = ratios[name]
                line += f" {times(ratio.times):>8}   {ratio.required:15} {_MARK[ratio.verdict]}"
            yield line.rstrip()


def markdown(report: Report) -> Iterator[str]:
    """Yield the report as Markdown tables: a time, and behind it how many times as fast edgews is."""
    about = report.environment
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield (
        f"edgews {about['edgews']}, {versions}; {about['python']}, {about['platform']}, "
        f"{about['cpu']}, {about['cores']} cores. Medians of {about['rounds']} interleaved rounds."
    )
    for group in report.groups:
        yield from ["", f"**{group.title}** ({group.note})", ""]
        names = _columns(group)
        yield "| | " + " | ".join(names) + " | required |"
        yield "|---|" + "---:|" * len(names) + "---|"
        for case in group.cases:
            yield (
                "| " + " | ".join([case.title, *(_cell(case, name) for name in names), _wanted(case)]) + " |"
            )
    if report.memory:
        yield from ["", "**Memory of one open connection**", ""]
        yield from ["| | Python objects | resident | at most |", "|---|---:|---:|---|"]
        for measured in report.memory:
            bound = ""
            if measured.at_most is not None:
                verdict = "met" if measured.traced <= measured.at_most else "**missed**"
                bound = f"{size(measured.at_most)}: {verdict}"
            resident = "" if measured.resident is None else size(measured.resident)
            yield f"| {measured.title} | {size(measured.traced)} | {resident} | {bound} |"


def _columns(group: CaseGroup) -> list[str]:
    """Return every contender of the group: the subject first, then the order in which they come."""
    names = {case.subject: None for case in group.cases}
    for case in group.cases:
        names |= {figure.name: None for figure in case.figures}
    first = [name for name in names if name in (*PEERS, EDGEWS)]
    return (
        [name for name in first if name == EDGEWS]
        + [n for n in names if n != EDGEWS and n != PYTHON]
        + [name for name in names if name == PYTHON]
    )


def _cell(case: Case, name: str) -> str:
    if name == case.subject:
        return f"**{duration(case.figure(name).median)}**"
    for ratio in case.ratios:
        if ratio.against == name:
            return f"{duration(case.figure(name).median)} ({times(ratio.times)})"
    return ""


def _wanted(case: Case) -> str:
    wanted = [ratio for ratio in case.ratios if ratio.at_least is not None]
    if not wanted:
        return ""
    return ", ".join(_phrase(ratio) for ratio in wanted)


def _phrase(ratio: Ratio) -> str:
    verdict = "met" if ratio.verdict == "met" else "**missed**"
    return f"{ratio.at_least:g}x {ratio.against}: {verdict}"
