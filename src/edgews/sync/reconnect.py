"""Connecting again and again."""

from __future__ import annotations

import ssl as tls
import time
from collections.abc import Callable
from types import TracebackType
from typing import Unpack

from edgews.attempts import Attempt, Attempts
from edgews.backoff import DEFAULT_BACKOFF, Backoff
from edgews.requests import ClientArguments, check_lasting
from edgews.uri import URI

from .client import Opening
from .websocket import WebSocket


class Arguments(ClientArguments, total=False):
    """What `reconnect` hands on to `connect`."""

    ssl: tls.SSLContext | None
    server_hostname: str | None


class reconnect:
    """Connect to a server again and again, in a block that ends the last connection in time.

        with reconnect(uri) as connections:
            for ws in connections:
                ...

    A connection ends where its turn of the loop does, and the next attempt comes after a wait. What the turn
    raises ends the loop, `ConnectionClosed` too unless it is caught inside. A connection whose loop was left
    stays open until the end of the block.

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
        self._opening = Opening(uri, **arguments)
        self._attempts = Attempts(backoff, on_attempt)
        self._entered = False
        self._ws: WebSocket | None = None

    def __enter__(self) -> reconnect:
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ws, self._ws, self._entered = self._ws, None, False
        if ws is not None:
            ws.__exit__(kind, error, trace)

    def __iter__(self) -> reconnect:
        return self

    def __next__(self) -> WebSocket:
        if not self._entered:
            raise RuntimeError("the loop stands in a block: with reconnect(...) as connections")
        if self._ws is not None:
            self._ws.close()
            self._ws = None
            time.sleep(self._attempts.ended(time.monotonic()))
        while True:
            try:
                self._ws = self._opening.open()
            except Exception as error:
                time.sleep(self._attempts.failed(error, time.time()))
            else:
                self._attempts.opened(time.monotonic())
                return self._ws
