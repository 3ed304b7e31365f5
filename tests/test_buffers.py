"""A payload that arrives in parts is put together as it came, in memory that what has arrived bounds."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews import buffers
from edgews.buffers import BLOCK, SPARE, PayloadBuffer
from tests.wire import KEY, xor

PARTS = st.lists(st.tuples(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.booleans()))


@given(parts=PARTS, announced=st.integers(0, 5000), phase=st.integers(0, 3))
@example(parts=[(bytes(range(256)) * 400, True), (b"a" * 70_000, False), (b"b", True)], announced=0, phase=1)
@example(
    parts=[(bytes(BLOCK - 14), True), (bytes(BLOCK), True), (b"c" * 14, True)], announced=1 << 20, phase=0
)
def test_what_goes_in_comes_out(parts: list[tuple[bytes, bool]], announced: int, phase: int) -> None:
    buffer = PayloadBuffer()
    whole = b""
    for part, masked in parts:
        start = len(whole)
        wire = xor(b"\0" * phase + part, KEY)[phase:] if masked else part
        data = b"before" + wire + b"behind"
        key, left = KEY if masked else b"", len(part) + announced
        assert buffer.append(data, 6, 6 + len(part), key, phase, left) == part.isascii()
        whole += part
        assert buffer.size == len(whole)
        assert b"".join(map(bytes, buffer.pieces(start))) == part
        assert b"".join(map(bytes, buffer.pieces(0))) == whole
    taken = buffer.take()
    assert taken == whole
    assert type(taken) is bytes


def test_parts_of_nothing_are_nothing() -> None:
    buffer = PayloadBuffer()
    assert buffer.append(b"", 0, 0, KEY, 0, 10)
    assert buffer.append(b"", 0, 0, b"", 0, 0)
    assert list(buffer.pieces(0)) == []
    assert buffer.take() == b""


@pytest.mark.parametrize("announced", [0, 1 << 62])
@pytest.mark.parametrize("size", [1, 14, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_memory_is_bounded_by_what_has_arrived(
    monkeypatch: pytest.MonkeyPatch, size: int, announced: int
) -> None:
    monkeypatch.setattr(buffers, "_spare", [])
    buffer = PayloadBuffer()
    part = bytes(size)
    while buffer.size < 5 * BLOCK and buffer.size < 5000 * size:
        buffer.append(part, 0, size, KEY, 0, size + announced)
        blocks = [len(view) for view, _ in buffer._blocks]
        assert buffer.size <= sum(blocks) <= 3 * buffer.size
        # However small the parts are, there are few blocks.
        assert len(blocks) <= 2 + math.log2(buffer.size) + buffer.size / (BLOCK * 7 / 8)


def test_blocks_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_spare", [])

    def fill(count: int) -> PayloadBuffer:
        buffer = PayloadBuffer()
        for _ in range(count):
            buffer.append(bytes(BLOCK), 0, BLOCK, KEY, 0, 1 << 30)
        return buffer

    first = fill(4)
    blocks = set(map(id, first._blocks))
    first.take()
    assert set(map(id, fill(4)._blocks)) == blocks
    # What was given up with its owner is gone, and no more is kept than is of use.
    assert buffers._spare == []
    fill(SPARE + 5).take()
    assert len(buffers._spare) == SPARE


def test_a_block_that_is_used_again_shows_nothing_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_spare", [])
    buffer = PayloadBuffer()
    buffer.append(b"s" * BLOCK, 0, BLOCK, b"", 0, BLOCK)
    buffer.take()
    buffer = PayloadBuffer()
    buffer.append(b"p" * (BLOCK - 10), 0, BLOCK - 10, b"", 0, BLOCK + 100)
    assert [len(view) for view, _ in buffer._blocks] == [BLOCK]
    assert buffer.take() == b"p" * (BLOCK - 10)


def test_the_garbage_collector_may_find_it_in_a_cycle() -> None:
    """In a process of its own: a fault would end it."""
    program = (
        "import gc\n"
        "from edgews.buffers import PayloadBuffer\n"
        "for _ in range(500):\n"
        "    buffer = PayloadBuffer()\n"
        "    buffer.append(b'x' * 100, 0, 100, b'abcd', 0, 1000)\n"
        "    cycle = [buffer, next(buffer.pieces(0)), *buffer._blocks]\n"
        "    cycle.append(cycle)\n"
        "    del buffer, cycle\n"
        "    gc.collect()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
