"""A row as octets, and the ways to cut them into reads."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from edgews import Delivery, Role
from tests.conformance.rows import Call, Frame, Octets, Row
from tests.wire import frame

# What is delivered octet by octet: streams up to this size; in longer ones both edges of the first and the
# last frames, while the middle of a frame comes in steps, and each frame between in three.
_WHOLLY = 1200
_EDGE = 16
_STEPS = 60
_FIRST = 20
_LAST = 5


def mask(payload: bytes, key: bytes) -> bytes:
    """Mask as `tests.wire.xor` does, but quickly."""
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")


def wire(step: Frame | Octets, masked: bool) -> bytes:
    """Build what the peer sends."""
    if isinstance(step, Octets):
        return step.data
    key = step.key if masked is not step.wrong_mask else None
    size = len(step.payload) if step.length is None else step.length
    head = frame(step.opcode, b"", fin=step.fin, rsv=step.rsv, key=key, length=size, form=step.form)
    return head + (step.payload if key is None else mask(step.payload, key))


@dataclass(frozen=True, slots=True)
class Part:
    """Frames that come without anything of ours between, and then what our application does."""

    frames: list[bytes]
    then: Call | None


@dataclass(frozen=True, slots=True)
class Script:
    """A row for one role.

    Attributes:
        ends: after how many octets each final frame is complete.
        fault: after how many octets the violation shows.
    """

    parts: list[Part]
    ends: list[int]
    fault: int | None


def write(row: Row, role: Role) -> Script:
    """Turn a row into octets."""
    parts: list[Part] = []
    frames: list[bytes] = []
    ends: list[int] = []
    fault: int | None = None
    at = 0
    for i, step in enumerate(row.steps):
        if isinstance(step, Call):
            parts.append(Part(frames, step))
            frames = []
            continue
        octets = wire(step, role is Role.SERVER)
        if row.fault is not None and row.fault.frame == i and isinstance(step, Frame):
            head = len(octets) - len(step.payload)
            fault = at + (row.fault.header or 0 if row.fault.payload is None else head + row.fault.payload)
        frames.append(octets)
        at += len(octets)
        if isinstance(step, Frame) and step.fin:
            ends.append(at)
    parts.append(Part(frames, None))
    return Script(parts, ends, fault)


# How octets are delivered


@dataclass(frozen=True, slots=True)
class Style:
    """One way to deliver the same octets.

    Attributes:
        cut: where the reads end, given the frames that come together.
        each: `data_to_send` is fetched after each event, not only after each read.
        exact: each event's octet is known, and checked.
        at_once: all frames come in one read.
    """

    name: str
    cut: Callable[[list[bytes]], Iterable[int]]
    delivery: Delivery = Delivery.MESSAGES
    each: bool = False
    exact: bool = False
    at_once: bool = False


def _at_once(frames: list[bytes]) -> Iterable[int]:
    total = sum(map(len, frames))
    return [total] if total else []


def _octets(frames: list[bytes]) -> Iterator[int]:
    """Octet by octet, except in the middle of what is long."""
    total = sum(map(len, frames))
    if total <= _WHOLLY:
        yield from range(1, total + 1)
        return
    stride = max(61, total // _STEPS | 1)
    start = 0
    for i, octets in enumerate(frames):
        stop = start + len(octets)
        if _FIRST <= i < len(frames) - _LAST:
            yield from sorted({start + 1, start + (len(octets) + 1) // 2, stop})
        else:
            yield from range(start + 1, min(start + _EDGE, stop) + 1)
            yield from range(start + _EDGE + stride, stop - _EDGE, stride)
            yield from range(max(start + _EDGE, stop - _EDGE) + 1, stop + 1)
        start = stop


def _random(frames: list[bytes]) -> Iterator[int]:
    total = sum(map(len, frames))
    chance = random.Random(zlib.crc32(b"".join(octets[:32] for octets in frames)) + total)
    typical = max(2, min(total // 4, 1 << 16))
    at = 0
    while at < total:
        at = min(total, at + chance.choice((1, 3, chance.randint(1, typical), chance.randint(1, typical))))
        yield at


def _reads(size: int, frames: list[bytes]) -> Iterable[int]:
    total = sum(map(len, frames))
    return [*range(size, total, size), total] if total else []


STYLES = (
    Style("at once", _at_once, at_once=True),
    Style("octet by octet", _octets, exact=True),
    Style("in random cuts", _random, each=True),
)
# The application joins the pieces, so it must see the same messages.
PIECES = (
    Style("at once, as fragments", _at_once, Delivery.FRAGMENTS, at_once=True),
    Style("in random cuts, as a stream", _random, Delivery.STREAM, each=True),
)


def styles(row: Row) -> Iterator[Style]:
    """Return the ways to deliver a row; how it was negotiated does not matter to how it is cut."""
    yield from STYLES
    if row.opening is None:
        yield from PIECES
    for size in row.chops:
        yield Style(f"in reads of {size}", partial(_reads, size), each=True)
