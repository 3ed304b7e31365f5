"""The closing handshake: bodies, codes and reasons, what comes after a Close, and who closes first."""

from __future__ import annotations

from collections.abc import Iterator

from edgews import (
    CauseKind,
    Close,
    CloseFrameError,
    ControlFrameError,
    FragmentationError,
    FrameHeaderError,
    InvalidUtf8Error,
    Limits,
    MaskingError,
    MessageTooBigError,
    Ping,
    Pong,
    RemoteProtocolError,
    Side,
)
from tests.conformance.rows import (
    UNANSWERED,
    Call,
    End,
    Fault,
    Frame,
    Row,
    Step,
    binary,
    close,
    closed,
    fails,
    more,
    ping,
    pong,
    text,
)

_BODY = "RFC 6455 §5.5.1"
_CODE = "RFC 6455 §7.4"
_CHOPS = (2, 3, 5)

VALID_CODES = (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3001, 3999, 4000, 4001, 4999)
INVALID_CODES = (
    *(0, 1, 99, 100, 500, 998, 999),
    *(1004, 1005, 1006, 1015, 1016, 1017, 1100, 1500, 1999, 2000, 2001, 2500, 2998, 2999),
    *(5000, 5001, 9999, 10000, 32767, 32768, 65534, 65535),
)


def _closes(name: str, code: int | None, reason: str = "", *, before: tuple[Step, ...] = ()) -> Row:
    """The peer closes; we answer with its code, and without a reason of our own."""
    seen = 1005 if code is None else code
    messages = tuple(step.payload.decode() for step in before if isinstance(step, Frame))
    return Row(
        id=f"closing/{name}",
        section=f"{_BODY}, §7.1.5, §7.1.6",
        steps=(*before, close(code, reason), text("too late")),
        events=(*messages, Close(seen, reason)),
        sent=(*map(text, messages), close(code)),
        end=closed(seen, reason),
        chops=_CHOPS,
    )


