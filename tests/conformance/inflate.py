"""DEFLATE read bit by bit, to see what zlib does not tell: how far back a stream reaches.

zlib takes a distance beyond the agreed window as long as its own buffer goes back far enough, so it cannot
prove that a sender keeps within the window. RFC 1951 §3.2.
"""

from __future__ import annotations

from typing import TypeAlias

_Codes: TypeAlias = dict[tuple[int, int], int]

# RFC 1951 §3.2.5: base and extra bits of the length codes 257-285 and the distance codes 0-29.
LENGTHS = [(3 + i, 0) for i in range(8)]
for _extra in range(1, 6):
    LENGTHS += [(3 + (4 + i << _extra), _extra) for i in range(4)]
LENGTHS[28:] = [(258, 0)]
DISTANCES = [(1 + i, 0) for i in range(4)]
for _extra in range(1, 14):
    DISTANCES += [(1 + (2 + i << _extra), _extra) for i in range(2)]
# RFC 1951 §3.2.7.
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def _codes(lengths: list[int]) -> _Codes:
    """Make the canonical code of the given code lengths. RFC 1951 §3.2.2."""
    codes: _Codes = {}
    code = 0
    for size in range(1, 16):
        for symbol, length in enumerate(lengths):
            if length == size:
                codes[size, code] = symbol
                code += 1
        code <<= 1
    return codes


_FIXED_LITERALS = _codes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
_FIXED_DISTANCES = _codes([5] * 30)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.end = 8 * len(data)
        self.at = 0
        self._all = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._all >> self.at & (1 << count) - 1
        self.skip(count)
        return value

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > self.end:
            raise ValueError("the stream is cut off")

    def symbol(self, codes: _Codes) -> int:
        ahead = self._all >> self.at & 0x7FFF
        code = 0
        for size in range(1, 16):
            code = code << 1 | ahead & 1
            ahead >>= 1
            symbol = codes.get((size, code))
            if symbol is not None:
                self.skip(size)
                return symbol
        raise ValueError("no such code")


def _dynamic(bits: _Bits) -> tuple[_Codes, _Codes]:
    literals, distances, sizes = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    lengths = [0] * 19
    for i in _ORDER[:sizes]:
        lengths[i] = bits.take(3)
    codes = _codes(lengths)
    lengths = []
    while len(lengths) < literals + distances:
        symbol = bits.symbol(codes)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            lengths += lengths[-1:] * (3 + bits.take(2))
        else:
            lengths += [0] * (3 + bits.take(3) if symbol == 17 else 11 + bits.take(7))
    return _codes(lengths[:literals]), _codes(lengths[literals:])


def inflate(data: bytes, before: bytes = b"") -> tuple[bytes, int]:
    """Inflate blocks until `data` ends.

    Args:
        before: what was inflated before, which the stream may refer to.

    Returns:
        The octets, and the longest distance that was used.

    Raises:
        ValueError: this is no DEFLATE, or it ends inside a block.
    """
    bits = _Bits(data)
    out = bytearray(before)
    farthest = 0
    while bits.at + 3 <= bits.end:
        bits.take(1)
        kind = bits.take(2)
        if kind == 0:
            at = (bits.at + 7) // 8
            size = int.from_bytes(data[at : at + 2], "little")
            if size ^ 0xFFFF != int.from_bytes(data[at + 2 : at + 4], "little"):
                raise ValueError("stored block with two lengths")
            out += data[at + 4 : at + 4 + size]
            bits.at = 8 * (at + 4 + size)
            continue
        if kind == 3:
            raise ValueError("reserved block type")
        literals, distances = (_FIXED_LITERALS, _FIXED_DISTANCES) if kind == 1 else _dynamic(bits)
        while (symbol := bits.symbol(literals)) != 256:
            if symbol < 256:
                out.append(symbol)
                continue
            base, extra = LENGTHS[symbol - 257]
            length = base + bits.take(extra)
            base, extra = DISTANCES[bits.symbol(distances)]
            distance = base + bits.take(extra)
            if distance > len(out):
                raise ValueError("distance goes back behind the beginning")
            farthest = max(farthest, distance)
            piece = bytes(
                out[-distance:] if distance <= length else out[-distance : length - distance or None]
            )
            out += (piece * (length // len(piece) + 1))[:length]
    return bytes(out[len(before) :]), farthest
