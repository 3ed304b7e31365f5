"""Waiting for one socket, for a time, and for a call from another thread."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress

# One that needs no descriptor of its own, which there would be one of for each connection.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


# Seconds. Systems take no more than a month in milliseconds, and whoever waits looks again anyway.
_LONGEST = 86400.0


class Poller:
    """Wait until something happens; one thread waits, any thread may wake it."""

    __slots__ = ("_closed", "_interest", "_selector", "_sleeper", "_sock", "_waker")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._interest = 0
        self._closed = False
        self._selector = _Selector()
        self._sleeper, self._waker = socket.socketpair()
        self._sleeper.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._sleeper, selectors.EVENT_READ)

    def wait(self, *, read: bool, write: bool, timeout: float | None) -> None:
        """Return when the socket is ready, `timeout` seconds are over, or `wake` was called.

        Which of them it was is not said: the caller looks at everything anyway.
        """
        interest = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if interest != self._interest:
            # A socket that nobody asks about must not be there: a hang-up is reported unasked, for ever.
            if not interest:
                self._selector.unregister(self._sock)
            elif not self._interest:
                self._selector.register(self._sock, interest)
            else:
                self._selector.modify(self._sock, interest)
            self._interest = interest
        for key, _ in self._selector.select(None if timeout is None else min(timeout, _LONGEST)):
            if key.fileobj is self._sleeper:
                self._sleeper.recv(4096)

    def wake(self) -> None:
        """Let `wait` return, now or at its next call; not at the same time as `close`."""
        # It may be full of calls that were not heard yet.
        if not self._closed:
            with suppress(BlockingIOError):
                self._waker.send(b"\0")

    def close(self) -> None:
        """Give the descriptors back; the socket stays the caller's."""
        self._closed = True
        self._selector.close()
        self._sleeper.close()
        self._waker.close()
