"""Waking one task without a turn of the loop.

A future tells its task at the loop's next turn, which costs about as much as reading and answering a short
message. What arrives is given by the loop while no task runs, so the task that waits for it can go on there
and then; and what it sends before it waits again can go out in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """A future for one task at a time, used again and again; asyncio knows it by its first slot."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._cancelled = False
        # Whether a task waits that was not woken yet.
        self.waiting = False

    def __await__(self) -> Generator[Waiter, None, None]:
        self._cancelled = False
        self._asyncio_future_blocking = self.waiting = True
        # Where this goes on, the task has asked for the result, and has thrown what that raised.
        yield self

    def wake_now(self) -> None:
        """Let the task go on, if one waits: at once where no task runs, else at the loop's next turn."""
        if asyncio.current_task(self._loop) is not None:
            self.wake_soon()
        elif self.waiting:
            self.waiting = False
            assert self._callback is not None
            assert self._context is not None
            self._context.run(self._callback, self)

    def wake_soon(self) -> None:
        """Let the task go on at the loop's next turn, if one waits."""
        if self.waiting:
            self.waiting = False
            assert self._callback is not None
            self._loop.call_soon(self._callback, self, context=self._context)

    # What a task calls

    def add_done_callback(
        self, callback: Callable[[Waiter], object], *, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Waiter], object]) -> int:
        found = self.waiting and self._callback == callback
        if found:
            self.waiting = False
        return int(found)

    def cancel(self, msg: Any = None) -> bool:
        if not self.waiting:
            return False
        self._cancelled = True
        self.wake_soon()
        return True

    def done(self) -> bool:
        return not self.waiting

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError

    def exception(self) -> None:
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop
