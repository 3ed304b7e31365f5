"""Masking keys: unpredictable, never used twice, not shared with a forked child.

RFC 6455 §5.3, §10.3.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from struct import Struct

KEY_SIZE = 4
_REFILL = 256
_cut: Callable[[bytes], tuple[bytes, ...]] = Struct(f"{KEY_SIZE}s" * _REFILL).unpack

# Python's list hands out each element once, whichever thread asks, so the pool needs no lock.
_keys: list[bytes] = []


def new_key() -> bytes:
    """Return a fresh masking key of 4 bytes from the system's random source.

    RFC 6455 §5.3.
    """
    try:
        return _keys.pop()
    except IndexError:
        first, *others = _cut(os.urandom(_REFILL * KEY_SIZE))
        _keys.extend(others)
        return first


# A child that kept the pool would mask with the keys that its parent is about to use.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.clear)
