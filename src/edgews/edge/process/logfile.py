"""The file of the access log: whole lines by whoever writes to it, and another file when it is moved away."""

from __future__ import annotations

import errno
import os
import sys

from edgews.edge.gateway.accesslog import Stream


class LogFile:
    """A file that several processes append to.

    Each line goes out with one call, which the system appends as a whole.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = self._open()
        # Whether the last line has no end, for the disk was full.
        self._cut = False

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, text: str) -> None:
        """Append a line.

        Raises:
            OSError: it is not there, or not as a whole; the next one begins on a line of its own.
        """
        data = (b"\n" if self._cut else b"") + text.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
            self._cut = bool(data)

    def flush(self) -> None:
        """Nothing waits."""

    def reopen(self) -> None:
        """Go on with the file that has the name now.

        Raises:
            OSError: it cannot be opened; the one from before is still in use.
        """
        before, self._descriptor = self._descriptor, self._open()
        self._cut = False
        os.close(before)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def open_log(target: str) -> Stream | None:
    """Open what the configuration says: a file, the standard output, or nothing.

    Raises:
        OSError: the file cannot be opened.
    """
    if target == "off":
        return None
    return sys.stdout if target == "-" else LogFile(target)


def check_log(where: str) -> None:
    """Find out whether a log could be opened; no file is made.

    Raises:
        OSError: it could not.
    """
    if where in ("-", "off"):
        return
    found = os.path.exists(where)
    if os.path.isdir(where):
        number = errno.EISDIR
    elif not found and not os.path.isdir(os.path.dirname(where) or "."):
        number = errno.ENOENT
    elif not os.access(where if found else os.path.dirname(where) or ".", os.W_OK):
        number = errno.EACCES
    else:
        return
    raise OSError(number, os.strerror(number))
