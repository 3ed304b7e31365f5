"""The gateway of this process, as the admin address sees it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from edgews.edge.analytics.listing import View
from edgews.edge.gateway.observer import subject
from edgews.edge.gateway.proxied import Proxied
from edgews.edge.gateway.server import Gateway
from edgews.edge.relay.ends import Why
from edgews.frames import encode_close


class Local:
    """Ask one gateway.

    Args:
        reload: reads the configuration again, and returns what is wrong with it.
    """

    def __init__(self, gateway: Gateway, reload: Callable[[], Awaitable[list[str]]]) -> None:
        self._gateway = gateway
        self._reload = reload

    async def report(self) -> dict[str, Any]:
        """Return what was counted."""
        return self._gateway.observer.report()

    async def connections(self, view: View) -> list[dict[str, Any]]:
        """Return open connections, as somebody wants to see them."""
        now = self._gateway.loop.time()
        return view.arrange(_row(one, now) for one in self._gateway.connections if one.tunnel is not None)

    async def close(self, ray: str, code: int, reason: str) -> bool:
        """End a connection; say whether it was there.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
        """
        encode_close(code, reason)
        proxied = self._find(ray)
        if proxied is None:
            return False
        proxied.finish(code, reason, Why.OPERATOR)
        return True

    async def trace(self, ray: str) -> dict[str, Any] | None:
        """Return what became of a request, None if it is unknown or forgotten."""
        proxied = self._find(ray)
        if proxied is None:
            return self._gateway.observer.tally.trace(ray)
        now = self._gateway.loop.time()
        if proxied.tunnel is None:
            begun = time.time() - (now - proxied.started)
            return subject(proxied).record("opening", begun) | {"duration": now - proxied.started}
        return _row(proxied, now)

    async def reload(self) -> list[str]:
        """Read the configuration again; return what is wrong with it."""
        return await self._reload()

    def _find(self, ray: str) -> Proxied | None:
        return next((one for one in self._gateway.connections if one.ray == ray), None)


def _row(proxied: Proxied, now: float) -> dict[str, Any]:
    """Return what is told of an open connection."""
    tunnel = proxied.tunnel
    assert tunnel is not None
    up, down = tunnel.client.scanner, tunnel.origin.scanner
    age = now - proxied.opened
    return subject(proxied).record("open", time.time() - age) | {
        "age": round(age, 3),
        "secure": proxied.secure,
        "closing": tunnel.end is not None,
        "messages_up": up.messages,
        "messages_down": down.messages,
        "bytes_up": up.size,
        "bytes_down": down.size,
        "ping": tunnel.client.latency,
        "ping_origin": tunnel.origin.latency,
    }
