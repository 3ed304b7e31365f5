"""docs/doctor.md, as far as it is made from the tables: `python -m tests.cli.doctor.reference` writes it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from edgews.cli.doctor.findings import Advice, Step
from edgews.cli.doctor.tables import ADVICE

DOCUMENT = Path(__file__).parents[3] / "docs" / "doctor.md"
BEGIN = "<!-- What follows is made from the tables: python -m tests.cli.doctor.reference -->\n"

TITLES = {
    Step.URI: "The URI",
    Step.DNS: "Looking up the name",
    Step.TCP: "Connecting",
    Step.TLS: "TLS and certificates",
    Step.UPGRADE: "The opening handshake",
    Step.PING: "Ping",
    Step.MESSAGE: "Messages, and ends in between",
    Step.IDLE: "Silence",
    Step.CLOSE: "The closing handshake",
    Step.ORIGIN: "Origins",
}


def written() -> str:
    """Return the document with the part made from the tables as it should be."""
    kept, begin, _ = DOCUMENT.read_text("utf-8").partition(BEGIN)
    return kept + begin + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for step in Step:
        yield f"\n## {TITLES[step]}"
        for advice in ADVICE.values():
            if advice.step is step:
                yield from _entry(advice)


def _entry(advice: Advice) -> Iterator[str]:
    yield f"\n### `{advice.id}`: {advice.title}\n"
    shown = f"; a browser shows {advice.browser}" if advice.browser else ""
    yield _filled(f"*{advice.level.value}{shown}.* {advice.meaning}") + "\n"
    yield "What to change:\n"
    for change in advice.changes:
        yield _filled(f"- {f'**{change.product}**: ' if change.product else ''}{change.text}", "  ")


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    DOCUMENT.write_text(written(), "utf-8")
