"""Where a payload that arrives in parts is put together.

The memory is a `bytearray` that is never resized: the views of a `BytesIO` can crash the garbage collector
when they end up in a reference cycle, and a kernel's view would (CPython issue 111049).
"""

from __future__ import annotations

from typing import Any

from .backend import mask_into, pin


class PayloadBuffer:
    """Bytes at the front of a block of memory, which is never more than 2.5 times as large."""

    __slots__ = ("_capacity", "_target", "_view", "size")

    def __init__(self) -> None:
        self._capacity = 0
        # The block as a view, and as what the kernels write to.
        self._view = memoryview(b"")
        self._target: Any = None
        self.size = 0

    def append(self, part: bytes, left: int) -> None:
        """Add `part`; `left` bytes are known to come, `part` among them."""
        if not part:
            return
        end = self.size + len(part)
        if end > self._capacity:
            self._grow(end, self.size + left)
        self._view[self.size : end] = part
        self.size = end

    def append_masked(self, data: bytes, start: int, stop: int, key: bytes, phase: int, left: int) -> bool:
        """Add `data[start:stop]`, unmasked on the way; say whether it is all ASCII."""
        if start == stop:
            return True
        at = self.size
        end = at + stop - start
        if end > self._capacity:
            self._grow(end, at + left)
        self.size = end
        return mask_into(self._target, at, data, start, stop - start, key, phase)

    def view(self, start: int) -> memoryview:
        """Return what stands behind `start`, valid until something is added."""
        return self._view[start : self.size]

    def take(self) -> bytes:
        """Return all bytes; the buffer is not used again."""
        return bytes(self._view[: self.size])

    def _grow(self, end: int, known: int) -> None:
        self._capacity = known if 2 * known <= 5 * end else 2 * end
        block = bytearray(self._capacity)
        view = memoryview(block)
        view[: self.size] = self._view[: self.size]
        self._view = view
        self._target = pin(block)
