"""What was measured, as values: the table, the JSON file and the picture are made from these."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import edgews

from .contender import CLOCK
from .memory import Measured
from .rounds import Pace, Timing
from .rows import PEERS, Group, Row

Verdict = Literal["met", "missed", ""]


@dataclass(frozen=True)
class Ratio:
    """How many times as fast the subject of a case is as another contender; the median over all rounds."""

    against: str
    times: float
    at_least: float | None
    aim: float | None

    @property
    def verdict(self) -> Verdict:
        if self.at_least is None:
            return ""
        return "met" if self.times >= self.at_least else "missed"

    @property
    def required(self) -> str:
        if self.at_least is None:
            return ""
        return f"{self.at_least:g}x" + (f", aim {self.aim:g}x" if self.aim is not None else "")


@dataclass(frozen=True)
class Figure:
    """Nanoseconds per message."""

    name: str
    median: float
    best: float


@dataclass(frozen=True)
class Case:
    """One row as it was measured."""

    key: str
    title: str
    subject: str
    figures: list[Figure]
    ratios: list[Ratio]

    def figure(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)


@dataclass(frozen=True)
class CaseGroup:
    title: str
    note: str
    cases: list[Case]


@dataclass(frozen=True)
class Report:
    environment: dict[str, Any]
    groups: list[CaseGroup]
    memory: list[Measured]

    def as_json(self) -> dict[str, Any]:
        report = asdict(self)
        for group, plain in zip(self.groups, report["groups"], strict=True):
            for case, plain_case in zip(group.cases, plain["cases"], strict=True):
                for ratio, plain_ratio in zip(case.ratios, plain_case["ratios"], strict=True):
                    plain_ratio["verdict"] = ratio.verdict
        return report

    def missed(self) -> list[str]:
        """Say in one line each what falls short."""
        lines = [
            f"{group.title}: {case.title}: {ratio.times:.2f}x {ratio.against}, required {ratio.required}"
            for group in self.groups
            for case in group.cases
            for ratio in case.ratios
            if ratio.verdict == "missed"
        ]
        return lines + [
            f"{measured.title}: {measured.traced:.0f} bytes, at most {measured.at_most:.0f}"
            for measured in self.memory
            if measured.at_most is not None and measured.traced > measured.at_most
        ]


def case_of(row: Row, timings: dict[str, Timing]) -> Case:
    """Put the timings of a row beside what is asked of it."""
    ours = timings[row.subject]
    wants = {want.against: want for want in row.wants}
    ratios = [
        Ratio(
            name,
            ours.times_faster(timing),
            wants[name].at_least if name in wants else None,
            wants[name].aim if name in wants else None,
        )
        for name, timing in timings.items()
        if name != row.subject
    ]
    figures = [Figure(name, timing.median * 1e9, timing.best * 1e9) for name, timing in timings.items()]
    return Case(row.key, row.title, row.subject, figures, ratios)


def case_group(group: Group, cases: list[Case]) -> CaseGroup:
    return CaseGroup(group.title, group.note, cases)


def environment(pace: Pace) -> dict[str, Any]:
    """Say what the figures depend on."""
    return {
        "edgews": edgews.__version__,
        "backend": edgews.BACKEND,
        "versions": {name: version(name) for name in (*PEERS, "cffi", "h11")},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "clock": CLOCK,
        "rounds": pace.rounds,
        "slice_seconds": pace.slice,
    }


def cpu_model() -> str:
    """Return the processor's name, as far as the system tells."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
