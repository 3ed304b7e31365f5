"""Waiting until a peer has read."""

from __future__ import annotations

import asyncio


class Room:
    """Whether a transport takes any more; tasks wait for it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()

    def set(self, has: bool) -> None:
        """Say whether there is room."""
        if has:
            self._event.set()
        else:
            self._event.clear()

    async def wait(self) -> None:
        """Wait until there is some."""
        await self._event.wait()
