"""What was measured, as values, as text, as Markdown, as JSON and as a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edgews
from bench.compare.results import cpu_model
from bench.compare.tables import duration, size

from .loads import Pace
from .rows import BYTES, Row

PEERS = ("aiohttp", "picows", "starlette", "uvicorn", "uvloop", "websockets", "wsproto")


@dataclass(frozen=True)
class Demand:
    """What a contender of ours may cost, and what it does."""

    name: str
    limit: str
    found: str
    met: bool


@dataclass(frozen=True)
class Measured:
    """A row and its figures, in seconds or bytes."""

    row: Row
    figures: dict[str, float]

    def shown(self, name: str) -> str:
        value = self.figures[name]
        return size(value) if self.row.unit == BYTES else duration(value * 1e9)

    def demands(self) -> Iterator[Demand]:
        for name, limits in self.row.at_most.items():
            for peer, limit in limits.items():
                if name not in self.figures or peer not in self.figures:
                    continue
                ratio = self.figures[name] / self.figures[peer]
                yield Demand(name, f"{limit:g}x {peer}", f"{ratio:.2f}x", ratio <= limit)
        for name, limit in self.row.ceiling.items():
            if name not in self.figures:
                continue
            yield Demand(name, size(limit), self.shown(name), self.figures[name] <= limit)


def environment(pace: Pace) -> dict[str, Any]:
    """Say what the figures depend on."""
    return {
        "edgews": edgews.__version__,
        "backend": edgews.BACKEND,
        "versions": {name: version(name) for name in PEERS},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "rounds": pace.rounds,
        "round_seconds": pace.seconds,
    }


def terminal(measured: Measured) -> Iterator[str]:
    """Yield the lines of one row: each figure, and how many times the others' it is."""
    yield measured.row.title
    for name, value in measured.figures.items():
        others = [(other, cost) for other, cost in measured.figures.items() if other != name]
        ratios = "  ".join(f"{value / cost:5.2f}x {other}" for other, cost in others)
        yield f"  {name:26} {measured.shown(name):>9}   {ratios}"
    for demand in measured.demands():
        verdict = "met" if demand.met else "MISSED"
        yield f"  at most {demand.limit:28} {demand.name:26} {demand.found:>8}  {verdict}"


def markdown(rows: list[Measured], pace: Pace) -> Iterator[str]:
    """Yield a table for all rows, a contender a line."""
    about = environment(pace)
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield (
        f"edgews {about['edgews']}, {versions}; {about['python']}, {about['platform']}, {about['cpu']}, "
        f"{about['cores']} cores. CPU time of the server's process, medians of {about['rounds']} rounds."
    )
    for measured in rows:
        yield from ["", f"**{measured.row.title}**", "", "| | cost | at most |", "|---|---:|---|"]
        for name in measured.figures:
            bounds = [
                f"{demand.limit}: {demand.found}, {'met' if demand.met else '**missed**'}"
                for demand in measured.demands()
                if demand.name == name
            ]
            yield f"| {name} | {measured.shown(name)} | {'; '.join(bounds)} |"


def as_json(rows: list[Measured], pace: Pace) -> dict[str, Any]:
    return {
        "environment": environment(pace),
        "rows": [
            {
                "key": measured.row.key,
                "title": measured.row.title,
                "unit": measured.row.unit,
                "figures": measured.figures,
                "demands": [vars(demand) for demand in measured.demands()],
            }
            for measured in rows
        ],
    }


def draw(rows: list[Measured], path: Path) -> None:
    """Write a picture as PNG: a panel for each row, a bar for each contender, ours in colour."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    heights = [len(measured.figures) + 1 for measured in rows]
    figure = plt.figure(figsize=(9, 0.3 * sum(heights) + 0.8), layout="constrained")
    panels = figure.subplots(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, measured in zip(panels, rows, strict=True):
        names = list(measured.figures)
        colours = ["#0072B2" if "edgews" in name.lower() else "#BBBBBB" for name in names]
        axes.barh(names, [measured.figures[name] for name in names], color=colours)
        axes.bar_label(axes.containers[0], [f" {measured.shown(name)}" for name in names], fontsize=8)
        axes.set_title(measured.row.title, fontsize=9, loc="left", fontweight="bold")
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.margins(x=0.12)
        for side in ("top", "right", "bottom", "left"):
            axes.spines[side].set_visible(False)
    figure.suptitle("CPU time of a server process, or its memory: shorter is better", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
