from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.routing import find


@dataclass
class Place:
    host: str | None
    path: str = "/"


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
    assert find(ROUTES, host, path) == place
    assert find(ROUTES[::-1], host, path) == place


hosts = st.sampled_from([None, "example.com", "*.example.com", "a.example.com"])
paths = st.sampled_from(["/", "/a", "/a/", "/a/b"])


@given(st.lists(st.builds(Place, hosts, paths), max_size=6), st.permutations(range(6)))
def test_the_order_of_routes_does_not_matter(routes, order):
    # Two routes that say the same are refused before.
    routes = list({(route.host, route.path.rstrip("/")): route for route in routes}.values())
    shuffled = [routes[number] for number in order if number < len(routes)]
    for host in ("example.com", "a.example.com", "other.org"):
        for path in ("/", "/a", "/a/b", "/ab"):
            assert find(routes, host, path) == find(shuffled, host, path)


def test_nowhere():
    assert find((), "example.com", "/") is None
    assert find((Place("other.org"), Place("*.other.org"), Place(None, "/x")), "example.com", "/") is None
