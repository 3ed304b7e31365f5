"""Where origins are, and which of them is asked next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgews.errors import InvalidValueError
from edgews.uri import parse_uri


@dataclass(slots=True, eq=False)
class Origin:
    """A WebSocket server behind the gateway.

    Attributes:
        text: as it was configured.
        host, port: where it listens, or
        path: of its Unix socket.
        secure: whether it is reached through TLS.
        active: how many connections it has, those being opened among them.
        failures: how many times in a row it could not be reached.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str | None = None
    secure: bool = False
    active: int = field(default=0, kw_only=True)
    failures: int = field(default=0, kw_only=True)


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
    """The origins of a route."""

    __slots__ = ("_turn", "origins")

    def __init__(self, origins: Sequence[Origin]) -> None:
        self.origins = tuple(origins)
        self._turn = 0

    def candidates(self) -> list[Origin]:
        """Return the origins in the order in which to try them.

        Those that could be reached last time come first, among them those with the fewest connections, and
        among equals each in its turn.
        """
        turn = self._turn
        self._turn = (turn + 1) % len(self.origins)
        turned = self.origins[turn:] + self.origins[:turn]
        return sorted(turned, key=lambda origin: (origin.failures > 0, origin.active))
