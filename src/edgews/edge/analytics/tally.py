"""What one process of the gateway has counted.

Connections that are open are not counted frame by frame: their scanners know, and are asked when somebody
looks. What they knew is added up when they end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from .counters import Counter, Histogram
from .metrics import ALLOWED, COUNTERS, DOWN, HISTOGRAMS, OTHER, REFUSED, UP, code_label, header_label
from .series import Series

# How many of the last ends, and of the last refusals, are kept with all that is known about them, and
# how many of each a report shows.
KEPT: Final = 1000
SHOWN: Final = 100
# What is kept of a text that a client may have chosen (characters).
MAX_TEXT: Final = 200

# Texts, binary messages and bytes that came from the client; then those from the origin.
Traffic: TypeAlias = tuple[int, int, int, int, int, int]
NO_TRAFFIC: Final[Traffic] = (0, 0, 0, 0, 0, 0)

Record: TypeAlias = Mapping[str, Any]
NO_RULES: Final[Mapping[tuple[str, str], int]] = MappingProxyType({})
NO_USE: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})
NO_KEYS: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType({})


def plus(one: Traffic, other: Traffic) -> Traffic:
    """Add what two connections have carried."""
    a, b, c, d, e, f = one
    u, v, w, x, y, z = other
    return a + u, b + v, c + w, d + x, e + y, f + z


class Tally:
    """Count; the times are the wall clock's, in seconds."""

    __slots__ = (
        "_counters",
        "_ended",
        "_flowed",
        "_gone",
        "_histograms",
        "_looked_at",
        "_open",
        "_refused",
        "_series",
        "_since",
    )

    def __init__(self, now: float) -> None:
        self._since = self._looked_at = now
        self._counters = {name: Counter() for name in COUNTERS}
        self._histograms = {name: Histogram(metric) for name, metric in HISTOGRAMS.items()}
        self._series = Series()
        self._open: dict[str, int] = {}
        # What connections that have ended had carried, by route.
        self._gone: dict[str, Traffic] = {}
        # What all had carried at the last look: messages and bytes, up and down.
        self._flowed = (0, 0, 0, 0)
        self._ended: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._refused: deque[dict[str, Any]] = deque(maxlen=KEPT)

    # What happens

    def opened(self, route: str, now: float, seconds: float) -> None:
        """Count a connection that is open, after so many seconds."""
        self._open[route] = self._open.get(route, 0) + 1
        self._counters["connections_opened"].add((route,))
        self._histograms["opening_seconds"].observe((route,), seconds)
        self._series.add(now, "opened")

    def ended(self, record: Record, traffic: Traffic, now: float) -> None:
        """Count the end of a connection that was open.

        Args:
            record: the access log's.
        """
        route = record["route"]
        left = self._open.get(route, 0) - 1
        if left > 0:
            self._open[route] = left
        else:
            self._open.pop(route, None)
        self._gone[route] = plus(self._gone.get(route, NO_TRAFFIC), traffic)
        labels = (route, record["by"], record["why"], code_label(record["code"]))
        self._counters["connections_ended"].add(labels)
        self._histograms["connection_seconds"].observe((route,), record["duration"])
        self._series.add(now, "ended")
        self._ended.append(_cut(record))

    def refused(self, record: Record, reason: str, now: float) -> None:
        """Count a request that opened nothing.

        Args:
            record: the access log's.
            reason: one of the gateway's own or of the configuration; unlike the record's cause.
        """
        labels = (record["route"], str(record["status"]), reason, header_label(record["header"]))
        self._counters["upgrades_refused"].add(labels)
        self._series.add(now, "refused")
        self._refused.append(_cut(record))

    def answered(self, route: str, status: int) -> None:
        """Count a plain request that an origin has answered."""
        self._counters["plain_requests"].add((route, f"{status // 100}xx" if status else OTHER))

    def abandoned(self) -> None:
        """Count a client that left without a whole request."""
        self._counters["connections_abandoned"].add(())

    def dropped(self, awaited: str, reason: str) -> None:
        """Count a connection that was dropped before it was open."""
        self._counters["connections_dropped"].add((awaited, reason))

    def unlogged(self) -> None:
        """Count a record that the access log did not take."""
        self._counters["log_lines_lost"].add(())

    def unreachable(self, origin: str, reason: str) -> None:
        """Count an attempt to reach an origin that failed."""
        self._counters["origin_failures"].add((origin, reason))

    def ponged(self, side: str, seconds: float) -> None:
        """Take how long the answer to a Ping took."""
        self._histograms["ping_seconds"].observe((side,), seconds)

    # What can be read

    @property
    def open(self) -> int:
        """How many connections are open."""
        return sum(self._open.values())

    def look(self, now: float, open: Mapping[str, Traffic]) -> dict[str, Traffic]:
        """Take what open connections have carried so far, by route, for the charts.

        Call it every second or so; what came since the last time counts for the seconds between. Returns what
        all connections have carried, by route.
        """
        carried = {
            route: plus(self._gone.get(route, NO_TRAFFIC), open.get(route, NO_TRAFFIC))
            for route in {**self._gone, **open}
        }
        a, b, c, d, e, f = _sum(carried.values())
        flowed = (a + b, d + e, c, f)
        for field, one, before in zip(
            ("messages_up", "messages_down", "bytes_up", "bytes_down"), flowed, self._flowed, strict=True
        ):
            self._series.spread(self._looked_at, now, field, one - before)
        self._flowed = flowed
        self._looked_at = now
        return carried

    def report(
        self,
        now: float,
        open: Mapping[str, Traffic],
        *,
        opening: int = 0,
        limits: Sequence[Record] = (),
        origins: Sequence[Record] = (),
        rules: Mapping[tuple[str, str], int] = NO_RULES,
        use: Mapping[str, tuple[int, int]] = NO_USE,
        keys: Mapping[str, tuple[int, int, int]] = NO_KEYS,
    ) -> dict[str, Any]:
        """Return all of it, in plain values that JSON knows; `merge` puts several together.

        Args:
            open: what open connections have carried so far, by route.
            opening: clients whose connection is not open yet.
            limits: of each limit `kind`, `name`, `state`, `count`, `soft`, `burst` and `spent`.
            rules: how often each rule was acted upon, by its name and its action.
            use: how much each rate limiter has allowed and refused, by its name.
            keys: how many keys each limits now, how many it knows, and how many it has room for.
            origins: of each origin `route`, `origin`, `active`, `checks`, `cause` and `state`.
        """
        messages, sizes, matches, decisions = Counter(), Counter(), Counter(), Counter()
        for limiter, (allowed, refused) in use.items():
            decisions.add((limiter, ALLOWED), allowed)
            decisions.add((limiter, REFUSED), refused)
        for labels, number in rules.items():
            matches.add(labels, number)
        for route, (a, b, c, d, e, f) in self.look(now, open).items():
            for direction, texts, binaries, size in ((UP, a, b, c), (DOWN, d, e, f)):
                messages.add((route, direction, "text"), texts)
                messages.add((route, direction, "binary"), binaries)
                sizes.add((route, direction), size)
        counters = {name: counter.rows() for name, counter in self._counters.items()}
        return {
            "time": now,
            "since": self._since,
            "workers": 1,
            "counters": counters
            | {"messages": messages.rows(), "bytes": sizes.rows()}
            | {"rule_matches": matches.rows(), "limiter_decisions": decisions.rows()},
            "gauges": {
                "connections_open": [[[route], number] for route, number in sorted(self._open.items())],
                "connections_opening": [[[], opening]],
                **{
                    name: [[[limiter], numbers[at]] for limiter, numbers in sorted(keys.items())]
                    for at, name in enumerate(("limiter_limited", "limiter_keys", "limiter_max_keys"))
                },
            },
            "histograms": {name: histogram.rows() for name, histogram in self._histograms.items()},
            "series": self._series.report(now, self.open),
            "limits": [dict(limit) for limit in limits],
            "origins": [dict(origin) for origin in origins],
            "ended": newest(self._ended, SHOWN),
            "refused": newest(self._refused, SHOWN),
        }

    def trace(self, ray: str) -> dict[str, Any] | None:
        """Return the record of a request that has come to its end, None if it is forgotten or unknown."""
        for records in (self._ended, self._refused):
            for record in reversed(records):
                if record["ray"] == ray:
                    return dict(record)
        return None


def newest(records: Iterable[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return the last ones, the newest first."""
    return sorted(records, key=lambda record: (record["time"], record["ray"]), reverse=True)[:number]


def _sum(traffics: Iterable[Traffic]) -> Traffic:
    found = NO_TRAFFIC
    for traffic in traffics:
        found = plus(found, traffic)
    return found


def _cut(record: Record) -> dict[str, Any]:
    return {
        key: value[: MAX_TEXT - 1] + "…" if isinstance(value, str) and len(value) > MAX_TEXT else value
        for key, value in record.items()
    }
