"""The life of an open connection, as a table.

The state has two halves: how far we are with what we send, and how far the peer is with what it sends.
Each half is OPEN, then CLOSE_SENT once its Close frame is out, then EOF once its byte stream has ended.
What RFC 6455 calls the state, whose turn it is, and what to do with the byte stream all follow from the
pair, so there is nothing else that could disagree with it.

    ours        theirs        what it means
    OPEN        OPEN          messages flow both ways
    CLOSE_SENT  OPEN          we said Close; the peer may still send, and owes us its Close
    OPEN        CLOSE_SENT    the peer said Close; we owe it ours
    CLOSE_SENT  CLOSE_SENT    the closing handshake is complete; the server ends its stream first (§7.1.1)
    EOF         OPEN          we failed the connection, or refused the handshake; what comes is ignored
    EOF         CLOSE_SENT    we ended our stream, and wait for the peer to end its own
    EOF         EOF           over

RFC 6455 §1.4, §4.1, §5.5.1, §7.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias


class Half(Enum):
    """How far one side is with what it sends."""

    OPEN = "open"
    CLOSE_SENT = "close sent"
    EOF = "eof"


class Input(Enum):
    """What moves the state."""

    SEND_CLOSE = "send Close"
    RECEIVE_CLOSE = "receive Close"
    SEND_EOF = "end our stream"
    RECEIVE_EOF = "the peer's stream ends"
    DROP = "give up"


class State(Enum):
    """The states of RFC 6455."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Turn(Enum):
    """Who has to make the next step towards the end."""

    EITHER = "either side may close"
    LOCAL = "we owe a Close frame"
    PEER = "the peer owes a Close frame, or the end of its stream"
    NOBODY = "all is done"


class Transport(Enum):
    """What to do with the byte stream, once everything in `data_to_send` is written."""

    KEEP_OPEN = "keep open"
    """Go on reading and writing."""
    HALF_CLOSE = "half-close"
    """End our direction and go on reading; not asked for where `Connection.cannot_half_close` was called."""
    CLOSE = "close"
    """Close it."""


Halves: TypeAlias = tuple[Half, Half]

OPEN: Final[Halves] = (Half.OPEN, Half.OPEN)
WE_CLOSED: Final[Halves] = (Half.CLOSE_SENT, Half.OPEN)
THEY_CLOSED: Final[Halves] = (Half.OPEN, Half.CLOSE_SENT)
BOTH_CLOSED: Final[Halves] = (Half.CLOSE_SENT, Half.CLOSE_SENT)
FAILED: Final[Halves] = (Half.EOF, Half.OPEN)
LINGERING: Final[Halves] = (Half.EOF, Half.CLOSE_SENT)
OVER: Final[Halves] = (Half.EOF, Half.EOF)

# An input that a state does not list cannot happen in it.
TRANSITIONS: Final[dict[Halves, dict[Input, Halves]]] = {
    OPEN: {
        Input.SEND_CLOSE: WE_CLOSED,
        Input.RECEIVE_CLOSE: THEY_CLOSED,
        Input.SEND_EOF: FAILED,
        Input.RECEIVE_EOF: OVER,
        Input.DROP: OVER,
    },
    WE_CLOSED: {
        Input.RECEIVE_CLOSE: BOTH_CLOSED,
        Input.SEND_EOF: FAILED,
        Input.RECEIVE_EOF: OVER,
        Input.DROP: OVER,
    },
    THEY_CLOSED: {
        Input.SEND_CLOSE: BOTH_CLOSED,
        Input.RECEIVE_EOF: OVER,
        Input.DROP: OVER,
    },
    BOTH_CLOSED: {
        Input.SEND_EOF: LINGERING,
        Input.RECEIVE_EOF: OVER,
        Input.DROP: OVER,
    },
    FAILED: {Input.RECEIVE_EOF: OVER, Input.DROP: OVER},
    LINGERING: {Input.RECEIVE_EOF: OVER, Input.DROP: OVER},
    OVER: {},
}

TURNS: Final[dict[Halves, Turn]] = {
    OPEN: Turn.EITHER,
    WE_CLOSED: Turn.PEER,
    THEY_CLOSED: Turn.LOCAL,
    BOTH_CLOSED: Turn.PEER,
    FAILED: Turn.PEER,
    LINGERING: Turn.PEER,
    OVER: Turn.NOBODY,
}


def rfc_state(halves: Halves) -> State:
    """Return the state as RFC 6455 names it. §4.1, §7.1.3, §7.1.4."""
    if halves == OPEN:
        return State.OPEN
    return State.CLOSED if halves == OVER else State.CLOSING


def transport(halves: Halves, half_closes: bool = True) -> Transport:
    """Return what the state means for the byte stream. RFC 6455 §7.1.1, §7.1.7.

    Args:
        half_closes: whether the stream can be ended in one direction. If not, it is closed as soon as the
            peer has nothing more to say; earlier, what it still sends would meet a reset that takes our
            Close with it.
    """
    if halves == OVER:
        return Transport.CLOSE
    if halves[0] is not Half.EOF:
        return Transport.KEEP_OPEN
    if half_closes:
        return Transport.HALF_CLOSE
    return Transport.CLOSE if halves == LINGERING else Transport.KEEP_OPEN


def may_send_data(halves: Halves) -> bool:
    """Say whether data frames may go out: until our Close has. RFC 6455 §5.5.1."""
    return halves[0] is Half.OPEN


def may_send_control(halves: Halves) -> bool:
    """Say whether Ping and Pong may go out: until the closing handshake is complete. RFC 6455 §5.5.2."""
    return halves in (OPEN, WE_CLOSED, THEY_CLOSED)


def listens(halves: Halves) -> bool:
    """Say whether what arrives still counts. RFC 6455 §5.5.1, §7.1.7."""
    return halves in (OPEN, WE_CLOSED)
