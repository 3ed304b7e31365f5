"""Limits on connections that are open at the same time, for everything that they are counted by.

Of all connections, of each host, each route and each client; `conngauge` says what one of these may have.
When the excess of one has lasted for too long, the idlest of those in it are told to go.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from heapq import nsmallest
from itertools import islice
from typing import TypeAlias

from .conngauge import ConnectionLimit, Gauge, State

# Service restart and overload: come again later. RFC 6455 §7.4.1, IANA's registry.
SHED_CODE = 1013
REFUSED_STATUS = 503

# Clients that left while they had spent some of their allowance, looked at in one call.
STEPS = 2


class Kind(Enum):
    """Of what connections are counted together."""

    ALL = "all"
    HOST = "host"
    ROUTE = "route"
    CLIENT = "client"


# The value for `Kind.ALL` is always the empty string.
Scope: TypeAlias = "tuple[Kind, str]"


def crowd(scope: Scope) -> str:
    """Say of what there are too many, without a name: it is told to clients."""
    kind, _ = scope
    return "too many connections" + ("" if kind is Kind.ALL else f" of this {kind.value}")


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a connection was taken; if not, which scope refused it.

    `retry_after` is in seconds, `status` is the HTTP answer; both are 0 when allowed. `state` is the state
    of the scope that refused, or the worst of all.
    """

    allowed: bool
    state: State
    scope: Scope | None = None
    status: int = 0
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Shed:
    """A connection that has to go, and on account of which scope."""

    connection: Hashable
    scope: Scope
    code: int = SHED_CODE

    @property
    def reason(self) -> str:
        """What it is told."""
        return f"{crowd(self.scope)}, try again later"


@dataclass(frozen=True, slots=True)
class Standing:
    """A scope as it is at one moment; `spent` is what it used of allowance and patience, in seconds."""

    scope: Scope
    state: State
    count: int
    soft: int
    burst: int
    spent: float


_ORDER = list(State)
# The name of a connection's scope for each kind, in the order of `Kind`.
_Place: TypeAlias = "tuple[str, str, str, str]"
# Of a connection in no scope that has a limit.
_WELCOME = Admission(True, State.OK)


