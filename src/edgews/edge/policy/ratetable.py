"""Rate limits that several processes count together: a table of buckets in memory that they share.

Each bucket is a table of its own, with a lock, a clock, an entry that keys without a place share, and places
for `PLACES` keys; `ratelimit` says why that one is never more generous than an endless one. A key always
belongs to the same bucket, which its digest chooses. With a single bucket there are as many places as keys
that are to be told apart; with more there are twice as many, so that of keys spread by chance none is
without one as long as there are no more of them than that.

A bucket, in words:

    clock | shared entry (4) | digests (2 each) | ends (1 each) | entries (4 each)

An entry is its theoretical arrival time and the end of its mitigation, each in ticks and parts of one. Who
is killed while it writes them has granted nothing. Ticks come first, so an entry that is half written is
never earlier than the one before; and the end of a place comes before the entry, the digest after it, so no
key gets a place that another one still needs.
"""

from __future__ import annotations

from typing import Final

from .ratelimit import DIGEST, SECOND, Decision, Entry, Gcra, Key, RateLimit
from .storage import WORD, Storage

# Keys of one bucket.
PLACES: Final = 64
# How many of them are taken, in the mean, when there are as many keys as are to be told apart. That more
# than twice as many meet in a bucket happens to one in a thousand million.
_FILLED: Final = 32

# Buckets that are looked at to know how full the table is.
_SAMPLE: Final = 64

_SHARED: Final = 1
_DIGESTS: Final = 5
# Words of a key: digest, end, entry.
_KEY: Final = DIGEST // WORD + 1 + 4


def _shape(limit: RateLimit) -> tuple[int, int, int]:
    """Return the number of buckets, the places in each, and its words."""
    if limit.max_keys <= PLACES:
        buckets, places = 1, limit.max_keys
    else:
        buckets, places = -(-limit.max_keys // _FILLED), PLACES
    return buckets, places, _DIGESTS + _KEY * places


def table_size(limit: RateLimit) -> int:
    """Return the bytes that a table needs."""
    buckets, _, words = _shape(limit)
    return buckets * words * WORD


class RateTable(Gcra):
    """A limiter whose keys are in shared memory.

    Args:
        storage: as many bytes as `table_size` says, with a lock for each bucket.
        salt: the same in all processes; see `Gcra`.
    """

    __slots__ = ("_buckets", "_lock", "_longest", "_places", "_raw", "_storage", "_stride", "_words")

    def __init__(self, limit: RateLimit, storage: Storage, *, salt: bytes = b"") -> None:
        super().__init__(limit, salt)
        self._buckets, self._places, self._stride = _shape(limit)
        # Ticks for which a key needs its place, at the most.
        self._longest = round(max(2 * limit.period, limit.mitigation_timeout) * SECOND)
        self._storage = storage
        self._raw = storage.raw
        self._words = storage.words
        self._lock = storage.lock

    def known(self, now: float) -> int:
        """Return how many keys have a place that they need; about, if there are some in many buckets."""
        words, tick = self._words, int(now * SECOND)
        clocks = words[: self._buckets * self._stride : self._stride].tolist()
        # Where nobody has asked for so long, all keys have everything back.
        asked = [bucket for bucket, clock in enumerate(clocks) if clock and clock + self._longest > tick]
        found = looked = 0
        for bucket in asked[:: len(asked) // _SAMPLE + 1]:
            start = bucket * self._stride + _DIGESTS + 2 * self._places
            found += sum(end > tick for end in words[start : start + self._places].tolist())
            looked += 1
        return found * len(asked) // max(looked, 1)

    def decide(self, key: Key, now: float) -> Decision:
        """Judge a request of `key`, and count it if it is allowed.

        `now` is in seconds, of a clock that all processes share. That of one may be a little behind that of
        another; a bucket's own never goes back.
        """
        digest = self._digest(key)
        bucket = int.from_bytes(digest[:WORD], "little") % self._buckets
        base = bucket * self._stride
        words = self._words
        self._lock.acquire(bucket)
        try:
            clock = words[base]
            tick = int(now * SECOND)
            if tick > clock:
                words[base] = tick
            else:
                tick = clock
            start = (base + _DIGESTS) * WORD
            # Found across two digests, it would be one by accident.
            place, beside = divmod(
                self._raw[start : start + self._places * DIGEST].tobytes().find(digest), DIGEST
            )
            if place >= 0 and not beside:
                return self._count(base, place, None, tick)
            start = base + _DIGESTS + 2 * self._places
            ends = words[start : start + self._places].tolist()
            end = min(ends)
            return self._count(base, ends.index(end) if end <= tick else None, digest, tick)
        finally:
            self._lock.release(bucket)

    def _count(self, base: int, place: int | None, digest: bytes | None, tick: int) -> Decision:
        """Judge a key by what is kept of it, or of the shared entry if it is new, and keep what follows."""
        words, scale = self._words, self._scale
        shared = base + _SHARED
        at = shared if place is None else base + _DIGESTS + 3 * self._places + 4 * place
        source = at if digest is None else shared
        before: Entry = (
            words[source] * scale + words[source + 1],
            words[source + 2] * scale + words[source + 3],
        )
        decision, after = self._judge(before, tick * scale, place is None)
        if after == before and digest is None:
            return decision
        if place is not None:
            words[base + _DIGESTS + 2 * self._places + place] = -(-max(after) // scale)
        words[at], words[at + 1] = divmod(after[0], scale)
        words[at + 2], words[at + 3] = divmod(after[1], scale)
        if place is not None and digest is not None:
            start = (base + _DIGESTS) * WORD + place * DIGEST
            self._raw[start : start + DIGEST] = digest
        return decision
