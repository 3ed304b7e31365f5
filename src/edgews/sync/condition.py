"""Waiting under a lock, in a way that Ctrl-C does not break.

Where the handler of a signal raises within `threading.Condition.wait`, that may leave without the lock, and
the block around it then releases what another thread holds. And a block of `threading.Condition` itself may
leave the lock held. Here a lock is taken by `with` alone, which is one step for the interpreter, and it is
back in every case when waiting ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Condition:
    """Threads that wait for a change to what a lock guards.

    Args:
        lock: held by whoever calls anything here.
    """

    __slots__ = ("_lock", "_waiters")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        # Each is locked until it is notified.
        self._waiters: list[threading.Lock] = []

    def notify_all(self) -> None:
        """Let all that wait look again."""
        for waiter in self._waiters:
            if waiter.locked():
                waiter.release()
        self._waiters.clear()

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> bool:
        """Give up the lock until something holds; say whether it does.

        Args:
            predicate: called with the lock held, at the beginning and after each notification.
            timeout: seconds to wait; None waits for as long as it takes.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while not predicate():
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._wait(left)
        return True

    def _wait(self, timeout: float | None) -> None:
        waiter = threading.Lock()
        waiter.acquire()
        held: list[bool] = []
        again: BaseException | None = None
        self._waiters.append(waiter)
        # The interpreter looks for signals behind a call. So what raises below does so without the lock.
        try:
            self._lock.release()
            waiter.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        finally:
            while not held:
                try:
                    # Taken and noted in one call.
                    held.extend(map(self._lock.acquire, (True,)))
                except BaseException as error:
                    again = error
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            if again is not None:
                raise again