class ConnectionLimiter:
    """Open connections by scope.

    `limits` has what one scope of a kind may have; a kind that is not in it has no limit. `overrides`
    has limits of single scopes. Times are in seconds, of a clock that never goes back.
    """

    __slots__ = (
        "_cooling",
        "_excessive",
        "_gauges",
        "_kinds",
        "_leaving",
        "_limits",
        "_overrides",
        "_places",
    )

    def __init__(
        self,
        limits: Mapping[Kind, ConnectionLimit],
        overrides: Mapping[Scope, ConnectionLimit] | None = None,
    ) -> None:
        self._use(limits, overrides or {})
        self._gauges: dict[Scope, Gauge] = {}
        # Host, route and client of each connection: also of those without a limit, which may get one.
        self._places: dict[Hashable, _Place] = {}
        self._leaving: set[Hashable] = set()
        # Those above their soft limit.
        self._excessive: dict[Scope, Gauge] = {}
        # Scopes without a connection that have spent something.
        self._cooling: dict[Scope, None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def present(self, number: int) -> int:
        """Say how many are there, also without a place; return how many are in all processes."""
        return number

    def admit(
        self, connection: Hashable, now: float, *, host: str = "", route: str = "", client: str = ""
    ) -> Admission:
        """Ask for a place for a new connection, which has it from then on if it was allowed.

        `connection` is anything that tells it from others. Give its place back with `release`. An empty
        `client` is nobody, and has no limit as a client.
        """
        if connection in self._places:
            raise ValueError(f"connection {connection!r} is there already")
        self._cool(now)
        place = ("", host, route, client)
        entered: dict[Scope, Gauge] = {}
        for scope, limit in self._limited(place):
            gauge = self._gauges.get(scope) or self._gauge(scope, limit, now)
            gauge.advance(now)
            if gauge.full:
                return Admission(False, gauge.state, scope, REFUSED_STATUS, limit.retry_after)
            entered[scope] = gauge
        for scope, gauge in entered.items():
            self._gauges[scope] = gauge
            gauge.enter(connection)
            self._cooling.pop(scope, None)
            if gauge.excess > 0:
                self._excessive[scope] = gauge
        self._places[connection] = place
        if not entered:
            return _WELCOME
        states = [gauge.state for gauge in entered.values()]
        return Admission(True, max(states, key=_ORDER.index))

    def release(self, connection: Hashable, now: float) -> None:
        """Give back the place of a connection that has ended; one without a place is none of ours."""
        leaving = connection in self._leaving
        self._leaving.discard(connection)
        place = self._places.pop(connection, None)
        for scope, _ in () if place is None else self._limited(place):
            gauge = self._gauges[scope]
            gauge.advance(now)
            gauge.leave(connection, leaving)
            if gauge.excess <= 0:
                self._excessive.pop(scope, None)
            if not gauge.members:
                self._left(scope)
        self._cool(now)

    def shed(self, now: float, last_activity: Mapping[Hashable, float]) -> list[Shed]:
        """Choose who has to go, the idlest of each scope whose excess has lasted too long.

        Close them, and `release` them when they have ended; nobody is named twice. One that has no entry
        in `last_activity` counts as the idlest of all.
        """
        chosen: list[Shed] = []
        for scope, gauge in self._excessive.items():
            gauge.advance(now)
            count = gauge.to_shed
            if not count:
                continue
            staying = (one for one in gauge.members if one not in self._leaving)
            idlest = nsmallest(count, staying, key=lambda one: last_activity.get(one, -math.inf))
            for one in idlest:
                chosen.append(Shed(one, scope))
                self._leaving.add(one)
                for other, _ in self._limited(self._places[one]):
                    self._gauges[other].tell()
        return chosen

    def excessive(self) -> list[Hashable]:
        """Return who is in a scope above its soft limit: `shed` chooses among them."""
        return list(dict.fromkeys(one for gauge in self._excessive.values() for one in gauge.members))

    def crowded(self) -> list[Scope]:
        """Return the scopes above their soft limit."""
        return list(self._excessive)

    def change(
        self,
        limits: Mapping[Kind, ConnectionLimit],
        overrides: Mapping[Scope, ConnectionLimit],
        now: float,
    ) -> None:
        """Go on with other limits. Who is there stays counted, and what was spent stays spent."""
        if limits == self._limits and overrides == self._overrides:
            return
        before, self._gauges = self._gauges, {}
        self._use(limits, overrides)
        self._excessive.clear()
        self._cooling.clear()
        self._carry(before, now)
        self._enter_all(now)

    def _carry(self, before: Mapping[Scope, Gauge], now: float) -> None:
        """Keep what was spent."""
        for scope, old in before.items():
            old.advance(now)
            limit = self._limit(scope)
            if limit is not None and old.spent:
                gauge = self._gauges[scope] = Gauge(limit, now)
                gauge.spent = min(old.spent, gauge.cap)
                self._cooling[scope] = None

    def _enter_all(self, now: float) -> None:
        """Put everybody where there is a limit."""
        for connection, place in self._places.items():
            for scope, limit in self._limited(place):
                gauge = self._gauges.get(scope)
                if gauge is None:
                    gauge = self._gauges[scope] = self._gauge(scope, limit, now)
                    gauge.advance(now)
                gauge.members[connection] = None
                gauge.leaving += connection in self._leaving
                self._cooling.pop(scope, None)
        for scope, gauge in self._gauges.items():
            if gauge.excess > 0:
                self._excessive[scope] = gauge

    def heed(self) -> None:
        """See what other processes have brought about: nothing."""

    def next_shed(self) -> float | None:
        """Return when to call `shed`, None if nothing is above its soft limit."""
        if not self._excessive:
            return None
        soonest = min(gauge.sheds_at for gauge in self._excessive.values())
        return soonest if soonest < math.inf else None

    def standing(self, now: float, scopes: Iterable[Scope] | None = None) -> list[Standing]:
        """Return how `scopes` stand, or all that have connections or have spent something."""
        found: list[Standing] = []
        for scope in list(self._gauges) if scopes is None else scopes:
            if limit := self._limit(scope):
                gauge = self._gauges.get(scope) or self._gauge(scope, limit, now)
                gauge.advance(now)
                found.append(Standing(scope, gauge.state, gauge.count, limit.soft, limit.burst, gauge.spent))
        return found

    def _gauge(self, scope: Scope, limit: ConnectionLimit, now: float) -> Gauge:
        """Return a scope that nobody here is in; it has to be advanced first."""
        return Gauge(limit, now)

    def _left(self, scope: Scope) -> None:
        """Nobody here is in a scope any more."""
        self._cooling[scope] = None

    def _use(
        self, limits: Mapping[Kind, ConnectionLimit], overrides: Mapping[Scope, ConnectionLimit]
    ) -> None:
        self._limits, self._overrides = dict(limits), dict(overrides)
        # Those that any scope has a limit of, and where a place names it.
        limited = {*limits, *(kind for kind, _ in overrides)}
        self._kinds = [(kind, at) for at, kind in enumerate(Kind) if kind in limited]

    def _limited(self, place: _Place) -> Iterator[tuple[Scope, ConnectionLimit]]:
        """Yield the scopes of a place that have a limit."""
        for kind, at in self._kinds:
            scope = (kind, place[at])
            limit = self._limit(scope)
            if limit is not None and scope != (Kind.CLIENT, ""):
                yield scope, limit

    def _limit(self, scope: Scope) -> ConnectionLimit | None:
        return self._overrides.get(scope) or self._limits.get(scope[0])

    def _cool(self, now: float) -> None:
        """Forget scopes that nobody is in and that have their allowance back."""
        if not self._cooling:
            return
        for scope in list(islice(self._cooling, STEPS)):
            del self._cooling[scope]
            gauge = self._gauges[scope]
            gauge.advance(now)
            if gauge.spent:
                # To the end of the line.
                self._cooling[scope] = None
            else:
                del self._gauges[scope]
