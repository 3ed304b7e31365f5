"""Blocking connections: `connect` for a client, `serve` for a server with a thread for each connection.

The names are those of the `websockets` package. Each connection has a thread of its own beside the caller's,
which reads, answers Pings and keeps the timers while the application does something else.
"""

from __future__ import annotations

from edgews.attempts import Attempt
from edgews.backoff import Backoff
from edgews.broadcasting import broadcast
from edgews.outcomes import ConnectionClosed, InvalidHandshake, MissingExtraError, ProxyError

from .client import connect
from .reconnect import reconnect
from .server import Server, serve
from .websocket import WebSocket

__all__ = [
    "Attempt",
    "Backoff",
    "ConnectionClosed",
    "InvalidHandshake",
    "MissingExtraError",
    "ProxyError",
    "Server",
    "WebSocket",
    "broadcast",
    "connect",
    "reconnect",
    "serve",
]
