"""What takes part in a row: something that can be timed, and whose work was checked before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, repeat

# CPU time of this thread does not run while another program has the core, so a shared machine
# disturbs it less. Where it ticks too slowly (Windows), the wall clock has to do.
_FINE = time.get_clock_info("thread_time").resolution < 1e-6
CLOCK = "CPU time of the thread" if _FINE else "wall clock"
clock = time.thread_time if _FINE else time.perf_counter


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a row.

    Attributes:
        run: do it so many times; the loop is inside, so that nothing of ours is called in between.
        produced: do it once and return what came out, for the check.
    """

    run: Callable[[int], object]
    produced: Callable[[], object]

    def seconds(self, passes: int) -> float:
        """Return how long so many passes take."""
        start = clock()
        self.run(passes)
        return clock() - start


def feed(reads: list[bytes], passes: int) -> Iterable[bytes]:
    """Return the reads of so many passes, one after the other, without Python code in between."""
    if len(reads) == 1:
        return repeat(reads[0], passes)
    return chain.from_iterable(repeat(reads, passes))
