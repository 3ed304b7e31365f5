"""Pings and Pongs."""

from __future__ import annotations

from collections.abc import Iterator

from edgews import Close, ControlFrameError, Ping, Pong, Role, Side
from tests.conformance.rows import (
    Call,
    Row,
    binary,
    close,
    closed,
    echoes,
    fails,
    passes,
    ping,
    pong,
    text,
)

_PING, _PONG = "RFC 6455 §5.5.2", "RFC 6455 §5.5.3"
_CHOPS = (2, 3, 5, 8)

_PAYLOADS = {
    "empty": b"",
    "one-octet": b"x",
    "text": b"Hello, world!",
    "binary": b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
    "not-utf8": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80",
    "looks-like-a-frame": b"\x81\x85\x37\xfa\x21\x3d\x7f",
    "124-octets": b"\xfe" * 124,
    "125-octets": b"\xfe" * 125,
}


def _single() -> Iterator[Row]:
    for name, payload in _PAYLOADS.items():
        yield passes(f"pings/ping-{name}", _PING, [ping(payload)], [Ping(payload)], chops=_CHOPS)
        yield passes(f"pings/pong-{name}", _PONG, [pong(payload)], [Pong(payload)], chops=_CHOPS)
        yield passes(
            f"pings/ping-{name}-before-a-message",
            _PING,
            [ping(payload), text("after")],
            [Ping(payload), "after"],
        )
        yield passes(
            f"pings/ping-{name}-after-a-message",
            _PING,
            [binary(b"before"), ping(payload)],
            [b"before", Ping(payload)],
        )
        yield passes(
            f"pings/pong-{name}-between-messages",
            _PONG,
            [text("one"), pong(payload), text("two")],
            ["one", Pong(payload), "two"],
        )


def _too_long() -> Iterator[Row]:
    rule = "RFC 6455 §5.5"
    for name, frame in (("ping", ping), ("pong", pong)):
        for size in (126, 127, 128, 1000, 65535, 65536):
            long = frame(bytes(size))
            yield fails(f"pings/{name}-of-{size}", rule, [long], ControlFrameError, header=2)
            yield fails(
                f"pings/{name}-of-{size}-after-a-message-and-a-ping",
                rule,
                [text("fine"), ping(b"1"), long],
                ControlFrameError,
                header=2,
                events=["fine", Ping(b"1")],
            )
        yield fails(
            f"pings/{name}-empty-in-16-bits",
            rule,
            [frame(b"", form=16)],
            ControlFrameError,
            header=2,
        )
        yield fails(
            f"pings/{name}-empty-in-64-bits",
            rule,
            [frame(b"", form=64)],
            ControlFrameError,
            header=2,
        )


def _several() -> Iterator[Row]:
    """Of the Pings that one read brings, the last is answered; those of other reads each have a Pong."""
    for count in (2, 3, 10, 50):
        payloads = [b"payload-%d" % i for i in range(count)]
        yield passes(
            f"pings/{count}-in-a-row",
            _PONG,
            [ping(payload) for payload in payloads],
            [Ping(payload) for payload in payloads],
            at_once=[pong(payloads[-1])],
            chops=_CHOPS,
        )
    yield passes(
        "pings/10-with-a-message-behind-each",
        _PONG,
        [frame for i in range(10) for frame in (ping(b"%d" % i), text(str(i)))],
        [event for i in range(10) for event in (Ping(b"%d" % i), str(i))],
    )
    yield passes(
        "pings/two-and-a-message-and-two",
        _PONG,
        [ping(b"1"), ping(b"2"), text("x"), ping(b"3"), ping(b"4")],
        [Ping(b"1"), Ping(b"2"), "x", Ping(b"3"), Ping(b"4")],
        at_once=[pong(b"2"), text("x"), pong(b"4")],
    )
    yield passes(
        "pings/ten-alike",
        _PONG,
        [ping(b"same")] * 10,
        [Ping(b"same")] * 10,
        at_once=[pong(b"same")],
    )
    yield passes(
        "pings/pongs-never-answered",
        _PONG,
        [pong(b"%d" % i) for i in range(20)],
        [Pong(b"%d" % i) for i in range(20)],
        sent=(),
    )
    yield passes(
        "pings/pongs-and-pings-in-turns",
        _PONG,
        [pong(b"a"), ping(b"b"), pong(b"c"), ping(b"d")],
        [Pong(b"a"), Ping(b"b"), Pong(b"c"), Ping(b"d")],
        at_once=[pong(b"d")],
    )
    yield echoes("pings/none", _PING, "x")


