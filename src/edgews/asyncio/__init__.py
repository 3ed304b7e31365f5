"""Connections for asyncio, on its own loop and on uvloop: `connect` for a client, `serve` for a server.

The names are those of the `websockets` package.
"""

from __future__ import annotations

from edgews.outcomes import ConnectionClosed, InvalidHandshake

from .broadcast import broadcast
from .client import connect
from .protocol import WebSocketProtocol
from .server import Server, serve
from .websocket import WebSocket

__all__ = [
    "ConnectionClosed",
    "InvalidHandshake",
    "Server",
    "WebSocket",
    "WebSocketProtocol",
    "broadcast",
    "connect",
    "serve",
]
