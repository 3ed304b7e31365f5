from __future__ import annotations

import sys
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews import backend_python
from tests.backends import (
    KEYS,
    ODD_STREAMS,
    Stream,
    any_bytes,
    check_masking,
    check_one,
    check_reserving,
    check_run,
    check_scan,
    keys,
    streams,
)
from tests.wire import frame


@pytest.mark.parametrize("stream", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_what_ends_a_run(stream):
    check_run(backend_python, stream)
    check_one(backend_python, stream)
    check_scan(backend_python, stream)


@given(streams() | any_bytes)
def test_runs(stream):
    check_run(backend_python, stream)


@given(streams() | any_bytes)
def test_scans(stream):
    check_scan(backend_python, stream)


@given(streams() | any_bytes)
@example(Stream(frame(0x1, b"a" * 10), 0, 9, True))
@example(Stream(frame(0x1, b"a" * 10), 0, 10, True))
@example(Stream(frame(0x2, b"\xff"), 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"\xff"), 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"") * 2, 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"a" * 10, key=None), 0, 9, False))
@example(Stream(frame(0x1, b"a" * 10, key=None), 0, 10, False))
@example(Stream(frame(0x1, b"\xff", key=None), 0, sys.maxsize, False))
@example(Stream(frame(0x2, b"", key=None), 0, 0, False))
def test_one_frame(stream):
    check_one(backend_python, stream)


@given(st.integers(0, 300) | st.sampled_from([4096, 70000]), keys, st.integers(0, 3), st.integers(0, 9))
def test_masking(size, key, phase, before):
    check_masking(backend_python, size, key, phase, before)


@pytest.mark.parametrize("key", KEYS, ids=bytes.hex)
def test_masking_every_short_length_at_every_phase(key):
    for size, phase in product(range(40), range(4)):
        check_masking(backend_python, size, key, phase, before=phase)


@given(st.integers(0, 255), st.sampled_from([0, 1, 125, 126, 127, 65535, 65536]), keys)
def test_frames_are_built(first, size, key):
    payload = b"ab" * size
    built = backend_python.build_masked(first, payload[:size], key)
    assert built[0] == first
    assert built[1:] == frame(0, payload[:size], key=key)[1:]


def test_a_run_has_no_capacity():
    data = frame(0x1, b"a") * 9000 + frame(0x1, b"b" * 300_000)
    messages, end = backend_python.read_run(data, 0, sys.maxsize, True)
    assert messages == ["a"] * 9000 + ["b" * 300_000]
    assert end == len(data)


def test_reserved_memory_is_nobody_elses():
    check_reserving(backend_python)
