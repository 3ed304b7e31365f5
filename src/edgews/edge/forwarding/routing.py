"""Which route a request takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias, TypeVar

from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.normalize import host_name, is_under
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


def find(routes: Iterable[R], facts: UpgradeFacts) -> R | None:
    """Return the route of a request; None if there is none.

    Of those that fit, the one with the most exact host is taken; among them the one with the longest path,
    then the one that asks for most header fields, then one with a condition in front of one without, and then
    the first.
    """
    name = host_name(facts.headers.get("Host") or "")
    path = facts.target.path
    fitting: list[tuple[tuple[int, ...], R]] = []
    for route in routes:
        exactness = _exactness(route.host, name)
        if exactness is not None and is_under(path, prefix := route.path.rstrip("/") or "/"):
            rank = (*exactness, len(prefix), len(route.headers), route.condition is not None)
            fitting.append((rank, route))
    # It keeps the order of equals, and a condition is asked only where nothing better fits.
    fitting.sort(key=lambda one: one[0], reverse=True)
    for _, route in fitting:
        if _has(route.headers, facts.headers) and (route.condition is None or route.condition(facts)):
            return route
    return None


def _has(wanted: Mapping[str, str], headers: Headers) -> bool:
    """Say whether all fields are there; of several of a name, one has to have the value."""
    return all(value in headers.get_all(name) for name, value in wanted.items())


def _exactness(pattern: str | None, name: str) -> tuple[int, int] | None:
    if pattern is None:
        return 0, 0
    if pattern.startswith("*."):
        return (1, len(pattern)) if name.endswith(pattern[1:]) and len(name) >= len(pattern) else None
    return (2, 0) if pattern == name else None
