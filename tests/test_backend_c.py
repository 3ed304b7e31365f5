from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import product
from threading import Barrier

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
    model_scan,
    scanned,
    streams,
    take_one,
)
from tests.wire import KEY, frame

if find_spec("edgews._kernels") is not None:
    from edgews import backend_c
    from edgews._kernels import lib

    RUN_BYTES, RUN_FRAMES = lib.EDGEWS_RUN_BYTES, lib.EDGEWS_RUN_FRAMES
else:
    # Nothing here can run, and pytest looks into no module that says so.
    __test__ = False
    RUN_BYTES = RUN_FRAMES = 0

pytestmark = pytest.mark.extension

# Each payload of a run stands in front of one more byte.
LONGEST = RUN_BYTES - 1


@pytest.mark.parametrize("stream", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_what_ends_a_run(stream):
    check_run(backend_c, stream, LONGEST)
    check_one(backend_c, stream, RUN_BYTES)
    check_scan(backend_c, stream)


@given(streams() | any_bytes)
def test_runs(stream):
    check_run(backend_c, stream, LONGEST)


@given(streams() | any_bytes)
def test_both_backends_read_the_same(stream):
    """Whatever the bytes: these are all shorter than what ends a run in C."""
    assert backend_c.read_run(*stream) == backend_python.read_run(*stream)
    assert scanned(backend_c, *stream) == scanned(backend_python, *stream) == model_scan(*stream)
    data = stream.data[stream.start :]
    assert take_one(backend_c, data, *stream[2:]) == take_one(backend_python, data, *stream[2:])


@given(streams() | any_bytes)
@example(Stream(frame(0x1, b"a" * 10), 0, 9, True))
@example(Stream(frame(0x1, b"a" * 10), 0, 10, True))
@example(Stream(frame(0x2, b"\xff"), 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"\xff"), 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"") * 2, 0, sys.maxsize, True))
@example(Stream(frame(0x1, b"a" * 5000), 0, sys.maxsize, True))
@example(Stream(frame(0x2, b"a" * 5000, key=None), 0, sys.maxsize, False))
def test_one_frame(stream):
    check_one(backend_c, stream, RUN_BYTES)


def repeat(*payloads: bytes, opcode: int = 0x1, key: bytes | None = KEY) -> bytes:
    return b"".join(frame(opcode, payload, key=key) for payload in payloads)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "payload",
    [b"", b"a", b"a" * 70, "ä".encode(), b"\xff"],
    ids=["empty", "short", "long", "wide", "invalid"],
)
@pytest.mark.parametrize("opcode", [0x1, 0x2])
@pytest.mark.parametrize("extra", [-1, 0, 1, RUN_FRAMES])
def test_runs_of_as_many_frames_as_fit(payload, opcode, masked, extra):
    count = RUN_FRAMES + extra
    data = frame(opcode, payload, key=KEY if masked else None) * count
    check_run(backend_c, Stream(data, 0, sys.maxsize, masked), LONGEST)
    assert sum(scanned(backend_c, data, 0, sys.maxsize, masked)[:2]) == count


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("opcode", [0x1, 0x2])
@pytest.mark.parametrize("size", [RUN_BYTES - 2, RUN_BYTES - 1, RUN_BYTES, RUN_BYTES + 1])
def test_runs_of_as_many_bytes_as_fit(size, opcode, masked):
    key = KEY if masked else None
    for payload in (b"a" * size, ("ä" * size).encode()[:size]):
        for before in (b"", repeat(b"", opcode=opcode, key=key), repeat(b"b", b"cd", opcode=opcode, key=key)):
            data = before + repeat(payload, b"e", opcode=opcode, key=key)
            check_run(backend_c, Stream(data, 0, sys.maxsize, masked), LONGEST)


@pytest.mark.parametrize("size", [RUN_BYTES - 1, RUN_BYTES, RUN_BYTES + 1])
def test_one_frame_as_long_as_fits(size):
    for opcode in (0x1, 0x2):
        check_one(backend_c, Stream(frame(opcode, b"a" * size), 0, sys.maxsize, True), RUN_BYTES)


