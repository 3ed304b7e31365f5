"""A payload that arrives in parts is put together as it came, in memory that what has arrived bounds."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.buffers import PayloadBuffer
from tests.wire import KEY, xor

PARTS = st.lists(st.tuples(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.booleans()))


@given(parts=PARTS, announced=st.integers(0, 5000), phase=st.integers(0, 3))
def test_what_goes_in_comes_out(parts: list[tuple[bytes, bool]], announced: int, phase: int) -> None:
    buffer = PayloadBuffer()
    whole = b""
    for part, masked in parts:
        left = len(part) + announced
        start = len(whole)
        if masked:
            wire = xor(b"\0" * phase + part, KEY)[phase:]
            data = b"before" + wire + b"behind"
            seen = buffer.append_masked(data, 6, 6 + len(part), KEY, phase, left)
            assert seen is part.isascii()
        else:
            buffer.append(part, left)
        whole += part
        assert buffer.size == len(whole)
        with buffer.view(start) as view:
            assert view == part
        with buffer.view(0) as view:
            assert view == whole
    taken = buffer.take()
    assert taken == whole
    assert type(taken) is bytes


def test_parts_of_nothing_are_nothing() -> None:
    buffer = PayloadBuffer()
    buffer.append(b"", 0)
    assert buffer.append_masked(b"", 0, 0, KEY, 0, 10)
    assert buffer.take() == b""


@pytest.mark.parametrize("masked", [True, False])
def test_memory_is_bounded_by_what_has_arrived(masked: bool) -> None:
    part = bytes(4096)

    def fill(buffer: PayloadBuffer) -> None:
        for _ in range(64):
            if masked:
                buffer.append_masked(part, 0, len(part), KEY, 0, 1 << 62)
            else:
                buffer.append(part, 1 << 62)

    fill(PayloadBuffer())
    buffer = PayloadBuffer()
    tracemalloc.start()
    try:
        fill(buffer)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Twice what has arrived, and the eighth that a BytesIO may add.
    assert buffer.size <= held <= 2.3 * buffer.size


def test_the_garbage_collector_may_find_it_in_a_cycle() -> None:
    """In a process of its own: a fault would end it."""
    program = (
        "import gc\n"
        "from edgews.buffers import PayloadBuffer\n"
        "for _ in range(500):\n"
        "    buffer = PayloadBuffer()\n"
        "    buffer.append_masked(b'x' * 100, 0, 100, b'abcd', 0, 1000)\n"
        "    cycle = [buffer, buffer.view(0), buffer._view, buffer._target]\n"
        "    cycle.append(cycle)\n"
        "    del buffer, cycle\n"
        "    gc.collect()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
