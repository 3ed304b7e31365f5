"""A payload that arrives in parts is put together as it came, in memory that what has arrived bounds."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews import BACKEND, buffers
from edgews.backend import mask_into
from edgews.buffers import BLOCK, SPARE, PayloadBuffer
from tests.wire import KEY, xor

PARTS = st.lists(st.tuples(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.booleans()))


@given(parts=PARTS, announced=st.integers(0, 5000), phase=st.integers(0, 3))
@example(parts=[(bytes(range(256)) * 400, True), (b"a" * 70_000, False), (b"b", True)], announced=0, phase=1)
@example(parts=[(b"a", True), (b"b" * BLOCK, True), (b"c" * 10, True)], announced=1 << 20, phase=0)
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


@pytest.mark.parametrize("announced", [0, 3000, 1 << 62])
@pytest.mark.parametrize("size", [1, 14, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_memory_is_bounded_by_what_has_arrived(
    monkeypatch: pytest.MonkeyPatch, size: int, announced: int
) -> None:
    monkeypatch.setattr(buffers, "_spare", [])
    buffer = PayloadBuffer()
    part = bytes(size)
    while buffer.size < 5 * BLOCK and buffer.size < 5000 * size:
        buffer.append(part, 0, size, KEY, 0, size + announced)
        blocks = [len(memory) for (memory, _), _ in buffer._used()]
        assert buffer.size <= sum(blocks) <= (10 if announced else 3) * buffer.size
        # However small the parts are, there are few blocks.
        assert len(blocks) <= 2 + math.log2(buffer.size) + buffer.size / (BLOCK * 7 / 8)


def memories(buffer: PayloadBuffer) -> set[int]:
    return {id(memory) for (memory, _), _ in buffer._used()}


def test_blocks_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_spare", [])

    def fill(count: int) -> PayloadBuffer:
        buffer = PayloadBuffer()
        for _ in range(count):
            buffer.append(bytes(BLOCK), 0, BLOCK, KEY, 0, 1 << 30)
        return buffer

    first = fill(4)
    blocks = memories(first)
    first.take()
    assert memories(fill(4)) == blocks
    # What was given up with its owner is gone, and no more is kept than is of use.
    assert buffers._spare == []
    fill(SPARE + 5).take()
    assert len(buffers._spare) == SPARE


def test_a_block_that_is_used_again_shows_nothing_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_spare", [])
    buffer = PayloadBuffer()
    buffer.append(b"s" * (BLOCK - 1), 0, BLOCK - 1, b"", 0, 1 << 30)
    before = memories(buffer)
    buffer.take()
    buffer = PayloadBuffer()
    buffer.append(b"p" * (BLOCK - 10), 0, BLOCK - 10, b"", 0, 1 << 30)
    assert memories(buffer) == before
    assert buffer.take() == b"p" * (BLOCK - 10)


def test_what_was_handed_out_is_not_written_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was moved to its place or is a block that is full to the last byte."""
    monkeypatch.setattr(buffers, "_spare", [])
    taken = []
    for announced in (BLOCK, 1 << 30, BLOCK, 1 << 30):
        buffer = PayloadBuffer()
        octet = bytes([65 + len(taken)])
        buffer.append(octet * BLOCK, 0, BLOCK, b"", 0, announced)
        taken.append(buffer.take())
    assert taken == [octet * BLOCK for octet in (b"A", b"B", b"C", b"D")]


def test_a_payload_of_known_length_is_reserved_once_a_tenth_is_there() -> None:
    buffer = PayloadBuffer()
    size = 16 * BLOCK
    reserved = []
    for left in range(size, 0, -BLOCK):
        buffer.append(bytes(BLOCK), 0, BLOCK, KEY, 0, left)
        reserved.append(buffer._capacity == size)
    assert reserved == [False] + [True] * 15
    memory = buffer._memory
    taken = buffer.take()
    assert taken == xor(bytes(size), KEY)
    assert taken is memory or BACKEND == "python"


@pytest.mark.parametrize("announced", [0, 1, 5])
def test_moving_takes_time_that_grows_with_the_size(monkeypatch: pytest.MonkeyPatch, announced: int) -> None:
    """However many frames there are, and whatever each of them announces."""
    written = 0

    def counting(target: Any, at: int, data: bytes, start: int, size: int, key: bytes, phase: int) -> int:
        nonlocal written
        written += size
        return mask_into(target, at, data, start, size, key, phase)

    monkeypatch.setattr(buffers, "mask_into", counting)
    buffer = PayloadBuffer()
    for _ in range(1000):
        buffer.append(bytes(1000), 0, 1000, KEY, 0, 1000 + announced * buffer.size)
    assert buffer.size <= written <= 3 * buffer.size


def test_the_garbage_collector_may_find_it_in_a_cycle() -> None:
    """In a process of its own: a fault would end it."""
    program = (
        "import gc\n"
        "from edgews.buffers import PayloadBuffer\n"
        "for _ in range(500):\n"
        "    buffer = PayloadBuffer()\n"
        "    buffer.append(b'x' * 100, 0, 100, b'abcd', 0, 1000)\n"
        "    cycle = [buffer, next(buffer.pieces(0)), *buffer._used()]\n"
        "    cycle.append(cycle)\n"
        "    del buffer, cycle\n"
        "    gc.collect()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
