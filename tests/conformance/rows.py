"""The words that the table is written in: frames, what an echo application does with them, and the end.

A row speaks of "the peer" and "us", so most rows are played in both roles. Our application answers every
message with the same message, as long as it has not sent a Close itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from edgews import (
    CauseKind,
    Close,
    Event,
    Limits,
    PerMessageDeflate,
    Ping,
    Pong,
    RemoteProtocolError,
    Role,
    Side,
    Transport,
)
from tests.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT

# What a row sends


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, from the peer or expected from us.

    Attributes:
        rsv: the three reserved bits, 4 for RSV1.
        length: what the header announces, if not the payload's length.
        form: 7, 16 or 64 bits for the length, if not the shortest.
        key: the masking key, where the peer masks.
        wrong_mask: the mask bit is the opposite of what the peer's role demands.
        deflated: expected from us: RSV1 is set, and what stands on the wire inflates to `payload`.
    """

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    length: int | None = None
    form: int | None = None
    key: bytes = KEY
    wrong_mask: bool = False
    deflated: bool = False


@dataclass(frozen=True, slots=True)
class Octets:
    """Octets from the peer that are no whole frame."""

    data: bytes


@dataclass(frozen=True)
class Call:
    """Something our application does by itself: a call of the connection."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


Step: TypeAlias = Frame | Octets | Call


def text(message: str | bytes, **options: Any) -> Frame:
    return Frame(TEXT, message.encode() if isinstance(message, str) else message, **options)


def binary(message: bytes, **options: Any) -> Frame:
    return Frame(BINARY, message, **options)


def more(payload: str | bytes, **options: Any) -> Frame:
    """A continuation frame."""
    return Frame(CONTINUATION, payload.encode() if isinstance(payload, str) else payload, **options)


def ping(payload: bytes = b"", **options: Any) -> Frame:
    return Frame(PING, payload, **options)


def pong(payload: bytes = b"", **options: Any) -> Frame:
    return Frame(PONG, payload, **options)


def close(code: int | None = None, reason: str | bytes = b"", **options: Any) -> Frame:
    octets = reason.encode() if isinstance(reason, str) else reason
    return Frame(CLOSE, b"" if code is None else struct.pack(">H", code) + octets, **options)


def fragments(first: Frame, pieces: Sequence[bytes]) -> list[Frame]:
    """One message in several frames; the first one keeps the reserved bits."""
    last = len(pieces) - 1
    return [replace(first, payload=pieces[0], fin=last == 0)] + [
        more(piece, fin=i == last) for i, piece in enumerate(pieces) if i
    ]


def cut(payload: bytes, size: int) -> list[bytes]:
    """Pieces of `size` octets, the last one shorter."""
    return [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]


def reply(message: str | bytes, *, deflated: bool = False) -> Frame:
    """What the echo application answers to a message."""
    return replace(text(message) if isinstance(message, str) else binary(message), deflated=deflated)


# What a row expects


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a violation shows: not an octet earlier, not an octet later.

    Attributes:
        frame: which of the steps breaks the rule.
        header: so many octets of its header are enough to know;
        payload: or the whole header and so many octets of its payload.
    """

    frame: int
    header: int | None = None
    payload: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How the connection ends, once the peer has ended its byte stream.

    Attributes:
        code, reason, clean, kind, initiator, error: as `Disconnected` and its cause report them.
        says: the code of the Close that a violation made us send; None if ours was out before.
        transport: what the byte stream is to be before the peer ends it; a server and a client differ
            after a closing handshake, for the server ends its stream first (RFC 6455 §7.1.1).
    """

    kind: CauseKind
    initiator: Side = Side.PEER
    code: int = 1006
    reason: str = ""
    clean: bool = False
    error: type[RemoteProtocolError] | None = None
    says: int | None = None
    transport: dict[Role, Transport] = field(
        default_factory=lambda: {Role.SERVER: Transport.HALF_CLOSE, Role.CLIENT: Transport.HALF_CLOSE}
    )


_STAYS = {Role.SERVER: Transport.KEEP_OPEN, Role.CLIENT: Transport.KEEP_OPEN}
_SERVER_FIRST = {Role.SERVER: Transport.HALF_CLOSE, Role.CLIENT: Transport.KEEP_OPEN}

VANISHED = End(CauseKind.PEER_VANISHED, transport=_STAYS)
UNANSWERED = End(CauseKind.PEER_VANISHED, Side.LOCAL, transport=_STAYS)


def closed(code: int = 1000, reason: str = "", by: Side = Side.PEER) -> End:
    """The end after a closing handshake; the code and reason are the peer's."""
    return End(CauseKind.CLOSED, by, code, reason, clean=True, transport=_SERVER_FIRST)


