"""Memory that several processes have in common, as the policies see it.

Whoever may write can be killed at any moment, also between two stores. So what belongs together is written
in an order in which every beginning of it is a state that allows no more than it should; one word is stored
at once (it lies at a multiple of its size).
"""

from __future__ import annotations

from typing import Final, Protocol

# Bytes of a word.
WORD: Final = 8


class Lock(Protocol):
    """Locks by number, of which a process holds one at a time; that of a process that ends is open again."""

    def acquire(self, number: int) -> None:
        """Wait until nobody else has this one."""

    def release(self, number: int) -> None:
        """Let the next one have it."""


class Storage:
    """Bytes that begin as zeros, and their locks.

    Attributes:
        raw: the bytes.
        words: the same, as unsigned numbers.
        reals: the same, as floating point numbers.
        lock: who takes it alone may write what it stands for.
    """

    __slots__ = ("__weakref__", "lock", "raw", "reals", "words")

    def __init__(self, raw: memoryview, lock: Lock) -> None:
        self.raw = raw
        self.words = raw.cast("Q")
        self.reals = raw.cast("d")
        self.lock = lock
