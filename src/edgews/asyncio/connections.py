"""One connection after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from edgews.attempts import Attempts

from .websocket import WebSocket


class Connections:
    """The connections of one loop, each of which ends before the next begins.

    Args:
        connect: opens one.
        attempts: decides when, and whether.
    """

    def __init__(self, connect: Callable[[], Awaitable[WebSocket]], attempts: Attempts) -> None:
        self._connect = connect
        self._attempts = attempts
        self._ws: WebSocket | None = None

    async def next(self) -> WebSocket:
        """Return the next connection, after the wait that is due."""
        loop = asyncio.get_running_loop()
        if self._ws is not None:
            await self.leave(None)
            await asyncio.sleep(self._attempts.ended(loop.time()))
        while True:
            try:
                self._ws = await self._connect()
            except Exception as error:
                await asyncio.sleep(self._attempts.failed(error, time.time()))
            else:
                self._attempts.opened(loop.time())
                return self._ws

    async def leave(self, error: BaseException | None) -> None:
        """Close the last connection; drop it if there is no time for that."""
        ws, self._ws = self._ws, None
        if ws is not None:
            try:
                await ws.__aexit__(None if error is None else type(error), error, None)
            except BaseException:
                ws._abort()
                raise
