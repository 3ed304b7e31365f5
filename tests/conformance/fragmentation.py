"""Fragmented messages, control frames between their fragments, and fragments out of place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgews import Close, ControlFrameError, Event, FragmentationError, Ping, Pong, Side
from tests.conformance.rows import (
    VANISHED,
    Call,
    Frame,
    Row,
    binary,
    close,
    closed,
    cut,
    fails,
    fragments,
    more,
    passes,
    ping,
    pong,
    reply,
    text,
)

_FRAGMENTS = "RFC 6455 §5.4"
_CONTROL = "RFC 6455 §5.5"
_CHOPS = (2, 3, 7, 16)


def _messages() -> Iterator[Row]:
    octets = b"fragment1fragment2fragment3"
    for size in (1, 2, 5, 9, 26):
        pieces = cut(octets, size)
        count = len(pieces)
        yield passes(
            f"fragmentation/text-in-{count}",
            _FRAGMENTS,
            fragments(text(""), pieces),
            [octets.decode()],
            chops=_CHOPS,
        )
        yield passes(
            f"fragmentation/binary-in-{count}",
            _FRAGMENTS,
            fragments(binary(b""), pieces),
            [octets],
            chops=_CHOPS,
        )
    for name, pieces in {
        "empty-first": [b"", b"rest"],
        "empty-last": [b"whole", b""],
        "empty-middle": [b"one", b"", b"two"],
        "both-empty": [b"", b""],
        "four-empty": [b""] * 4,
        "many-empty-around": [b""] * 20 + [b"x"] + [b""] * 20,
        "last-octet-alone": [b"x" * 300, b"y"],
        "first-octet-alone": [b"x", b"y" * 300],
        "16-and-64-bit-lengths": [b"x" * 126, b"y" * 65536, b"z"],
    }.items():
        whole = b"".join(pieces)
        yield passes(
            f"fragmentation/text-{name}",
            _FRAGMENTS,
            fragments(text(""), pieces),
            [whole.decode()],
            chops=(997,),
        )
        yield passes(
            f"fragmentation/binary-{name}", _FRAGMENTS, fragments(binary(b""), pieces), [whole], chops=(997,)
        )
    keys = [bytes((n, 3 * n & 255, 255 - n, 77)) for n in range(27)]
    yield passes(
        "fragmentation/key-of-its-own-for-each-fragment",
        "RFC 6455 §5.3",
        [
            replace(frame, key=key)
            for frame, key in zip(fragments(text(""), cut(octets, 1)), keys, strict=True)
        ],
        [octets.decode()],
        chops=_CHOPS,
    )
    yield passes(
        "fragmentation/two-messages",
        _FRAGMENTS,
        [*fragments(text(""), [b"a", b"b"]), *fragments(binary(b""), [b"c", b"d"])],
        ["ab", b"cd"],
        chops=_CHOPS,
    )
    yield passes(
        "fragmentation/whole-messages-around",
        _FRAGMENTS,
        [text("before"), *fragments(binary(b""), [b"a", b"b", b"c"]), text("after")],
        ["before", b"abc", "after"],
        chops=_CHOPS,
    )
    yield passes(
        "fragmentation/fifty-messages-in-two",
        _FRAGMENTS,
        [frame for i in range(50) for frame in fragments(text(""), [b"%d-" % i, b"%d" % i])],
        [f"{i}-{i}" for i in range(50)],
    )


def _control_between() -> Iterator[Row]:
    controls: dict[str, tuple[Frame, Event, Frame | None]] = {
        "ping": (ping(b"between"), Ping(b"between"), pong(b"between")),
        "empty-ping": (ping(), Ping(b""), pong()),
        "ping-of-125": (ping(bytes(125)), Ping(bytes(125)), pong(bytes(125))),
        "pong": (pong(b"between"), Pong(b"between"), None),
    }
    for name, (frame, event, answer) in controls.items():
        kinds: tuple[tuple[str, Frame, str | bytes], ...] = (
            ("text", text("one", fin=False), "onetwo"),
            ("binary", binary(b"one", fin=False), b"onetwo"),
        )
        for kind, first, message in kinds:
            yield passes(
                f"fragmentation/{name}-between-fragments-of-{kind}",
                _FRAGMENTS,
                [first, frame, more("two")],
                [event, message],
                sent=[*([] if answer is None else [answer]), reply(message)],
                chops=_CHOPS,
            )
    yield passes(
        "fragmentation/ping-between-five-fragments-each",
        _FRAGMENTS,
        [
            text("1", fin=False),
            ping(b"a"),
            more("2", fin=False),
            ping(b"b"),
            more("3", fin=False),
            ping(b"c"),
            more("4", fin=False),
            ping(b"d"),
            more("5"),
        ],
        [Ping(b"a"), Ping(b"b"), Ping(b"c"), Ping(b"d"), "12345"],
        at_once=[pong(b"d"), text("12345")],
        chops=_CHOPS,
    )
    yield passes(
        "fragmentation/two-pings-between-fragments",
        _FRAGMENTS,
        [text("1", fin=False), ping(b"a"), ping(b"b"), more("2")],
        [Ping(b"a"), Ping(b"b"), "12"],
        at_once=[pong(b"b"), text("12")],
    )
    yield passes(
        "fragmentation/ping-around-empty-fragments",
        _FRAGMENTS,
        [binary(b"", fin=False), ping(b"a"), more("", fin=False), pong(b"b"), more("")],
        [Ping(b"a"), Pong(b"b"), b""],
        chops=_CHOPS,
    )
    yield passes(
        "fragmentation/ping-inside-a-character",
        _FRAGMENTS,
        [text(b"\xe2\x82", fin=False), ping(b"\xac"), more(b"\xac")],
        [Ping(b"\xac"), "€"],
        chops=_CHOPS,
    )
    yield Row(
        id="fragmentation/close-between-fragments",
        section="RFC 6455 §5.5.1",
        steps=(text("one", fin=False), close(1001), more("two")),
        events=(Close(1001, ""),),
        sent=(close(1001),),
        end=closed(1001),
        chops=_CHOPS,
    )
    yield Row(
        id="fragmentation/stream-ends-between-fragments",
        section="RFC 6455 §7.1.5",
        steps=(text("one", fin=False), more("two", fin=False)),
        events=(),
        sent=(),
        end=VANISHED,
    )
    yield Row(
        id="fragmentation/our-close-between-their-fragments",
        section=_FRAGMENTS,
        steps=(text("one", fin=False), Call("send_close", (1000,)), more("two"), close(1000)),
        events=("onetwo", Close(1000, "")),
        sent=(close(1000),),
        end=closed(1000, by=Side.LOCAL),
    )


def _fragmented_control() -> Iterator[Row]:
    for name, first in (
        ("ping", ping(b"one", fin=False)),
        ("pong", pong(b"one", fin=False)),
        ("close", close(1000, fin=False)),
    ):
        for what, steps, at in (
            ("", [first], 0),
            ("-and-continued", [first, more("two")], 0),
            ("-and-empty", [replace(first, payload=b"")], 0),
            ("-between-fragments", [text("one", fin=False), first, more("two")], 1),
        ):
            yield fails(
                f"fragmentation/fragmented-{name}{what}",
                _CONTROL,
                steps,
                ControlFrameError,
                frame=at,
                header=2,
                chops=_CHOPS,
            )
        yield fails(
            f"fragmentation/fragmented-{name}-after-a-message",
            _CONTROL,
            [binary(b"good"), first],
            ControlFrameError,
            header=2,
            events=[b"good"],
        )


def _out_of_place() -> Iterator[Row]:
    for fin in (True, False):
        final = "final" if fin else "open"
        alone = more("alone", fin=fin)
        empty = more("", fin=fin)
        # The payload does not matter, so the header alone is enough.
        for name, bad in (("continuation", alone), ("empty-continuation", empty)):
            prefix = f"fragmentation/{final}-{name}"
            yield fails(f"{prefix}-first", _FRAGMENTS, [bad], FragmentationError, payload=0, chops=_CHOPS)
            yield fails(
                f"{prefix}-after-a-message",
                _FRAGMENTS,
                [text("good"), bad],
                FragmentationError,
                payload=0,
                events=["good"],
            )
            yield fails(
                f"{prefix}-after-a-fragmented-message",
                _FRAGMENTS,
                [*fragments(binary(b""), [b"go", b"od"]), bad],
                FragmentationError,
                payload=0,
                events=[b"good"],
            )
            yield fails(
                f"{prefix}-between-messages",
                _FRAGMENTS,
                [text("good"), bad, text("good")],
                FragmentationError,
                frame=1,
                payload=0,
                events=["good"],
            )
            yield fails(
                f"{prefix}-after-a-ping",
                _FRAGMENTS,
                [ping(b"good"), bad],
                FragmentationError,
                payload=0,
                events=[Ping(b"good")],
            )
        for first in (text("one", fin=False), binary(b"one", fin=False)):
            outer = "text" if first.opcode == 1 else "binary"
            for second in (text("two", fin=fin), binary(b"two", fin=fin), text("", fin=fin)):
                inner = ("text" if second.opcode == 1 else "binary") if second.payload else "empty-text"
                yield fails(
                    f"fragmentation/{final}-{inner}-inside-{outer}",
                    _FRAGMENTS,
                    [first, second],
                    FragmentationError,
                    payload=0,
                    chops=_CHOPS,
                )
                yield fails(
                    f"fragmentation/{final}-{inner}-inside-{outer}-after-a-ping",
                    _FRAGMENTS,
                    [first, ping(b"fine"), more("more", fin=False), second, more("end")],
                    FragmentationError,
                    frame=3,
                    payload=0,
                    events=[Ping(b"fine")],
                )
    yield fails(
        "fragmentation/stray-continuation-between-two-fragmented-messages",
        _FRAGMENTS,
        [text("a", fin=False), more("b"), more("stray", fin=False), text("c", fin=False), more("d")],
        FragmentationError,
        frame=2,
        payload=0,
        events=["ab"],
    )


def _ours() -> Iterator[Row]:
    """Fragments that our application sends, and what the engine itself puts between them."""

    def piece(data: str | bytes, final: bool) -> Call:
        return Call("send_fragment", (data,), {"final": final})

    yield passes(
        "fragmentation/ours-in-three",
        _FRAGMENTS,
        [piece("a", False), piece("b", False), piece("c", True)],
        [],
        sent=[text("a", fin=False), more("b", fin=False), more("c")],
    )
    yield passes(
        "fragmentation/ours-in-one",
        _FRAGMENTS,
        [piece(b"whole", True)],
        [],
        sent=[binary(b"whole")],
    )
    yield passes(
        "fragmentation/pong-between-ours",
        _FRAGMENTS,
        [piece("a", False), ping(b"now"), piece("b", True), text("x")],
        [Ping(b"now"), "x"],
        sent=[text("a", fin=False), pong(b"now"), more("b"), text("x")],
    )
    yield passes(
        "fragmentation/our-ping-between-ours",
        _FRAGMENTS,
        [piece(b"a", False), Call("send_ping", (b"now",)), piece(b"", True)],
        [],
        sent=[binary(b"a", fin=False), ping(b"now"), more(b"")],
    )
    yield Row(
        id="fragmentation/close-between-ours",
        section="RFC 6455 §5.5.1",
        steps=(piece("a", False), close(1000)),
        events=(Close(1000, ""),),
        sent=(text("a", fin=False), close(1000)),
        end=closed(1000),
    )


def rows() -> Iterator[Row]:
    yield from _messages()
    yield from _control_between()
    yield from _fragmented_control()
    yield from _out_of_place()
    yield from _ours()
