"""Tasks that wait for the Pongs of their Pings."""

from __future__ import annotations

import asyncio

from edgews.session import Session


class Pings:
    """Whom to wake when a Pong comes; a connection has it from its first Ping on."""

    __slots__ = ("_loop", "_session", "_waiting")

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        # Payload -> who waits.
        self._waiting: dict[bytes, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, payload: bytes) -> None:
        """Let somebody wait for the Pong of a Ping that goes out now."""
        self._waiting[payload] = self._loop.create_future()

    async def answered(self, payload: bytes) -> bool:
        """Wait for the Pong or the end; say whether the Pong came."""
        try:
            if self._session.closed is None:
                await self._waiting[payload]
            return self._session.pings[payload]
        finally:
            del self._waiting[payload], self._session.pings[payload]

    def look(self) -> None:
        """Wake whose Pong has come, and everybody at the end."""
        ended = self._session.closed is not None
        for payload, pinger in self._waiting.items():
            if not pinger.done() and (ended or self._session.pings[payload]):
                pinger.set_result(None)

    def give_up(self) -> None:
        """Wake everybody: the end may stand behind messages, and no Pong comes any more."""
        for pinger in self._waiting.values():
            if not pinger.done():
                pinger.set_result(None)
