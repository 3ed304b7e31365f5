"""Memory that processes share: a file without a name, mapped by each of them."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from contextlib import suppress

from edgews.edge.policy.storage import Storage


class FileLock:
    """Locks on bytes of a file, which the system opens again when the process that holds one ends.

    They belong to the process and the file: closing any descriptor of the file opens them all. So nobody
    has it twice, and it is closed when nothing uses it any more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._descriptor

    def acquire(self, number: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, number)

    def release(self, number: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)


def create(size: int) -> Storage:
    """Make memory of so many zeros, of which only what is used takes any.

    Raises:
        OSError: there cannot be so much.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("edgews")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
    return attach(descriptor)


def attach(descriptor: int) -> Storage:
    """Return the memory of a file, which belongs to it from now on.

    Raises:
        OSError: it cannot be mapped.
    """
    lock = FileLock(descriptor)
    return Storage(memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)), lock)
