"""Where the time of a row goes: `python -m bench.profile ROW`, for example `single-125`.

Three views of the same work: edgews beside every other contender; edgews with each of its parts alone,
outermost first, so that the difference between two lines is what the outer one adds; and cProfile, which
shows who calls whom but makes each call look dearer than it is. Page faults stand beside the times, for
memory that is taken from the system and given back for each message can cost more than all the rest.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import edgews
from edgews import backend
from edgews.masking import new_key

from .compare.contender import Contender
from .compare.receivers import edgews_receiver
from .compare.rounds import THOROUGH, Timing, calibrate, race
from .compare.rows import EDGEWS, Row, find, groups
from .compare.tables import duration
from .traffic import KIB, binary, masked_frames, text

LIMIT = KIB * KIB
KEY = b"\x01\x02\x03\x04"


def repeated(call: Callable[..., Any], *arguments: Any) -> Contender:
    """Make a contender of one call."""

    def run(passes: int) -> None:
        for _ in repeat(None, passes):
            call(*arguments)

    return Contender(run, lambda: call(*arguments))


def parts(row: Row) -> Iterator[tuple[str, Contender]]:
    """Yield the parts that the row's work consists of, outermost first, each as small as can be called."""
    yield "all of it", row.contenders[EDGEWS]()
    if row.key.startswith(("batch-", "single-", "large-", "pure-", "binary-")):
        yield from receive_parts(row)
    elif row.key.startswith("send-"):
        yield from send_parts(row)
    yield "an empty loop", Contender(lambda passes: [None for _ in repeat(None, passes)], lambda: None)


def receive_parts(row: Row) -> Iterator[tuple[str, Contender]]:
    messages = row.contenders[EDGEWS]().produced()
    assert isinstance(messages, list)
    data = masked_frames(messages)
    if len(messages) > 1:
        yield "read_run of the backend", repeated(backend.read_run, data, 0, LIMIT, True)
    else:
        yield "all of it, in one read", edgews_receiver([data])
        reader, (out, *_) = backend.new_reader(LIMIT, True), backend.new_scratch()
        yield "read_one of the backend", repeated(backend.read_one, reader, data, len(data), out)
    if edgews.BACKEND == "c":
        from edgews._kernels import ffi, lib

        run = ffi.new("edgews_run *")
        if len(messages) > 1:
            yield "kernel of read_run", repeated(lib.edgews_read_run, data, 0, len(data), LIMIT, True, run)
        target = ffi.new("uint8_t[]", len(data))
        yield (
            "masking kernel, all bytes at once",
            repeated(lib.edgews_mask, target, 0, data, 0, len(data), KEY, 0),
        )
    copy = bytearray(len(data))
    yield "memcpy of the bytes", repeated(copy.__setitem__, slice(None), memoryview(data))


def send_parts(row: Row) -> Iterator[tuple[str, Contender]]:
    _, role, size, kind = row.key.split("-") if row.key.count("-") == 3 else ("", "server", "65536", "binary")
    payload = text(int(size)).encode() if kind == "text" else binary(int(size))
    if role == "client":
        yield "build_masked of the backend", repeated(backend.build_masked, 0x82, payload, KEY)
        yield "new_key", repeated(new_key)
        if edgews.BACKEND == "c":
            from edgews._kernels import ffi, lib

            target = ffi.new("uint8_t[]", len(payload) + 14)
            kernel = lib.edgews_build_masked
            yield "kernel of build_masked", repeated(kernel, target, 0x82, payload, len(payload), KEY)
    else:
        yield "header + payload", repeated(b"\x82\x7d".__add__, payload)
    if kind == "text":
        yield "str.encode", repeated(payload.decode().encode)


def faults(contender: Contender, passes: int) -> str:
    """Return how many page faults one pass costs."""
    try:
        import resource
    except ImportError:
        return "?"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    contender.run(passes)
    return f"{(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / passes:.1f}"


def show(title: str, contenders: dict[str, Contender], timings: dict[str, Timing], per_pass: int) -> None:
    whole = timings[next(iter(timings))]
    print(f"\n{title}\n  {'':34} {'median':>9} {'best':>9} {'share':>7}  page faults")
    for name, timing in timings.items():
        passes = calibrate(contenders[name], THOROUGH.slice * 4)
        median, best = (duration(seconds * per_pass * 1e9) for seconds in (timing.median, timing.best))
        share = 1 / timing.times_faster(whole)
        print(f"  {name:34} {median:>9} {best:>9} {share:7.2f}  {faults(contenders[name], passes)}")


def main() -> None:
    keys = [row.key for group in groups() for row in group.rows]
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description=__doc__, epilog=f"rows: {', '.join(keys)}"
    )
    parser.add_argument("row", choices=keys, metavar="ROW")
    parser.add_argument("--calls", type=int, default=12, help="lines of cProfile to show")
    options = parser.parse_args()
    row = find(options.row)
    contenders = {name: make() for name, make in row.contenders.items()}
    show(
        f"{row.title}: one pass of each contender", contenders, race(row, contenders, THOROUGH), row.per_pass
    )
    pieces = dict(parts(row))
    show("edgews, its parts alone", pieces, race(row, pieces, THOROUGH), row.per_pass)
    ours = row.contenders[EDGEWS]()
    passes = calibrate(ours, 0.2)
    profiler = cProfile.Profile()
    profiler.runcall(ours.run, passes)
    print(f"\ncProfile over {passes} passes")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(options.calls)


if __name__ == "__main__":
    main()
