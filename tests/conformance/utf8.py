"""UTF-8: what must pass, what must fail, and after which octet.

The sequences are made from RFC 3629 §4 and Unicode's table of well-formed sequences (Table 3-7): each
boundary from both sides, and each way to go wrong. A violation shows with the first octet that cannot
continue any text, also while its frame is still arriving (RFC 6455 §8.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgews import InvalidUtf8Error, Ping, Role
from tests.conformance.rows import (
    VANISHED,
    Fault,
    Octets,
    Row,
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

_RULE = "RFC 6455 §5.6, §8.1"
_FAIL = "RFC 6455 §8.1, §7.4.1"

_VALID = {
    "ascii": "Hello-World",
    "ascii-controls": "\x00\x01\x1b\x7f",
    "two-octets-first": "\x80",
    "two-octets-last": "\u07ff",
    "three-octets-first": "\u0800",
    "before-the-surrogates": "\ud7ff",
    "after-the-surrogates": "\ue000",
    "replacement-character": "\ufffd",
    "byte-order-mark": "\ufeffx",
    "byte-order-mark-reversed": "\ufffe",
    "three-octets-last": "\uffff",
    "four-octets-first": "\U00010000",
    "last-code-point": "\U0010ffff",
    "last-but-one-code-point": "\U0010fffd",
    "all-four-lengths": "$\u00a2\u20ac\U00010348",
    "all-four-lengths-backwards": "\U00010348\u20ac\u00a2$",
    "greek": "κόσμε",
    "german": "Grüße, Jürgen ❤",
    "combining-marks": "e\u0301a\u0308\u0323",
    "right-to-left": "שלום \u202e abc \u202c",
    "zero-width-joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "line-separators": "\x85\u2028\u2029",
    **{
        f"noncharacters-of-plane-{plane}": "".join(chr((plane << 16) + low) for low in (0xFFFE, 0xFFFF))
        for plane in range(17)
    },
    "noncharacters-fdd0-to-fdef": "".join(map(chr, range(0xFDD0, 0xFDF0))),
    "every-lead-octet-of-two": "".join(chr(lead << 6 | 0x15) for lead in range(2, 32)),
    "every-lead-octet-of-three": "".join(chr(max(lead << 12, 0x800) | 0x215) for lead in range(16)),
    "every-lead-octet-of-four": "".join(chr(max(lead << 18, 0x10000) | 0x215) for lead in range(5)),
}

# What must fail, and after how many octets. An octet more than the sequence has means that nothing is wrong
# with it but the end of the message.
_INVALID: dict[str, tuple[bytes, int]] = {
    # Continuation octets without a lead.
    "lone-first-continuation": (b"\x80", 1),
    "lone-last-continuation": (b"\xbf", 1),
    "two-lone-continuations": (b"\x80\xbf", 1),
    "seven-lone-continuations": (b"\x80\xbf\x80\xbf\x80\xbf\x80", 1),
    "one-continuation-too-many-after-two": (b"\xc3\xa9\x80", 3),
    "one-continuation-too-many-after-three": (b"\xe2\x82\xac\x80", 4),
    "one-continuation-too-many-after-four": (b"\xf0\x90\x8d\x88\x80", 5),
    # Leads that no continuation follows.
    "lead-of-two-and-a-space": (b"\xc3 ", 2),
    "lead-of-three-and-a-space": (b"\xe2 ", 2),
    "lead-of-four-and-a-space": (b"\xf1 ", 2),
    "lead-of-two-twice": (b"\xc3\xc3", 2),
    "lead-of-three-twice": (b"\xe2\xe2", 2),
    "half-of-three-and-a-space": (b"\xe2\x82 ", 3),
    "half-of-four-and-a-space": (b"\xf0\x90 ", 3),
    "most-of-four-and-a-space": (b"\xf0\x90\x8d ", 4),
    "half-of-three-and-a-lead": (b"\xe2\x82\xc3", 3),
    "most-of-four-and-a-lead": (b"\xf0\x90\x8d\xf0", 4),
    # Sequences that the message's end cuts off.
    "cut-two": (b"\xc3", 2),
    "cut-three-after-one": (b"\xe2", 2),
    "cut-three-after-two": (b"\xe2\x82", 3),
    "cut-four-after-one": (b"\xf0", 2),
    "cut-four-after-two": (b"\xf0\x90", 3),
    "cut-four-after-three": (b"\xf0\x90\x8d", 4),
    "cut-after-good-text": (b"good \xe2\x82", 8),
    "cut-last-of-two-plane": (b"\xdf", 2),
    "cut-last-of-three-plane": (b"\xef\xbf", 3),
    "cut-last-of-four-plane": (b"\xf4\x8f\xbf", 4),
    # Octets that never occur.
    "octet-c0": (b"\xc0", 1),
    "octet-c1": (b"\xc1", 1),
    **{f"octet-{octet:02x}": (bytes((octet,)), 1) for octet in range(0xF5, 0x100)},
    "octets-fe-fe-ff-ff": (b"\xfe\xfe\xff\xff", 1),
    "utf-16-little-endian": (b"\xff\xfeH\0i\0", 1),
    "utf-16-big-endian": (b"\xfe\xff\0H\0i", 1),
    "latin-1": (b"Gr\xfc\xdfe", 3),
    # Overlong forms.
    "overlong-slash-in-two": (b"\xc0\xaf", 1),
    "overlong-slash-in-three": (b"\xe0\x80\xaf", 2),
    "overlong-slash-in-four": (b"\xf0\x80\x80\xaf", 2),
    "overlong-slash-in-five": (b"\xf8\x80\x80\x80\xaf", 1),
    "overlong-slash-in-six": (b"\xfc\x80\x80\x80\x80\xaf", 1),
    "overlong-nul-in-two": (b"\xc0\x80", 1),
    "overlong-nul-in-three": (b"\xe0\x80\x80", 2),
    "overlong-nul-in-four": (b"\xf0\x80\x80\x80", 2),
    "overlong-highest-in-two": (b"\xc1\xbf", 1),
    "overlong-highest-in-three": (b"\xe0\x9f\xbf", 2),
    "overlong-highest-in-four": (b"\xf0\x8f\xbf\xbf", 2),
    "overlong-highest-in-five": (b"\xf8\x87\xbf\xbf\xbf", 1),
    "overlong-highest-in-six": (b"\xfc\x83\xbf\xbf\xbf\xbf", 1),
    # Surrogates.
    "first-high-surrogate": (b"\xed\xa0\x80", 2),
    "last-private-high-surrogate": (b"\xed\xad\xbf", 2),
    "first-private-high-surrogate": (b"\xed\xae\x80", 2),
    "last-high-surrogate": (b"\xed\xaf\xbf", 2),
    "first-low-surrogate": (b"\xed\xb0\x80", 2),
    "middle-low-surrogate": (b"\xed\xbe\x80", 2),
    "last-low-surrogate": (b"\xed\xbf\xbf", 2),
    "surrogate-pair": (b"\xed\xa0\x80\xed\xb0\x80", 2),
    "surrogate-pair-last": (b"\xed\xaf\xbf\xed\xbf\xbf", 2),
    # Beyond U+10FFFF.
    "first-beyond-unicode": (b"\xf4\x90\x80\x80", 2),
    "last-of-four-octets": (b"\xf7\xbf\xbf\xbf", 1),
    "first-of-five-octets": (b"\xf8\x88\x80\x80\x80", 1),
    "last-of-five-octets": (b"\xfb\xbf\xbf\xbf\xbf", 1),
    "first-of-six-octets": (b"\xfc\x84\x80\x80\x80\x80", 1),
    "last-of-six-octets": (b"\xfd\xbf\xbf\xbf\xbf\xbf", 1),
    # Behind and in front of good text.
    "surrogate-inside-greek": (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
    "beyond-unicode-inside-greek": (
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
        13,
    ),
    "lone-continuation-behind-ascii": (b"a" * 200 + b"\x80" + b"b" * 200, 201),
    "lone-continuation-at-a-word-s-end": (b"a" * 63 + b"\x80" + b"b" * 64, 64),
}


def _fault(pieces: Sequence[bytes], octets: int) -> Fault:
    """Say in which fragment the violation shows, and where in it."""
    at = octets
    for i, piece in enumerate(pieces):
        if at <= len(piece):
            return Fault(i, payload=at)
        at -= len(piece)
    # Only the end of the message is wrong.
    return Fault(len(pieces) - 1, payload=len(pieces[-1]))


def _valid() -> Iterator[Row]:
    for name, message in _VALID.items():
        octets = message.encode()
        yield echoes(f"utf8/{name}", _RULE, message, chops=(2, 3))
        yield echoes(f"utf8/{name}-between-others", _RULE, "one", f"before {message} after", "two")
        yield passes(
            f"utf8/{name}-octet-a-fragment",
            _RULE,
            fragments(text(""), cut(octets, 1)),
            [message],
            chops=(2, 3),
        )
        yield passes(
            f"utf8/{name}-octet-a-fragment-with-empty-ones",
            _RULE,
            fragments(text(""), [piece for octet in cut(octets, 1) for piece in (octet, b"")]),
            [message],
        )


def _invalid() -> Iterator[Row]:
    for name, (octets, after) in _INVALID.items():
        good = b"good "
        yield fails(
            f"utf8/{name}", _FAIL, [text(octets)], InvalidUtf8Error, at=_fault([octets], after), chops=(2, 3)
        )
        behind = [good + octets]
        yield fails(
            f"utf8/{name}-after-a-message",
            _FAIL,
            [text("fine"), text(behind[0])],
            InvalidUtf8Error,
            frame=1,
            payload=_fault(behind, after + len(good)).payload,
            events=["fine"],
        )
        yield fails(
            f"utf8/{name}-octet-a-fragment",
            _FAIL,
            fragments(text(""), cut(octets, 1)),
            InvalidUtf8Error,
            at=_fault(cut(octets, 1), after),
        )
        if len(octets) < 10:
            for i in range(len(octets) + 1):
                pieces = [good + octets[:i], octets[i:]]
                yield fails(
                    f"utf8/{name}-in-two-after-{i}",
                    _FAIL,
                    fragments(text(""), pieces),
                    InvalidUtf8Error,
                    at=_fault(pieces, len(good) + after),
                )
        # The same octets are nobody's business in a binary message or a Ping.
        yield passes(f"utf8/{name}-as-binary", "RFC 6455 §5.6", [binary(octets)], [octets])


def _fail_fast() -> Iterator[Row]:
    """The rest of the frame, or of the message, never comes, and is not waited for."""
    for name, octets in (
        ("surrogate", b"\xed\xa0"),
        ("beyond-unicode", b"\xf4\x90"),
        ("overlong", b"\xe0\x80"),
        ("lone-continuation", b"a\x80"),
        ("lead-and-a-letter", b"\xc3a"),
    ):
        for length in (100, 1000, 1 << 20):
            yield fails(
                f"utf8/{name}-in-a-frame-of-{length}-that-stalls",
                _FAIL,
                [text(b"good" + octets, length=length)],
                InvalidUtf8Error,
                payload=4 + len(octets),
            )
        yield fails(
            f"utf8/{name}-in-a-message-that-stalls",
            _FAIL,
            [text("good", fin=False), ping(b"1"), more(octets, fin=False)],
            InvalidUtf8Error,
            payload=2,
            events=[Ping(b"1")],
        )
        yield fails(
            f"utf8/{name}-in-a-continuation-that-stalls",
            _FAIL,
            [text("κόσμε", fin=False), more(b"x" * 300 + octets, fin=False, length=65536)],
            InvalidUtf8Error,
            payload=302,
        )
    yield fails(
        "utf8/empty-last-fragment-after-half-a-character",
        _FAIL,
        [text(b"\xe2\x82", fin=False), more(b"", fin=False), more(b"")],
        InvalidUtf8Error,
        payload=0,
    )
    yield fails(
        "utf8/half-a-character-does-not-reach-into-the-next-message",
        _FAIL,
        [text(b"\xe2\x82"), text(b"\xac")],
        InvalidUtf8Error,
        frame=0,
        payload=2,
    )
    yield Row(
        id="utf8/half-a-character-may-still-go-on",
        section=_RULE,
        steps=(Octets(b"\x81\x83\0\0\0\0\xe2\x82"),),
        events=(),
        sent=(),
        end=VANISHED,
        roles=(Role.SERVER,),
    )


def _long() -> Iterator[Row]:
    message = "aé€\U00010348" * 500
    octets = message.encode()
    yield echoes("utf8/long-mixed", _RULE, message, chops=(7, 64, 997))
    for size in (3, 7, 64, 125, 997):
        yield passes(
            f"utf8/long-mixed-in-fragments-of-{size}",
            _RULE,
            fragments(text(""), cut(octets, size)),
            [message],
        )
    for at in (1, 63, 64, 65, 500, 2500, 4990):
        bad = octets[: at // 10 * 10] + b"\xff" + octets[at // 10 * 10 :]
        yield fails(
            f"utf8/long-with-a-fault-near-{at}",
            _FAIL,
            [text(bad)],
            InvalidUtf8Error,
            payload=at // 10 * 10 + 1,
        )


def rows() -> Iterator[Row]:
    yield from _valid()
    yield from _invalid()
    yield from _fail_fast()
    yield from _long()
