"""Framing: text and binary in every class of length, chopped deliveries, masking, minimal lengths."""

from __future__ import annotations

from collections.abc import Iterator

from edgews import FrameHeaderError, MaskingError, Ping, Role
from tests.conformance.rows import (
    VANISHED,
    Octets,
    Row,
    binary,
    close,
    echoes,
    fails,
    passes,
    ping,
    pong,
    text,
)

_SIZES = (0, 1, 2, 3, 124, 125, 126, 127, 128, 129, 255, 256, 1000, 65534, 65535, 65536, 65537)
_CHOPS = (2, 5, 8, 13, 127)
_LONG_CHOPS = (64, 997, 4096, 65535)
_MINIMAL = "RFC 6455 §5.2"


def message(size: int) -> bytes:
    """Octets that are also ASCII, and differ at every phase of a masking key."""
    return (b"".join(b"%05d " % i for i in range(0, size + 6, 6)))[:size]


def every_octet(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def _sizes() -> Iterator[Row]:
    for size in _SIZES:
        yield echoes(f"framing/text-{size}", "RFC 6455 §5.2, §5.6", message(size).decode())
        yield echoes(f"framing/binary-{size}", "RFC 6455 §5.2, §5.6", every_octet(size))
        chops = _CHOPS if size < 1001 else _LONG_CHOPS
        if size > 3:
            yield echoes(f"framing/text-{size}-chopped", "RFC 6455 §5.2", message(size).decode(), chops=chops)
            yield echoes(f"framing/binary-{size}-chopped", "RFC 6455 §5.2", every_octet(size), chops=chops)
    yield echoes("framing/text-of-all-sizes", "RFC 6455 §5.2", *(message(n).decode() for n in _SIZES[:13]))
    yield echoes("framing/binary-of-all-sizes", "RFC 6455 §5.2", *map(every_octet, _SIZES[:13]))
    yield echoes(
        "framing/text-and-binary-in-turns",
        "RFC 6455 §5.6",
        *(event for n in range(20) for event in (message(n).decode(), every_octet(n))),
        chops=(2, 3, 17),
    )
    yield echoes("framing/two-texts", "RFC 6455 §5.2", "one", "two")
    yield echoes("framing/empty-text-between", "RFC 6455 §5.2", "one", "", "two")
    yield echoes("framing/empty-binary-between", "RFC 6455 §5.2", b"one", b"", b"two")
    yield echoes("framing/text-of-nul", "RFC 6455 §5.6", "\0\0\0")
    yield echoes("framing/text-of-line-ends", "RFC 6455 §5.6", "\r\n\r\n")
    yield echoes("framing/short-behind-long", "RFC 6455 §5.2", message(65536).decode(), "x")
    yield echoes("framing/long-behind-short", "RFC 6455 §5.2", b"x", every_octet(65536))


def _masks() -> Iterator[Row]:
    server = (Role.SERVER,)
    for name, key in (
        ("zero", b"\0\0\0\0"),
        ("ones", b"\xff\xff\xff\xff"),
        ("last-octet", b"\0\0\0\x01"),
        ("payload-itself", b"same"),
        ("looks-like-a-header", b"\x81\x85\x81\x85"),
    ):
        for size in (1, 4, 9, 126, 300):
            payload = (b"same" * 100)[:size]
            yield passes(
                f"framing/key-{name}-{size}",
                "RFC 6455 §5.3",
                [binary(payload, key=key), text(payload, key=key), ping(payload[:125], key=key)],
                [payload, payload.decode(), Ping(payload[:125])],
                roles=server,
            )
    keys = [bytes((n, 255 - n, n ^ 0x55, 7 * n & 255)) for n in range(40)]
    yield passes(
        "framing/key-of-its-own-for-each-frame",
        "RFC 6455 §5.3",
        [binary(every_octet(i), key=key) for i, key in enumerate(keys)],
        [every_octet(i) for i in range(len(keys))],
        roles=server,
        chops=(3, 4, 5),
    )
    for name, good in (
        ("text", text("x")),
        ("empty-text", text("")),
        ("binary", binary(b"x")),
        ("ping", ping(b"x")),
        ("pong", pong()),
        ("close", close(1000)),
        ("long-binary", binary(bytes(70000))),
    ):
        wrong = type(good)(good.opcode, good.payload, wrong_mask=True)
        rule = "RFC 6455 §5.1"
        yield fails(f"framing/wrong-mask-{name}", rule, [wrong], MaskingError, header=2)
        yield fails(
            f"framing/wrong-mask-{name}-after-a-message",
            rule,
            [text("fine"), wrong],
            MaskingError,
            header=2,
            events=["fine"],
        )


def _lengths() -> Iterator[Row]:
    for form, head, sizes in ((16, 4, (0, 1, 125)), (64, 10, (0, 125, 126, 65535))):
        for size in sizes:
            for name, frame in (("text", text), ("binary", binary)):
                yield fails(
                    f"framing/{name}-{size}-in-{form}-bits",
                    _MINIMAL,
                    [frame(message(size), form=form)],
                    FrameHeaderError,
                    header=head,
                )
            yield fails(
                f"framing/{size}-in-{form}-bits-after-a-message",
                _MINIMAL,
                [binary(b"fine"), binary(message(size), form=form)],
                FrameHeaderError,
                header=head,
                events=[b"fine"],
            )
    for name, length in (("least", 1 << 63), ("most", (1 << 64) - 1)):
        yield fails(
            f"framing/length-beyond-63-bits-{name}",
            _MINIMAL,
            [binary(b"", length=length)],
            FrameHeaderError,
            header=10,
        )


def _cut_off() -> Iterator[Row]:
    """The stream ends inside a frame: what is there is no message, and nothing is said about it."""
    for name, octets in (
        ("first-octet", b"\x81"),
        ("half-a-16-bit-length", b"\x82\xfe\x01"),
        ("half-a-64-bit-length", b"\x82\xff\0\0\0\0"),
        ("half-a-key", b"\x81\x85\x01\x02"),
        ("half-a-payload", b"\x81\x85\0\0\0\0ab"),
        ("half-a-ping", b"\x89\x85\0\0\0\0ab"),
        ("half-a-close", b"\x88\x82\0\0\0\0\x03"),
    ):
        yield Row(
            id=f"framing/stream-ends-after-{name}",
            section="RFC 6455 §7.1.5",
            steps=(text("fine"), Octets(octets)),
            events=("fine",),
            sent=(text("fine"),),
            end=VANISHED,
            roles=(Role.SERVER,),
        )
    yield Row(
        id="framing/stream-ends-between-messages",
        section="RFC 6455 §7.1.5",
        steps=(text("fine"),),
        events=("fine",),
        sent=(text("fine"),),
        end=VANISHED,
    )
    yield Row(
        id="framing/stream-ends-at-once",
        section="RFC 6455 §7.1.5",
        steps=(),
        events=(),
        sent=(),
        end=VANISHED,
    )


def rows() -> Iterator[Row]:
    yield from _sizes()
    yield from _masks()
    yield from _lengths()
    yield from _cut_off()
