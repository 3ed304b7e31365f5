"""WebSocket connections for uvicorn: `uvicorn --ws edgews.compat.uvicorn:EdgewsProtocol app:app`.

uvicorn parses the request, sees that it asks for an upgrade, and hands over the byte stream, with the request
on it once more. There is one task for each connection, the application's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar, Final

from edgews.asyncio import WebSocket
from edgews.extensions import PerMessageDeflate
from edgews.limits import Limits, Timeouts
from edgews.server import ServerConnection
from edgews.session import HIGH_WATER, MESSAGE_COST

from .asgi import SPEC_VERSION, ASGIWebSocket, request_scope

try:
    from uvicorn.config import Config
    from uvicorn.protocols.utils import (
        ClientDisconnected,
        get_client_addr,
        get_local_addr,
        get_path_with_query_string,
        get_remote_addr,
        is_ssl,
    )
    from uvicorn.server import ServerState
except ImportError as error:
    raise ImportError(
        "edgews.compat.uvicorn needs uvicorn, which edgews does not install: pip install uvicorn"
    ) from error

__all__ = ["EdgewsProtocol"]

_COMPRESSION: Final = PerMessageDeflate()

# uvicorn has read and checked the request, within its own limits; so these only have to be as wide.
_HEAD_SIZE: Final = 1 << 20
_HEAD_FIELDS: Final = 1000


@lru_cache
def _costs(
    max_size: int, close: float, ping_interval: float | None, ping_timeout: float | None
) -> tuple[Limits, Timeouts]:
    """Return what a connection may cost, once for all that are configured alike."""
    limits = Limits(max_message_size=max_size, max_header_size=_HEAD_SIZE, max_header_count=_HEAD_FIELDS)
    # The application may take its time to answer, as it may under uvicorn's own classes.
    timeouts = Timeouts(
        open=None, close=close, ping_interval=ping_interval or None, ping_timeout=ping_timeout or None
    )
    return limits, timeouts


class EdgewsProtocol(ASGIWebSocket):
    """A connection with an ASGI application behind it; uvicorn makes it.

    Messages wait in the session's inbox. When it holds `ws_max_queue` of them, or 128 KiB, reading stops.

    Args:
        config, server_state, app_state: what uvicorn gives to its protocols.

    Attributes:
        close_timeout: seconds for the client to answer our Close and to end its byte stream; uvicorn has no
            option for it, but a derived class may set another time.
    """

    __slots__ = ("_config", "_connections", "_noted", "_scope", "_server", "_state")

    close_timeout: ClassVar[float] = 10.0
    gone_error = ClientDisconnected
    log = logging.getLogger("uvicorn.error")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        limits, timeouts = _costs(
            config.ws_max_size, self.close_timeout, config.ws_ping_interval, config.ws_ping_timeout
        )
        compression = _COMPRESSION if config.ws_per_message_deflate else None
        conn = ServerConnection(limits=limits, timeouts=timeouts, compression=compression)
        super().__init__(conn, _loop or asyncio.get_running_loop(), self)
        if config.ws_max_queue:
            # Rounded up, so that not one more fits.
            self._session.message_cost = max(MESSAGE_COST, -(-HIGH_WATER // config.ws_max_queue))
        self._config = config
        self._server = server_state
        # Typed as those of uvicorn's own classes alone.
        self._connections: set[Any] = server_state.connections
        self._state = app_state
        self._scope: Any = None
        # Whether the end is in the log.
        self._noted = False

    def shutdown(self) -> None:
        """Close with 1012, or answer a request that still waits with 503; uvicorn calls it when it ends."""
        self._shut()

    # The owner of a connection, which is the connection itself

    def came(self, ws: WebSocket) -> None:
        """Let uvicorn know the connection."""
        self._connections.add(self)

    def asked(self, ws: WebSocket) -> None:
        """Start the application, if there is a request for it."""
        transport = self._transport
        if self.closed is not None or transport is None:
            return
        self._scope = request_scope(self.request, self._config.root_path) | {
            "asgi": {"version": self._config.asgi_version, "spec_version": SPEC_VERSION},
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "state": self._state.copy(),
        }
        self._task = self._loop.create_task(self._run(self._config.loaded_app, self._scope))
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._done)

    def gone(self, ws: WebSocket) -> None:
        """Let uvicorn forget the connection."""
        self._connections.discard(self)
        self._note_end()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        self._note_end()

    # What uvicorn adds

    def _added_fields(self) -> Iterable[tuple[bytes, bytes]]:
        return self._server.default_headers

    def _note_end(self) -> None:
        """Write down how the connection ended, once that is known: messages in front of it may still wait."""
        closed = self.closed
        if closed is not None and self._transport is None and self._session.opened and not self._noted:
            self._noted = True
            self._note("[closed %s]", closed.code if closed.clean else f"{closed.code}, {closed.cause}")

    def _note(self, what: str, *values: object) -> None:
        if self.log.isEnabledFor(logging.INFO):
            path = get_path_with_query_string(self._scope)
            self.log.info('%s - "WebSocket %s" ' + what, get_client_addr(self._scope), path, *values)
