"""Connecting again and again."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable
from types import TracebackType
from typing import Unpack

import trio

from edgews.attempts import Attempt, Attempts
from edgews.backoff import DEFAULT_BACKOFF, Backoff
from edgews.requests import ClientArguments, check_lasting
from edgews.uri import URI

from .blocks import leave
from .client import connect
from .connections import Connections
from .websocket import WebSocket


class Arguments(ClientArguments, total=False):
    """What `reconnect` hands on to `connect`."""

    ssl: tls.SSLContext | None
    server_hostname: str | None


class reconnect:
    """Connect to a server again and again, in a block that ends the last connection in time.

        async with reconnect(uri) as connections:
            async for ws in connections:
                ...

    A connection ends where its turn of the loop does, and the next attempt comes after a wait. What the turn
    raises ends the loop, `ConnectionClosed` too unless it is caught inside. A connection whose loop was left
    stays open until the end of the block, which has its tasks.

    Args:
        uri: as for `connect`, and so are all that are not named here.
        backoff: how long to wait.
        on_attempt: called before each wait; what it raises ends the loop.

    Raises:
        Exception: what `connect` raises, from the loop, when it would be the same again: an answer that says
            so, a certificate. After failures of the network, time-outs, and the answers 408, 425, 429 and 5xx
            it tries again, not before the time that Retry-After asks for.
    """

    def __init__(
        self,
        uri: str | URI,
        *,
        backoff: Backoff = DEFAULT_BACKOFF,
        on_attempt: Callable[[Attempt], object] | None = None,
        **arguments: Unpack[Arguments],
    ) -> None:
        check_lasting(arguments)
        opening = connect(uri, **arguments)
        self._connections = Connections(opening._connect, Attempts(backoff, on_attempt))
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> reconnect:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._nursery = None
        await leave(self._manager, error, self._connections.leave(error))

    def __aiter__(self) -> reconnect:
        return self

    async def __anext__(self) -> WebSocket:
        if self._nursery is None:
            raise RuntimeError("the loop stands in a block: async with reconnect(...) as connections")
        return await self._connections.next(self._nursery)
