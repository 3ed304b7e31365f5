from __future__ import annotations

from edgews.edge.policy.storage import WORD, Storage
from tests.edge.policy.memory import Locks


def test_bytes_words_and_reals_are_the_same_memory() -> None:
    raw = bytearray(4 * WORD)
    storage = Storage(memoryview(raw), Locks())
    storage.words[1] = 1 << 63
    storage.reals[2] = -0.5
    assert (storage.raw[2 * WORD - 1], storage.words[2]) == (0x80, 0xBFE0 << 48)
    assert len(storage.words) == len(storage.reals) == 4