def _ours() -> Iterator[Row]:
    """Our application pings; whatever comes back is reported."""
    sent = Call("send_ping", (b"ours",))
    yield passes("pings/ours-answered", _PING, [sent, pong(b"ours")], [Pong(b"ours")], sent=[ping(b"ours")])
    yield passes(
        "pings/ours-answered-otherwise", _PONG, [sent, pong(b"other")], [Pong(b"other")], sent=[ping(b"ours")]
    )
    yield passes(
        "pings/ours-never-answered", _PING, [sent, text("x")], ["x"], sent=[ping(b"ours"), text("x")]
    )
    yield passes(
        "pings/ours-answered-twice",
        _PONG,
        [sent, pong(b"ours"), pong(b"ours")],
        [Pong(b"ours"), Pong(b"ours")],
        sent=[ping(b"ours")],
    )
    yield passes(
        "pings/ours-met-by-theirs",
        _PING,
        [sent, ping(b"theirs"), pong(b"ours")],
        [Ping(b"theirs"), Pong(b"ours")],
        sent=[ping(b"ours"), pong(b"theirs")],
    )
    yield passes(
        "pings/ours-three-and-one-pong-for-all",
        _PONG,
        [Call("send_ping", (b"1",)), Call("send_ping", (b"2",)), Call("send_ping", (b"3",)), pong(b"3")],
        [Pong(b"3")],
        sent=[ping(b"1"), ping(b"2"), ping(b"3")],
    )
    yield passes(
        "pings/pong-unasked-for-from-us",
        _PONG,
        [Call("send_pong", (b"alive",)), text("x")],
        ["x"],
        sent=[pong(b"alive"), text("x")],
    )
    yield passes(
        "pings/ping-and-pong-of-125-from-us",
        "RFC 6455 §5.5",
        [Call("send_ping", (bytes(125),)), Call("send_pong", (bytes(125),))],
        [],
        sent=[ping(bytes(125)), pong(bytes(125))],
    )


def _closing() -> Iterator[Row]:
    yield Row(
        id="pings/ping-in-front-of-close",
        section=_PING,
        steps=(ping(b"last"), close(1001)),
        events=(Ping(b"last"), Close(1001, "")),
        sent=(pong(b"last"), close(1001)),
        end=closed(1001),
    )
    yield Row(
        id="pings/ping-after-our-close",
        section=_PING,
        steps=(Call("send_close", (1000,)), ping(b"still"), close(1000)),
        events=(Ping(b"still"), Close(1000, "")),
        sent=(close(1000), pong(b"still")),
        end=closed(1000, by=Side.LOCAL),
    )
    yield Row(
        id="pings/ping-after-their-close",
        section="RFC 6455 §5.5.1",
        steps=(close(1000), ping(b"too late")),
        events=(Close(1000, ""),),
        sent=(close(1000),),
        end=closed(1000),
    )
    yield passes(
        "pings/with-a-key-that-hides-nothing",
        _PING,
        [ping(b"abc", key=bytes(4)), pong(b"abc", key=bytes(4))],
        [Ping(b"abc"), Pong(b"abc")],
        roles=(Role.SERVER,),
        chops=(2, 4),
    )


def rows() -> Iterator[Row]:
    yield from _single()
    yield from _too_long()
    yield from _several()
    yield from _ours()
    yield from _closing()
