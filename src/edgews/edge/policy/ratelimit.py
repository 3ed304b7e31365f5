"""Rate limits, exact and in bounded memory: the generic cell rate algorithm (GCRA).

A key may make `requests` requests at once and gets them back evenly over `period`. All that is kept of
a key is its theoretical arrival time: the moment at which it will have everything back. A key whose
theoretical arrival time has passed is like one that was never seen, so it is forgotten at no cost.

When the table is full of keys that may not be forgotten, keys without a place share one entry. The
shared entry has seen every request that any of them was granted, so its theoretical arrival time is
never earlier than theirs; and a key that gets a place begins with the shared one's. Hence, whatever an
attacker does to the table, no key is granted more than it would be in an endless one.

ITU-T I.371, Annex A.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import TypeAlias

Key: TypeAlias = "Sequence[str]"

# Ticks of the clock in a second: all is computed in whole ticks, and hence without rounding.
SECOND = 10**9
# Bytes that stand for a key. Longer keys cost no more memory, and 128 bits do not collide by accident.
DIGEST = 16
# Requests in a period, and keys that are told apart, at most.
MOST = 10**9
# Entries of the table one decision looks at to find room.
STEPS = 8


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What one limiter allows.

    Attributes:
        requests: how many in a period, all of them at once if they like.
        period: seconds.
        mitigation_timeout: seconds for which a key that was refused once is refused again, whatever the
            rate says; 0 leaves it to the rate. Asking meanwhile does not make it longer, but among keys that
            share an entry it may.
        max_keys: keys that are told apart at the same time. One takes about 300 bytes.
    """

    requests: int
    period: float
    mitigation_timeout: float = 0.0
    max_keys: int = 100_000

    def __post_init__(self) -> None:
        if not 1 <= self.requests <= MOST:
            raise ValueError(f"requests must be between 1 and {MOST}, not {self.requests}")
        if not 1e-6 <= self.period <= 1e9:
            raise ValueError(f"period must be between 1e-6 and 1e9 seconds, not {self.period}")
        if not 0 <= self.mitigation_timeout <= 1e9:
            raise ValueError(
                f"mitigation_timeout must be between 0 and 1e9 seconds, not {self.mitigation_timeout}"
            )
        if not 1 <= self.max_keys <= MOST:
            raise ValueError(f"max_keys must be between 1 and {MOST}, not {self.max_keys}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one request.

    Attributes:
        allowed: whether it may go on; only then was it counted.
        retry_after: seconds until the same key is allowed again if it is quiet until then; 0 when allowed.
        remaining: requests that the key has left at this moment.
        shared: there was no room for the key, and it was judged together with others.
    """

    allowed: bool
    retry_after: float
    remaining: int
    shared: bool


# A theoretical arrival time, and the end of a mitigation; in parts of a tick.
Entry: TypeAlias = "tuple[int, int]"
UNSEEN: Entry = (0, 0)


class Gcra:
    """What is computed of a key, wherever it is kept.

    Args:
        salt: mixed into what is kept of keys, so that nobody outside can look for two that collide; any
            bytes up to 64, best random ones.
    """

    __slots__ = ("_block", "_interval", "_salt", "_scale", "_tolerance", "limit")

    def __init__(self, limit: RateLimit, salt: bytes) -> None:
        self.limit = limit
        self._salt = salt
        # In parts of a tick of which a tick has `requests`, the interval between requests is whole, too.
        self._scale = limit.requests
        self._interval = round(limit.period * SECOND)
        self._tolerance = self._interval * limit.requests
        self._block = round(limit.mitigation_timeout * SECOND) * self._scale

    def _digest(self, key: Key) -> bytes:
        # Each part with its length: ("a", "b") is not ("ab",).
        parts = [part.encode("utf-8", "surrogatepass") for part in key]
        joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hashlib.blake2b(joined, digest_size=DIGEST, key=self._salt).digest()

    def _judge(self, entry: Entry, at: int, shared: bool) -> tuple[Decision, Entry]:
        """Return the decision, and the entry after it."""
        arrival, blocked = entry
        used = max(arrival - at, 0)
        after = used + self._interval
        if blocked <= at and after <= self._tolerance:
            remaining = (self._tolerance - after) // self._interval
            return Decision(True, 0.0, remaining, shared), (at + after, blocked)
        wait = after - self._tolerance
        # Among those that share, who is refused in the mitigation of another has one of its own to sit out.
        if self._block and (blocked <= at or (shared and wait > 0)):
            # Not over before the rate allows it: a question in between would begin another one.
            blocked = at + max(self._block, wait)
        wait = max(blocked - at, wait)
        # Rounded up to a whole tick, for at the one before it is too early.
        seconds = -(-wait // self._scale) / SECOND
        return Decision(False, seconds, 0, shared), (arrival, blocked)


class RateLimiter(Gcra):
    """Keys and their theoretical arrival times, in this process alone; see `Gcra` for the salt."""

    __slots__ = ("_expiries", "_now", "_shared", "_table")

    def __init__(self, limit: RateLimit, *, salt: bytes = b"") -> None:
        super().__init__(limit, salt)
        self._now = 0
        self._table: dict[bytes, Entry] = {}
        # One node for each key, with an end that is never later than the key's own.
        self._expiries: list[tuple[int, bytes]] = []
        self._shared = UNSEEN

    def __len__(self) -> int:
        return len(self._table)

    def known(self, now: float) -> int:
        """Return how many keys have a place."""
        return len(self._table)

    def decide(self, key: Key, now: float) -> Decision:
        """Judge a request of `key`, and count it if it is allowed.

        `now` is in seconds, of a clock that never goes back.
        """
        at = self._at(now)
        digest = self._digest(key)
        entry = self._table.get(digest)
        self._forget(at, STEPS if entry is None and len(self._table) >= self.limit.max_keys else 2)
        shared = False
        if entry is None:
            # The beginning that every key without a place may have behind it.
            entry = self._shared
            shared = len(self._table) >= self.limit.max_keys
        decision, after = self._judge(entry, at, shared)
        if shared:
            self._shared = after
        else:
            # It may have been forgotten just now.
            if digest not in self._table:
                heappush(self._expiries, (max(after), digest))
            self._table[digest] = after
        return decision

    def _at(self, now: float) -> int:
        self._now = max(self._now, int(now * SECOND) * self._scale)
        return self._now

    def _forget(self, at: int, steps: int) -> None:
        """Drop keys that have everything back, at most `steps` of them."""
        for _ in range(steps):
            if not self._expiries or self._expiries[0][0] > at:
                return
            digest = self._expiries[0][1]
            expiry = max(self._table[digest])
            if expiry > at:
                heapreplace(self._expiries, (expiry, digest))
            else:
                heappop(self._expiries)
                del self._table[digest]
