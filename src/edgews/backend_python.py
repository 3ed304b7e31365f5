"""The kernels in pure Python: what runs where the extension is missing, and the twin it is tested against.

Each function has the contract that `backend_c` has; only the speed differs.
"""

from __future__ import annotations

from typing import Any

from .frames import (
    FINAL_BINARY,
    FINAL_TEXT,
    LEAST_64,
    LENGTH_16,
    LENGTH_64,
    MASK_BIT,
    OPCODE_BITS,
    encode_header,
)
from .masking import KEY_SIZE

_from_bytes = int.from_bytes


def mask(data: bytes | bytearray, key: bytes, phase: int = 0) -> bytes:
    """Return `data` masked (or unmasked, which is the same) with `key`.

    Args:
        phase: how many bytes of the payload went before, modulo 4.

    RFC 6455 §5.3.
    """
    size = len(data)
    turned = key[phase:] + key[:phase] if phase else key
    stream = (turned * ((size + 3) >> 2))[:size]
    return (_from_bytes(data, "little") ^ _from_bytes(stream, "little")).to_bytes(size, "little")


def reserve(size: int) -> tuple[bytes | bytearray, Any]:
    """Return memory for `size` bytes, and the same memory as `mask_into` takes it.

    `bytes` of it is what has been written; in C that is no copy, so write nothing more from then on.
    """
    memory = bytearray(size)
    return memory, memoryview(memory)


def mask_into(
    target: Any, at: int, data: bytes | bytearray, start: int, size: int, key: bytes, phase: int
) -> int:
    """Write `size` bytes of `data`, from `start` on, masked, to reserved memory from `at` on.

    It spares a large payload a copy on its way into a buffer. The caller makes sure that the memory is
    large enough.

    Returns:
        Whether they are all ASCII, as 0 or 1.
    """
    part = data[start : start + size]
    masked = mask(part, key, phase) if any(key) else part
    target[at : at + size] = masked
    return masked.isascii()


def build_masked(first: int, payload: bytes, key: bytes) -> bytes:
    """Return one whole masked frame whose first byte (FIN, RSV, opcode) is `first`."""
    return encode_header(first, len(payload), masked=True) + key + mask(payload, key)


def _plain_header(data: bytes, at: int, end: int, limit: int, masked: bool) -> tuple[int, int] | None:
    """Return where the payload of the plain frame at `at` begins, and its length; None if there is none.

    The caller has looked at the first byte. RFC 6455 §5.2.
    """
    body = at + 6 if masked else at + 2
    if body > end:
        return None
    size = data[at + 1] - MASK_BIT if masked else data[at + 1]
    if size >= LENGTH_16:
        wide, least = (2, LENGTH_16) if size == LENGTH_16 else (8, LEAST_64)
        body += wide
        if size > LENGTH_64 or body > end:
            return None
        size = _from_bytes(data[at + 2 : at + 2 + wide], "big")
        if size < least:
            return None
    return None if size < 0 or size > limit else (body, size)


def _plain_frame(data: bytes, at: int, end: int, limit: int, masked: bool) -> tuple[int, int] | None:
    """Return where the payload of the plain frame at `at` begins and ends, None if it is not all there."""
    header = _plain_header(data, at, end, limit, masked)
    if header is None or sum(header) > end:
        return None
    return header[0], sum(header)


class Reader:
    """What a connection reads with: what it accepts, and what it has counted.

    Attributes:
        limit: the longest payload of a plain frame, in bytes.
        masked: the peer masks.
        messages, bytes: received so far.
    """

    __slots__ = ("bytes", "limit", "masked", "messages")

    def __init__(self, limit: int, masked: bool) -> None:
        self.limit = limit
        self.masked = masked
        self.messages = 0
        self.bytes = 0


class Scratch:
    """Where `read_one` leaves a payload; it is read like memory, in one slice."""

    __slots__ = ("payload",)

    def __getitem__(self, part: slice) -> bytes:
        return self.payload[part]

    payload: bytes


new_reader = Reader

_free: list[tuple[Scratch, Scratch, None]] = []
take_scratch = _free.pop
give_scratch = _free.append


def new_scratch() -> tuple[Scratch, Scratch, None]:
    """Return memory for `read_one`: what it writes to, what to read from, and what nobody else needs."""
    scratch = Scratch()
    return scratch, scratch, None


