"""Make new inputs of known ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

# Longer ones are cut: they cost time and find nothing that shorter ones do not.
MAX_SIZE = 6000
INTERESTING = (0x00, 0x01, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x88, 0xFE, 0xFF)


def mutate(chance: random.Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Change one of the inputs in `corpus`, once or a few times."""
    data = bytearray(chance.choice(corpus))
    for _ in range(1 << chance.randrange(4)):
        step = chance.randrange(9)
        at = chance.randrange(len(data) + 1)
        if step == 0 and data:
            data[at - 1] ^= 1 << chance.randrange(8)
        elif step == 1 and data:
            data[at - 1] = chance.choice(INTERESTING)
        elif step == 2:
            data[at:at] = chance.randbytes(1 + chance.randrange(4))
        elif step == 3:
            del data[at : at + 1 + chance.randrange(8)]
        elif step == 4:
            data[at:at] = chance.choice(words)
        elif step == 5:
            word = chance.choice(words)
            data[at : at + len(word)] = word
        elif step == 6:
            # A part of itself again, once or often.
            part = data[at : at + 1 + chance.randrange(30)]
            data[at:at] = part * (1 << chance.randrange(7))
        elif step == 7:
            other = chance.choice(corpus)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        else:
            # Settings and sizes of the pieces.
            data[: 1 + chance.randrange(5)] = chance.randbytes(1 + chance.randrange(5))
        if len(data) > MAX_SIZE:
            del data[MAX_SIZE:]
    return bytes(data)
