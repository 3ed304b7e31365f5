"""Frames and handshakes built byte by byte, without the engine: it is not to be checked against itself."""

from __future__ import annotations

import itertools
import operator
import struct
from typing import NamedTuple

KEY = b"\x37\xfa\x21\x3d"

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
# Longer payloads than this are not masked octet by octet.
LONG = 1 << 16


def xor(payload: bytes, key: bytes) -> bytes:
    """Mask the obvious way, octet by octet; what is long as two large numbers, which takes less time."""
    if len(payload) > LONG:
        repeated = (key * (len(payload) // len(key) + 1))[: len(payload)]
        return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))
    return bytes(map(operator.xor, payload, itertools.cycle(key)))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """Build a frame, valid or not.

    Args:
        rsv: the three reserved bits, 4 for RSV1.
        key: the masking key, None for an unmasked frame.
        length: what the header announces, if not the payload's length.
        form: 7, 16 or 64 bits for the length, if not the shortest.
    """
    announced = len(payload) if length is None else length
    if form is None:
        form = 7 if announced < 126 else 16 if announced < 65536 else 64
    bit = 0 if key is None else 0x80
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if form == 7:
        head = struct.pack(">BB", first, bit | announced)
    elif form == 16:
        head = struct.pack(">BBH", first, bit | 126, announced)
    else:
        head = struct.pack(">BBQ", first, bit | 127, announced)
    return head + (payload if key is None else key + xor(payload, key))


def close(code: int | None = None, reason: bytes = b"", *, key: bytes | None = KEY) -> bytes:
    """Build a Close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason, key=key)


REQUEST_FIELDS = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
# The answer to the key above, from RFC 6455 §1.3.
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def request(
    changes: dict[str, str | None] | None = None,
    *,
    line: str = "GET /chat HTTP/1.1",
    extra: tuple[str, ...] = (),
) -> bytes:
    """Build an upgrade request; a change to None takes a field away, `extra` are whole further lines."""
    fields: dict[str, str | None] = {**REQUEST_FIELDS, **(changes or {})}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None), *extra]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Parsed(NamedTuple):
    """One frame as `frames` reads it; the payload is unmasked."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False


def frames(data: bytes) -> list[Parsed]:
    """Cut a byte stream into its frames; whatever is left over is an error."""
    found = []
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        length, at = second & 0x7F, at + 2
        if length > 125:
            wide = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        key = b""
        if second & 0x80:
            key, at = data[at : at + 4], at + 4
        payload, at = data[at : at + length], at + length
        if at > len(data):
            raise ValueError("a frame is cut off")
        payload = xor(payload, key) if key else payload
        found.append(Parsed(first & 0xF, payload, bool(first & 0x80), first >> 4 & 7, bool(key)))
    return found


def one(data: bytes) -> Parsed:
    """Return the frame that `data` is."""
    (found,) = frames(data)
    return found


def close_code(payload: bytes) -> int | None:
    """Return the code in the body of a Close frame, None where it is empty."""
    return int.from_bytes(payload[:2], "big") if payload else None
