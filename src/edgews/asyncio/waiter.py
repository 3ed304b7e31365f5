"""Waking one task without a turn of the loop.

A future tells its task at the loop's next turn, which costs about as much as reading and answering a short
message. What arrives is given by the loop while no task runs, so the task that waits for it can go on there
and then; and what it sends before it waits again can go out in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class Waiter:
    """A future for one task at a time, used again and again; asyncio knows it by its first slot."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        # Whether a task waits that was not woken yet.
        self.waiting = False

    def __await__(self) -> Any:
        self._asyncio_future_blocking = self.waiting = True
        # A generator, as the type should be, would take longer. Where this goes on, the task has asked for
        # the result, and has thrown what that raised.
        return iter((self,))

    def wake_now(self) -> None:
        """Let the task go on, if one waits: at once where no task runs, else at the loop's next turn."""
        if self.waiting:
            assert self._callback is not None
            assert self._context is not None
            self.waiting = False
            try:
                self._context.run(self._callback, self)
            except RuntimeError:
                # Another task runs, and asyncio has refused before anything happened. To ask for the running
                # task each time would take longer.
                self._wake_with(self)

    def wake_soon(self) -> None:
        """Let the task go on at the loop's next turn, if one waits."""
        if self.waiting:
            self._wake_with(self)

    def _wake_with(self, outcome: Any) -> None:
        self.waiting = False
        assert self._callback is not None
        self._loop.call_soon(self._callback, outcome, context=self._context)
        # It leads to the task, and the task to whoever has the waiter.
        self._callback = self._context = None

    # What a task calls

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        found = self.waiting and self._callback == callback
        if found:
            self.waiting = False
        return int(found)

    def cancel(self, msg: Any = None) -> bool:
        if not self.waiting:
            return False
        # Before that task has run, another one may wait here, and is not cancelled.
        self._wake_with(_Cancelled(msg))
        return True

    def done(self) -> bool:
        return not self.waiting

    def cancelled(self) -> bool:
        return False

    # The task wants no value, but calls this at each wake: so it is a function in C. For the same reason
    # there is no `get_loop`; then asyncio looks at `_loop`.
    result = bool

    def exception(self) -> None:
        pass


class _Cancelled:
    """What a task is woken with that was cancelled."""

    __slots__ = ("_message",)

    def __init__(self, message: Any) -> None:
        self._message = message

    def result(self) -> None:
        if self._message is None:
            raise asyncio.CancelledError
        raise asyncio.CancelledError(self._message)
