"""The kernels in C, through cffi. `backend_python` has the same functions and says what each returns."""

from __future__ import annotations

from typing import Any, TypeAlias

from ._kernels import ffi, lib
from .frames import FINAL_TEXT, header_size

__all__ = [
    "build_masked",
    "decode",
    "give_scratch",
    "mask",
    "mask_into",
    "new_reader",
    "new_scanner",
    "new_scratch",
    "read_one",
    "read_run",
    "reserve",
    "scan",
    "take_scratch",
]

_CAPACITY: int = lib.EDGEWS_RUN_BYTES
_LONGEST_HEADER = 14

# Up to this mean length `str.split` cuts a run faster than one slice for each message does.
_SPLIT = 64

read_one = lib.edgews_read_one
scan = lib.edgews_scan
_read_run = lib.edgews_read_run
_build_masked = lib.edgews_build_masked
mask_into = lib.edgews_mask

# Memory that is not cleared is not touched: a scratch takes up only what the largest run has used.
_new = ffi.new_allocator(should_clear_after_alloc=False)


# Memory for payloads, as what the kernels write to and as what is read, and the run it is part of. Another
# thread may run between a kernel and the look at what it left, so a scratch serves one call at a time.
Scratch: TypeAlias = tuple[Any, Any, Any]


def new_scratch() -> Scratch:
    """Return memory for `read_one`."""
    run = _new("edgews_run *")
    return run.out, ffi.buffer(run.out), run


# As many scratches as ever were in use at once. Popping and appending are atomic.
_free: list[Scratch] = [new_scratch()]
take_scratch = _free.pop
give_scratch = _free.append


def _scratch() -> Scratch:
    try:
        return take_scratch()
    except IndexError:
        return new_scratch()


def new_reader(limit: int, masked: bool) -> Any:
    """Return what `read_one` accepts and counts for one connection."""
    return ffi.new("edgews_reader *", {"limit": limit, "masked": masked})


def new_scanner(limit: int, masked: bool, ignored: int) -> Any:
    """Return what `scan` goes through one direction of a relayed connection with."""
    return ffi.new("edgews_scanner *", {"limit": limit, "masked": masked, "ignored": ignored, "plain": True})


def decode(buffer: Any, size: int) -> str:
    """Return the text that `read_one` left in a scratch; for a long one this saves a copy that counts."""
    return str(memoryview(buffer)[:size], "utf-8")


def mask(data: bytes, key: bytes, phase: int = 0) -> bytes:
    """Return `data` masked with `key`, of which byte `phase` comes first."""
    size = len(data)
    if size > _CAPACITY:
        memory, target = reserve(size)
        mask_into(target, 0, data, 0, size, key, phase)
        return memory
    scratch = _scratch()
    out, buffer, _ = scratch
    mask_into(out, 0, data, 0, size, key, phase)
    copied: bytes = buffer[:size]
    give_scratch(scratch)
    return copied


def reserve(size: int) -> tuple[bytes, Any]:
    """Return memory for `size` bytes, and the same memory as `mask_into` takes it."""
    # A new object, which may be filled until somebody sees it: what CPython's own constructors do.
    memory = bytes(size)
    return memory, ffi.from_buffer("uint8_t[]", memory)


def build_masked(first: int, payload: bytes, key: bytes) -> bytes:
    """Return one whole masked frame whose first byte (FIN, RSV, opcode) is `first`."""
    size = len(payload)
    if size > _CAPACITY - _LONGEST_HEADER:
        frame, target = reserve(header_size(size, True) + size)
        _build_masked(target, first, payload, size, key)
        return frame
    scratch = _scratch()
    out, buffer, _ = scratch
    built: bytes = buffer[: _build_masked(out, first, payload, size, key)]
    give_scratch(scratch)
    return built


def read_run(data: bytes, start: int, limit: int, masked: bool) -> tuple[list[str] | list[bytes], int]:
    """Read the plain messages that stand side by side in `data` from `start` on."""
    scratch = _scratch()
    _, buffer, run = scratch
    _read_run(data, start, len(data), limit, masked, run)
    frames: int = run.frames
    try:
        if not frames:
            return [], start
        consumed: int = run.consumed
        ends: list[int] = ffi.unpack(run.ends, frames)
        used = ends[-1]
        begin = 0
        if data[start] == FINAL_TEXT and run.ascii:
            joined = str(memoryview(buffer)[:used], "latin-1")
            if used < frames * _SPLIT:
                return joined.split("\xff"), consumed
            return [joined[begin : (begin := end + 1) - 1] for end in ends], consumed
        octets: bytes = buffer[:used]
    finally:
        give_scratch(scratch)
    if data[start] != FINAL_TEXT:
        return [octets[begin : (begin := end + 1) - 1] for end in ends], consumed
    try:
        return [octets[begin : (begin := end + 1) - 1].decode() for end in ends], consumed
    except UnicodeDecodeError:
        return _decode_each(octets, ends, start, masked)


def _decode_each(octets: bytes, ends: list[int], at: int, masked: bool) -> tuple[list[str], int]:
    """Decode the payloads of a run one by one, up to the one that is not UTF-8: there is one."""
    texts: list[str] = []
    begin = 0
    while True:
        end = ends[len(texts)]
        try:
            texts.append(octets[begin:end].decode())
        except UnicodeDecodeError:
            return texts, at
        at += header_size(end - begin, masked) + end - begin
        begin = end + 1
