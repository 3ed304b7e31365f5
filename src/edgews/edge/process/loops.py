"""Which event loop a gateway runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory(wish: str) -> tuple[str, Callable[[], asyncio.AbstractEventLoop]] | None:
    """Return what the loop is called, and what makes one; None if the wish cannot be met.

    Args:
        wish: "asyncio", "uvloop", or "auto" for the latter where it is installed.
    """
    if wish != "asyncio":
        try:
            import uvloop
        except ImportError:
            if wish == "uvloop":
                return None
        else:
            return "asyncio on uvloop", uvloop.new_event_loop
    return "asyncio", asyncio.new_event_loop
