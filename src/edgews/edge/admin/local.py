"""The gateway of this process, as the admin address sees it."""

from __future__ import annotations

import time
from typing import Any

from edgews.edge.analytics.listing import View
from edgews.edge.gateway.observer import subject
from edgews.edge.gateway.proxied import Proxied
from edgews.edge.gateway.server import Gateway
from edgews.edge.relay.ends import Why


class Local:
    """Answer for one gateway; see `answers`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def answer(self, question: str, values: dict[str, Any]) -> Any:
        """Answer a question.

        Raises:
            ValueError: nothing that is known here.
        """
        match question:
            case "report":
                return self._gateway.observer.report()
            case "connections":
                return self._connections(View(**values))
            case "close":
                return self._close(**values)
            case "trace":
                return self._trace(**values)
            case _:
                raise ValueError(f"no such question: {question}")

    def _connections(self, view: View) -> list[dict[str, Any]]:
        now = self._gateway.loop.time()
        return view.arrange(_row(one, now) for one in self._gateway.connections if one.tunnel is not None)

    def _close(self, ray: str, code: int, reason: str) -> bool:
        proxied = self._find(ray)
        if proxied is None:
            return False
        proxied.finish(code, reason, Why.OPERATOR)
        return True

    def _trace(self, ray: str) -> dict[str, Any] | None:
        proxied = self._find(ray)
        if proxied is None:
            return self._gateway.observer.tally.trace(ray)
        now = self._gateway.loop.time()
        if proxied.tunnel is None:
            waited = now - proxied.started
            return subject(proxied).record("opening", time.time() - waited) | {"duration": waited}
        return _row(proxied, now)

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
