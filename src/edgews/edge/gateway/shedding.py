"""Who has to go when there have been too many connections for too long: those that say the least.

While there is no excess nothing is done, and a byte costs nothing at any time: during one, counters that the
scanners keep anyhow are compared with what they were at the last look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Final, cast

from edgews.edge.policy.connlimit import ConnectionLimiter
from edgews.edge.relay.ends import Why

if TYPE_CHECKING:
    from .proxied import Proxied
    from .server import Gateway

# From the beginning of an excess until it is shed, it is looked so often.
_LOOKS: Final = 4
# Seconds between two looks, at least.
_PAUSE: Final = 0.05
# How often to see what connections that came to other processes have brought about (seconds).
HEED_INTERVAL: Final = 1.0
# Connections that are looked at before others have their turn.
_SLICE: Final = 1000


class Shedding:
    """Looks at connections while there is an excess, and ends the idlest when it has lasted."""

    __slots__ = ("_connections", "_gateway", "_heeding", "_left", "_seen", "_timer")

    def __init__(self, gateway: Gateway, connections: ConnectionLimiter) -> None:
        self._gateway = gateway
        self._connections = connections
        self._timer: asyncio.Handle | None = None
        # How many messages had passed at the last look, and since when it has been so many.
        self._seen: dict[Hashable, tuple[int, float]] = {}
        self._left: Iterator[Hashable] | None = None
        self._heeding: asyncio.TimerHandle | None = None
        if gateway.sharing is not None:
            self._heed()

    def check(self) -> None:
        """Begin to look if there is an excess now."""
        if self._timer is None and self._connections.next_shed() is not None:
            self._timer = self._gateway.loop.call_soon(self._look)

    def changed(self) -> None:
        """Look at once: the limits are others, and so is the time when somebody has to go."""
        self._stop()
        self._left = None
        self.check()

    def close(self) -> None:
        """Stop looking."""
        self._stop()
        if self._heeding is not None:
            self._heeding.cancel()

    def _heed(self) -> None:
        self._heeding = self._gateway.loop.call_later(HEED_INTERVAL, self._heed)
        self._connections.heed()
        self.check()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = self._gateway.loop
        now = loop.time()
        if self._left is None:
            self._left = iter(self._connections.excessive())
        for looked, connection in enumerate(self._left, 1):
            self._note(cast("Proxied", connection), now)
            if looked == _SLICE:
                self._timer = loop.call_soon(self._look)
                return
        self._left = None
        activity = {connection: since for connection, (_, since) in self._seen.items()}
        for shed in self._connections.shed(now, activity):
            cast("Proxied", shed.connection).finish(shed.code, shed.reason, Why.LIMIT)
        due = self._connections.next_shed()
        if due is None:
            self._timer = None
            self._seen.clear()
        else:
            wait = max((due - now) / _LOOKS, min(due - now, _PAUSE), 0.0)
            self._timer = loop.call_later(wait, self._look)

    def _note(self, proxied: Proxied, now: float) -> None:
        tunnel = proxied.tunnel
        messages = 0 if tunnel is None else tunnel.client.scanner.messages + tunnel.origin.scanner.messages
        seen = self._seen.get(proxied)
        if seen is None:
            # Before the first look nothing is known but when it opened.
            self._seen[proxied] = (messages, now if messages else proxied.opened)
        elif seen[0] != messages:
            self._seen[proxied] = (messages, now)
