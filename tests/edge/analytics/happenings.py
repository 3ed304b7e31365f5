"""Anything that may happen in a gateway, for properties of what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from edgews.edge.analytics.tally import NO_TRAFFIC, Tally, Traffic, plus

# So that times add up without being rounded.
STEP = 1 / 64
ROUTES = ("chat", "feed")


@dataclass(eq=False)
class Happening:
    """One thing that happens, in one of several processes."""

    part: int
    pause: float
    what: str
    values: tuple[Any, ...]


def _times(most: int) -> st.SearchStrategy[float]:
    return st.integers(0, most).map(lambda number: number * STEP)


routes = st.sampled_from(ROUTES)
traffics = st.tuples(*[st.integers(0, 1000)] * 6)
_what = st.one_of(
    st.tuples(st.just("opened"), st.tuples(routes, _times(100))),
    st.tuples(
        st.just("ended"),
        st.tuples(
            routes,
            st.sampled_from(("client", "origin", "gateway")),
            st.sampled_from(("close", "lost")),
            st.sampled_from((1000, 1006, 3001, 4999, 77)),
            _times(10_000),
            traffics,
        ),
    ),
    st.tuples(
        st.just("refused"),
        st.tuples(routes, st.sampled_from((400, 503)), st.sampled_from(("", "Host", "X-My-Own"))),
    ),
    st.tuples(st.just("flow"), st.tuples(routes, traffics)),
    st.tuples(st.just("ponged"), st.tuples(st.sampled_from(("client", "origin")), _times(1000))),
    st.tuples(st.just("unlogged"), st.just(())),
    st.tuples(st.just("unreachable"), st.tuples(st.just("ws://o"), st.just("origin refused"))),
    st.tuples(st.just("abandoned"), st.just(())),
    st.tuples(st.just("dropped"), st.tuples(st.sampled_from(("TLS", "request")), st.just("too late"))),
    st.tuples(st.just("answered"), st.tuples(routes, st.sampled_from((200, 204, 404, 0)))),
    st.tuples(st.just("look"), st.just(())),
)


def happenings(parts: int) -> st.SearchStrategy[list[Happening]]:
    """Return things that happen in so many processes, one after the other."""
    one = st.builds(
        lambda part, pause, what: Happening(part, pause, *what),
        st.integers(0, parts - 1),
        # All of it within the time of a series.
        st.integers(1, 448).map(lambda number: number * STEP),
        _what,
    )
    return st.lists(one, max_size=40)


class Process:
    """A tally, and what its open connections have carried."""

    def __init__(self, now: float) -> None:
        self.tally = Tally(now)
        self.flowing: dict[str, Traffic] = {}

    def may(self, happening: Happening) -> bool:
        """Say whether something can happen here: what ends was open."""
        return happening.what != "ended" or happening.values[0] in self.tally._open

    def happen(self, what: str, values: tuple[Any, ...], now: float, number: int) -> None:
        tally = self.tally
        if what == "opened":
            tally.opened(values[0], now, values[1])
        elif what == "ended":
            route, by, why, code, duration, traffic = values
            record = {"event": "end", "time": now, "ray": f"{number:x}", "route": route, "by": by, "why": why}
            tally.ended(record | {"code": code, "duration": duration}, traffic, now)
        elif what == "refused":
            route, status, header = values
            record = {"event": "refused", "time": now, "ray": f"{number:x}", "route": route}
            tally.refused(record | {"status": status, "header": header}, "no", now)
        elif what == "flow":
            route, traffic = values
            self.flowing[route] = plus(self.flowing.get(route, NO_TRAFFIC), traffic)
        elif what == "look":
            tally.look(now, self.flowing)
        else:
            getattr(tally, what)(*values)

    def report(self, now: float, **more: Any) -> dict[str, Any]:
        return self.tally.report(now, self.flowing, **more)
