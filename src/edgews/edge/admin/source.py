"""What the admin address asks: one gateway in this process, or a supervisor that asks several."""

from __future__ import annotations

from typing import Any, Protocol

from edgews.edge.analytics.listing import View


class Source(Protocol):
    """All answers are plain values that JSON knows."""

    async def report(self) -> dict[str, Any]:
        """Return what was counted."""

    async def connections(self, view: View) -> list[dict[str, Any]]:
        """Return open connections, as somebody wants to see them."""

    async def close(self, ray: str, code: int, reason: str) -> bool:
        """End a connection; say whether it was there.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
        """

    async def trace(self, ray: str) -> dict[str, Any] | None:
        """Return what became of a request, None if it is unknown or forgotten."""

    async def reload(self) -> list[str]:
        """Read the configuration again; return what is wrong with it."""
