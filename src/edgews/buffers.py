"""Where a payload that arrives in parts is put together.

The parts go into blocks of memory that stay where they are, and are joined once, at the end. A block is a
`bytearray` that is never resized: the views of a `BytesIO` can crash the garbage collector when they end up
in a reference cycle, and a kernel's view would (CPython issue 111049).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from .backend import mask_into, pin

# Blocks grow with what has arrived, up to this many bytes: what one read of a socket mostly brings.
BLOCK = 1 << 16

# So many of these are kept for the payloads to come, 2 MiB in all: filling memory that the process has
# already takes half the time of getting it first.
SPARE = 32

# What is read, and what the kernels write to: the same memory.
_Block: TypeAlias = tuple[memoryview, Any]

# Shared by all connections, in any thread: popping and appending are atomic.
_spare: list[_Block] = []


def _new_block(capacity: int) -> _Block:
    memory = bytearray(capacity)
    return memoryview(memory), pin(memory)


class PayloadBuffer:
    """Bytes in blocks of memory, which are together at most three times as large."""

    __slots__ = ("_blocks", "_capacity", "_closed", "_end", "_target", "_view", "size")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        # What is in use of each block but the last one.
        self._closed: list[memoryview] = []
        # The last block, its capacity, and how much of it is in use.
        self._view = memoryview(b"")
        self._target: Any = None
        self._capacity = 0
        self._end = 0
        self.size = 0

    def append(self, data: bytes, start: int, stop: int, key: bytes, phase: int, left: int) -> int:
        """Add `data[start:stop]`, unmasked on the way if there is a key.

        Args:
            data: where the part stands.
            start: where it begins.
            stop: where it ends.
            key: the masking key, or nothing.
            phase: which byte of the key comes first.
            left: how many bytes are known to come, this part among them.

        Returns:
            Whether it is all ASCII.
        """
        ascii = 1
        while start < stop:
            size = stop - start
            room = self._capacity - self._end
            if size > room:
                # A little room is not worth a cut through the part.
                if room << 3 < size:
                    self._grow(size, left)
                    room = self._capacity
                if size > room:
                    size = room
            begin = self._end
            self._end = begin + size
            self.size += size
            if key:
                ascii &= mask_into(self._target, begin, data, start, size, key, phase)
            else:
                part = data[start : start + size]
                self._view[begin : begin + size] = part
                ascii &= part.isascii()
            start += size
            phase = phase + size & 3
            left -= size
        return ascii

    def pieces(self, start: int) -> Iterator[memoryview]:
        """Yield what stands behind `start`, each piece valid until the next one is asked for."""
        for view in (*self._closed, self._view[: self._end]):
            if start < len(view):
                with view[max(start, 0) :] as piece:
                    yield piece
            start -= len(view)

    def take(self) -> bytes:
        """Return all bytes; the buffer is not used again."""
        joined = b"".join((*self._closed, self._view[: self._end]))
        for block in self._blocks:
            if len(_spare) < SPARE and len(block[0]) == BLOCK:
                _spare.append(block)
        return joined

    def _grow(self, size: int, left: int) -> None:
        """Begin a new block, for a part of `size` bytes that is here."""
        if self._end:
            full = self._end == self._capacity
            self._closed.append(self._view if full else self._view[: self._end])
            self._end = 0
        arrived = self.size + size
        capacity = BLOCK if arrived >= BLOCK else min(BLOCK, max(arrived, min(left, 3 * arrived // 2)))
        try:
            block = _spare.pop() if capacity == BLOCK else _new_block(capacity)
        except IndexError:
            block = _new_block(BLOCK)
        self._blocks.append(block)
        self._view, self._target = block
        self._capacity = capacity
