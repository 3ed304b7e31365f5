"""How many connections several processes have in each scope: a table in memory that they share.

A scope has a number for each process, and the sum counts; so what a process that was killed leaves behind
can be cleared, and nothing has to be undone. The whole table has one lock, for a connection is in several
scopes, and has a place in all of them or in none. In words:

    crossings | a ring of the last scopes that got above their soft limit | connections of each process
    used places of each bucket, as bits
    buckets: digests (2 each) | scopes (`_FIXED` and one for each process)

    scope: soft limit | most that can be spent | which of two clocks | at, spent | at, spent | numbers

A number is how many there are, and in its upper half how many of them were told to go. A clock is written
beside the one that holds, and then takes its place with one word. What was never used is never looked at, and
takes no memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from .connlimit import Scope
from .ratelimit import DIGEST
from .storage import WORD, Storage

# The lock that goes before all.
LOCK: Final = 0
# Scopes in a bucket, and how many of them are used, in the mean, when there are as many as are expected.
_PLACES: Final = 64
_FILLED: Final = 40
# Free places that there have to be for a connection, which may need one for each of its scopes.
_ENOUGH: Final = 4
# Scopes above their limit that are remembered for processes that look later.
_RING: Final = 256
_HEAD: Final = 1 + _RING
_SOFT, _CAP, _CLOCK, _TIMES, _FIXED = 0, 1, 2, 3, 7
_TOLD: Final = 32
_MASK: Final = (1 << _TOLD) - 1
_NONE: Final = bytes(DIGEST)


@dataclass(frozen=True, slots=True)
class Shape:
    """For how many processes a table is, and for how many scopes."""

    processes: int
    scopes: int

    @property
    def buckets(self) -> int:
        """Return the number of buckets."""
        return -(-self.scopes // _FILLED)

    @property
    def size(self) -> int:
        """Return the bytes that the table needs."""
        return (self.start + self.buckets * (1 + self.stride)) * WORD

    @property
    def start(self) -> int:
        """Return the words before the buckets, and before what is used of them."""
        return _HEAD + self.processes

    @property
    def width(self) -> int:
        """Return the words of a scope."""
        return _FIXED + self.processes

    @property
    def stride(self) -> int:
        """Return the words of a bucket."""
        return _PLACES * (DIGEST // WORD + self.width)

    def holds(self, other: Shape) -> bool:
        """Say whether a table like this is large enough for what another one is for."""
        return self.processes >= other.processes and self.scopes >= other.scopes


class ConnectionTable:
    """The table, as one process sees it. All but `present`, `crossed` and `clear` are for who has the lock.

    Args:
        storage: as many bytes as its shape says.
        salt: the same in all processes.
    """

    __slots__ = ("_buckets", "_salt", "_start", "_stride", "_width", "lock", "shape", "storage")

    def __init__(self, shape: Shape, storage: Storage, salt: bytes) -> None:
        self.shape = shape
        self.storage = storage
        self.lock = storage.lock
        self._salt = salt
        self._start, self._buckets = shape.start, shape.buckets
        self._stride, self._width = shape.stride, shape.width

    def digest(self, scope: Scope) -> bytes:
        """Return what stands for a scope."""
        text = f"{scope[0].value} {scope[1]}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=DIGEST, key=self._salt).digest()

    def present(self, process: int, number: int) -> int:
        """Say how many connections a process has; return how many all have."""
        words = self.storage.words
        words[_HEAD + process] = number
        return sum(words[_HEAD : self._start])

    def find(self, digest: bytes) -> int | None:
        """Return where a scope is, None if it is nowhere."""
        bucket = self._bucket(digest)
        if not self.storage.words[self._start + bucket]:
            return None
        start = self._name(bucket, 0)
        digests = self.storage.raw[start : start + _PLACES * DIGEST].tobytes()
        # Found across two of them, it would be one by accident.
        place, beside = divmod(digests.find(digest), DIGEST)
        return None if place < 0 or beside else self._scope(bucket, place)

    def has_room(self, digest: bytes, now: float) -> bool:
        """Say whether a scope that is nowhere can have a place."""
        bucket = self._bucket(digest)
        free = _PLACES - self.storage.words[self._start + bucket].bit_count()
        return free >= _ENOUGH or free + len(self._empty(bucket, now)) >= _ENOUGH

    def take(self, digest: bytes, now: float) -> int:
        """Give a scope a place, for which there is room."""
        words = self.storage.words
        bucket = self._bucket(digest)
        free = ~words[self._start + bucket] & ((1 << _PLACES) - 1)
        if free:
            place = (free & -free).bit_length() - 1
        else:
            # One that nobody is in, and that has the least to get back, is forgotten.
            place = min(self._empty(bucket, now))[1]
            self._forget(bucket, place)
        at = self._scope(bucket, place)
        self._wind(at, now, 0.0)
        # Killed now, it leaves a place that is used for nothing, and will be found empty.
        words[self._start + bucket] |= 1 << place
        start = self._name(bucket, place)
        self.storage.raw[start : start + DIGEST] = digest
        return at

    def limit(self, at: int, soft: int, cap: float) -> None:
        """Keep what holds for a scope, for `clear`."""
        self.storage.words[at + _SOFT] = soft
        self.storage.reals[at + _CAP] = cap

    def clock(self, at: int) -> tuple[float, float]:
        """Return when a scope was looked at last, and what it had spent then."""
        start = at + _TIMES + 2 * self.storage.words[at + _CLOCK]
        reals = self.storage.reals
        return reals[start], reals[start + 1]

    def wind(self, at: int, now: float, spent: float) -> None:
        """Keep what a scope has spent by now."""
        if self.clock(at) != (now, spent):
            self._wind(at, now, spent)

    def others(self, at: int, process: int) -> tuple[int, int]:
        """Return the same as `counts`, but of all other processes."""
        words = self.storage.words
        start = at + _FIXED
        total = sum(words[start : start + self.shape.processes]) - words[start + process]
        return total & _MASK, total >> _TOLD

    def counts(self, at: int) -> tuple[int, int]:
        """Return how many there are in a scope, and how many of them were told to go."""
        total = sum(self.storage.words[at + _FIXED : at + self._width])
        return total & _MASK, total >> _TOLD

    def put(self, at: int, process: int, count: int, told: int) -> None:
        """Say how many a process has there."""
        self.storage.words[at + _FIXED + process] = told << _TOLD | count

    def leave(self, at: int, digest: bytes) -> None:
        """Nobody of a process is in a scope: it is forgotten if that holds for all and nothing was spent."""
        if self.counts(at)[0] or self.clock(at)[1]:
            return
        bucket = self._bucket(digest)
        self._forget(bucket, (at - self._scope(bucket, 0)) // self._width)

    def cross(self, at: int) -> None:
        """Tell the others that a scope has got above its soft limit."""
        words = self.storage.words
        words[1 + words[0] % _RING] = at
        words[0] += 1

    def crossed(self, since: int) -> tuple[int, list[int] | None]:
        """Return how often a scope has got above its soft limit, and which since; None if too many have."""
        words = self.storage.words
        number = words[0]
        if number - since > _RING // 2:
            return number, None
        return number, [words[1 + index % _RING] for index in range(since, number)]

    def clear(self, process: int, now: float) -> None:
        """Forget the connections of a process that has ended."""
        words, reals = self.storage.words, self.storage.reals
        words[_HEAD + process] = 0
        for bucket in self._in_use():
            self.lock.acquire(LOCK)
            try:
                for place in self._places(bucket):
                    at = self._scope(bucket, place)
                    if not words[at + _FIXED + process]:
                        continue
                    before, spent = self.clock(at)
                    passed = max(now - before, 0.0)
                    above = self.counts(at)[0] > words[at + _SOFT]
                    spent = min(spent + passed, reals[at + _CAP]) if above else max(spent - passed, 0.0)
                    self.wind(at, before + passed, spent)
                    words[at + _FIXED + process] = 0
                    if not self.counts(at)[0] and not spent:
                        self._forget(bucket, place)
            finally:
                self.lock.release(LOCK)

    def adopt(self, before: ConnectionTable, now: float) -> None:
        """Begin with what is in a smaller table, whose processes will put it right one after the other."""
        old, new = before.storage, self.storage
        number = before.shape.processes
        new.words[_HEAD : _HEAD + number] = old.words[_HEAD : _HEAD + number]
        for bucket in before._in_use():
            before.lock.acquire(LOCK)
            try:
                for place in before._places(bucket):
                    start = before._name(bucket, place)
                    digest = old.raw[start : start + DIGEST].tobytes()
                    if not self.has_room(digest, now):
                        continue
                    at, to = before._scope(bucket, place), self.take(digest, now)
                    self.limit(to, old.words[at + _SOFT], old.reals[at + _CAP])
                    self._wind(to, *before.clock(at))
                    numbers = old.words[at + _FIXED : at + before._width]
                    new.words[to + _FIXED : to + _FIXED + number] = numbers
            finally:
                before.lock.release(LOCK)

    def _bucket(self, digest: bytes) -> int:
        return int.from_bytes(digest[:WORD], "little") % self._buckets

    def _name(self, bucket: int, place: int) -> int:
        """Return where the digest of a place begins, in bytes."""
        return (self._start + self._buckets + bucket * self._stride) * WORD + place * DIGEST

    def _scope(self, bucket: int, place: int) -> int:
        start = self._start + self._buckets + bucket * self._stride
        return start + _PLACES * (DIGEST // WORD) + place * self._width

    def _in_use(self) -> list[int]:
        """Return the buckets of which some place is used."""
        used = self.storage.words[self._start : self._start + self._buckets].tolist()
        return [bucket for bucket, places in enumerate(used) if places]

    def _places(self, bucket: int) -> list[int]:
        """Return the used places of a bucket."""
        used = self.storage.words[self._start + bucket]
        return [place for place in range(_PLACES) if used >> place & 1]

    def _empty(self, bucket: int, now: float) -> list[tuple[float, int]]:
        """Return the used places of a bucket in whose scopes nobody is, with what they have to get back."""
        found: list[tuple[float, int]] = []
        for place in self._places(bucket):
            at = self._scope(bucket, place)
            if not self.counts(at)[0]:
                before, spent = self.clock(at)
                found.append((spent + before - now, place))
        return found

    def _forget(self, bucket: int, place: int) -> None:
        start = self._name(bucket, place)
        # First its name: a place that is free has none.
        self.storage.raw[start : start + DIGEST] = _NONE
        self.storage.words[self._start + bucket] &= ~(1 << place)

    def _wind(self, at: int, now: float, spent: float) -> None:
        words, reals = self.storage.words, self.storage.reals
        other = 1 - words[at + _CLOCK]
        start = at + _TIMES + 2 * other
        reals[start], reals[start + 1] = now, spent
        words[at + _CLOCK] = other
