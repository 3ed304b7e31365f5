"""Reserved opcodes: 3 to 7 and 11 to 15."""

from __future__ import annotations

from collections.abc import Iterator

from edgews import FrameHeaderError, Ping
from tests.conformance.rows import Frame, Row, fails, ping, text

_RULE = "RFC 6455 §5.2"


def rows() -> Iterator[Row]:
    for opcode in (*range(3, 8), *range(11, 16)):
        kind = "control" if opcode > 7 else "data"
        name = f"opcodes/{kind}-{opcode}"
        alone = Frame(opcode)
        loaded = Frame(opcode, b"payload")
        good = text("good")
        yield fails(f"{name}-empty", _RULE, [alone], FrameHeaderError, header=2)
        yield fails(f"{name}-with-payload", _RULE, [loaded], FrameHeaderError, header=2, chops=(2, 3))
        yield fails(f"{name}-with-126-octets", _RULE, [Frame(opcode, bytes(126))], FrameHeaderError, header=2)
        yield fails(
            f"{name}-with-64-bit-length", _RULE, [Frame(opcode, bytes(65536))], FrameHeaderError, header=2
        )
        yield fails(f"{name}-not-final", _RULE, [Frame(opcode, b"x", fin=False)], FrameHeaderError, header=2)
        for what, bad in (("empty", alone), ("with-payload", loaded)):
            yield fails(
                f"{name}-{what}-after-a-message",
                _RULE,
                [good, bad],
                FrameHeaderError,
                header=2,
                events=["good"],
            )
            yield fails(
                f"{name}-{what}-between-a-message-and-a-ping",
                _RULE,
                [good, bad, ping()],
                FrameHeaderError,
                frame=1,
                header=2,
                events=["good"],
            )
        yield fails(
            f"{name}-after-a-ping",
            _RULE,
            [ping(b"good"), loaded],
            FrameHeaderError,
            header=2,
            events=[Ping(b"good")],
        )
        yield fails(
            f"{name}-inside-a-message",
            _RULE,
            [text("one", fin=False), loaded],
            FrameHeaderError,
            header=2,
        )
