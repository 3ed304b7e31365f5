"""A report for people, at a terminal or in a file."""

from __future__ import annotations

import shutil
import textwrap
from typing import Final

from edgews.cli.console import Span, show, shown
from edgews.cli.doctor.findings import Change, Finding, Level, worst
from edgews.cli.doctor.report import Report, StepReport

# How a step is marked, by its worst finding.
_MARKS: Final[dict[Level | None, Span]] = {
    None: ("ok     ", "good"),
    Level.NOTE: ("note   ", "text"),
    Level.WARNING: ("warning", "warning"),
    Level.ERROR: ("WRONG  ", "bad"),
}
_INDENT: Final = " " * 9
# Longer lines are hard to read.
_WIDEST: Final = 100

_HIDDEN: Final = (
    "and no reason: a browser hides from pages why a connection failed, so that they cannot look around in "
    "networks. The cause is this one: "
)


def show_step(step: StepReport) -> None:
    """Show a step as soon as it is done."""
    time = "" if step.seconds is None else f" ({_time(step.seconds)})"
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    first, *more = textwrap.wrap(shown(step.found), max(20, width - 20), break_on_hyphens=False) or [""]
    show([_MARKS[worst(step.findings)], "  ", (f"{step.step.value:8}", "strong"), f" {first}"], end="")
    show([*(f"\n{' ' * 18}{line}" for line in more), (time, "dim")])
    before: tuple[Change, ...] = ()
    for finding in step.findings:
        _show_finding(finding, width, before)
        before = finding.changes


def show_end(report: Report) -> None:
    """Show what all steps together come to."""
    counts = [
        f"{number} {level.value}{'s' if number > 1 else ''}"
        for level in reversed(Level)
        if (number := sum(finding.advice.level is level for finding in report.findings))
    ]
    show([])
    show(
        [
            ("nothing is wrong" if report.ok else "something is wrong", "good" if report.ok else "bad"),
            f": {', '.join(counts)}" if counts else "",
        ]
    )
    browser = report.browser
    if browser is not None:
        hidden = _HIDDEN if browser.browser == 1006 else "because of this: "
        told = f"A browser shows the close code {browser.browser} {hidden}{browser.advice.title}."
        show([textwrap.fill(told, min(shutil.get_terminal_size().columns, _WIDEST))])


def _show_finding(finding: Finding, width: int, before: tuple[Change, ...]) -> None:
    """Show a finding; what to change is not said again where the one `before` has the same."""
    advice = finding.advice
    show([_INDENT, (advice.title, _MARKS[advice.level][1]), (f" [{advice.id}]", "dim")])
    _paragraph(shown(finding.found), width, "found:  ")
    _paragraph(advice.meaning, width, "means:  ")
    changes = ["as above"] if finding.changes == before else list(map(str, finding.changes))
    for number, change in enumerate(changes):
        _paragraph(change, width, "change: - " if not number else "        - ")


def _paragraph(text: str, width: int, label: str) -> None:
    lines = textwrap.wrap(text, max(20, width - len(_INDENT) - len(label)), break_on_hyphens=False)
    for number, line in enumerate(lines):
        show([_INDENT, (" " * len(label) if number else label, "dim"), line])


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
