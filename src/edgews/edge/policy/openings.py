"""Connections that are not open, and have a place all the same: how many there may be, and who has to go.

Nobody who comes is refused: when there are too many, the one that has been there longest goes, of the client
that has the most of them. Whoever asks at once is gone from here before it could be its turn, however many
others are silent; and who brings many makes room for others among its own first.

There is no clock: who came first is known from the order.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Crowd(Enum):
    """Of what there were too many."""

    CLIENT = "too many of the client"
    ALL = "too many of all"


class Openings(Generic[T]):
    """Connections that are not open, each with its client.

    Attributes:
        most: how many there may be.
        share: how many of them one client may have.
    """

    __slots__ = ("_clients", "_keys", "_ranks", "_top", "most", "share")

    def __init__(self, most: int, share: int) -> None:
        self.most = most
        self.share = share
        # Who belongs to whom; without a client, each to itself.
        self._keys: dict[T, Hashable] = {}
        # What each has, in the order in which it came.
        self._clients: dict[Hashable, dict[T, None]] = {}
        # Who has just so many, in the order in which they got so many; and the most that anybody has.
        self._ranks: dict[int, dict[Hashable, None]] = {}
        self._top = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, one: T) -> bool:
        return one in self._keys

    def enter(self, one: T, client: str) -> list[tuple[T, Crowd]]:
        """Give a connection a place; return who has to go for it, and has none any more.

        Args:
            one: if it has a place, it stays there.
            client: empty if nobody knows it; then only the number of all counts.
        """
        if one in self._keys:
            return []
        # No text is a tuple.
        key: Hashable = client or (one,)
        self._keys[one] = key
        having = self._clients.setdefault(key, {})
        having[one] = None
        self._rank(key, len(having) - 1, len(having))
        self._top = max(self._top, len(having))
        return self._squeeze()

    def know(self, one: T, client: str) -> list[tuple[T, Crowd]]:
        """Count a connection for a client, of which it is the newest; return who has to go for it."""
        return self.enter(one, client) if self.leave(one) else []

    def leave(self, one: T) -> bool:
        """Take the place of a connection away; say whether it had one."""
        key = self._keys.pop(one, None)
        if key is None:
            return False
        having = self._clients[key]
        del having[one]
        self._rank(key, len(having) + 1, len(having))
        if self._top not in self._ranks:
            self._top -= 1
        if not having:
            del self._clients[key]
        return True

    def change(self, most: int, share: int) -> list[tuple[T, Crowd]]:
        """Go on with other limits; return who has to go for them."""
        self.most, self.share = most, share
        return self._squeeze()

    def full(self) -> list[str]:
        """Return the clients that have their whole share."""
        return [key for key in self._ranks.get(self.share, ()) if isinstance(key, str)]

    def _squeeze(self) -> list[tuple[T, Crowd]]:
        gone: list[tuple[T, Crowd]] = []
        while self._top > self.share or len(self._keys) > self.most:
            crowd = Crowd.CLIENT if self._top > self.share else Crowd.ALL
            key = next(iter(self._ranks[self._top]))
            one = next(iter(self._clients[key]))
            self.leave(one)
            gone.append((one, crowd))
        return gone

    def _rank(self, key: Hashable, before: int, after: int) -> None:
        """Note how many somebody has."""
        if before:
            rank = self._ranks[before]
            del rank[key]
            if not rank:
                del self._ranks[before]
        if after:
            self._ranks.setdefault(after, {})[key] = None
