"""What the servers of all adapters are told, and how they answer a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .arguments import check_callable, check_names, check_seconds, check_size, wrong
from .events import Delivery, Request, Response
from .extensions import PerMessageDeflate
from .handshake import check_subprotocols, choose_subprotocol
from .headers import Headers
from .limits import Limits, Timeouts
from .server import ServerConnection

# With as many connections as the server takes; a client that waits so many seconds may find room.
TOO_MANY: Final = Response(503, Headers({"Retry-After": "5"}), b"too many connections\n")

# What decides about requests has failed.
FAILED: Final = Response(500, Headers(), b"Internal Server Error\n")


@dataclass(slots=True, frozen=True, kw_only=True)
class ServerOptions:
    """The arguments of `serve` that are the same everywhere.

    Attributes:
        process_request: called with each HTTP request; a `Response` is sent instead of opening the
            connection.
        subprotocols: those that the server speaks; the client's first choice among them is taken.
        select_subprotocol: chooses from the request instead.
        origins: the origins that are let in; None in it stands for a request without an Origin field,
            None instead of it lets everyone in.
        compression: the wish for permessage-deflate, None for none.
        delivery: in which pieces messages come.
        limits: sizes in bytes.
        timeouts: times in seconds.
        max_connections: how many there may be at a time.
    """

    process_request: Callable[[Request], Any] | None
    subprotocols: Sequence[str]
    select_subprotocol: Callable[[Request], str | None] | None
    origins: Sequence[str | None] | None
    compression: PerMessageDeflate | None
    delivery: Delivery
    limits: Limits
    timeouts: Timeouts
    max_connections: int

    def __post_init__(self) -> None:
        check_callable("process_request", self.process_request)
        check_callable("select_subprotocol", self.select_subprotocol)
        check_names("subprotocols", self.subprotocols)
        check_subprotocols(self.subprotocols)
        check_size("max_connections", self.max_connections, 1)
        # What is wrong with the others shows here, and not when somebody comes.
        self.connection()

    def connection(self) -> ServerConnection:
        """Return the engine's side of a new connection."""
        return ServerConnection(
            limits=self.limits,
            timeouts=self.timeouts,
            delivery=self.delivery,
            compression=self.compression,
            origins=self.origins,
        )

    def choose(self, request: Request) -> str | None:
        """Return the subprotocol for a request, None for none."""
        if self.select_subprotocol is not None:
            return self.select_subprotocol(request)
        return choose_subprotocol(request, self.subprotocols)


def decided(response: object) -> Response | None:
    """Return what `process_request` has decided.

    Raises:
        TypeError: it is neither a response nor None.
    """
    if response is None or isinstance(response, Response):
        return response
    raise wrong("what process_request returns", "a Response or None", response)


def spread(count: int, seconds: float) -> Iterator[float]:
    """Yield when to close each of `count` connections, in seconds from now, so that clients come back evenly.

    The first is closed at once, and the last before the time is over.

    Raises:
        ValueError: `seconds` is negative or no finite number.
    """
    check_seconds("spread", seconds)
    return (seconds * number / count for number in range(count))
