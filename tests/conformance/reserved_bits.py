"""Reserved bits without an extension that gives them a meaning: each combination, in every position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgews import FrameHeaderError, Ping
from tests.conformance.rows import Row, binary, close, fails, more, ping, pong, text

_RULE = "RFC 6455 §5.2"

_FRAMES = {
    "text": text("reserved"),
    "empty-text": text(""),
    "long-text": text("x" * 200),
    "binary": binary(b"\x00\xff"),
    "first-fragment": text("reserved", fin=False),
    "ping": ping(b"reserved"),
    "pong": pong(b"reserved"),
    "close": close(1000),
    "empty-close": close(),
}


def rows() -> Iterator[Row]:
    for rsv in range(1, 8):
        bits = f"{rsv:03b}"
        for name, good in _FRAMES.items():
            bad = replace(good, rsv=rsv)
            yield fails(
                f"reserved-bits/{bits}-{name}", _RULE, [bad], FrameHeaderError, header=2, chops=(2, 3)
            )
            yield fails(
                f"reserved-bits/{bits}-{name}-after-a-message",
                _RULE,
                [text("good"), bad],
                FrameHeaderError,
                header=2,
                events=["good"],
            )
        yield fails(
            f"reserved-bits/{bits}-text-after-a-message-and-before-a-ping",
            _RULE,
            [text("good"), text("bad", rsv=rsv), ping()],
            FrameHeaderError,
            frame=1,
            header=2,
            events=["good"],
        )
        yield fails(
            f"reserved-bits/{bits}-text-after-a-ping",
            _RULE,
            [ping(b"good"), text("bad", rsv=rsv)],
            FrameHeaderError,
            header=2,
            events=[Ping(b"good")],
        )
        yield fails(
            f"reserved-bits/{bits}-continuation",
            _RULE,
            [text("one", fin=False), more("two", rsv=rsv)],
            FrameHeaderError,
            header=2,
        )
        yield fails(
            f"reserved-bits/{bits}-continuation-after-a-message",
            _RULE,
            [text("good"), binary(b"one", fin=False), more("two", fin=False), more("three", rsv=rsv)],
            FrameHeaderError,
            header=2,
            events=["good"],
        )
        yield fails(
            f"reserved-bits/{bits}-continuation-without-a-message",
            _RULE,
            [more("alone", rsv=rsv)],
            FrameHeaderError,
            header=2,
        )
        yield fails(
            f"reserved-bits/{bits}-ping-between-fragments",
            _RULE,
            [text("one", fin=False), ping(b"bad", rsv=rsv), more("two")],
            FrameHeaderError,
            frame=1,
            header=2,
        )
