"""The picture of the comparison: how many times as fast edgews is, and the least it has to be."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .results import Case, CaseGroup, Ratio, Report
from .rows import PEERS, PYTHON
from .tables import duration, times

# Okabe and Ito's palette, which colour-blind readers can tell apart.
_COLOURS = {
    "picows": "#009E73",
    "aiohttp": "#0072B2",
    "websockets": "#E69F00",
    "wsproto": "#CC79A7",
    "memcpy": "#7F7F7F",
}
_OTHER = "#7F7F7F"
_RED = "#D00000"
_BAR = 0.8


def draw(report: Report, path: Path) -> None:
    """Write the picture as PNG: one panel for each group, in two columns of about the same height."""
    groups = [(group, [(case, shown(case)) for case in group.cases]) for group in report.groups]
    heights = [1.6 + sum(len(ratios) + 0.9 for _, ratios in cases) for _, cases in groups]
    columns = split(heights)
    tallest = max(sum(heights[column]) for column in columns)
    figure = plt.figure(figsize=(14, 0.19 * tallest + 1.6), layout="constrained")
    sides = figure.subfigures(1, len(columns), squeeze=False, wspace=0.02)[0]
    for side, column in zip(sides, columns, strict=True):
        rows = len(groups[column])
        panels = side.subplots(rows, 1, height_ratios=heights[column], squeeze=False)[:, 0]
        for axes, (group, cases) in zip(panels, groups[column], strict=True):
            panel(axes, group, cases)
    about = report.environment
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in PEERS)
    figure.suptitle(
        f"How many times as fast edgews {about['edgews']} is as {versions} (logarithmic)\n"
        f"{about['python']}, {about['platform']}, {about['cpu']}, {about['cores']} cores; "
        f"medians of {about['rounds']} interleaved rounds; below each name: the time edgews takes",
        fontsize=10,
    )
    legend: list[Patch | Line2D] = [Patch(color=colour, label=name) for name, colour in _COLOURS.items()]
    legend.append(Line2D([], [], color=_RED, marker="|", markersize=9, ls="", mew=2, label="required"))
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), fontsize=9, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def split(heights: list[float]) -> list[slice]:
    """Return where to cut the groups into two columns."""
    if len(heights) == 1:
        return [slice(0, 1)]
    cut = min(range(1, len(heights)), key=lambda at: max(sum(heights[:at]), sum(heights[at:])))
    return [slice(0, cut), slice(cut, len(heights))]


def shown(case: Case) -> list[Ratio]:
    """Return the ratios that the picture shows: those against others, not against another edgews."""
    return [
        ratio for ratio in case.ratios if ratio.against.split(",")[0] in _COLOURS and ratio.against != PYTHON
    ]


def panel(axes: Axes, group: CaseGroup, cases: list[tuple[Case, list[Ratio]]]) -> None:
    """Draw one group: a bar for each ratio, from 1 to the right where edgews is faster."""
    ticks: list[float] = []
    labels: list[str] = []
    y = 0.0
    for case, ratios in cases:
        ours = case.figure(case.subject)
        ticks.append(y + (len(ratios) - 1) / 2)
        labels.append(f"{case.title.replace('`', '')}\n{duration(ours.median)}")
        for ratio in ratios:
            bar(axes, y, ratio)
            y += 1
        y += 0.9
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set_ylim(y - 0.9 + 0.1, -0.8)
    axes.set_xscale("log")
    axes.set_xlim(0.08, 700)
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200], minor=False)
    axes.set_xticklabels(["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200"], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", labelbottom=True, labelsize=8, length=2)
    axes.axvline(1, color="black", lw=0.8)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#E0E0E0", lw=0.6)
    axes.set_title(group.title, fontsize=9, loc="left", fontweight="bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def bar(axes: Axes, y: float, ratio: Ratio) -> None:
    colour = _COLOURS.get(ratio.against.split(",")[0], _OTHER)
    axes.barh(y, ratio.times - 1, left=1, height=_BAR, color=colour, alpha=0.9)
    if ratio.at_least is not None:
        axes.plot([ratio.at_least] * 2, [y - 0.5, y + 0.5], color=_RED, lw=2, solid_capstyle="butt")
    end = max(ratio.times, ratio.at_least or 0, 1)
    missed = ratio.verdict == "missed"
    axes.text(
        end * 1.06,
        y,
        f"{times(ratio.times)} {ratio.against}" + (", missed" if missed else ""),
        va="center",
        fontsize=7,
        color=_RED if missed else "black",
    )
