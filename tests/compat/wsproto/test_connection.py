"""The connection, where it is not simply what wsproto's is: ends, violations, limits, the order of things."""

from __future__ import annotations

from typing import Any

import pytest

from edgews import Limits, Role
from edgews.compat.wsproto.connection import (
    CLIENT,
    SERVER,
    Connection,
    ConnectionState,
    ConnectionType,
    default_limits,
    set_default_limits,
)
from edgews.compat.wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectData,
    TextMessage,
)
from edgews.compat.wsproto.frame_protocol import CloseReason
from edgews.compat.wsproto.utilities import LocalProtocolError
from tests import wire
from tests.engines import peer_close, peer_frame, squeeze, whole

from .ends import TYPES, end, other, receive

each_type = pytest.mark.parametrize("kind", TYPES)

OPEN, CLOSED = ConnectionState.OPEN, ConnectionState.CLOSED
LOCAL, REMOTE = ConnectionState.LOCAL_CLOSING, ConnectionState.REMOTE_CLOSING


def role(kind: ConnectionType) -> Role:
    return Role[kind.name]


def bye(kind: ConnectionType, data: bytes) -> int | None:
    """Return the code of the one frame in `data`, a Close."""
    (frame,) = wire.frames(data)
    assert frame.opcode == wire.CLOSE
    assert frame.masked is (kind is CLIENT)
    return wire.close_code(frame.payload)


VIOLATIONS: list[tuple[str, Any, int]] = [
    ("a reserved opcode", lambda kind: peer_frame(kind, 3), 1002),
    ("a reserved bit", lambda kind: peer_frame(kind, wire.TEXT, rsv=1), 1002),
    ("compression that was not agreed", lambda kind: peer_frame(kind, wire.TEXT, b"x", rsv=4), 1002),
    (
        "a wrong mask bit",
        lambda kind: wire.frame(wire.TEXT, key=None if kind is Role.SERVER else wire.KEY),
        1002,
    ),
    ("a Ping in fragments", lambda kind: peer_frame(kind, wire.PING, fin=False), 1002),
    ("a continuation of nothing", lambda kind: peer_frame(kind, wire.CONTINUATION), 1002),
    ("a Close of one byte", lambda kind: peer_frame(kind, wire.CLOSE, b"x"), 1002),
    ("a Close code that is none", lambda kind: peer_close(kind, 1005), 1002),
    ("no UTF-8", lambda kind: peer_frame(kind, wire.TEXT, b"\xff"), 1007),
    ("no UTF-8 as a reason", lambda kind: peer_close(kind, 1000, b"\xff"), 1007),
    ("too much", lambda kind: peer_frame(kind, wire.BINARY, length=1 << 40)[:14], 1009),
]


@each_type
@pytest.mark.parametrize(
    ("frame", "code"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS]
)
def test_a_violation_is_answered_with_its_close_code(kind: ConnectionType, frame: Any, code: int) -> None:
    """By those who do what every user of wsproto does: answer `CloseConnection` when the peer is closing."""
    conn = end(kind)
    before, event = receive(
        conn, whole(role(kind), "before") + frame(role(kind)) + whole(role(kind), "behind")
    )
    assert before == TextMessage("before")
    assert isinstance(event, CloseConnection)
    assert event.code is CloseReason(code)
    assert event.reason
    assert conn.state is REMOTE
    assert receive(conn, b"ignored") == []
    assert bye(kind, conn.send(event.response())) == code
    assert conn.state is CLOSED
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"")


@each_type
def test_a_violation_after_our_close(kind: ConnectionType) -> None:
    conn = end(kind)
    conn.send(CloseConnection(1000))
    (event,) = receive(conn, peer_frame(role(kind), 3))
    assert event == CloseConnection(CloseReason.PROTOCOL_ERROR, "opcode 0x3 is reserved")
    assert conn.state is CLOSED


