"""Waking one task without a turn of the loop.

A future tells its task at the loop's next turn, which costs about as much as reading and answering a short
message. What arrives is given by the loop while no task runs, so the task that waits for it can go on there and
then; and what it sends before it waits again can go out in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """A future for one task at a time, used again and again; asyncio knows it by `_asyncio_future_blocking`."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._woken = False
        self._cancelled = False

    def __await__(self) -> Generator[Waiter, None, None]:
        self._woken = self._cancelled = False
        self._asyncio_future_blocking = True
        yield self
        self.result()

    @property
    def waiting(self) -> bool:
        """Whether a task waits that was not woken yet."""
        return self._callback is not None

    def wake_now(self) -> None:
        """Let the task go on, if one waits: at once where no task runs, else at the loop's next turn."""
        if asyncio.current_task(self._loop) is not None:
            self.wake_soon()
        elif (callback := self._callback) is not None:
            self._callback = None
            self._woken = True
            if self._context is None:
                callback(self)
            else:
                self._context.run(callback, self)

    def wake_soon(self) -> None:
        """Let the task go on at the loop's next turn, if one waits."""
        if (callback := self._callback) is not None:
            self._callback = None
            self._woken = True
            self._loop.call_soon(callback, self, context=self._context)

    # What a task calls

    def add_done_callback(
        self, callback: Callable[[Waiter], object], *, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Waiter], object]) -> int:
        found = self._callback == callback
        if found:
            self._callback = None
        return int(found)

    def cancel(self, msg: Any = None) -> bool:
        if self._callback is None:
            return False
        self._cancelled = True
        self.wake_soon()
        return True

    def done(self) -> bool:
        return self._woken

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError

    def exception(self) -> None:
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop
