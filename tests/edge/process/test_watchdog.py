"""How long a worker has to answer is what the file says now; deaths of real ones are beside it."""

from __future__ import annotations

import asyncio
import signal

from edgews.edge.analytics.ledger import Ledger
from edgews.edge.process.watchdog import watch


class Silent:
    """A worker that answers nothing."""

    name = "worker 1"
    gone = leaving = False

    def __init__(self) -> None:
        self.signals: list[int] = []

    async def report(self, ledger: Ledger, timeout: float) -> None:
        return None

    def signal(self, number: int) -> None:
        self.signals.append(number)


def test_a_reload_counts_at_once():
    worker = Silent()
    said: list[str] = []
    times = iter([0.001, 0.002])
    asyncio.run(watch(worker, Ledger(), lambda: next(times), said.append))
    assert said == ["worker 1 has not answered for 0.002 s: it hangs, and is ended."]
    assert worker.signals == [signal.SIGABRT, signal.SIGKILL]
