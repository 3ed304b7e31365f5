"""What a rate limiter has said, and to how many it says no at the moment; in bounded memory."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import Final

from .ratelimit import Decision, Key

# Keys that are known to be refused, at the most; were there more, the number stays at this one.
MAX_LIMITED: Final = 10_000


class Usage:
    """Counts decisions.

    Attributes:
        allowed: how many requests, or messages, were.
        refused: how many were not.
    """

    __slots__ = ("_due", "_until", "allowed", "refused")

    def __init__(self) -> None:
        self.allowed = self.refused = 0
        # When each key that was refused is allowed again; hashes stand for keys.
        self._until: dict[int, float] = {}
        # One node for each of them, which is never later than that.
        self._due: list[tuple[float, int]] = []

    def take(self, key: Key, decision: Decision, now: float) -> None:
        """Count a decision about a key, at the time of the limiter's clock."""
        if decision.allowed:
            self.allowed += 1
            return
        self.refused += 1
        name, until = hash(tuple(key)), now + decision.retry_after
        if name not in self._until:
            if len(self._until) >= MAX_LIMITED and self.limited(now) >= MAX_LIMITED:
                return
            heappush(self._due, (until, name))
        self._until[name] = until

    def limited(self, now: float) -> int:
        """Return how many keys that were refused would be refused once more."""
        due = self._due
        while due and due[0][0] <= now:
            name = due[0][1]
            until = self._until[name]
            if until > now:
                heapreplace(due, (until, name))
            else:
                heappop(due)
                del self._until[name]
        return len(due)

    def forget(self) -> None:
        """Take all keys for new, as the limiter does; the counts stay."""
        self._until.clear()
        self._due.clear()