@dataclass(frozen=True, slots=True)
class Deflate:
    """What permessage-deflate was agreed to, seen from our side."""

    our_bits: int = 15
    their_bits: int = 15
    our_takeover: bool = True
    their_takeover: bool = True
    threshold: int = 0
    level: int = -1
    mem_level: int = 8


@dataclass(frozen=True, slots=True)
class Opening:
    """The extension's negotiation: what the client offers and the server answers.

    `wish` is ours. What we send of the two is compared as a set of parameters.
    """

    wish: PerMessageDeflate
    offer: str
    answer: str | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case.

    Attributes:
        id: group and name.
        section: where the rule stands.
        steps: what the peer sends and our application does.
        events: all of them, without the `Disconnected`.
        sent: every frame we send, without the Close that a violation causes.
        at_once: the same where all frames come in one read and differ there: of several Pings only
            the last must be answered (RFC 6455 §5.5.3).
        chops: further sizes of reads to deliver the octets in.
        pieces: the application answers in fragments of so many octets.
    """

    id: str
    section: str
    steps: tuple[Step, ...]
    events: tuple[Event, ...]
    sent: tuple[Frame, ...]
    end: End
    at_once: tuple[Frame, ...] | None = None
    fault: Fault | None = None
    limits: Limits | None = None
    deflate: Deflate | None = None
    opening: Opening | None = None
    roles: tuple[Role, ...] = (Role.SERVER, Role.CLIENT)
    chops: tuple[int, ...] = ()
    pieces: int | None = None


# The usual kinds of rows


def replies(events: Sequence[Event], deflate: Deflate | None = None) -> tuple[Frame, ...]:
    """An echo for each message and a Pong for each Ping."""
    frames: list[Frame] = []
    for event in events:
        if isinstance(event, Ping):
            frames.append(pong(event.data))
        elif isinstance(event, str | bytes):
            size = len(event.encode() if isinstance(event, str) else event)
            frames.append(reply(event, deflated=deflate is not None and size >= deflate.threshold))
        elif not isinstance(event, Pong):
            raise TypeError(f"nobody replies to {event!r}")
    return tuple(frames)


def passes(
    id: str,
    section: str,
    steps: Sequence[Step],
    events: Sequence[Event],
    *,
    sent: Sequence[Frame] | None = None,
    at_once: Sequence[Frame] | None = None,
    **options: Any,
) -> Row:
    """All is well: the peer then closes with 1000, and we answer."""
    if sent is None:
        sent = replies(events, options.get("deflate"))
    return Row(
        id=id,
        section=section,
        steps=(*steps, close(1000)),
        events=(*events, Close(1000, "")),
        sent=(*sent, close(1000)),
        at_once=None if at_once is None else (*at_once, close(1000)),
        end=closed(1000),
        **options,
    )


def echoes(id: str, section: str, *messages: str | bytes, **options: Any) -> Row:
    """Every message comes in one frame, and back it goes."""
    return passes(id, section, [reply(message) for message in messages], messages, **options)


def fails(
    id: str,
    section: str,
    steps: Sequence[Step],
    error: type[RemoteProtocolError],
    *,
    header: int | None = None,
    payload: int | None = None,
    frame: int | None = None,
    at: Fault | None = None,
    events: Sequence[Event] = (),
    sent: Sequence[Frame] | None = None,
    kind: CauseKind = CauseKind.PROTOCOL_ERROR,
    says: int | None = None,
    **options: Any,
) -> Row:
    """The peer breaks a rule, with the last step unless `frame` or `at` says otherwise.

    What follows the violation never counts (RFC 6455 §7.1.7), so a good message always follows.
    """
    return Row(
        id=id,
        section=section,
        steps=(*steps, text("too late")),
        events=tuple(events),
        sent=tuple(replies(events, options.get("deflate")) if sent is None else sent),
        end=End(kind, error=error, says=error.default_code if says is None else says),
        fault=at or Fault(len(steps) - 1 if frame is None else frame, header, payload),
        **options,
    )
