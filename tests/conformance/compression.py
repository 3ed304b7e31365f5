"""permessage-deflate on an open connection: messages of all sizes and kinds, whole and in fragments."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from edgews import Close, Limits, Ping, Pong, Side
from tests.conformance.bits import Squeezer
from tests.conformance.rows import (
    Call,
    Deflate,
    Frame,
    Row,
    Step,
    binary,
    close,
    closed,
    cut,
    fragments,
    more,
    passes,
    ping,
    pong,
    replies,
    text,
)

_RULE = "RFC 7692 §6, §7.2"
_SIZES = (16, 64, 256, 1024, 4096, 16384, 131072)
_LIMITS = Limits(max_message_size=1 << 20)


def _json(size: int, chance: random.Random) -> str:
    records = [
        {"id": i, "name": chance.choice("abcdefgh") * 5, "value": chance.random()}
        for i in range(size // 40 + 1)
    ]
    return json.dumps(records)[:size]


def _prose(size: int, chance: random.Random) -> str:
    words = ("κόσμε", "straße", "the", "fox", "€", "日本語", "jumps", "\U0001f600", "over", "naïve")
    return " ".join(chance.choice(words) for _ in range(size // 4))[: size // 2]


def _noise(size: int, chance: random.Random) -> bytes:
    return chance.randbytes(size)


def _zeros(size: int, chance: random.Random) -> bytes:
    return bytes(size)


def _mixed(size: int, chance: random.Random) -> bytes:
    return b"".join(
        chance.choice((bytes(40), chance.randbytes(20), b"again and again ")) for _ in range(size // 20)
    )[:size]


_KINDS: dict[str, Callable[[int, random.Random], str | bytes]] = {
    "json": _json,
    "prose": _prose,
    "noise": _noise,
    "zeros": _zeros,
    "mixed": _mixed,
}

_CONTEXTS = {
    "": Deflate(),
    "-no-takeover": Deflate(our_takeover=False, their_takeover=False),
    "-small-windows": Deflate(our_bits=9, their_bits=9),
    "-small-windows-no-takeover": Deflate(9, 9, our_takeover=False, their_takeover=False),
    "-our-window-small": Deflate(our_bits=8, their_takeover=False),
    "-their-window-small": Deflate(their_bits=8, our_takeover=False),
}


def squeezed(message: str | bytes, squeezer: Squeezer) -> Frame:
    """A message in one compressed frame."""
    frame = text("") if isinstance(message, str) else binary(b"")
    return Frame(frame.opcode, squeezer.message(message), rsv=4)


def _peer(deflate: Deflate) -> Squeezer:
    return Squeezer(deflate.their_bits, deflate.their_takeover)


def _sizes() -> Iterator[Row]:
    for kind, make in _KINDS.items():
        for size in _SIZES:
            for context, deflate in _CONTEXTS.items():
                if context and size not in (16, 1024):
                    continue
                chance = random.Random(size)
                squeezer = _peer(deflate)
                messages = [make(size, chance) for _ in range(4 if size < 1025 else 2)]
                yield passes(
                    f"compression/{kind}-of-{size}{context}",
                    _RULE,
                    [squeezed(message, squeezer) for message in messages],
                    messages,
                    deflate=deflate,
                    limits=_LIMITS,
                )


def _fragmented() -> Iterator[Row]:
    chance = random.Random(12)
    long = _json(1500, chance)
    for name, deflate in (("", Deflate()), ("-no-takeover", _CONTEXTS["-no-takeover"])):
        for size in (1, 2, 7, 64, 125, 126, 300):
            squeezer = _peer(deflate)
            steps: list[Step] = []
            for _ in range(2):
                whole = squeezed(long, squeezer)
                steps += fragments(whole, cut(whole.payload, size))
            yield passes(
                f"compression/fragments-of-{size}{name}",
                "RFC 7692 §6.1",
                steps,
                [long, long],
                deflate=deflate,
            )
    whole = squeezed("Hello, compressed κόσμε", Squeezer())
    deflate = Deflate()
    for at in range(len(whole.payload) + 1):
        pieces = [whole.payload[:at], whole.payload[at:]]
        frames = fragments(whole, pieces)
        yield passes(
            f"compression/cut-after-{at}",
            "RFC 7692 §6.1",
            frames,
            ["Hello, compressed κόσμε"],
            deflate=deflate,
        )
        yield passes(
            f"compression/cut-after-{at}-with-a-ping-between",
            "RFC 7692 §6.1",
            [frames[0], ping(b"!"), frames[1]],
            [Ping(b"!"), "Hello, compressed κόσμε"],
            deflate=deflate,
        )
    yield passes(
        "compression/control-frames-between-octets",
        "RFC 7692 §6.1",
        [
            step
            for frame in fragments(whole, cut(whole.payload, 1))
            for step in (frame, *((pong(b"x"),) if not frame.fin else ()))
        ],
        [*[Pong(b"x")] * (len(whole.payload) - 1), "Hello, compressed κόσμε"],
        deflate=deflate,
    )
    yield passes(
        "compression/empty-fragments-around-octets",
        "RFC 7692 §6.1",
        fragments(whole, [b"", *(piece for octet in cut(whole.payload, 1) for piece in (octet, b"")), b""]),
        ["Hello, compressed κόσμε"],
        deflate=deflate,
    )


def _mixed_with_plain() -> Iterator[Row]:
    """Any message may come uncompressed; it leaves the window alone."""
    rule = "RFC 7692 §6, §7.2.3.2"
    for name, deflate in _CONTEXTS.items():
        squeezer = _peer(deflate)
        yield passes(
            f"compression/plain-between-compressed{name}",
            rule,
            [squeezed("again and again", squeezer), text("plain"), squeezed("again and again", squeezer)],
            ["again and again", "plain", "again and again"],
            deflate=deflate,
        )
        yield passes(
            f"compression/only-plain{name}",
            rule,
            [text("one"), binary(b"two"), *fragments(text(""), [b"th", b"ree"]), text("")],
            ["one", b"two", "three", ""],
            deflate=deflate,
        )
        squeezer = _peer(deflate)
        yield passes(
            f"compression/empty-messages{name}",
            "RFC 7692 §7.2.3.6",
            [squeezed(message, squeezer) for message in ("", b"", "x", "", "x", b"")],
            ["", b"", "x", "", "x", b""],
            deflate=deflate,
        )
        squeezer = _peer(deflate)
        yield passes(
            f"compression/text-and-binary-share-a-window{name}",
            rule,
            [squeezed(message, squeezer) for message in ("shared words", b"shared words", "shared words")],
            ["shared words", b"shared words", "shared words"],
            deflate=deflate,
        )
        squeezer = _peer(deflate)
        messages = [f"message {i} of a hundred" for i in range(100)]
        yield passes(
            f"compression/a-hundred{name}",
            rule,
            [squeezed(message, squeezer) for message in messages],
            messages,
            deflate=deflate,
        )
    threshold = Deflate(threshold=20)
    squeezer = Squeezer()
    messages = ["short", "x" * 19, "x" * 20, "é" * 10, "short"]
    yield passes(
        "compression/short-answers-stay-plain",
        "RFC 7692 §6",
        [squeezed(message, squeezer) for message in messages],
        messages,
        sent=replies(messages[:2]) + replies(messages[2:4], threshold) + replies(messages[4:]),
        deflate=threshold,
    )


def _ours() -> Iterator[Row]:
    """What our application decides for each message."""
    words = "words, words, words"
    deflated = text(words, deflated=True)
    for name, deflate in _CONTEXTS.items():
        yield passes(
            f"compression/ours-by-choice{name}",
            "RFC 7692 §6",
            [
                Call("send", (words,)),
                Call("send", (words,), {"compress": False}),
                Call("send", (words,), {"compress": True}),
                Call("send", ("",)),
                Call("send", (words.encode(),)),
            ],
            [],
            sent=[
                deflated,
                text(words),
                deflated,
                text("", deflated=True),
                binary(words.encode(), deflated=True),
            ],
            deflate=deflate,
        )
        yield passes(
            f"compression/ours-with-a-ping-answered-between{name}",
            "RFC 7692 §6",
            [Call("send", (words,)), ping(b"?"), Call("send", (words,))],
            [Ping(b"?")],
            sent=[deflated, pong(b"?"), deflated],
            deflate=deflate,
        )
        yield passes(
            f"compression/ours-in-plain-fragments{name}",
            "RFC 7692 §6.1",
            [
                Call("send", (words,)),
                Call("send_fragment", ("a",), {"final": False, "compress": False}),
                Call("send_fragment", ("b",), {"final": True}),
                Call("send", (words,)),
            ],
            [],
            sent=[deflated, text("a", fin=False), more("b"), deflated],
            deflate=deflate,
        )
    squeezer = Squeezer()
    yield Row(
        id="compression/close-inside-a-compressed-message",
        section="RFC 6455 §5.5.1",
        steps=(Frame(1, squeezer.message("cut")[:2], fin=False, rsv=4), close(1000)),
        events=(Close(1000, ""),),
        sent=(close(1000),),
        end=closed(1000),
        deflate=Deflate(),
    )
    squeezer = Squeezer()
    yield Row(
        id="compression/messages-while-we-close",
        section="RFC 6455 §5.5.1",
        steps=(
            Call("send_close", (1000,)),
            squeezed("one", squeezer),
            squeezed("two", squeezer),
            close(1000),
        ),
        events=("one", "two", Close(1000, "")),
        sent=(close(1000),),
        end=closed(1000, by=Side.LOCAL),
        deflate=Deflate(),
    )


def rows() -> Iterator[Row]:
    yield from _sizes()
    yield from _fragmented()
    yield from _mixed_with_plain()
    yield from _ours()
