"""A nursery that is opened and left by hand, so that the exception of a block does not pass through it."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager

import trio

from edgews.outcomes import parted


async def leave(
    manager: AbstractAsyncContextManager[trio.Nursery],
    error: BaseException | None,
    end: Awaitable[object] | None = None,
) -> None:
    """Leave a block and its nursery; `error` then goes on as it is.

    Args:
        manager: of the nursery.
        error: with which the block was left.
        end: what leads to the end of the tasks in the nursery; None where nothing has to.

    Raises:
        BaseException: what happened meanwhile, in no group if it is alone. A cancellation is left out where
            there is an error, for it would take the place of that, and comes again by itself.
    """
    try:
        try:
            if end is not None:
                await end
        finally:
            await manager.__aexit__(None, None, None)
    except BaseException as failure:
        rest: BaseException | None = failure
        if error is not None:
            rest = parted(failure, trio.Cancelled)[1]
        if rest is None:
            return
        while isinstance(rest, BaseExceptionGroup) and len(rest.exceptions) == 1:
            rest = rest.exceptions[0]
        raise rest from (rest.__cause__ or error)
