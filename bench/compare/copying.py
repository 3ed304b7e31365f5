"""The measure of what touches bytes: `memcpy`, and the masking kernel beside it."""

from __future__ import annotations

from itertools import repeat

import edgews
from edgews.backend_python import mask as mask_slowly

from .contender import Contender

_KEY = b"\x37\xfa\x21\x3d"


def memcpy(payload: bytes, *, times: int) -> Contender:
    """Copy the payload, so many times for each pass, into memory that is there already."""
    source = memoryview(payload)
    target = memoryview(bytearray(len(payload)))

    def run(passes: int) -> None:
        for _ in repeat(None, passes * times):
            target[:] = source

    def produced() -> bytes:
        target[:] = source
        return bytes(target)

    return Contender(run, produced)


def masked_slowly(payload: bytes) -> bytes:
    """Return what masking must give."""
    return mask_slowly(payload, _KEY)


def masking_in_place(payload: bytes) -> Contender:
    """The kernel alone, with a pointer at hand."""
    from edgews._kernels import ffi, lib

    buffer = bytearray(payload)
    pointer = ffi.from_buffer("uint8_t[]", buffer, require_writable=True)
    mask, size = lib.edgews_mask, len(payload)

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            mask(pointer, 0, pointer, 0, size, _KEY, 0)

    def produced() -> bytes:
        buffer[:] = payload
        mask(pointer, 0, pointer, 0, size, _KEY, 0)
        return bytes(buffer)

    return Contender(run, produced)


def bare_memcpy(payload: bytes) -> Contender:
    """`memmove` through cffi, with both pointers at hand."""
    from edgews._kernels import ffi

    target = bytearray(len(payload))
    to, source, size = ffi.from_buffer(target), ffi.from_buffer(payload), len(payload)
    memmove = ffi.memmove

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            memmove(to, source, size)

    def produced() -> bytes:
        memmove(to, source, size)
        return bytes(target)

    return Contender(run, produced)


def available() -> bool:
    """Say whether there is a masking kernel to measure."""
    return edgews.BACKEND == "c"