def decode(buffer: Scratch, size: int) -> str:
    """Return the text that `read_one` left in a scratch.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return buffer[:size].decode()


def read_one(reader: Reader, data: bytes, length: int, out: Scratch) -> int:
    """Read the one plain message that is all of `data`, as most come, and count it.

    Nothing else is as short as this on the way to one message. So the caller takes a scratch, reads the
    payload from it, and gives it back.

    Returns:
        The length of a text, which may not be UTF-8; -3 - length of anything binary; -1 if a plain frame
        stands there and more, or one that is too long for this, which `read_run` reads; -2 if none does.
    """
    first = data[0] if length else 0
    if first != FINAL_TEXT and first != FINAL_BINARY:
        return -2
    frame = _plain_frame(data, 0, length, reader.limit, reader.masked)
    if frame is None:
        return -2
    if frame[1] != length:
        return -1
    body = frame[0]
    out.payload = mask(data[body:], data[body - KEY_SIZE : body]) if reader.masked else data[body:]
    reader.messages += 1
    reader.bytes += length
    size = length - body
    return size if first == FINAL_TEXT else -3 - size


def read_run(data: bytes, start: int, limit: int, masked: bool) -> tuple[list[str] | list[bytes], int]:
    """Read the plain messages that stand side by side in `data` from `start` on.

    A run is made of complete, final data frames of one opcode, without reserved bits, with the mask
    bit as `masked` says, with a minimal length of at most `limit` bytes, and text that is UTF-8. It
    ends in front of the first frame that is anything else, which is the state machine's to judge.

    Returns:
        The messages, and the position behind the last of them.
    """
    messages: list[bytes] = []
    texts: list[str] = []
    at = start
    end = len(data)
    first = data[at] if at < end else 0
    if first != FINAL_TEXT and first != FINAL_BINARY:
        return messages, at
    text = first == FINAL_TEXT
    while at < end and data[at] == first:
        frame = _plain_frame(data, at, end, limit, masked)
        if frame is None:
            break
        body, stop = frame
        payload = data[body:stop]
        if masked:
            payload = mask(payload, data[body - KEY_SIZE : body])
        if text:
            try:
                texts.append(payload.decode())
            except UnicodeDecodeError:
                break
        else:
            messages.append(payload)
        at = stop
    return (texts if text else messages), at


class Scanner:
    """What `scan` goes through one direction of a relayed connection with.

    Attributes:
        limit: the longest payload of a plain frame, in bytes.
        masked: frames have to be masked.
        ignored: bits of the first byte that a plain frame may have or not.
        plain: false when the next frame is not the kernel's to judge.
        left: how much of the payload is missing of the frame that is arriving.
        ends: the opcode of the message that ends with that frame, or 0.
        bytes: scanned so far, headers included.
        texts, binaries: messages that are over.
    """

    __slots__ = ("binaries", "bytes", "ends", "ignored", "left", "limit", "masked", "plain", "texts")

    def __init__(self, limit: int, masked: bool, ignored: int) -> None:
        self.limit = limit
        self.masked = masked
        self.ignored = ignored
        self.plain: bool | int = True
        self.left = 0
        self.ends = 0
        self.bytes = 0
        self.texts = 0
        self.binaries = 0


new_scanner = Scanner


def _count_message(scanner: Scanner, opcode: int) -> None:
    if opcode == FINAL_TEXT & OPCODE_BITS:
        scanner.texts += 1
    elif opcode == FINAL_BINARY & OPCODE_BITS:
        scanner.binaries += 1


def scan(scanner: Scanner, data: bytes, start: int, length: int) -> int:
    """Go through `data[start:length]` without touching a payload, and count.

    That is the rest of the frame that is arriving and the plain frames behind it, text and binary mixed, of
    which the last one may be incomplete behind its header.

    Returns:
        The position of the first byte that is anything else, or `length`.
    """
    at = start
    if scanner.left and at < length:
        step = min(scanner.left, length - at)
        scanner.left -= step
        at += step
        if not scanner.left:
            _count_message(scanner, scanner.ends)
    while scanner.plain and at < length:
        first = data[at] & ~scanner.ignored
        frame = (
            _plain_header(data, at, length, scanner.limit, scanner.masked)
            if first in (FINAL_TEXT, FINAL_BINARY)
            else None
        )
        if frame is None:
            break
        body, size = frame
        first &= OPCODE_BITS
        at = min(body + size, length)
        if body + size > length:
            scanner.left = body + size - length
            scanner.ends = first
        else:
            _count_message(scanner, first)
    scanner.bytes += at - start
    return at