@pytest.mark.parametrize("bad", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"a" * 80 + b"\x80"])
def test_invalid_utf8_ends_a_run_in_front_of_its_frame(bad):
    good = [b"a", "ä".encode(), b"", b"b" * 300]
    for position in range(len(good) + 1):
        data = repeat(*good[:position], bad, *good[position:])
        messages, end = backend_c.read_run(data, 0, sys.maxsize, True)
        assert messages == [text.decode() for text in good[:position]]
        assert end == len(repeat(*good[:position]))


@given(st.integers(0, 300) | st.sampled_from([4096, 70000]), keys, st.integers(0, 3), st.integers(0, 9))
def test_masking(size, key, phase, before):
    check_masking(backend_c, size, key, phase, before)


@pytest.mark.parametrize("key", KEYS, ids=bytes.hex)
def test_masking_every_short_length_at_every_phase_and_alignment(key):
    for size, phase, before in product(range(40), range(4), range(8)):
        check_masking(backend_c, size, key, phase, before)


@pytest.mark.parametrize("size", [RUN_BYTES - 15, RUN_BYTES - 14, RUN_BYTES - 13, RUN_BYTES, RUN_BYTES + 1])
def test_masking_more_than_fits(size):
    for phase in range(4):
        check_masking(backend_c, size, KEY, phase, before=1)


@given(st.binary(max_size=300), keys, st.integers(0, 3))
def test_both_backends_mask_the_same(data, key, phase):
    assert backend_c.mask(data, key, phase) == backend_python.mask(data, key, phase)
    assert backend_c.build_masked(0xC1, data, key) == backend_python.build_masked(0xC1, data, key)


def test_reserved_memory_is_nobody_elses():
    check_reserving(backend_c)


def test_threads_do_not_disturb_each_other():
    start = Barrier(4)

    def work(seed: int) -> bool:
        source = random.Random(seed)
        payloads = [bytes([source.randrange(0x20, 0x7F)]) * source.randrange(300) for _ in range(50)]
        key = source.randbytes(4)
        frames = [frame(0x2, payload, key=key) for payload in payloads]
        run, texts = b"".join(frames), repeat(*payloads, key=key)
        decoded = [payload.decode() for payload in payloads]
        large = source.randbytes(5000)
        large_frame = frame(0x2, large, key=key)
        reader = backend_c.new_reader(sys.maxsize, True)

        def one_by_one(octets: bytes) -> bytes:
            try:
                scratch = backend_c.take_scratch()
            except IndexError:
                scratch = backend_c.new_scratch()
            found = backend_c.read_one(reader, octets, len(octets), scratch[0])
            payload = scratch[1][: -3 - found]
            backend_c.give_scratch(scratch)
            return payload

        start.wait()
        for _ in range(300):
            good = (
                backend_c.read_run(run, 0, sys.maxsize, True) == (payloads, len(run))
                and backend_c.read_run(texts, 0, sys.maxsize, True) == (decoded, len(texts))
                and [backend_c.build_masked(0x82, payload, key) for payload in payloads] == frames
                and [one_by_one(octets) for octets in frames] == payloads
                and one_by_one(large_frame) == large
                and backend_c.mask(large, key) == large_frame[-5000:]
            )
            if not good:
                return False
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == [True] * 4
    finally:
        sys.setswitchinterval(interval)


def test_scratches_are_used_again():
    data = frame(0x1, b"a") * 3
    for data_ in (data, data[:-1], frame(0x1, b"\xff"), frame(0x1, b"a" * 5000), b""):
        backend_c.read_run(data_, 0, sys.maxsize, True)
    known = list(backend_c._free)
    backend_c.read_run(data, 0, sys.maxsize, True)
    backend_c.build_masked(0x81, b"a", KEY)
    backend_c.mask(b"a", KEY)
    assert [id(scratch) for scratch in backend_c._free] == [id(scratch) for scratch in known]


def test_scratches_are_made_when_all_are_in_use():
    taken = backend_c._free[:]
    backend_c._free.clear()
    try:
        assert backend_c.read_run(frame(0x1, b"a"), 0, sys.maxsize, True) == (["a"], 7)
        assert len(backend_c._free) == 1
    finally:
        backend_c._free[:] = taken


@pytest.mark.parametrize("data", [bytearray(b"\x81\0"), memoryview(b"\x81\0"), "text", None])
def test_only_bytes_reach_the_kernels(data):
    """The engine converts; a kernel that took a `bytearray` could lose its memory under the way."""
    with pytest.raises(TypeError):
        backend_c.read_run(data, 0, sys.maxsize, False)
