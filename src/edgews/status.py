"""What may be asked of a connection, in every adapter alike."""

from __future__ import annotations

from typing import Final

from .client import ClientConnection
from .connection import Statistics
from .events import Disconnected, Request, Response
from .server import ServerConnection
from .session import Session

# So much of a path is shown (characters).
_SHOWN: Final = 60


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."


class Status:
    """The part of a `WebSocket` that only looks; an adapter's class brings what it looks at."""

    __slots__ = ()

    _conn: ServerConnection | ClientConnection
    _session: Session

    def __repr__(self) -> str:
        # For logs: the side, the path without its query, which may be secret, and how it stands.
        side = "client" if isinstance(self._conn, ClientConnection) else "server"
        request = self._session.request
        path = "" if request is None else f" of {_short(request.path)}"
        end = self._session.closed
        stands = self._conn.state.value if end is None else f"closed with {end.code}"
        return f"<{type(self).__name__}: {side}{path}, {stands}>"

    @property
    def request(self) -> Request:
        """The opening handshake's request."""
        assert self._session.request is not None
        return self._session.request

    @property
    def response(self) -> Response | None:
        """The server's answer, for a client."""
        return self._session.response

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed, None for none."""
        return self._conn.subprotocol

    @property
    def closed(self) -> Disconnected | None:
        """How the connection ended, None as long as it has not, or not everything in front was received."""
        return self._session.closed

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered Ping and its Pong, None before the first.

        When the Pong came while the application was busy with a message, it is up to a second too much.
        """
        return self._conn.latency

    @property
    def stats(self) -> Statistics:
        """How many messages, bytes, Pings and Pongs have gone each way."""
        return self._conn.stats
