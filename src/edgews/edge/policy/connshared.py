"""Limits on connections that several processes count together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from .conngauge import ConnectionLimit, Gauge
from .connlimit import Admission, ConnectionLimiter, Kind, Scope, Shed, Standing
from .conntable import LOCK, ConnectionTable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="SharedConnectionLimiter")


def _alone(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Have nobody else at the table meanwhile."""

    @wraps(method)
    def locked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        lock = self.table.lock
        lock.acquire(LOCK)
        try:
            return method(self, *args, **kwargs)
        finally:
            lock.release(LOCK)

    return locked


class _SharedGauge(Gauge):
    """A scope of which the table knows how many of other processes are in it, and what was spent."""

    __slots__ = ("_digest", "_others", "_others_told", "_process", "_table", "place")

    def __init__(
        self, limit: ConnectionLimit, now: float, table: ConnectionTable, process: int, scope: Scope
    ) -> None:
        super().__init__(limit, now)
        self._table = table
        self._process = process
        self._digest = table.digest(scope)
        self._others = self._others_told = 0
        self.place = table.find(self._digest)

    def look(self) -> None:
        """See what others have done meanwhile."""
        if self.place is not None:
            self._others, self._others_told = self._table.others(self.place, self._process)
            self.at, self.spent = self._table.clock(self.place)

    def advance(self, now: float) -> None:
        self.look()
        super().advance(now)
        if self.place is not None:
            # It may have been spent under another limit.
            self.spent = min(self.spent, self.cap)
            self._table.wind(self.place, self.at, self.spent)

    @property
    def count(self) -> int:
        return len(self.members) + self._others

    @property
    def told(self) -> int:
        return self.leaving + self._others_told

    @property
    def excess(self) -> int:
        return len(self.members) + self._others - self.limit.soft

    @property
    def to_shed(self) -> int:
        # Of those in this process as many as there are of them among all, rounded up.
        here, everywhere = len(self.members) - self.leaving, self.count - self.told
        return -(-super().to_shed * here // max(everywhere, 1))

    @property
    def full(self) -> bool:
        return super().full or (self.place is None and not self._table.has_room(self._digest, self.at))

    def enter(self, connection: Hashable) -> None:
        super().enter(connection)
        if len(self.members) == 1:
            self.settle()
        else:
            self._tell_others()
        if self.excess == 1:
            self.cross()

    def leave(self, connection: Hashable, told: bool) -> None:
        super().leave(connection, told)
        self._tell_others()

    def tell(self) -> None:
        super().tell()
        self._tell_others()

    def settle(self) -> None:
        """Have a place, and say what is there."""
        if self.place is None and self._table.has_room(self._digest, self.at):
            self.place = self._table.take(self._digest, self.at)
        if self.place is not None:
            self._table.limit(self.place, self.limit.soft, self.cap)
        self._tell_others()

    def cross(self) -> None:
        """Have others look at it, for there are too many in it."""
        if self.place is not None:
            self._table.cross(self.place)

    def withdraw(self) -> None:
        """Nobody of this process is there."""
        if self.place is not None:
            self._table.put(self.place, self._process, 0, 0)
            self._table.leave(self.place, self._digest)

    def _tell_others(self) -> None:
        if self.place is not None:
            self._table.put(self.place, self._process, len(self.members), self.leaving)


class SharedConnectionLimiter(ConnectionLimiter):
    """Open connections of this process by scope, which count together with those of others.

    Args:
        table: where they count.
        process: the number of this one there; nobody else has it.
    """

    __slots__ = ("_process", "_seen", "table")

    def __init__(
        self,
        limits: Mapping[Kind, ConnectionLimit],
        overrides: Mapping[Scope, ConnectionLimit],
        table: ConnectionTable,
        process: int,
    ) -> None:
        super().__init__(limits, overrides)
        self.table = table
        self._process = process
        self._seen = 0

    @property
    def _mine(self) -> dict[Scope, _SharedGauge]:
        """Return the scopes that somebody here is in."""
        return cast("dict[Scope, _SharedGauge]", self._gauges)

    def present(self, number: int) -> int:
        return self.table.present(self._process, number)

    @_alone
    def admit(
        self, connection: Hashable, now: float, *, host: str = "", route: str = "", client: str = ""
    ) -> Admission:
        return super().admit(connection, now, host=host, route=route, client=client)

    @_alone
    def release(self, connection: Hashable, now: float) -> None:
        super().release(connection, now)

    @_alone
    def shed(self, now: float, last_activity: Mapping[Hashable, float]) -> list[Shed]:
        return super().shed(now, last_activity)

    @_alone
    def change(
        self,
        limits: Mapping[Kind, ConnectionLimit],
        overrides: Mapping[Scope, ConnectionLimit],
        now: float,
    ) -> None:
        before = dict(self._mine)
        super().change(limits, overrides, now)
        for scope, gauge in before.items():
            if scope not in self._gauges:
                gauge.withdraw()

    @_alone
    def standing(self, now: float, scopes: Iterable[Scope] | None = None) -> list[Standing]:
        return super().standing(now, scopes)

    def next_shed(self) -> float | None:
        if not self._excessive:
            return None
        self._look_again(set())
        return super().next_shed()

    def heed(self) -> None:
        """See which scopes others have brought above their soft limit; ask for it now and then."""
        self._seen, crossed = self.table.crossed(self._seen)
        if crossed != [] or self._excessive:
            self._look_again(None if crossed is None else set(crossed))

    @_alone
    def _look_again(self, places: set[int] | None) -> None:
        """Find out which scopes are above their soft limit, among those that were or may be."""
        for scope, gauge in self._mine.items():
            if places is None or gauge.place in places or scope in self._excessive:
                gauge.look()
                if gauge.excess > 0:
                    self._excessive[scope] = gauge
                else:
                    self._excessive.pop(scope, None)

    def move(self, table: ConnectionTable, now: float) -> None:
        """Go on counting in another table, which knows already what this process had in the present one."""
        if table.storage is self.table.storage:
            return
        for scope in self._mine.values():
            scope.advance(now)
        self.table = table
        table.clear(self._process, now)
        self._seen = 0
        self._count_anew(now)

    @_alone
    def _count_anew(self, now: float) -> None:
        self._gauges = {}
        self._excessive.clear()
        self._enter_all(now)

    def _carry(self, before: Mapping[Scope, Gauge], now: float) -> None:
        for gauge in cast("Mapping[Scope, _SharedGauge]", before).values():
            gauge.advance(now)

    def _enter_all(self, now: float) -> None:
        super()._enter_all(now)
        for gauge in self._mine.values():
            gauge.settle()
            if gauge.excess > 0:
                gauge.cross()

    def _gauge(self, scope: Scope, limit: ConnectionLimit, now: float) -> Gauge:
        return _SharedGauge(limit, now, self.table, self._process, scope)

    def _left(self, scope: Scope) -> None:
        self._excessive.pop(scope, None)
        self._mine.pop(scope).withdraw()