@each_type
def test_a_violation_in_front_of_the_end(kind: ConnectionType) -> None:
    conn = end(kind)
    conn.receive_data(whole(role(kind), b"x") + peer_frame(role(kind), 3))
    conn.receive_data(None)
    assert conn.state is CLOSED
    assert list(conn.events()) == [
        BytesMessage(b"x"),
        CloseConnection(CloseReason.PROTOCOL_ERROR, "opcode 0x3 is reserved"),
    ]


@each_type
def test_the_end_of_the_stream(kind: ConnectionType) -> None:
    """What came in front of it comes first; without a Close it is 1006, behind one it is nothing new."""
    conn = end(kind)
    conn.receive_data(whole(role(kind), "x") + whole(role(kind), "y")[:-1])
    assert receive(conn, None) == [
        TextMessage("x"),
        CloseConnection(CloseReason.ABNORMAL_CLOSURE),
    ]
    assert receive(conn, None) == []
    for event in (TextMessage("x"), Ping(), Pong(), CloseConnection(1000)):
        with pytest.raises(LocalProtocolError, match="CLOSED"):
            conn.send(event)
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"x")
    conn = end(kind)
    conn.receive_data(peer_close(role(kind), 3000, b"bye"))
    assert receive(conn, None) == [CloseConnection(3000, "bye")]


@each_type
def test_control_frames_while_closing(kind: ConnectionType) -> None:
    """RFC 6455 §5.5.2: a Ping is answered until the closing handshake is complete."""
    conn = end(kind)
    conn.send(CloseConnection(1000))
    (ping,) = receive(conn, peer_frame(role(kind), wire.PING, b"there?"))
    assert isinstance(ping, Ping)
    assert [frame.payload for frame in wire.frames(conn.send(ping.response()))] == [b"there?"]
    with pytest.raises(LocalProtocolError, match="TextMessage cannot be sent in state LOCAL_CLOSING"):
        conn.send(TextMessage("too late"))
    with pytest.raises(LocalProtocolError):
        conn.send(CloseConnection(1000))
    receive(conn, peer_close(role(kind), 1000))
    assert conn.state is CLOSED
    with pytest.raises(LocalProtocolError):
        conn.send(Pong())
    conn = end(kind)
    receive(conn, peer_close(role(kind), 1000))
    assert conn.state is REMOTE
    assert conn.send(Pong())
    with pytest.raises(LocalProtocolError):
        conn.send(TextMessage("nobody listens"))


@each_type
@pytest.mark.parametrize("text", [True, False])
def test_a_ping_between_compressed_fragments(kind: ConnectionType, text: bool) -> None:
    conn = end(kind, deflate=True)
    squeezed = squeeze(b"compressed")
    first = peer_frame(role(kind), wire.TEXT if text else wire.BINARY, squeezed[:4], fin=False, rsv=4)
    ping = peer_frame(role(kind), wire.PING, b"!")
    last = peer_frame(role(kind), wire.CONTINUATION, squeezed[4:])
    events = receive(conn, first + ping + last)
    assert events.count(Ping(b"!")) == 1
    pieces: list[Any] = [getattr(event, "data", None) for event in events if event != Ping(b"!")]
    assert type(pieces[0])().join(pieces) == ("compressed" if text else b"compressed")


@each_type
def test_inflation_is_bounded(kind: ConnectionType) -> None:
    limits = Limits(max_message_size=1000)
    bomb = peer_frame(role(kind), wire.BINARY, squeeze(bytes(1 << 20)), rsv=4)
    fits = peer_frame(role(kind), wire.BINARY, squeeze(bytes(1000)), rsv=4)
    message, close = receive(end(kind, deflate=True, limits=limits), fits + bomb)
    assert message == BytesMessage(bytes(1000))
    assert isinstance(close, CloseConnection)
    assert close.code is CloseReason.MESSAGE_TOO_BIG


def test_the_default_limits_can_be_set() -> None:
    before = default_limits()
    assert before.max_message_size == 16 << 20
    frame = peer_frame(Role.SERVER, wire.BINARY, bytes(5))
    set_default_limits(Limits(max_message_size=4))
    try:
        (event,) = receive(Connection(SERVER), frame)
    finally:
        set_default_limits(before)
    assert isinstance(event, CloseConnection)
    assert receive(Connection(SERVER), frame) == [BytesMessage(bytes(5))]


