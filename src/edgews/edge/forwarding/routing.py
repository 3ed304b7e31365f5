"""Which route a request takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from edgews.edge.policy.normalize import host_name, is_under


class HasPlace(Protocol):
    """What a route says of where it begins.

    Attributes:
        host: a name in lower case, `*.` and a name for all names below it, or None for every host.
        path: the beginning of the path, in whole segments.
    """

    host: str | None
    path: str


R = TypeVar("R", bound=HasPlace)


def find(routes: Iterable[R], host: str, path: str) -> R | None:
    """Return the route with the most exact host and, among them, the longest path; None if there is none.

    Args:
        host: as in the Host field, with or without a port.
        path: of the request, normalised.
    """
    name = host_name(host)
    best: R | None = None
    rank = (-1, -1, -1)
    for route in routes:
        exactness = _exactness(route.host, name)
        if exactness is not None and is_under(path, prefix := route.path.rstrip("/") or "/"):
            found = (*exactness, len(prefix))
            if found > rank:
                best, rank = route, found
    return best


def _exactness(pattern: str | None, name: str) -> tuple[int, int] | None:
    if pattern is None:
        return 0, 0
    if pattern.startswith("*."):
        return (1, len(pattern)) if name.endswith(pattern[1:]) and len(name) >= len(pattern) else None
    return (2, 0) if pattern == name else None
