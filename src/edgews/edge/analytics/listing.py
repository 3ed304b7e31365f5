"""Which open connections are shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Any, Final

Row = dict[str, Any]

# What to sort by -> of a row.
KEYS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "age": lambda row: row["age"],
    "client": lambda row: row["client"] or "",
    "route": lambda row: (row["route"], row["host"], row["target"]),
    "origin": lambda row: row["origin"],
    "messages": lambda row: row["messages_up"] + row["messages_down"],
    "bytes": lambda row: row["bytes_up"] + row["bytes_down"],
    "ping": lambda row: -1.0 if row["ping"] is None else row["ping"],
}
_SEARCHED: Final = ("ray", "client", "host", "target", "route", "origin")

MAX_ROWS: Final = 1000


@dataclass(slots=True, frozen=True)
class View:
    """What somebody wants to see of the open connections.

    Attributes:
        match: words that have to be found in what is known of a connection; all in any order.
        sort: one of `KEYS`.
        down: the largest first.
        limit: how many to show.
    """

    match: str = ""
    sort: str = "age"
    down: bool = False
    limit: int = 200

    @classmethod
    def of(cls, wish: Mapping[str, Any]) -> View:
        """Return a view for what somebody asks for; what makes no sense is as if it were not there."""
        match, sort, down, limit = (wish.get(name) for name in ("match", "sort", "down", "limit"))
        return cls(
            match=match[:200] if isinstance(match, str) else "",
            sort=sort if isinstance(sort, str) and sort in KEYS else "age",
            down=down is True,
            limit=min(max(limit, 0), MAX_ROWS) if type(limit) is int else 200,
        )

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row has all the words."""
        words = self.match.lower().split()
        if not words:
            return True
        text = "\n".join(str(row[name]) for name in _SEARCHED).lower()
        return all(word in text for word in words)

    def arrange(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows to show, in order."""
        chosen = (row for row in rows if self.fits(row))
        choose = nlargest if self.down else nsmallest
        return choose(self.limit, chosen, key=KEYS[self.sort])
