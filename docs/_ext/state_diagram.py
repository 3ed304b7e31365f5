"""The picture and the table of the states, drawn from `edgews.states` when the pages are built.

Each state has a column of its own, so that the arrows to the end, one from each state, go straight down.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from edgews import states
from edgews.states import OVER, TRANSITIONS, TURNS, Halves, Input, rfc_state, transport

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Column and row of each state.
PLACES: dict[Halves, tuple[int, int]] = {
    states.FAILED: (0, 3),
    states.WE_CLOSED: (1, 2),
    states.OPEN: (2, 0),
    states.THEY_CLOSED: (3, 1),
    states.BOTH_CLOSED: (4, 3),
    states.LINGERING: (5, 4),
    states.OVER: (0, 5),
}

COLUMN, ROW, WIDTH, HEIGHT = 142, 92, 126, 58
# For what is written beside the last arrow.
MARGIN = 60
COLUMNS = max(column for column, _ in PLACES.values()) + 1
BOTTOM = max(row for _, row in PLACES.values()) * ROW + 40


@dataclass
class Arrow:
    """All that leads from one state to another."""

    source: Halves
    target: Halves
    inputs: list[Input]


def name(halves: Halves) -> str:
    """Return what the module calls a state."""
    return next(key for key, value in vars(states).items() if key.isupper() and value == halves)


def arrows() -> list[Arrow]:
    """Return the table's transitions, those between the same two states together."""
    found: dict[tuple[Halves, Halves], Arrow] = {}
    for source, row in TRANSITIONS.items():
        for step, target in row.items():
            found.setdefault((source, target), Arrow(source, target, [])).inputs.append(step)
    return list(found.values())


def draw() -> str:
    """Return the picture as SVG, in the colours of the text around it."""
    size = COLUMNS * COLUMN + MARGIN, BOTTOM + HEIGHT + 4
    shapes = [_arrow(arrow) for arrow in arrows()]
    shapes += [_box(halves) for halves in TRANSITIONS]
    return (
        f'<div class="states-frame"><svg class="states" viewBox="0 0 {size[0]} {size[1]}" role="img" '
        'aria-label="The states of a connection; the table below says the same.">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor" stroke="none"/></marker></defs>'
        + "".join(shapes)
        + "</svg></div>"
    )


def _middle(halves: Halves) -> tuple[int, int]:
    column, row = PLACES[halves]
    return column * COLUMN + COLUMN // 2, row * ROW + HEIGHT // 2 + 2


def _box(halves: Halves) -> str:
    x, y = _middle(halves)
    ours, theirs = (half.value for half in halves)
    left, top, width = x - WIDTH // 2, y - HEIGHT // 2, WIDTH
    if halves == OVER:
        x, top, width = COLUMNS * COLUMN // 2, BOTTOM, COLUMNS * COLUMN - (COLUMN - WIDTH)
    lines = [f"<tspan class='name'>{name(halves)}</tspan>", f"ours: {ours}", f"theirs: {theirs}"]
    text = "".join(
        f'<text x="{x}" y="{top + 18 + 16 * number}" text-anchor="middle">{line}</text>'
        for number, line in enumerate(lines)
    )
    return f'<rect x="{left}" y="{top}" width="{width}" height="{HEIGHT}" rx="6"/>{text}'


def _arrow(arrow: Arrow) -> str:
    (x, y), (to_x, to_y) = _middle(arrow.source), _middle(arrow.target)
    if arrow.target == OVER:
        path = f"M{x} {y + HEIGHT // 2}V{BOTTOM}"
        place, anchor = (x + 5, BOTTOM - 8 - 14 * (len(arrow.inputs) - 1)), "start"
    else:
        # Sideways out of the box, then down into the other one; those to the same box or out of the same side
        # keep apart by how far they go.
        side = 1 if to_x > x else -1
        apart = 8 if abs(to_x - x) == COLUMN else -12
        start, level, end = x + side * WIDTH // 2, y + apart, to_x - side * apart
        path = f"M{start} {level}H{end}V{to_y - HEIGHT // 2}"
        place, anchor = (start + side * 6, level - 5), "start" if side > 0 else "end"
    titles = "".join(
        f"<title>{escape(f'{name(arrow.source)}: {step.value}: {name(arrow.target)}')}</title>"
        for step in arrow.inputs
    )
    labels = "".join(
        f'<text x="{place[0]}" y="{place[1] + 14 * number}" text-anchor="{anchor}">'
        f"{escape(step.value)}</text>"
        for number, step in enumerate(arrow.inputs)
    )
    return f'<g class="arrow">{titles}<path d="{path}" marker-end="url(#tip)"/>{labels}</g>'


def table() -> str:
    """Return the states as a table in Markdown."""
    lines = [
        "| state | ours | theirs | `state` | `turn` | `transport` | what moves it |",
        "|---|---|---|---|---|---|---|",
    ]
    for halves, row in TRANSITIONS.items():
        moves = "; ".join(f"{step.value}: `{name(target)}`" for step, target in row.items()) or "nothing"
        lines.append(
            f"| `{name(halves)}` | {halves[0].value} | {halves[1].value} | `{rfc_state(halves).name}` "
            f"| `{TURNS[halves].name}` | `{transport(halves).name}` | {moves} |"
        )
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class StateDiagram(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return [nodes.raw("", draw(), format="html"), *self.parse_text_to_nodes(table())]

    app.add_directive("state-diagram", StateDiagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
