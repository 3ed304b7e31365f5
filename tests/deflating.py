"""Messages to compress, and what zlib alone makes of them."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise

from hypothesis import strategies as st

from edgews.deflate import Deflater, Inflater

TAIL = b"\x00\x00\xff\xff"
PLENTY = 1 << 30


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


bits = st.integers(8, 15)
levels = st.integers(-1, 9)
mem_levels = st.integers(1, 9)
# Repetitive, random, and repetitive at distances around the smallest window.
contents = (
    st.binary(max_size=60)
    | st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=40), st.integers(0, 60))
    | st.builds(lambda seed, size: noise(seed, size) * 3, st.integers(0, 9), st.integers(0, 700))
)
cuts = st.lists(st.integers(0, 3000), max_size=3)


def pieces(data: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(at, len(data)) for at in positions), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


def deflate(deflater: Deflater, message: bytes, positions: list[int]) -> bytes:
    *early, last = pieces(message, positions)
    return b"".join([*(deflater.compress(piece, False) for piece in early), deflater.compress(last, True)])


def inflate(inflater: Inflater, payload: bytes, positions: list[int] = (), room: int = PLENTY) -> bytes:
    """Inflate in pieces; as on the wire, the last one is not empty unless the payload is."""
    *early, last = pieces(payload, [min(at, max(len(payload) - 1, 0)) for at in positions])
    whole = b""
    for piece in early:
        whole += inflater.decompress(piece, False, room - len(whole))
    return whole + inflater.decompress(last, True, room - len(whole))


def finish(data: bytes, window: bytes = b"") -> bytes:
    """Compress to a stream that ends: its last block has BFINAL."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=window)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH)


def flip(payload: bytes, at: int, bit: int) -> bytes:
    at %= len(payload)
    return payload[:at] + bytes([payload[at] ^ 1 << bit]) + payload[at + 1 :]


def distant(seed: int) -> bytes:
    """Return data with repetitions at every distance around 256."""
    source = random.Random(seed)
    data = bytearray(source.randbytes(300))
    while len(data) < 3000:
        distance = source.randrange(200, 300)
        data += data[-distance : len(data) - distance + source.randrange(3, 40)] + source.randbytes(2)
    return bytes(data)


def inflate_with_256(payload: bytes) -> bytes:
    """Inflate byte by byte, so that zlib can look back only into the window that it keeps."""
    inflater = zlib.decompressobj(-8)
    whole = b""
    rest = payload + TAIL
    while piece := inflater.decompress(rest, 1):
        whole += piece
        rest = inflater.unconsumed_tail
    return whole


def is_message(payload: bytes) -> bool:
    """Say whether a payload ends between two blocks: the tail is then an empty one, and another fits."""
    judge = zlib.decompressobj(-15)
    try:
        judge.decompress(payload)
        if judge.decompress(TAIL) or judge.unused_data:
            return False
        return judge.eof or (judge.decompress(b"\x03\x00") == b"" and judge.eof)
    except zlib.error:
        return False
