"""Memory like that which processes share, in one process."""

from __future__ import annotations

from edgews.edge.policy.storage import Storage
from tests.raw import check


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
