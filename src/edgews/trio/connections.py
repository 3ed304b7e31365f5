"""One connection after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from edgews.attempts import Attempts

from .websocket import WebSocket

_log = logging.getLogger("edgews.trio")


class Connections:
    """The connections of one loop, each of which ends before the next begins.

    Args:
        connect: opens one, whose tasks run in a nursery.
        attempts: decides when, and whether.
    """

    def __init__(self, connect: Callable[[trio.Nursery], Awaitable[WebSocket]], attempts: Attempts) -> None:
        self._connect = connect
        self._attempts = attempts
        self._ws: WebSocket | None = None

    async def next(self, nursery: trio.Nursery) -> WebSocket:
        """Return the next connection, after the wait that is due."""
        if self._ws is not None:
            await self._ws.close()
            self._ws = None
            await trio.sleep(self._attempts.ended(trio.current_time()))
        while True:
            try:
                self._ws = await self._connect(nursery)
            except Exception as error:
                await trio.sleep(self._attempts.failed(error, time.time()))
            else:
                self._attempts.opened(trio.current_time())
                return self._ws

    async def leave(self, error: BaseException | None) -> None:
        """Close the last connection; drop it if there is no time for that."""
        ws, self._ws = self._ws, None
        if ws is not None:
            await ws._leave(error)


class Loop:
    """A loop that stands in no block, so that no nursery of the caller's could hold its connections.

    Nobody tells an iterator that its loop was left, but then nobody has it any more. An asynchronous
    generator would be ended by trio in that case, with a warning and without the time to close.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._keeper: _Keeper | None = None

    def __aiter__(self) -> Loop:
        return self

    async def __anext__(self) -> WebSocket:
        if self._keeper is None:
            self._keeper = _Keeper(self._connections)
            trio.lowlevel.spawn_system_task(self._keeper.run)
        await self._keeper.ready.wait()
        return await self._connections.next(self._keeper.nursery)

    def __del__(self) -> None:
        # On whatever thread, and with no run any more or another one.
        if self._keeper is not None:
            with suppress(trio.RunFinishedError):
                self._keeper.token.run_sync_soon(self._keeper.over.set)


class _Keeper:
    """The task that has the connections of a loop; it does not know the loop, which would live as long.

    Attributes:
        ready: there is a nursery.
        over: to be set when the loop was left.
    """

    nursery: trio.Nursery

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.token = trio.lowlevel.current_trio_token()
        self.ready = trio.Event()
        self.over = trio.Event()

    async def run(self) -> None:
        """Keep the nursery until the loop is left, or the run ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep)
            try:
                await self.over.wait()
            finally:
                self.over.set()

    async def _keep(self) -> None:
        try:
            # A run that ends waits until its connections are closed, as at the end of a block.
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as self.nursery:
                    self.ready.set()
                    await self.over.wait()
                    await self._connections.leave(None)
        except Exception:
            # From a system task it would end the run.
            _log.exception("a connection has failed")
