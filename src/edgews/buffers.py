"""Where a payload that arrives in parts is put together.

As long as little of it has arrived, the parts go into blocks of memory that stay where they are and are used
again. Once a tenth is there, the memory of the message itself is reserved, and what follows is written to its
place and not touched again, for that memory is what is handed out. A payload of many frames, whose length
nobody has announced, stays in blocks, which are joined at the end.

The memory is that of `bytes` objects which nobody else has seen yet, filled as a constructor in C fills
them, and never resized. The views of a `BytesIO` can crash the garbage collector when they end up in a
reference cycle, and a kernel's view would (CPython issue 111049).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from .backend import mask_into, reserve

# Blocks grow with what has arrived, up to this many bytes: what one read of a socket mostly brings.
BLOCK = 1 << 16

# So many of these are kept for the payloads to come, 2 MiB in all: filling memory that the process has
# already takes half the time of getting it first.
SPARE = 32

# The memory of a message is reserved when it is at most so many times as large as what has arrived.
_AHEAD = 10

# The mask that changes nothing.
_UNMASKED = b"\0\0\0\0"

# What is read, and what the kernels write to: the same memory.
_Block: TypeAlias = tuple[bytes | bytearray, Any]

# Shared by all connections, in any thread: popping and appending are atomic.
_spare: list[_Block] = []


class PayloadBuffer:
    """Bytes in memory that is at most three times as large, and ten if so much has been announced."""

    __slots__ = ("_capacity", "_end", "_full", "_memory", "_target", "size")

    def __init__(self) -> None:
        # The blocks before the last one, and how much of each is in use.
        self._full: list[tuple[_Block, int]] = []
        # The last block, its capacity, and how much of it is in use.
        self._memory: bytes | bytearray = b""
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
        key = key or _UNMASKED
        ascii = 1
        while start < stop:
            size = stop - start
            room = self._capacity - self._end
            if size > room:
                # A little room is not worth a cut through the part.
                if room << 3 < size:
                    self._grow(size, left)
                    room = self._capacity - self._end
                if size > room:
                    size = room
            ascii &= mask_into(self._target, self._end, data, start, size, key, phase)
            self._end += size
            self.size += size
            start += size
            phase = phase + size & 3
            left -= size
        return ascii

    def pieces(self, start: int) -> Iterator[memoryview]:
        """Yield what stands behind `start`, each piece valid until the next one is asked for."""
        for (memory, _), used in self._used():
            if start < used:
                with memoryview(memory)[max(start, 0) : used] as piece:
                    yield piece
            start -= used

    def take(self) -> bytes:
        """Return all bytes; the buffer is not used again."""
        if not self._full and self._end == self._capacity:
            # All of it stands in one block and fills that: `bytes` objects are not copied here.
            return bytes(self._memory)
        joined = b"".join([memoryview(memory)[:used] for (memory, _), used in self._used()])
        self._give_back()
        return joined

    def _used(self) -> list[tuple[_Block, int]]:
        return [*self._full, ((self._memory, self._target), self._end)]

    def _give_back(self) -> None:
        """Keep the blocks for the payloads to come."""
        for block, _ in self._used():
            if len(_spare) < SPARE and len(block[0]) == BLOCK:
                _spare.append(block)

    def _grow(self, size: int, left: int) -> None:
        """Make room behind what is in the buffer, for a part of `size` bytes that is here."""
        arrived = self.size + size
        announced = self.size + left
        # What is moved is less than what comes, so no byte is moved often.
        if self.size <= left and announced <= _AHEAD * arrived:
            self._move(announced)
            return
        if self._end:
            self._full.append(((self._memory, self._target), self._end))
        capacity = BLOCK if arrived >= BLOCK else min(BLOCK, max(arrived, min(left, 3 * arrived // 2)))
        try:
            block = _spare.pop() if capacity == BLOCK else reserve(capacity)
        except IndexError:
            block = reserve(BLOCK)
        self._memory, self._target = block
        self._capacity = capacity
        self._end = 0

    def _move(self, capacity: int) -> None:
        """Go on in one block for all of the message as far as it is known."""
        memory, target = reserve(capacity)
        end = 0
        for block, used in self._used():
            mask_into(target, end, block[0], 0, used, _UNMASKED, 0)
            end += used
        self._give_back()
        self._full = []
        self._memory, self._target = memory, target
        self._capacity = capacity
        self._end = end
