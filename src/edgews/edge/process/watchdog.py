"""Whether a worker still does anything: one that hangs is ended, and so replaced."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edgews.edge.analytics.ledger import Ledger

if TYPE_CHECKING:
    from .supervisor import Worker

# How often a worker is asked for its report, if it has not less time for it: that is what remains of it if it
# dies (seconds).
INTERVAL: Final = 5.0
# The time for the second question: whoever asks may have been stopped itself, with the answer to the first
# unread (seconds).
GRACE: Final = 1.0
# How long a worker may take to write down where it hangs (seconds).
LAST_WORDS: Final = 2.0


async def watch(
    worker: Worker, ledger: Ledger, timeout: Callable[[], float | None], say: Callable[[str], None]
) -> None:
    """Ask a worker for its report again and again, until it hangs; then end its process.

    Args:
        timeout: how long it may take to answer, None for ever.
    """
    while True:
        await asyncio.sleep(min(INTERVAL, timeout() or INTERVAL))
        # A reload may have changed it meanwhile.
        seconds = timeout()
        patience = INTERVAL if seconds is None else seconds
        if await _reports(worker, ledger, patience):
            continue
        if worker.gone or worker.leaving:
            # Somebody else waits for its end.
            return
        if seconds is not None:
            break
    say(f"{worker.name} has not answered for {seconds:g} s: it hangs, and is ended.")
    worker.signal(signal.SIGABRT)
    await asyncio.sleep(LAST_WORDS)
    worker.signal(signal.SIGKILL)


async def _reports(worker: Worker, ledger: Ledger, seconds: float) -> bool:
    """Say whether a worker reports in time."""
    for allowed in (seconds, GRACE):
        if await worker.report(ledger, allowed) is not None:
            return True
    return False