def _bodies() -> Iterator[Row]:
    good = (text("good"),)
    yield _closes("empty", None)
    yield _closes("empty-after-a-message", None, before=good)
    yield _closes("code", 1000)
    yield _closes("code-after-a-message", 1000, before=good)
    for size in (1, 2, 3, 50, 121, 122, 123):
        yield _closes(f"reason-of-{size}", 1000, "*" * size)
        yield _closes(f"reason-of-{size}-after-a-message", 1001, "*" * size, before=good)
    for name, reason in (
        ("greek", "κόσμε"),
        ("nul", "\0"),
        ("four-octets-a-character", "\U0010ffff" * 30),
        ("three-octets-a-character", "€" * 41),
        ("noncharacter", "\uffff"),
    ):
        yield _closes(f"reason-{name}", 1000, reason)
    for size in (124, 125, 200, 65535):
        yield fails(
            f"closing/reason-of-{size}",
            "RFC 6455 §5.5",
            [close(1000, "*" * size)],
            ControlFrameError,
            header=2,
        )
    for body in (b"\x03", b"\x00", b"x", b"\xff"):
        name = f"closing/body-of-one-octet-{body.hex()}"
        yield fails(name, _BODY, [Frame(8, body)], CloseFrameError, payload=1)
        yield fails(
            f"{name}-after-a-message",
            _BODY,
            [*good, Frame(8, body)],
            CloseFrameError,
            payload=1,
            events=["good"],
        )
    for name, octets in (
        ("lone-continuation", b"\x80"),
        ("latin-1", b"Gr\xfc\xdfe"),
        ("surrogate", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"),
        ("overlong", b"\xc0\xaf"),
        ("beyond-unicode", b"\xf4\x90\x80\x80"),
        ("cut-off", b"good \xe2\x82"),
        ("cut-off-at-123", b"x" * 122 + b"\xc3"),
        ("octet-ff", b"\xff"),
    ):
        bad = close(1000, octets)
        size = len(bad.payload)
        rule = "RFC 6455 §5.5.1, §8.1"
        yield fails(
            f"closing/reason-not-utf8-{name}", rule, [bad], InvalidUtf8Error, payload=size, chops=_CHOPS
        )
        yield fails(
            f"closing/reason-not-utf8-{name}-after-a-message",
            rule,
            [*good, bad],
            InvalidUtf8Error,
            payload=size,
            events=["good"],
        )


def _codes() -> Iterator[Row]:
    for code in VALID_CODES:
        yield _closes(f"code-{code}", code)
        yield _closes(f"code-{code}-with-a-reason", code, "because", before=(text("good"),))
    for code in (*range(3003, 3999, 83), *range(4003, 4999, 83)):
        yield _closes(f"code-{code}", code)
    for code in INVALID_CODES:
        yield fails(f"closing/invalid-code-{code}", _CODE, [close(code)], CloseFrameError, payload=2)
        bad = close(code, "because")
        yield fails(f"closing/invalid-code-{code}-with-a-reason", _CODE, [bad], CloseFrameError, payload=9)
        yield fails(
            f"closing/invalid-code-{code}-after-a-message",
            _CODE,
            [binary(b"good"), close(code)],
            CloseFrameError,
            payload=2,
            events=[b"good"],
        )
    for code in range(1018, 3000, 97):
        yield fails(f"closing/unassigned-code-{code}", _CODE, [close(code)], CloseFrameError, payload=2)
    for code in (6000, 7919, 20000, 40000, 60000):
        yield fails(f"closing/code-beyond-4999-{code}", _CODE, [close(code)], CloseFrameError, payload=2)
    for code in range(7, 1000, 141):
        yield fails(f"closing/code-below-1000-{code}", _CODE, [close(code)], CloseFrameError, payload=2)


def _after() -> Iterator[Row]:
    """What comes after the peer's Close is not looked at, be it good or bad."""
    for name, frames in {
        "text": [text("too late")],
        "binary": [binary(b"too late")],
        "fragments": [text("too", fin=False), more(" late")],
        "ping": [ping(b"too late")],
        "pong": [pong(b"too late")],
        "close": [close(1001)],
        "many-closes": [close(1000 + i % 4) for i in range(20)],
        "text-ping-close": [text("too late"), ping(b"too late"), close(4000)],
        "invalid-utf8": [text(b"\xff")],
        "reserved-opcode": [Frame(3)],
        "reserved-bits": [text("x", rsv=7)],
        "wrong-mask": [text("x", wrong_mask=True)],
        "stray-continuation": [more("x")],
        "long-message": [binary(bytes(100000))],
        "length-beyond-63-bits": [binary(b"", length=1 << 63)],
        "invalid-close-code": [close(1005)],
    }.items():
        for before in ((), (text("good"),)):
            suffix = "-after-a-message" if before else ""
            yield Row(
                id=f"closing/then-{name}{suffix}",
                section=_BODY,
                steps=(*before, close(1000, "bye"), *frames),
                events=(*(["good"] if before else []), Close(1000, "bye")),
                sent=(*before, close(1000)),
                end=closed(1000, "bye"),
            )


def _ours(
    name: str,
    steps: tuple[Step, ...],
    events: tuple[Close | Ping | Pong | str | bytes, ...],
    sent: tuple[Frame, ...],
    end: End,
    fault: Fault | None = None,
    limits: Limits | None = None,
) -> Row:
    return Row(
        id=f"closing/we-close-{name}",
        section="RFC 6455 §5.5.1, §7.1.2, §7.1.3",
        steps=steps,
        events=events,
        sent=sent,
        end=end,
        fault=fault,
        limits=limits,
    )


def _we_close() -> Iterator[Row]:
    local = Side.LOCAL
    bye = Call("send_close", (1000, "bye"))
    out = close(1000, "bye")
    for code in VALID_CODES:
        yield _ours(
            f"with-{code}",
            (Call("send_close", (code,)), close(code)),
            (Close(code, ""),),
            (close(code),),
            closed(code, by=local),
        )
    yield _ours(
        "and-they-answer",
        (bye, close(1000, "bye")),
        (Close(1000, "bye"),),
        (out,),
        closed(1000, "bye", local),
    )
    yield _ours("and-theirs-crosses", (bye, close(3000)), (Close(3000, ""),), (out,), closed(3000, by=local))
    yield _ours("and-theirs-is-empty", (bye, close()), (Close(1005, ""),), (out,), closed(1005, by=local))
    yield _ours(
        "with-nothing",
        (Call("send_close", (None,)), close()),
        (Close(1005, ""),),
        (close(),),
        closed(1005, by=local),
    )
    yield _ours(
        "with-the-longest-reason",
        (Call("send_close", (4000, "€" * 41)), close(4000)),
        (Close(4000, ""),),
        (close(4000, "€" * 41),),
        closed(4000, by=local),
    )
    yield _ours(
        "after-a-message",
        (text("good"), bye, close(1000)),
        ("good", Close(1000, "")),
        (text("good"), out),
        closed(1000, by=local),
    )
    yield _ours(
        "and-messages-still-come",
        (bye, text("one"), binary(b"two"), text("three", fin=False), more(""), close(1000)),
        ("one", b"two", "three", Close(1000, "")),
        (out,),
        closed(1000, by=local),
    )
    yield _ours(
        "and-a-ping-still-comes",
        (bye, text("x"), ping(b"?"), close(1000)),
        ("x", Ping(b"?"), Close(1000, "")),
        (out, pong(b"?")),
        closed(1000, by=local),
    )
    yield _ours(
        "and-ping",
        (bye, Call("send_ping", (b"?",)), pong(b"?"), close(1000)),
        (Pong(b"?"), Close(1000, "")),
        (out, ping(b"?")),
        closed(1000, by=local),
    )
    yield _ours("and-hear-nothing", (bye,), (), (out,), UNANSWERED)
    yield _ours("and-hear-only-messages", (bye, text("x")), ("x",), (out,), UNANSWERED)
    yield _ours(
        "and-nothing-counts-after-theirs",
        (bye, close(1000), text("too late"), close(1001), Frame(3)),
        (Close(1000, ""),),
        (out,),
        closed(1000, by=local),
    )


def _violations_while_closing() -> Iterator[Row]:
    """Our Close is out already, so a violation sends no second one."""
    broken: dict[str, tuple[Frame, type[RemoteProtocolError], Fault]] = {
        "reserved-opcode": (Frame(3), FrameHeaderError, Fault(2, header=2)),
        "reserved-bits": (text("x", rsv=2), FrameHeaderError, Fault(2, header=2)),
        "wrong-mask": (text("x", wrong_mask=True), MaskingError, Fault(2, header=2)),
        "stray-continuation": (more("x"), FragmentationError, Fault(2, payload=0)),
        "fragmented-ping": (ping(b"x", fin=False), ControlFrameError, Fault(2, header=2)),
        "invalid-utf8": (text(b"ab\xff"), InvalidUtf8Error, Fault(2, payload=3)),
        "invalid-code": (close(1005), CloseFrameError, Fault(2, payload=2)),
        "one-octet-of-code": (Frame(8, b"x"), CloseFrameError, Fault(2, payload=1)),
        "reason-not-utf8": (close(1000, b"\xff"), InvalidUtf8Error, Fault(2, payload=3)),
        "too-big": (binary(bytes(101)), MessageTooBigError, Fault(2, header=2)),
    }
    for name, (frame, error, fault) in broken.items():
        kind = CauseKind.MESSAGE_TOO_BIG if name == "too-big" else CauseKind.PROTOCOL_ERROR
        yield _ours(
            f"and-they-break-a-rule-{name}",
            (Call("send_close", (1001,)), text("fine"), frame, close(1000)),
            ("fine",),
            (close(1001),),
            End(kind, error=error),
            fault,
            Limits(max_message_size=100),
        )


def _we_fail() -> Iterator[Row]:
    """Our application fails the connection: whatever comes is ignored. RFC 6455 §7.1.7."""
    for code in (1008, 1011, 4321):
        for name, steps in (("", ()), ("-and-they-answer", (text("too late"), close(code)))):
            yield Row(
                id=f"closing/we-fail-with-{code}{name}",
                section="RFC 6455 §7.1.7",
                steps=(text("good"), Call("fail", (code, "no more")), *steps),
                events=("good",),
                sent=(text("good"), close(code, "no more")),
                end=End(CauseKind.FAILED, Side.LOCAL),
            )


def rows() -> Iterator[Row]:
    yield from _bodies()
    yield from _codes()
    yield from _after()
    yield from _we_close()
    yield from _violations_while_closing()
    yield from _we_fail()
