"""Connections for asyncio, on its own loop and on uvloop: `connect` for a client, `serve` for a server.

The names are those of the `websockets` package.
"""

from __future__ import annotations

from edgews.attempts import Attempt
from edgews.backoff import Backoff
from edgews.broadcasting import broadcast
from edgews.outcomes import ConnectionClosed, InvalidHandshake, MissingExtraError, ProxyError

from .client import connect
from .protocol import WebSocketProtocol
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
    "WebSocketProtocol",
    "broadcast",
    "connect",
    "reconnect",
    "serve",
]
