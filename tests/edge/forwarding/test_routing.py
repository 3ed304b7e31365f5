from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.routing import Condition, RouteTable
from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.normalize import Target
from edgews.headers import Headers


@dataclass
class Place:
    host: str | None
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    condition: Condition | None = None


def facts(host: str, path: str, *fields: tuple[str, str]) -> UpgradeFacts:
    headers = Headers([("Host", host), *fields])
    return UpgradeFacts("GET", Target(path), headers, None, False, "ray")


ROUTES = (
    Place(None),
    Place(None, "/chat"),
    Place("example.com"),
    Place("example.com", "/chat"),
    Place("example.com", "/chat/room/"),
    Place("*.example.com"),
    Place("*.a.example.com", "/"),
)


@pytest.mark.parametrize(
    ("host", "path", "place"),
    [
        ("other.org", "/", Place(None)),
        ("other.org", "/chat", Place(None, "/chat")),
        ("other.org", "/chat/x", Place(None, "/chat")),
        ("other.org", "/chatter", Place(None)),
        ("example.com", "/", Place("example.com")),
        ("EXAMPLE.com:80", "/chat", Place("example.com", "/chat")),
        ("example.com", "/chat/room", Place("example.com", "/chat/room/")),
        ("example.com", "/chat/rooms", Place("example.com", "/chat")),
        ("x.example.com", "/chat", Place("*.example.com")),
        ("b.a.example.com", "/chat", Place("*.a.example.com")),
        ("xexample.com", "/", Place(None)),
        (".example.com", "/", Place(None)),
    ],
)
def test_the_most_exact_route_is_taken(host, path, place):
    assert RouteTable(ROUTES).find(facts(host, path)) == place
    assert RouteTable(ROUTES[::-1]).find(facts(host, path)) == place


def asks_for_x(asked: UpgradeFacts) -> bool:
    return asked.headers.has("X")


def model(routes: list[Place], asked: UpgradeFacts) -> Place | None:
    """Look at all routes, whatever they are, and take the best by its description."""
    name, path = asked.headers.get("Host") or "", asked.target.path

    def fits(route: Place) -> bool:
        host = route.host
        below = host is not None and host.startswith("*.") and name.endswith(host[1:])
        prefix = route.path.rstrip("/")
        return (
            (host is None or host == name or below)
            and (path == prefix or path.startswith(prefix + "/"))
            and all(value in asked.headers.get_all(key) for key, value in route.headers.items())
            and (route.condition is None or route.condition(asked))
        )

    def rank(route: Place) -> tuple[bool, bool, int, int, int, bool]:
        host = route.host or ""
        exact = bool(host) and not host.startswith("*.")
        return (
            exact,
            bool(host),
            0 if exact else len(host),
            len(route.path.rstrip("/")),
            len(route.headers),
            route.condition is not None,
        )

    # Of equals, `max` takes the first.
    return max(filter(fits, routes), key=rank, default=None)


hosts = st.sampled_from([None, "example.com", "*.example.com", "a.example.com"])
paths = st.sampled_from(["/", "/a", "/a/", "/a/b"])
headers = st.dictionaries(st.sampled_from(["X", "Y"]), st.sampled_from(["1", "2"]), max_size=2)
conditions = st.sampled_from([None, asks_for_x])
fields = st.lists(st.tuples(st.sampled_from(["x", "Y"]), st.sampled_from(["1", "2", "3"])), max_size=3)


@given(
    st.lists(st.builds(Place, hosts, paths, headers, conditions), max_size=8),
    st.sampled_from(["example.com", "a.example.com", "b.a.example.com", "other.org"]),
    st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/ab"]),
    fields,
)
def test_the_route_is_the_best_of_those_that_fit(routes, host, path, fields):
    asked = facts(host, path, *fields)
    assert RouteTable(routes).find(asked) is model(routes, asked)


def test_a_condition_is_asked_only_where_nothing_better_fits():
    def never(asked: UpgradeFacts) -> bool:
        raise AssertionError(asked)

    better = Place(None, "/a")
    assert RouteTable((Place(None, condition=never), better)).find(facts("x", "/a")) is better


def test_nowhere():
    assert RouteTable(()).find(facts("example.com", "/")) is None
    routes = (Place("other.org"), Place("*.other.org"), Place(None, "/x"))
    assert RouteTable(routes).find(facts("example.com", "/")) is None
