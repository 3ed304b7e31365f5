"""Connections for trio: `async with connect(uri)` for a client, `async with serve(...)` for a server.

It needs the extra `edgews[trio]`. The names are those of the `websockets` package.
"""

from __future__ import annotations

from edgews.outcomes import ConnectionClosed, InvalidHandshake

from .client import connect
from .server import serve
from .websocket import WebSocket

__all__ = ["ConnectionClosed", "InvalidHandshake", "WebSocket", "connect", "serve"]
