"""Masking, its keys, and memcpy beside it: `pytest bench`."""

from __future__ import annotations

from typing import Any

import pytest

from edgews import backend, backend_python
from edgews.masking import new_key

from .traffic import KIB, binary

KEY = b"\x37\xfa\x21\x3d"
SIZES = [16, 125, KIB, 64 * KIB]


@pytest.mark.benchmark(group="masking")
@pytest.mark.parametrize("size", SIZES)
def test_mask(benchmark: Any, size: int) -> None:
    payload = binary(size)
    assert benchmark(backend.mask, payload, KEY) == backend_python.mask(payload, KEY)


@pytest.mark.benchmark(group="masking")
@pytest.mark.parametrize("size", SIZES)
def test_build_masked_frame(benchmark: Any, size: int) -> None:
    payload = binary(size)
    assert benchmark(backend.build_masked, 0x82, payload, KEY) == backend_python.build_masked(
        0x82, payload, KEY
    )


@pytest.mark.benchmark(group="masking")
@pytest.mark.parametrize("size", SIZES)
def test_memcpy(benchmark: Any, size: int) -> None:
    source, target = binary(size), bytearray(size)
    benchmark(target.__setitem__, slice(None), source)
    assert target == source


@pytest.mark.benchmark(group="masking")
def test_new_key(benchmark: Any) -> None:
    assert len(benchmark(new_key)) == 4