@each_type
def test_a_frame_in_pieces(kind: ConnectionType) -> None:
    conn = end(kind)
    frame = peer_frame(role(kind), wire.TEXT, "aé".encode(), fin=False) + peer_frame(
        role(kind), wire.CONTINUATION, b"xyz"
    )
    found: list[Event] = []
    for octet in frame:
        found += receive(conn, bytes([octet]))
    assert found == [
        TextMessage("a", False, False),
        TextMessage("é", True, False),
        TextMessage("x", False, False),
        TextMessage("y", False, False),
        TextMessage("z", True, True),
    ]


@each_type
def test_messages_in_pieces_are_sent_as_one(kind: ConnectionType) -> None:
    conn = end(kind)
    peer = end(other(kind))
    data = conn.send(TextMessage("a", message_finished=False))
    with pytest.raises(LocalProtocolError, match="all text or all binary"):
        conn.send(BytesMessage(b"b"))
    data += (
        conn.send(Ping(b"between")) + conn.send(TextMessage("b")) + conn.send(BytesMessage(bytearray(b"c")))
    )
    assert receive(peer, data) == [
        TextMessage("a", True, False),
        Ping(b"between"),
        TextMessage("b", True, True),
        BytesMessage(b"c"),
    ]


WRONG: list[Event] = [
    TextMessage("\ud800"),
    TextMessage(3),  # type: ignore[arg-type]
    Ping(bytes(126)),
    Pong("text"),  # type: ignore[arg-type]
    CloseConnection(999),
    CloseConnection(70_000),
    CloseConnection("1000"),  # type: ignore[arg-type]
    CloseConnection(1000, b"bytes"),  # type: ignore[arg-type]
    CloseConnection(1000, "\ud800"),
    CloseConnection(1005, "a reason without a code"),
    AcceptConnection(),
    RejectData(b""),
    None,  # type: ignore[list-item]
]


@each_type
@pytest.mark.parametrize("event", WRONG, ids=repr)
def test_what_cannot_be_sent(kind: ConnectionType, event: Event) -> None:
    conn = end(kind)
    with pytest.raises(LocalProtocolError):
        conn.send(event)
    assert conn.state is OPEN
    assert conn.send(TextMessage("and nothing has changed"))


@each_type
@pytest.mark.parametrize("code", [1005, 1006, 1015, None])
def test_codes_that_stand_in_no_frame(kind: ConnectionType, code: Any) -> None:
    """As in wsproto, none is sent for 1005, and 1000 for those that an endpoint reports to itself."""
    assert bye(kind, end(kind).send(CloseConnection(code))) == (None if code in (1005, None) else 1000)


@each_type
def test_a_long_reason_is_cut(kind: ConnectionType) -> None:
    conn, peer = end(kind), end(other(kind))
    (close,) = receive(peer, conn.send(CloseConnection(1000, "é" * 100)))
    assert close == CloseConnection(1000, "é" * 61)


@each_type
def test_what_is_not_bytes_like(kind: ConnectionType) -> None:
    conn = end(kind)
    with pytest.raises(LocalProtocolError):
        conn.receive_data("text")  # type: ignore[arg-type]
    assert receive(conn, memoryview(whole(role(kind), "x"))) == [TextMessage("x")]  # type: ignore[arg-type]


@each_type
def test_two_iterations_share_what_there_is(kind: ConnectionType) -> None:
    conn = end(kind)
    conn.receive_data(b"".join(whole(role(kind), text) for text in "abc") + peer_close(role(kind), 1000))
    one, two = conn.events(), conn.events()
    assert [next(one), next(two), next(one)] == [TextMessage("a"), TextMessage("b"), TextMessage("c")]
    assert list(two) == [CloseConnection(1000, "")]
    assert list(one) == []
