"""Memory like that which processes share, in one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from edgews.edge.policy.storage import Storage
from tests.raw import check

R = TypeVar("R")


class Locks:
    """Locks that nobody else wants; they see to it that they are held one at a time, and let go of."""

    def __init__(self) -> None:
        self.held: int | None = None
        self.taken = 0

    def acquire(self, number: int) -> None:
        check(self.held is None, f"{self.held} is held, and {number} is wanted")
        self.held = number
        self.taken += 1

    def release(self, number: int) -> None:
        check(self.held == number, f"{number} is not held")
        self.held = None


def storage(size: int) -> Storage:
    return Storage(memoryview(bytearray(size)), Locks())


class Killed(Exception):
    """The process is gone."""


class Dying:
    """Memory of a process that is killed when it has stored something so often."""

    def __init__(self, memory: Any, left: list[int]) -> None:
        self._memory = memory
        self._left = left

    def __getitem__(self, index: Any) -> Any:
        return self._memory[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            # Longer than a word: not at once.
            for start in range(index.start, index.stop, 8):
                self._store(slice(start, start + 8), value[start - index.start : start - index.start + 8])
        else:
            self._store(index, value)

    def _store(self, index: Any, value: Any) -> None:
        if not self._left[0]:
            raise Killed
        self._left[0] -= 1
        self._memory[index] = value


def dying(memory: Storage, stores: int) -> Storage:
    """Return memory as a process has it that is killed after so many stores."""
    left = [stores]
    found: Any = Storage(memory.raw, memory.lock)
    found.raw, found.words, found.reals = (
        Dying(one, left) for one in (memory.raw, memory.words, memory.reals)
    )
    return found


def killed(work: Callable[[], R]) -> R | None:
    """Do something; return what came of it, None if it was the end of the process."""
    try:
        return work()
    except Killed:
        return None
