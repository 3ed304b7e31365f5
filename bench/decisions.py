"""Measure the alternatives behind decisions of docs/architecture.md: `python -m bench.decisions`.

Each group does one thing in several ways, all in one run, round by round in turn; the table gives medians
and how they compare with the way that was chosen, which comes first.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import statistics
import timeit
import zlib
from collections.abc import Callable

from edgews import ServerConnection
from edgews.asyncio import Server, WebSocket, WebSocketProtocol, serve
from edgews.asyncio.link import Link
from edgews.backend import mask, mask_into, reserve
from edgews.buffers import PayloadBuffer

from .traffic import REQUEST, binary, masked_frames

ROUNDS = 31
MIB = 1 << 20
READ = 1 << 16
KEY = b"\x01\x02\x03\x04"

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


def unmask_a_message() -> Ways:
    """The same with the mask taken off, beside what the memory allows."""
    data = os.urandom(MIB)
    reads = [data[i : i + READ] for i in range(0, MIB, READ)]
    last = [b""]
    scratch, target = reserve(READ)
    view = memoryview(scratch)
    source, copies = memoryview(data), [memoryview(bytearray(MIB)) for _ in range(2)]

    def in_its_place() -> None:
        buffer = PayloadBuffer()
        for i, read in enumerate(reads):
            buffer.append(read, 0, READ, KEY, 0, MIB - i * READ)
        last[0] = buffer.take()

    def bytes_io() -> None:
        buffer = io.BytesIO()
        for read in reads:
            mask_into(target, 0, read, 0, READ, KEY, 0)
            buffer.write(view)
        last[0] = buffer.getvalue()

    def list_of_bytes() -> None:
        last[0] = b"".join([mask(read, KEY) for read in reads])

    def copied_twice() -> None:
        copies[0][:] = source
        copies[1][:] = copies[0]

    found = []
    for way in (in_its_place, bytes_io, list_of_bytes):
        way()
        found.append(last[0])
    assert found[0] == found[1] == found[2] == mask(data, KEY)
    return {
        "written to its place": in_its_place,
        "scratch, BytesIO": bytes_io,
        "list of bytes, join": list_of_bytes,
        "memcpy, twice": copied_twice,
    }


class Nowhere(asyncio.Transport):
    """A transport that drops everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False


class Echo(WebSocketProtocol):
    """The callback level's echo."""

    __slots__ = ()

    def message_received(self, message: str | bytes) -> None:
        self.send(message)


def wake_a_task() -> Ways:
    """64 messages of 32 bytes there and back without sockets, a read for each, and a turn of the loop."""
    loop = asyncio.new_event_loop()
    frame = masked_frames([binary(32)])

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async def begin() -> tuple[Server, list[Link]]:
        server = await serve(echo, "127.0.0.1", 0)
        made: list[Link] = [server._connection(), Echo(ServerConnection())]
        for link in made:
            link.connection_made(Nowhere())
            link.data_received(REQUEST)
        await asyncio.sleep(0)
        return server, made

    def way(link: Link) -> Callable[[], None]:
        def read() -> None:
            for _ in range(64):
                link.data_received(frame)
            loop.call_soon(loop.stop)
            loop.run_forever()

        return read

    def end() -> None:
        for link in made:
            link.connection_lost(None)
        loop.run_until_complete(server.close())
        loop.close()

    server, made = loop.run_until_complete(begin())
    atexit.register(end)
    return {"async for": way(made[0]), "callbacks": way(made[1])}


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
    for group in (cut_a_run, collect_a_message, unmask_a_message, end_a_message, wake_a_task):
        print(group.__doc__)
        medians = measure(group())
        chosen = next(iter(medians.values()))
        for name, seconds in medians.items():
            print(f"  {name:28} {seconds * 1e6:10.1f} us {seconds / chosen:6.2f}x")


if __name__ == "__main__":
    main()
