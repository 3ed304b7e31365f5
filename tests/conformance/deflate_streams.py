"""Compressed payloads bit by bit: what DEFLATE allows, how far back it may reach, and what breaks it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from edgews import (
    CompressionError,
    InvalidUtf8Error,
)
from tests.conformance.bits import Blocks, Squeezer, squeeze
from tests.conformance.rows import (
    Deflate,
    Frame,
    Row,
    binary,
    cut,
    fails,
    fragments,
    passes,
    text,
)

_STREAM = "RFC 7692 §7.2.2"
_DEFLATE = Deflate()
_ALONE = Deflate(our_takeover=False, their_takeover=False)


def _text(payload: bytes, **options: bool) -> Frame:
    return text(payload, rsv=4, **options)


def _binary(payload: bytes, **options: bool) -> Frame:
    return binary(payload, rsv=4, **options)


def _examples() -> Iterator[Row]:
    """The shapes that RFC 7692 §7.2.3 shows, each followed by another message."""
    hello = bytes.fromhex("f248cdc9c90700")
    again = bytes.fromhex("f200110000")
    stored = bytes.fromhex("000500faff48656c6c6f00")
    last = bytes.fromhex("f348cdc9c9070000")
    two_blocks = bytes.fromhex("f24805000000ffffcac9c90700")
    section = "RFC 7692 §7.2.3"
    for name, payloads in {
        "one-block": [hello],
        "shared-window": [hello, again, again],
        "stored-block": [stored],
        "stored-then-shared-window": [stored, again],
        "last-block": [last],
        "last-block-then-another": [last, hello],
        "last-block-twice": [last, last, last],
        "two-blocks": [two_blocks],
        "all-of-them": [hello, stored, last, hello, two_blocks],
    }.items():
        yield passes(
            f"deflate/rfc-{name}",
            section,
            [_text(p) for p in payloads],
            ["Hello"] * len(payloads),
            deflate=_DEFLATE,
        )
    yield passes(
        "deflate/rfc-fragmented",
        section,
        fragments(_text(b""), [hello[:3], hello[3:]]),
        ["Hello"],
        deflate=_DEFLATE,
    )
    for name in ("one-block", "stored-block", "last-block", "two-blocks"):
        payload = {"one-block": hello, "stored-block": stored, "last-block": last, "two-blocks": two_blocks}[
            name
        ]
        yield passes(
            f"deflate/rfc-{name}-no-takeover", section, [_text(payload)] * 3, ["Hello"] * 3, deflate=_ALONE
        )


def _blocks() -> Iterator[Row]:
    """Everything that DEFLATE allows a compressor to make."""
    words = b"over and over and over again, "
    last = Blocks().fixed(last=True).literals(words).end()
    for name, payload, message in (
        ("stored", Blocks().stored(words).message(), words),
        ("stored-empty", Blocks().stored(b"").message(), b""),
        ("stored-of-65535", Blocks().stored(bytes(65535)).message(), bytes(65535)),
        ("many-stored-empty", Blocks().stored(b"").stored(b"").stored(b"").fixed().end().message(), b""),
        ("fixed-empty", Blocks().fixed().end().message(), b""),
        (
            "fixed-every-octet",
            Blocks().fixed().literals(bytes(range(256))).end().message(),
            bytes(range(256)),
        ),
        ("match-longest", Blocks().fixed().literals(b"x").match(258, 1).end().message(), b"x" * 259),
        (
            "match-overlapping",
            Blocks().fixed().literals(b"abc").match(10, 3).end().message(),
            b"abcabcabcabca",
        ),
        (
            "blocks-of-all-kinds",
            Blocks().stored(b"a").fixed().literals(b"b").end().stored(b"c").message(),
            b"abc",
        ),
        ("last-block-and-nothing-else", last.payload(), words),
        ("last-block-and-an-empty-one", last.payload() + b"\0", words),
        ("last-stored-block", Blocks().stored(words, last=True).payload() + b"\0", words),
        ("level-0", squeeze(words * 9, level=0), words * 9),
        ("level-1", squeeze(words * 9, level=1), words * 9),
        ("level-9", squeeze(words * 9, level=9), words * 9),
        ("huffman-only", squeeze(words * 9, strategy=zlib.Z_HUFFMAN_ONLY), words * 9),
        ("run-lengths", squeeze(words * 9, strategy=zlib.Z_RLE), words * 9),
        ("fixed-codes", squeeze(words * 9, strategy=zlib.Z_FIXED), words * 9),
    ):
        for suffix, deflate in (("", _DEFLATE), ("-no-takeover", _ALONE)):
            yield passes(
                f"deflate/{name}{suffix}",
                _STREAM,
                [_binary(payload), _binary(squeeze(words)), _binary(payload)],
                [message, words, message],
                deflate=deflate,
            )
    joined = Squeezer()
    flushed = joined.message("first half, ") + b"\0\0\xff\xff" + joined.message("second half")
    yield passes(
        "deflate/flushed-in-the-middle",
        _STREAM,
        [_text(flushed)],
        ["first half, second half"],
        deflate=_DEFLATE,
    )
    two_ends = Blocks().stored(b"one", last=True).payload() + Blocks().stored(b"two", last=True).payload()
    yield passes(
        "deflate/two-last-blocks-in-a-message",
        "RFC 7692 §7.2.3.4",
        [_binary(two_ends)],
        [b"onetwo"],
        deflate=_DEFLATE,
    )
    yield passes(
        "deflate/last-block-keeps-the-window",
        "RFC 7692 §7.2.3.4",
        [
            _binary(Blocks().stored(words, last=True).payload()),
            _binary(Blocks().fixed().match(len(words), len(words)).end().message()),
        ],
        [words, words],
        deflate=_DEFLATE,
    )
    # zlib does not tell its window, so a receiver has to remember it from the first last block on.
    one = Blocks().stored(b"x", last=True).payload()
    back = Blocks().fixed().match(len(words), len(words) + 1).end()
    yield passes(
        "deflate/last-block-keeps-the-window-of-messages-with-last-blocks",
        "RFC 7692 §7.2.3.4",
        [_binary(last.payload()), _binary(one), _binary(back.message())],
        [words, b"x", words],
        deflate=_DEFLATE,
    )
    yield passes(
        "deflate/last-block-keeps-the-window-of-messages-since-the-first-one",
        "RFC 7692 §7.2.3.4",
        [_binary(one), _binary(Blocks().stored(words).message()), _binary(one), _binary(back.message())],
        [b"x", words, b"x", words],
        deflate=_DEFLATE,
    )
    yield fails(
        "deflate/first-last-block-ends-the-window-of-messages-before",
        "RFC 7692 §7.2.3.4",
        [_binary(Blocks().stored(words).message()), _binary(one), _binary(back.message())],
        CompressionError,
        payload=Blocks().fixed().match(len(words), len(words) + 1).octets,
        events=[words, b"x"],
        deflate=_DEFLATE,
    )


def _windows() -> Iterator[Row]:
    """A peer may reach back as far as agreed, to the octet."""
    for bits in range(8, 16):
        reach = 1 << bits
        deflate = Deflate(their_bits=bits, our_takeover=False)
        before = (b"%07d " % bits) + bytes(range(256)) * (reach // 256)
        before = before[:reach]
        first = Blocks()
        for piece in cut(before, 65535):
            first.stored(piece)
        back = Blocks().fixed().match(8, reach).end().message()
        yield passes(
            f"deflate/window-of-{bits}-bits-to-its-end",
            "RFC 7692 §7.1.2, §7.2.2",
            [_binary(first.message()), _binary(back)],
            [before, before[:8]],
            deflate=deflate,
        )
        if bits < 15:
            wrong = Blocks().fixed().match(8, reach + 1)
            yield fails(
                f"deflate/window-of-{bits}-bits-and-one-octet-further",
                "RFC 7692 §7.1.2, §7.2.2",
                [
                    _binary(first.message()),
                    _binary(Blocks().stored(b"x").message()),
                    _binary(wrong.end().message()),
                ],
                CompressionError,
                payload=Blocks().fixed().match(8, reach + 1).octets,
                events=[before, b"x"],
                deflate=deflate,
            )
        forgotten = Blocks().fixed().match(8, 100)
        yield fails(
            f"deflate/window-of-{bits}-bits-was-to-be-forgotten",
            "RFC 7692 §7.1.1",
            [_binary(first.message()), _binary(forgotten.message())],
            CompressionError,
            payload=forgotten.octets,
            events=[before],
            deflate=Deflate(their_bits=bits, their_takeover=False),
        )


def _broken() -> Iterator[Row]:
    hello = Blocks().fixed().literals(b"Hello")
    good = hello.end().message()
    streams: dict[str, tuple[bytes, int]] = {
        "reserved-block-type": (b"\x06" + bytes(20), 1),
        "reserved-block-type-later": (Blocks().stored(b"x").number(6, 3).payload() + bytes(9), 7),
        "stored-block-with-two-lengths": (b"\0\x05\0\x05\0Hello\0", 5),
        "too-many-length-codes": (
            Blocks().number(0, 1).number(2, 2).number(31, 5).number(0, 9).payload() + bytes(9),
            3,
        ),
        "too-many-distance-codes": (
            Blocks().number(0, 1).number(2, 2).number(0, 5).number(31, 5).number(0, 4).payload() + bytes(9),
            3,
        ),
        "distance-behind-the-beginning": (
            Blocks().fixed().literals(b"ab").match(3, 30).end().message() + bytes(9),
            Blocks().fixed().literals(b"ab").match(3, 30).octets,
        ),
        "length-code-286": (
            Blocks().fixed().symbol(286).number(0, 40).payload(),
            Blocks().fixed().symbol(286).octets,
        ),
        "distance-code-30": (
            Blocks().fixed().literals(b"ab").symbol(257).code(30, 5).number(0, 40).payload(),
            Blocks().fixed().literals(b"ab").symbol(257).code(30, 5).octets,
        ),
        "random-octets": (b"\xff" * 30, 1),
        # Here only the message's end is wrong.
        "no-octets": (b"", 0),
        "cut-in-a-header": (b"\x04", 1),
        "cut-in-a-literal": (good[:3], 3),
        "cut-in-front-of-the-end": (good[:-1], len(good) - 1),
        "cut-in-a-stored-block": (Blocks().stored(b"Hello").payload()[:7], 7),
        "cut-in-a-stored-length": (b"\0\x05\0", 3),
        "cut-in-a-dynamic-header": (squeeze(bytes(range(200)) * 3, strategy=2)[:20], 20),
        "no-end-of-block": (Blocks().fixed().literals(b"Hello").payload(), 6),
        "with-its-tail": (good + b"\0\0\xff\xff" + b"\0\x01", len(good) + 6),
    }
    for name, (payload, after) in streams.items():
        for suffix, deflate in (("", _DEFLATE), ("-no-takeover", _ALONE)):
            yield fails(
                f"deflate/{name}{suffix}",
                _STREAM,
                [_text(payload)],
                CompressionError,
                payload=after,
                deflate=deflate,
            )
            yield fails(
                f"deflate/{name}-after-a-message{suffix}",
                _STREAM,
                [_text(good), _text(payload)],
                CompressionError,
                payload=after,
                events=["Hello"],
                deflate=deflate,
            )
        if len(payload) > 1:
            pieces = cut(payload, 1)
            yield fails(
                f"deflate/{name}-octet-a-fragment",
                _STREAM,
                fragments(_text(b""), pieces),
                CompressionError,
                frame=after - 1,
                payload=1,
                deflate=_DEFLATE,
            )


def _utf8() -> Iterator[Row]:
    """Text is checked once it is inflated, as it inflates. Stored blocks say where each octet is."""
    rule = "RFC 6455 §8.1; RFC 7692 §6.2"
    for name, octets, after in (
        ("surrogate", b"ab\xed\xa0\x80", 4),
        ("overlong", b"\xc0\xaf", 1),
        ("lone-continuation", b"abc\x80", 4),
        ("beyond-unicode", b"\xf4\x90\x80\x80", 2),
    ):
        payload = Blocks().stored(octets).message()
        yield fails(
            f"deflate/utf8-{name}",
            rule,
            [_text(payload)],
            InvalidUtf8Error,
            payload=5 + after,
            deflate=_DEFLATE,
        )
        yield passes(f"deflate/utf8-{name}-as-binary", rule, [_binary(payload)], [octets], deflate=_DEFLATE)
    cut_off = Blocks().stored(b"\xe2\x82").message()
    yield fails(
        "deflate/utf8-cut-off",
        rule,
        [_text(cut_off)],
        InvalidUtf8Error,
        payload=len(cut_off),
        deflate=_DEFLATE,
    )
    whole = Blocks().stored("€".encode()).message()
    yield passes(
        "deflate/utf8-cut-between-fragments",
        rule,
        fragments(_text(b""), [whole[:6], whole[6:7], whole[7:]]),
        ["€"],
        deflate=_DEFLATE,
    )


def rows() -> Iterator[Row]:
    yield from _examples()
    yield from _blocks()
    yield from _windows()
    yield from _broken()
    yield from _utf8()
