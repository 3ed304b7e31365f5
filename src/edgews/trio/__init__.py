"""Connections for trio: `async with connect(uri)` for a client, `async with serve(...)` for a server.

It needs the extra `edgews[trio]`. The names are those of the `websockets` package.
"""

from __future__ import annotations

from edgews.attempts import Attempt
from edgews.backoff import Backoff
from edgews.broadcasting import broadcast
from edgews.outcomes import ConnectionClosed, InvalidHandshake, MissingExtraError, ProxyError

from .client import connect
from .reconnect import reconnect
from .server import serve
from .websocket import WebSocket

__all__ = [
    "Attempt",
    "Backoff",
    "ConnectionClosed",
    "InvalidHandshake",
    "MissingExtraError",
    "ProxyError",
    "WebSocket",
    "broadcast",
    "connect",
    "reconnect",
    "serve",
]
