"""Which route a request takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeAlias, TypeVar

from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.normalize import is_under
from edgews.headers import Headers

Condition: TypeAlias = Callable[[UpgradeFacts], bool]


class HasPlace(Protocol):
    """What a route says of the requests that are its own.

    Attributes:
        host: a name in lower case, `*.` and a name for all names below it, or None for every host.
        path: the beginning of the path, in whole segments.
        headers: fields that the request must have, with just these values.
        condition: what else must hold, None for nothing.
    """

    @property
    def host(self) -> str | None: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def condition(self) -> Condition | None: ...


R = TypeVar("R", bound=HasPlace)


class RouteTable(Generic[R]):
    """Routes, in the order in which they are asked about a request.

    Of those that fit, the one with the most exact host is taken; among them the one with the longest path,
    then the one that asks for most header fields, then one with a condition in front of one without, and then
    the first.
    """

    __slots__ = ("_places",)

    def __init__(self, routes: Iterable[R]) -> None:
        places = [(route.host, route.path.rstrip("/") or "/", route) for route in routes]
        # It keeps the order of equals.
        self._places = sorted(places, key=lambda place: _rank(*place), reverse=True)

    def find(self, facts: UpgradeFacts) -> R | None:
        """Return the route of a request; None if there is none."""
        name, path = facts.host, facts.target.path
        for pattern, prefix, route in self._places:
            if (
                (pattern is None or _fits(pattern, name))
                and is_under(path, prefix)
                and (not route.headers or _has(route.headers, facts.headers))
                and (route.condition is None or route.condition(facts))
            ):
                return route
        return None


def _rank(pattern: str | None, prefix: str, route: HasPlace) -> tuple[int, ...]:
    exactness = (0, 0) if pattern is None else (1, len(pattern)) if pattern.startswith("*.") else (2, 0)
    return (*exactness, len(prefix), len(route.headers), route.condition is not None)


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) >= len(pattern)
    return pattern == name


def _has(wanted: Mapping[str, str], headers: Headers) -> bool:
    """Say whether all fields are there; of several of a name, one has to have the value."""
    return all(value in headers.get_all(name) for name, value in wanted.items())
