"""Where the messages of `edgews connect` come from: a pipe, a terminal, or an editor of lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, Protocol

STDIN: Final = 0

# Lines of earlier sessions that can be called back with the arrow keys.
_HISTORY_FILE = "connect_history"


class Editor(Protocol):
    """A line editor at a terminal."""

    def lines(self) -> Iterator[bytes]:
        """Yield what is typed, until Ctrl-D or `stop`; Ctrl-C raises KeyboardInterrupt."""
        ...

    def stop(self) -> None:
        """End `lines`; another thread may call it."""

    def beside(self) -> AbstractContextManager[None]:
        """Let other threads print above the line that is edited."""
        ...


def read_lines() -> Iterator[bytes]:
    """Yield the lines of the input without their ends.

    Not through `sys.stdin`, whose lock the interpreter needs at its end, while a line is still waited for.
    """
    waiting = bytearray()
    try:
        while data := os.read(STDIN, 65536):
            first, *more = data.split(b"\n")
            waiting += first
            for piece in more:
                yield bytes(waiting.removesuffix(b"\r"))
                waiting = bytearray(piece)
    except OSError:
        # There is no input, or its terminal has gone.
        pass
    if waiting:
        yield bytes(waiting)


def editor() -> Editor | None:
    """Return an editor with history where prompt_toolkit is installed and a terminal at both ends."""
    if not (os.isatty(STDIN) and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return None
    try:
        from edgews.cli.editor import PromptEditor
    except ImportError:
        return None
    return PromptEditor(_history())


def _history() -> Path | None:
    """Return the file that keeps what was typed, None where there cannot be one.

    What is typed may be secret: only its owner may read the file. XDG Base Directory Specification.
    """
    with suppress(OSError, RuntimeError):
        base = os.environ.get("XDG_STATE_HOME")
        folder = (Path(base) if base else Path.home() / ".local" / "state") / "edgews"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _HISTORY_FILE
        path.touch(mode=0o600)
        if os.access(path, os.R_OK | os.W_OK):
            return path
    return None
