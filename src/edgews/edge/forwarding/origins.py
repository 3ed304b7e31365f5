"""Where origins are, and which of them is asked next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgews.errors import InvalidValueError
from edgews.uri import parse_uri

from .health import PASSIVE, Health, Plan


@dataclass(slots=True, eq=False)
class Origin:
    """A WebSocket server behind the gateway.

    Attributes:
        text: as it was configured.
        host, port: where it listens, or
        path: of its Unix socket.
        secure: whether it is reached through TLS.
        active: how many connections it has, those being opened among them.
        health: what is known of it.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str | None = None
    secure: bool = False
    active: int = field(default=0, kw_only=True)
    health: Health = field(default_factory=Health, kw_only=True)

    @property
    def authority(self) -> str:
        """Host and port, as they stand in a URI."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_origin(text: str) -> Origin:
    """Parse `ws://host:port`, `wss://host:port` or `unix:/path`.

    Raises:
        ValueError: it is none of them, or has a path, a query or a password, which belong to the request.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("a Unix socket as unix:/path")
        return Origin(text, path=path)
    try:
        uri = parse_uri(text)
    except InvalidValueError:
        raise ValueError("ws://host:port, wss://host:port or unix:/path") from None
    if uri.username is not None:
        raise ValueError("an origin without user and password")
    if uri.target != "/":
        raise ValueError("an origin without a path: the client's is passed on")
    return Origin(text, uri.host, uri.port, secure=uri.secure)


class Pool:
    """The origins of a route.

    Args:
        before: origins of the same route as it was; those that stay keep what is known of them.
        plan: how they are checked, None if only connections for clients count.
    """

    __slots__ = ("_turn", "origins", "plan")

    def __init__(
        self, origins: Sequence[Origin], *, before: Iterable[Origin] = (), plan: Plan | None = None
    ) -> None:
        known = {origin.text: origin for origin in before}
        self.origins = tuple(known.get(origin.text, origin) for origin in origins)
        self.plan = plan
        for origin in self.origins:
            origin.health.plan = PASSIVE if plan is None else plan
        self._turn = 0

    def candidates(self) -> list[Origin]:
        """Return the origins in the order in which to try them.

        Those that are up come first, among them those with the fewest connections, and among equals each in
        its turn. Those that are down come last: a check can be wrong, and so they are tried where nobody else
        is left.
        """
        if len(self.origins) == 1:
            return list(self.origins)
        turn = self._turn
        self._turn = (turn + 1) % len(self.origins)
        turned = self.origins[turn:] + self.origins[:turn]
        return sorted(turned, key=lambda origin: (not origin.health.up, origin.active))
