"""DEFLATE written bit by bit, for streams that no compressor makes, and a compressor for those that one does.

Where a stream breaks is known to the bit, so a row can say after which octet the failure must show.
"""

from __future__ import annotations

import struct
import zlib

from tests.conformance.inflate import DISTANCES, LENGTHS

_TAIL = b"\x00\x00\xff\xff"


class Blocks:
    """Blocks of RFC 1951 §3.2.3, one call after the other."""

    def __init__(self) -> None:
        self._done = b""
        self._bits: list[int] = []

    def number(self, value: int, count: int) -> Blocks:
        """Append a number, least significant bit first, as all but Huffman codes are."""
        self._bits += [value >> i & 1 for i in range(count)]
        return self

    def code(self, value: int, count: int) -> Blocks:
        """Append a Huffman code, most significant bit first."""
        self._bits += [value >> i & 1 for i in reversed(range(count))]
        return self

    def stored(self, data: bytes, *, last: bool = False) -> Blocks:
        self.number(int(last), 1).number(0, 2)
        size = len(data)
        self._done = self.payload() + struct.pack("<HH", size, size ^ 0xFFFF) + data
        self._bits = []
        return self

    def fixed(self, *, last: bool = False) -> Blocks:
        """Begin a block with the fixed codes; `end` ends it."""
        return self.number(int(last), 1).number(1, 2)

    def literals(self, data: bytes) -> Blocks:
        for octet in data:
            self.symbol(octet)
        return self

    def symbol(self, symbol: int) -> Blocks:
        """Append a literal or length code of the fixed kind. RFC 1951 §3.2.6."""
        if symbol < 144:
            return self.code(0x30 + symbol, 8)
        if symbol < 256:
            return self.code(0x190 + symbol - 144, 9)
        if symbol < 280:
            return self.code(symbol - 256, 7)
        return self.code(0xC0 + symbol - 280, 8)

    def match(self, length: int, distance: int) -> Blocks:
        for start, table in ((257, LENGTHS), (0, DISTANCES)):
            value = length if start else distance
            symbol = max(i for i, (base, _) in enumerate(table) if base <= value)
            base, extra = table[symbol]
            if start:
                self.symbol(start + symbol)
            else:
                self.code(symbol, 5)
            self.number(value - base, extra)
        return self

    def end(self) -> Blocks:
        return self.symbol(256)

    @property
    def octets(self) -> int:
        """How many octets it takes to see all bits so far."""
        return len(self.payload())

    def payload(self, more: int = 0) -> bytes:
        """All bits so far, `more` zeros, and zeros up to the next octet."""
        number = sum(bit << i for i, bit in enumerate(self._bits))
        return self._done + number.to_bytes((len(self._bits) + more + 7) // 8, "little")

    def message(self) -> bytes:
        """The same with what ends a message: an empty stored block, without its tail. RFC 7692 §7.2.1."""
        return self.payload(more=3)


class Squeezer:
    """The peer's compressor."""

    def __init__(self, bits: int = 15, takeover: bool = True, level: int = 6, strategy: int = 0) -> None:
        self._kind = (level, zlib.DEFLATED, -max(bits, 9), 8, strategy)
        self._takeover = takeover
        self._zlib = zlib.compressobj(*self._kind)

    def message(self, data: bytes | str) -> bytes:
        octets = data.encode() if isinstance(data, str) else data
        if not self._takeover:
            self._zlib = zlib.compressobj(*self._kind)
        whole = self._zlib.compress(octets) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        return whole[: -len(_TAIL)] if whole else b"\x00"


def squeeze(data: bytes | str, **options: int) -> bytes:
    """Compress one message by itself."""
    return Squeezer(**options).message(data)  # type: ignore[arg-type]


def beyond(payload: bytes, limit: int) -> int:
    """Say after how many octets of a compressed message more than `limit` octets are there."""
    inflater = zlib.decompressobj(-15)
    size = 0
    for i in range(len(payload)):
        size += len(inflater.decompress(payload[i : i + 1]))
        if size > limit:
            return i + 1
    raise ValueError("the message stays within the limit")
