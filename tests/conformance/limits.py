"""Limits to the octet, large messages, and small ones by the hundred."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgews import CauseKind, FrameHeaderError, Limits, MessageTooBigError, Ping, Role
from tests.conformance.rows import (
    Frame,
    Row,
    Step,
    binary,
    cut,
    echoes,
    fails,
    fragments,
    more,
    passes,
    ping,
    text,
)

_LIMIT = "RFC 6455 §10.4, §7.4.1"
_SIZE = "RFC 6455 §5.2, §5.4"
_KIB, _MIB = 1024, 1 << 20


def _too_big(name: str, steps: list[Step], **options: Any) -> Row:
    return fails(
        f"limits/{name}", _LIMIT, steps, MessageTooBigError, kind=CauseKind.MESSAGE_TOO_BIG, **options
    )


def _head(size: int) -> int:
    """How much of a header says the length."""
    return 2 if size < 126 else 4 if size < 65536 else 10


def _messages() -> Iterator[Row]:
    for limit in (0, 1, 125, 126, 1000, 65535, 65536):
        limits = Limits(max_message_size=limit)
        exact = b"x" * limit
        yield echoes(f"limits/text-of-exactly-{limit}", _LIMIT, exact.decode(), limits=limits)
        yield echoes(f"limits/binary-of-exactly-{limit}", _LIMIT, exact, limits=limits)
        # A frame that is too long needs no payload to be refused.
        for name, frame in (("text", text), ("binary", binary)):
            bad = frame(exact + b"y")
            yield _too_big(f"{name}-one-beyond-{limit}", [bad], header=_head(limit + 1), limits=limits)
            yield _too_big(
                f"{name}-one-beyond-{limit}-after-a-message",
                [frame(exact), bad],
                header=_head(limit + 1),
                events=[exact.decode() if name == "text" else exact],
                limits=limits,
            )
        yield _too_big(
            f"announced-far-beyond-{limit}",
            [binary(b"", length=(1 << 63) - 1)],
            header=10,
            limits=limits,
        )
        if limit > 1:
            half = limit // 2
            pieces = [exact[:half], exact[half:]]
            yield passes(
                f"limits/fragments-of-exactly-{limit}",
                _LIMIT,
                fragments(text(""), pieces),
                [exact.decode()],
                limits=limits,
            )
            for name, first in (("text", text("")), ("binary", binary(b""))):
                yield _too_big(
                    f"{name}-fragments-one-beyond-{limit}",
                    [*fragments(first, [*pieces, b"y"])],
                    payload=0,
                    limits=limits,
                )
    small = Limits(max_message_size=10)
    yield _too_big(
        "fragments-beyond-with-a-ping-between",
        [binary(b"12345678", fin=False), ping(b"!"), more("123", fin=False)],
        payload=0,
        events=[Ping(b"!")],
        limits=small,
    )
    yield passes(
        "limits/hundreds-of-empty-fragments",
        _LIMIT,
        fragments(binary(b""), [b""] * 500 + [b"1234567890"] + [b""] * 500),
        [b"1234567890"],
        limits=small,
    )
    yield echoes("limits/each-message-counts-for-itself", _LIMIT, *["1234567890"] * 50, limits=small)
    yield passes(
        "limits/control-frames-are-not-messages",
        _LIMIT,
        [ping(bytes(125))],
        [Ping(bytes(125))],
        limits=Limits(max_message_size=1, max_frame_size=1),
    )
    yield echoes("limits/octets-count-not-characters", _LIMIT, "€€€", limits=Limits(max_message_size=9))
    yield _too_big("octets-of-text-count", [text("€€€")], header=2, limits=Limits(max_message_size=8))
    yield fails(
        "limits/length-beyond-63-bits-whatever-the-limit",
        "RFC 6455 §5.2",
        [binary(b"", length=1 << 63)],
        FrameHeaderError,
        header=10,
        limits=Limits(max_message_size=None),
    )
    yield _too_big("default-is-1-mib", [binary(b"", length=_MIB + 1)], header=10)


def _frames() -> Iterator[Row]:
    limits = Limits(max_frame_size=10)
    yield echoes("limits/frame-of-exactly-10", _LIMIT, "1234567890", limits=limits)
    yield _too_big("frame-of-11", [text("12345678901")], header=2, limits=limits)
    yield passes(
        "limits/message-of-many-frames-of-10",
        _LIMIT,
        fragments(text(""), [b"1234567890"] * 100),
        ["1234567890" * 100],
        limits=limits,
    )
    yield _too_big(
        "continuation-of-11",
        [*fragments(text(""), [b"1234567890", b"12345678901"])],
        header=2,
        limits=limits,
    )
    yield _too_big(
        "frame-limit-beyond-the-message-s",
        [binary(bytes(11))],
        payload=0,
        limits=Limits(max_message_size=10, max_frame_size=1000),
    )


def _large() -> Iterator[Row]:
    unlimited = Limits(max_message_size=None)
    for size in (64 * _KIB, 256 * _KIB):
        whole = b"*" * size
        yield echoes(f"limits/text-of-{size}", _SIZE, whole.decode(), limits=unlimited)
        yield echoes(f"limits/binary-of-{size}", _SIZE, whole, limits=unlimited)
    yield echoes("limits/text-of-4-mib", _SIZE, "\U00010348" * _MIB, limits=unlimited)
    yield echoes(
        "limits/binary-of-16-mib",
        _SIZE,
        b"*" * (16 * _MIB),
        limits=Limits(max_message_size=16 * _MIB),
        roles=(Role.SERVER,),
    )
    for size in (64, 256, _KIB, 4 * _KIB, 16 * _KIB, 64 * _KIB):
        total = min(_MIB, 256 * size)
        for name, first in (("text", text("")), ("binary", binary(b""))):
            whole = b"*" * total
            yield passes(
                f"limits/{name}-in-fragments-of-{size}",
                _SIZE,
                fragments(first, cut(whole, size)),
                [whole.decode() if name == "text" else whole],
                limits=unlimited,
            )
    for size in (64, 256, 1024):
        whole = b"*" * (64 * size)
        yield echoes(f"limits/text-in-reads-of-{size}", _SIZE, whole.decode(), chops=(size,))
        yield echoes(f"limits/binary-in-reads-of-{size}", _SIZE, whole, chops=(size,))


def _many() -> Iterator[Row]:
    for size in (0, 16, 64, 125, 126, 256, 1024):
        count = 100 if size < 1024 else 30
        texts = [f"{i:04d}".ljust(size, "*")[:size] for i in range(count)]
        yield echoes(f"limits/{count}-texts-of-{size}", _SIZE, *texts)
        yield echoes(f"limits/{count}-binaries-of-{size}", _SIZE, *(message.encode() for message in texts))
    alternating: list[Frame] = []
    events: list[str | bytes] = []
    for i in range(100):
        alternating += [text(str(i)), *fragments(binary(b""), [b"%d" % i, b"!"])]
        events += [str(i), b"%d!" % i]
    yield passes("limits/100-whole-and-fragmented-in-turns", _SIZE, alternating, events)


def rows() -> Iterator[Row]:
    yield from _messages()
    yield from _frames()
    yield from _large()
    yield from _many()
