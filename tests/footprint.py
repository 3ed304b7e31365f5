"""What an object costs in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def bytes_each(make: Callable[[], object], count: int = 500) -> float:
    """Return the bytes of Python objects that stay allocated for each object that `make` returns.

    What the first ones leave behind for all (caches, pools) is not counted.
    """
    kept = [make() for _ in range(10)]
    gc.collect()
    kept.extend([None] * count)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            kept[10 + number] = make()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / count
