"""What something costs, without a limit in seconds that only some machines keep."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

# Linear work grows by 4 when its input does, quadratic work by 16.
_GROWTH = 4
_LIMIT = 10


def peak_memory(work: Callable[[], object]) -> int:
    """Return how many bytes of Python objects were allocated at most while `work` ran."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Say whether four times the input takes about four times the processor's time."""

    def seconds(amount: int) -> float:
        began = time.process_time()
        work(amount)
        return time.process_time() - began

    for _ in range(5):
        small, large = min(seconds(size) for _ in range(3)), seconds(size * _GROWTH)
        if large < small * _LIMIT:
            return True
    return False
