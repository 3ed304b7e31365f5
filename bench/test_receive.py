"""The engine's receive path alone, without I/O: `pytest bench`."""

from __future__ import annotations

from typing import Any

import pytest

import edgews

from .traffic import BINARY, CONTINUATION, KIB, TEXT, binary, frame, masked_frames, reads, text, texts

KEY = b"\x37\xfa\x21\x3d"
DEFLATE = (
    edgews.PerMessageDeflate(server_max_window_bits=12, client_max_window_bits=12),
    edgews.Agreement(False, False, 12, 12),
)


def measure(benchmark: Any, connection: edgews.Connection, pieces: list[bytes], expected: list[Any]) -> None:
    """Time one pass over the reads, every event looked at."""
    receive = connection.receive_data

    def one_pass() -> None:
        for data in pieces:
            for _ in receive(data):
                pass

    assert [event for data in pieces for event in receive(data)] == expected
    benchmark.extra_info["backend"] = edgews.BACKEND
    benchmark.extra_info["messages"] = len(expected)
    benchmark(one_pass)
    assert [event for data in pieces for event in receive(data)] == expected


def server() -> edgews.Connection:
    return edgews.Connection(edgews.Role.SERVER)


@pytest.mark.benchmark(group="receive, 64 KiB in one read")
@pytest.mark.parametrize("size", [16, 125, KIB])
def test_batch(benchmark: Any, size: int) -> None:
    measure(benchmark, server(), [masked_frames(texts(size))], texts(size))


@pytest.mark.benchmark(group="receive, 64 KiB in one read")
def test_batch_not_ascii(benchmark: Any) -> None:
    messages = texts(125, ascii=False)
    measure(benchmark, server(), [masked_frames(messages)], messages)


@pytest.mark.benchmark(group="receive, 64 KiB in one read")
def test_batch_of_binary(benchmark: Any) -> None:
    messages = [binary(125, seed=seed) for seed in range(500)]
    measure(benchmark, server(), [masked_frames(messages)], messages)


@pytest.mark.benchmark(group="receive, 64 KiB in one read")
def test_batch_at_the_client(benchmark: Any) -> None:
    messages = texts(125)
    data = b"".join(frame(TEXT, message.encode(), key=None) for message in messages)
    measure(benchmark, edgews.Connection(edgews.Role.CLIENT), [data], messages)


@pytest.mark.benchmark(group="receive, one frame a read")
@pytest.mark.parametrize("size", [16, 125, KIB, 16 * KIB, 256 * KIB])
def test_single(benchmark: Any, size: int) -> None:
    messages = [text(size)]
    measure(benchmark, server(), [masked_frames(messages)], messages)


@pytest.mark.benchmark(group="receive, one frame a read")
def test_single_at_the_client(benchmark: Any) -> None:
    message = text(125)
    data = frame(TEXT, message.encode(), key=None)
    measure(benchmark, edgews.Connection(edgews.Role.CLIENT), [data], [message])


@pytest.mark.benchmark(group="receive, in many reads")
@pytest.mark.parametrize("size", [256 * KIB, KIB * KIB])
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_in_reads_of_64_kib(benchmark: Any, kind: str, size: int) -> None:
    messages: Any = [text(size) if kind == "text" else binary(size)]
    measure(benchmark, server(), reads(masked_frames(messages)), messages)


@pytest.mark.benchmark(group="receive, in many reads")
def test_byte_by_byte(benchmark: Any) -> None:
    messages = [text(125)]
    measure(benchmark, server(), reads(masked_frames(messages), 1), messages)


@pytest.mark.benchmark(group="receive, fragmented")
@pytest.mark.parametrize("fragments", [2, 64])
def test_fragmented(benchmark: Any, fragments: int) -> None:
    payload = binary(64 * KIB)
    pieces = reads(payload, len(payload) // fragments)
    data = b"".join(
        frame(CONTINUATION if at else BINARY, piece, key=KEY, fin=at == len(pieces) - 1)
        for at, piece in enumerate(pieces)
    )
    measure(benchmark, server(), [data], [payload])


@pytest.mark.benchmark(group="receive, compressed")
@pytest.mark.parametrize("size", [125, 16 * KIB])
def test_compressed(benchmark: Any, size: int) -> None:
    """Each message without reference to one before, so that the same bytes can be read again and again."""
    message = text(size)
    fresh = edgews.Connection(edgews.Role.CLIENT, deflate=DEFLATE)
    data = fresh.send_text(message)
    assert len(data) < size
    measure(benchmark, edgews.Connection(edgews.Role.SERVER, deflate=DEFLATE), [data], [message])


@pytest.mark.benchmark(group="receive, control frames")
def test_ping(benchmark: Any) -> None:
    """A Ping and the Pong that answers it."""
    connection = server()
    data = frame(0x9, b"are you there?", key=KEY)

    def one_pass() -> bytes:
        for _ in connection.receive_data(data):
            pass
        return connection.data_to_send()

    assert benchmark(one_pass) == frame(0xA, b"are you there?", key=None)
