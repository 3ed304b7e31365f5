"""Compressed messages and the rest of the protocol: RSV1 out of place, and what inflates beyond a limit."""

from __future__ import annotations

from collections.abc import Iterator

from edgews import CauseKind, FrameHeaderError, Limits, MaskingError, MessageTooBigError, Ping
from tests.conformance.bits import Blocks, beyond, squeeze
from tests.conformance.rows import (
    Deflate,
    Frame,
    Row,
    Step,
    binary,
    close,
    fails,
    fragments,
    more,
    passes,
    ping,
    pong,
    text,
)

_DEFLATE = Deflate()


def _text(payload: bytes, **options: bool) -> Frame:
    return text(payload, rsv=4, **options)


def _binary(payload: bytes, **options: bool) -> Frame:
    return binary(payload, rsv=4, **options)


def _reserved_bits() -> Iterator[Row]:
    """RSV1 has a meaning on the first frame of a message, and nowhere else. RFC 7692 §6."""
    payload = squeeze("Hello")
    start = _text(payload[:3], fin=False)
    cases: dict[str, tuple[list[Step], list[Ping]]] = {
        "rsv1-on-ping": ([ping(b"x", rsv=4)], []),
        "rsv1-on-pong": ([pong(b"x", rsv=4)], []),
        "rsv1-on-close": ([close(1000, rsv=4)], []),
        "rsv1-on-empty-ping": ([ping(b"", rsv=4)], []),
        "rsv1-on-continuation": ([start, more(payload[3:], rsv=4)], []),
        "rsv1-on-middle-continuation": ([start, more(payload[3:4], fin=False, rsv=4)], []),
        "rsv1-on-continuation-of-a-plain-message": ([text("a", fin=False), more("b", rsv=4)], []),
        "rsv1-on-ping-between-fragments": ([start, ping(b"x", rsv=4)], []),
        "rsv1-on-continuation-after-a-ping": ([start, ping(b"x"), more(payload[3:], rsv=4)], [Ping(b"x")]),
        "rsv1-on-stray-continuation": ([more(payload, rsv=4)], []),
        "rsv1-on-reserved-opcode": ([Frame(3, payload, rsv=4)], []),
    }
    for rsv in (1, 2, 3, 5, 6, 7):
        cases[f"rsv-{rsv:03b}-on-text"] = ([text(payload, rsv=rsv)], [])
        cases[f"rsv-{rsv:03b}-on-continuation"] = ([start, more(payload[3:], rsv=rsv)], [])
        cases[f"rsv-{rsv:03b}-on-ping"] = ([ping(b"x", rsv=rsv)], [])
    for name, (steps, events) in cases.items():
        yield fails(
            f"deflate-rules/{name}",
            "RFC 7692 §6",
            steps,
            FrameHeaderError,
            header=2,
            events=events,
            deflate=_DEFLATE,
        )
        yield fails(
            f"deflate-rules/{name}-after-a-message",
            "RFC 7692 §6",
            [_text(payload), *steps],
            FrameHeaderError,
            header=2,
            events=["Hello", *events],
            deflate=_DEFLATE,
        )
    yield fails(
        "deflate-rules/wrong-mask",
        "RFC 6455 §5.1",
        [Frame(1, payload, rsv=4, wrong_mask=True)],
        MaskingError,
        header=2,
        deflate=_DEFLATE,
    )


def _bombs() -> Iterator[Row]:
    """The limit is of what comes out, and holds while it comes out."""
    rule = "RFC 6455 §10.4, §7.4.1; RFC 7692 §8"
    for limit in (0, 10, 1000, 65536, 1 << 20):
        limits = Limits(max_message_size=limit)
        exact, bomb = bytes(limit), squeeze(bytes(limit + 1))
        yield passes(
            f"deflate-rules/inflates-to-exactly-{limit}",
            rule,
            [_binary(squeeze(exact)), _text(squeeze(exact))],
            [exact, exact.decode()],
            limits=limits,
            deflate=_DEFLATE,
        )
        after = beyond(bomb, limit)
        for name, make in (("binary", _binary), ("text", _text)):
            yield _bomb(f"{name}-one-beyond-{limit}", [make(bomb)], after, limits, rule)
    limits = Limits(max_message_size=1000)
    # No compressor makes so much of a message within the limit, so its header is enough.
    yield fails(
        "deflate-rules/longer-than-any-message-within-the-limit",
        rule,
        [_binary(squeeze(bytes(1 << 22)))],
        MessageTooBigError,
        header=4,
        kind=CauseKind.MESSAGE_TOO_BIG,
        limits=limits,
        deflate=_DEFLATE,
    )
    bomb = squeeze(bytes(1 << 20), level=9)
    after = beyond(bomb, 1000)
    yield _bomb("bomb", [_binary(bomb)], after, limits, rule)
    pieces = [bomb[:10], bomb[10:20], bomb[20:]]
    at, size = next((i, after - 10 * i) for i in range(3) if after <= 10 * i + len(pieces[i]))
    yield _bomb("bomb-in-fragments", fragments(_binary(b""), pieces), size, limits, rule, at)
    stored = Blocks().stored(bytes(1001)).message()
    yield _bomb("stored-beyond", [_binary(stored)], 5 + 1001, limits, rule)
    halves = [Blocks().stored(bytes(600)).payload(), Blocks().stored(bytes(600)).message()]
    yield _bomb("halves-beyond", fragments(_binary(b""), halves), 5 + 401, limits, rule)


def _bomb(
    name: str, steps: list[Frame], after: int, limits: Limits, rule: str, frame: int | None = None
) -> Row:
    return fails(
        f"deflate-rules/{name}",
        rule,
        steps,
        MessageTooBigError,
        payload=after,
        frame=frame,
        kind=CauseKind.MESSAGE_TOO_BIG,
        limits=limits,
        deflate=_DEFLATE,
    )


def rows() -> Iterator[Row]:
    yield from _reserved_bits()
    yield from _bombs()
