"""What a command shows: plain text, and colours at a terminal where rich is installed.

A line is a list of spans, a text and the name of its style. So nobody parses markup, and nothing that a peer
sent can become one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final, TextIO

Span = tuple[str, str]

# Names by meaning -> the words of rich. No style says anything that the text does not say as well.
STYLES: Final = {
    "": "",
    "dim": "dim",
    "strong": "bold",
    "good": "green",
    "warning": "bold yellow",
    "bad": "bold red",
    "text": "cyan",
    "binary": "magenta",
}


def shown(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(*spans: Span | str) -> None:
    """Tell something about the connection; the standard output is for what was asked for."""
    show(spans, sys.stderr)


def show(spans: Sequence[Span | str], stream: TextIO | None = None, end: str = "\n") -> None:
    """Show a line, on the standard output if nothing else is said.

    rich leaves colours away where NO_COLOR or TERM=dumb says so.
    """
    target: TextIO = sys.stdout if stream is None else stream
    pairs = [(span, "") if isinstance(span, str) else span for span in spans]
    rich = _rich(target)
    if rich is None:
        print("".join(text for text, _ in pairs), file=target, end=end, flush=True)
        return
    text = rich.text.Text.assemble(*((part, STYLES[style]) for part, style in pairs))
    rich.console.Console(file=target).print(text, soft_wrap=True, end=end)


def _rich(stream: TextIO) -> Any:
    """Return the package where it is installed and of use, which costs a tenth of a second once."""
    if not stream.isatty():
        return None
    try:
        import rich.console
        import rich.text
    except ImportError:
        return None
    return rich
