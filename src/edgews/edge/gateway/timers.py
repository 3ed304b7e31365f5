"""Timers that are cheap to set and to cancel: nearly all of a gateway's are cancelled before they are due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

# What the loop may be early: it counts milliseconds (seconds).
_TICK: Final = 0.001
# Cancelled ones that are not worth looking for.
_SPARE: Final = 64


class Timer:
    """One that is set; `callback` is None once it has fired or was cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback


class Timers:
    """All timers of a gateway, for which the loop needs one.

    Args:
        loop: whose clock counts.
    """

    __slots__ = ("_armed", "_cancelled", "_handle", "_heap", "_loop", "_numbers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # The number keeps equals in order, and timers from being compared.
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        # Of those in the heap, about how many were cancelled.
        self._cancelled = 0
        self._handle: asyncio.TimerHandle | None = None
        self._armed = math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def call_at(self, due: float, callback: Callable[[], object]) -> Timer:
        """Call back at a time of the loop's clock, or a little later, and never before."""
        timer = Timer(callback)
        heappush(self._heap, (due, next(self._numbers), timer))
        if due < self._armed:
            self._arm(due)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Do not call back; one that has fired is none any more."""
        if timer.callback is None:
            return
        timer.callback = None
        self._cancelled += 1
        if self._cancelled > _SPARE + len(self._heap) // 2:
            self._heap = [one for one in self._heap if one[2].callback is not None]
            heapify(self._heap)
            self._cancelled = 0

    def close(self) -> None:
        """Call nobody back any more."""
        self._heap.clear()
        self._arm(math.inf)

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed = due
        if due < math.inf:
            self._handle = self._loop.call_at(due + _TICK, self._fire)

    def _fire(self) -> None:
        self._handle = None
        # Whoever sets one now need not arm.
        self._armed = -math.inf
        heap, now = self._heap, self._loop.time()
        due: list[Timer] = []
        while heap and (heap[0][0] <= now or heap[0][2].callback is None):
            due.append(heappop(heap)[2])
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback()
            except Exception as error:
                self._loop.call_exception_handler({"message": "a timer failed", "exception": error})
        self._arm(self._heap[0][0] if self._heap else math.inf)
