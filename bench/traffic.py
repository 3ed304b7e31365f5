"""Payloads and frames for the benchmarks, built without the engine."""

from __future__ import annotations

import json
import random
import struct
from itertools import cycle, islice

KIB = 1024
TEXT, BINARY, CONTINUATION = 0x1, 0x2, 0x0

REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Origin: https://example.com\r\nUser-Agent: bench\r\n\r\n"
)

# What two applications say to each other; the random source has a seed, so that every run says the same.
_WORDS = [
    "price",
    "bid",
    "ask",
    "volume",
    "time",
    "open",
    "close",
    "high",
    "low",
    "symbol",
    "market",
    "depth",
]
_FOREIGN = ["größe", "öffnen", "čas", "цена", "рынок", "価格", "市場", "🙂"]


def text(size: int, *, ascii: bool = True, seed: int = 0) -> str:
    """Return JSON-like text of exactly `size` bytes in UTF-8."""
    rng = random.Random(f"{size} {seed}")
    words = _WORDS if ascii else _WORDS[:4] + _FOREIGN
    pieces: list[str] = []
    length = 0
    while length < size:
        pair = {rng.choice(words): rng.randrange(10**6), rng.choice(words): rng.choice(words)}
        piece = json.dumps(pair, ensure_ascii=False)
        pieces.append(piece)
        length += len(piece.encode())
    cut = "".join(pieces).encode()[:size].decode(errors="ignore")
    return cut + "." * (size - len(cut.encode()))


def binary(size: int, *, seed: int = 0) -> bytes:
    return random.Random(f"binary {size} {seed}").randbytes(size)


def frame(opcode: int, payload: bytes, *, key: bytes | None, fin: bool = True, rsv1: bool = False) -> bytes:
    """Return one frame, masked unless `key` is None."""
    size = len(payload)
    bit = 0 if key is None else 0x80
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    if size < 126:
        head = struct.pack(">BB", first, bit | size)
    elif size < 65536:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if key is None:
        return head + payload
    stream = bytes(islice(cycle(key), size))
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(stream, "little")
    return head + key + masked.to_bytes(size, "little")


def masked_frames(messages: list[str] | list[bytes]) -> bytes:
    """Return one masked frame for each message, every one with another key."""
    rng = random.Random("keys")
    return b"".join(
        frame(TEXT, message.encode(), key=rng.randbytes(4))
        if isinstance(message, str)
        else frame(BINARY, message, key=rng.randbytes(4))
        for message in messages
    )


def texts(size: int, *, ascii: bool = True) -> list[str]:
    """Return as many texts of `size` bytes as fill 64 KiB of masked frames, at least one."""
    header = 6 if size < 126 else 8 if size < 65536 else 14
    count = max(1, 64 * KIB // (header + size))
    several = [text(size, ascii=ascii, seed=seed) for seed in range(min(count, 16))]
    return list(islice(cycle(several), count))


def reads(data: bytes, size: int = 64 * KIB) -> list[bytes]:
    """Cut a stream into reads of at most `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]
