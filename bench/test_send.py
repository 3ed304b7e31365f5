"""The engine's send path alone, without I/O: `pytest bench`."""

from __future__ import annotations

from typing import Any

import pytest

import edgews

from .compare.rows import is_frame
from .traffic import KIB, binary, text

DEFLATE = (
    edgews.PerMessageDeflate(server_max_window_bits=12, client_max_window_bits=12),
    edgews.Agreement(False, False, 12, 12),
)
SIZES = [125, KIB, 64 * KIB]


@pytest.mark.benchmark(group="send")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", list(edgews.Role))
def test_text(benchmark: Any, role: edgews.Role, size: int) -> None:
    message = text(size)
    sent = benchmark(edgews.Connection(role).send_text, message)
    assert is_frame(sent, message, masked=role is edgews.Role.CLIENT)


@pytest.mark.benchmark(group="send")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", list(edgews.Role))
def test_binary(benchmark: Any, role: edgews.Role, size: int) -> None:
    message = binary(size)
    sent = benchmark(edgews.Connection(role).send_bytes, message)
    assert is_frame(sent, message, masked=role is edgews.Role.CLIENT)


@pytest.mark.benchmark(group="send in parts")
@pytest.mark.parametrize("size", [64 * KIB, KIB * KIB])
def test_parts(benchmark: Any, size: int) -> None:
    message = binary(size)
    head, payload = benchmark(edgews.Connection(edgews.Role.SERVER).send_parts, message)
    assert payload is message
    assert is_frame(head + payload, message, masked=False)


@pytest.mark.benchmark(group="send compressed")
@pytest.mark.parametrize("size", [125, 16 * KIB])
@pytest.mark.parametrize("takeover", [True, False])
def test_compressed(benchmark: Any, takeover: bool, size: int) -> None:
    agreed = edgews.Agreement(not takeover, not takeover, 12, 12)
    connection = edgews.Connection(edgews.Role.SERVER, deflate=(DEFLATE[0], agreed))
    assert len(benchmark(connection.send_text, text(size))) < size


@pytest.mark.benchmark(group="broadcast to 1000 connections, 1 KiB")
@pytest.mark.parametrize("deflate", [None, DEFLATE], ids=["plain", "deflate"])
@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "each"])
def test_broadcast(benchmark: Any, prepared: bool, deflate: Any) -> None:
    connections = [edgews.Connection(edgews.Role.SERVER, deflate=deflate) for _ in range(1000)]
    message = text(KIB)

    def broadcast_prepared() -> list[bytes]:
        once = edgews.PreparedMessage(message)
        return [connection.send_prepared(once) for connection in connections]

    def broadcast_each() -> list[bytes]:
        return [connection.send_text(message) for connection in connections]

    frames = benchmark(broadcast_prepared if prepared else broadcast_each)
    assert len(frames) == 1000
    if deflate is None:
        assert all(is_frame(frame, message, masked=False) for frame in frames)
