"""The commands as a user runs them: in a process of their own, at a pipe or at a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from tests.raw import TIMEOUT, check

EDGEWS = [sys.executable, "-m", "edgews"]
EXTRA = ("prompt_toolkit", "rich")


# In front of a command: how a script's shell starts what it puts into the background, deaf to Ctrl-C.
BACKGROUND = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]


def command(hide: Sequence[str] = ()) -> list[str]:
    """Return the start of a command line, as on a machine where the packages `hide` are not installed."""
    if not hide:
        return EDGEWS
    code = f"import sys; sys.modules.update(dict.fromkeys({list(hide)!r})); import edgews.cli as cli; "
    return [sys.executable, "-c", code + "sys.exit(cli.main())"]


@dataclass
class Echo:
    """An `edgews echo` that runs."""

    process: subprocess.Popen[str]
    ws: str
    http: str
    name: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.ws.removeprefix("ws://").rstrip("/").rpartition(":")
        return host, int(port)


def output_of(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise AssertionError("there is no pipe")
    return process.stdout


@contextlib.contextmanager
def echo(*options: str, hide: Sequence[str] = (), background: bool = False) -> Iterator[Echo]:
    """Run `edgews echo`, in the `background` deaf to Ctrl-C."""
    process = subprocess.Popen(
        [*(BACKGROUND if background else ()), *command(hide), "echo", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [output_of(process).readline() for _ in range(3)]
        check("Ctrl-C" in lines[2], f"printed {lines}")
        yield Echo(process, *(line.split()[-1] for line in lines[:2]), lines[2].partition(" serves;")[0])
    finally:
        process.send_signal(signal.SIGTERM if background else signal.SIGINT)
        output, errors = process.communicate(timeout=TIMEOUT)
        outcome = (output, errors, process.returncode)
        check(outcome == ("stopped.\n", "", 0), f"ended with {outcome}")


def run(
    *arguments: str, input: bytes = b"", hide: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*command(hide), *arguments],
        input=input,
        capture_output=True,
        timeout=TIMEOUT,
        env={**os.environ, **environment},
    )


class Terminal:
    """A command at a terminal, where someone types.

    It answers no question about its cursor, so that nobody asks.
    """

    def __init__(self, *arguments: str, hide: Sequence[str] = (), **environment: str) -> None:
        ours, theirs = pty.openpty()
        self._ours = ours
        self.shown = b""
        self.process = subprocess.Popen(
            [*command(hide), *arguments],
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_control_terminal,
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        while text.encode() not in self.plain:
            check(self._read(), f"the command ended without {text!r}: {self.shown!r}")

    def wait_for_editor(self) -> None:
        """Wait until keys go to the line editor, which asks for bracketed paste after each message."""
        while self.shown.rfind(b"\x1b[?2004h") <= self.shown.rfind(b"bytes: "):
            check(self._read(), f"the command ended without an editor: {self.shown!r}")

    @property
    def plain(self) -> bytes:
        """What was shown, without styles."""
        return re.sub(rb"\x1b\[[0-9;]*m", b"", self.shown)

    def wait(self) -> int:
        """Return the exit code, after everything was shown."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(TIMEOUT)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], TIMEOUT)[0]:
            self.process.kill()
            raise AssertionError(f"nothing more came: {self.shown!r}")
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            # So Linux says that the other end was closed.
            data = b""
        self.shown += data
        return bool(data)


def _control_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
