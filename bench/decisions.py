"""Measure the alternatives behind decisions of docs/architecture.md: `python -m bench.decisions`.

Each group does one thing in several ways, all in one run, round by round in turn; the table gives medians
and how they compare with the way that was chosen, which comes first.
"""

from __future__ import annotations

import io
import os
import statistics
import timeit
import zlib
from collections.abc import Callable

ROUNDS = 31
MIB = 1 << 20
READ = 1 << 16

Ways = dict[str, Callable[[], object]]


def cut_a_run() -> Ways:
    """2,730 texts of 16 bytes out of one ASCII buffer, with a separator behind each."""
    texts = [f"{i:016d}" for i in range(2730)]
    octets = b"".join(text.encode() + b"\xff" for text in texts)
    ends = [17 * i + 16 for i in range(2730)]
    view = memoryview(octets)[:-1]

    def split() -> list[str]:
        return str(view, "latin-1").split("\xff")

    def slices() -> list[str]:
        joined = str(view, "latin-1")
        begin = 0
        return [joined[begin : (begin := end + 1) - 1] for end in ends]

    def decode_each() -> list[str]:
        begin = 0
        return [octets[begin : (begin := end + 1) - 1].decode() for end in ends]

    assert split() == slices() == decode_each() == texts
    return {"one decode, str.split": split, "one decode, slices": slices, "slice, decode": decode_each}


def collect_a_message() -> Ways:
    """1 MiB that arrives in reads of 64 KiB, as one `bytes`, while the message before is still in use."""
    data = os.urandom(MIB)
    reads = [data[i : i + READ] for i in range(0, MIB, READ)]
    last = [b""]

    kept = [memoryview(bytearray(READ)) for _ in reads]

    def kept_blocks() -> None:
        for block, read in zip(kept, reads, strict=True):
            block[:] = read
        last[0] = b"".join(kept)

    def fresh_blocks() -> None:
        blocks = []
        for read in reads:
            block = bytearray(len(read))
            block[:] = read
            blocks.append(block)
        last[0] = b"".join(blocks)

    def parts() -> None:
        last[0] = b"".join([bytes(memoryview(read)) for read in reads])

    def byte_array() -> None:
        buffer = bytearray()
        for read in reads:
            buffer += read
        last[0] = bytes(buffer)

    def bytes_io() -> None:
        buffer = io.BytesIO()
        for read in reads:
            buffer.write(read)
        last[0] = buffer.getvalue()

    ways: Ways = {
        "blocks that are kept, join": kept_blocks,
        "fresh blocks, join": fresh_blocks,
        "list of bytes, join": parts,
        "bytearray, bytes": byte_array,
        "BytesIO": bytes_io,
    }
    for way in ways.values():
        way()
        assert last[0] == data
    return ways


def end_a_message() -> Ways:
    """Inflate a short message, with and without the check that it was not cut off."""
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -12, 5)
    message = b'{"type": "update", "id": 12345, "value": 0.5}'
    squeezed = compressor.compress(message) + compressor.flush(zlib.Z_FULL_FLUSH)
    inflater = zlib.decompressobj(-12)

    def with_check() -> bool:
        inflater.decompress(squeezed)
        copy = inflater.copy()
        copy.decompress(b"\x03\x00")
        return copy.eof

    def without() -> bytes:
        return inflater.decompress(squeezed)

    assert with_check()
    assert without() == message
    return {"on a copy of the inflater": with_check, "no check": without}


def measure(ways: Ways) -> dict[str, float]:
    """Return the median seconds of each way; the ways take turns."""
    number = max(1, int(0.002 / max(timeit.timeit(next(iter(ways.values())), number=3) / 3, 1e-9)))
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rounds[name].append(timeit.timeit(way, number=number) / number)
    return {name: statistics.median(times) for name, times in rounds.items()}


def main() -> None:
    """Print one table for each decision."""
    for group in (cut_a_run, collect_a_message, end_a_message):
        print(group.__doc__)
        medians = measure(group())
        chosen = next(iter(medians.values()))
        for name, seconds in medians.items():
            print(f"  {name:28} {seconds * 1e6:10.1f} us {seconds / chosen:6.2f}x")


if __name__ == "__main__":
    main()
