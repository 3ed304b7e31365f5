"""What a peer can do to us at the end of a connection."""

from __future__ import annotations

import pytest

from edgews import (
    CauseKind,
    Close,
    Connection,
    Disconnected,
    Event,
    Ping,
    Role,
    State,
    Transport,
    Turn,
)
from tests import wire
from tests.engines import ROLES, end, failed_with, make, peer_close, peer_frame, receive, sent
from tests.wire import BINARY, CLOSE, PING, PONG, TEXT

both_roles = pytest.mark.parametrize("role", ROLES)

MAY_BE_SENT = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


@both_roles
def test_every_close_code(role: Role) -> None:
    """RFC 6455 §7.4: all 65536 of them; the good ones come back, the others fail the connection."""
    for code in range(65536):
        conn = make(role)
        events = receive(conn, peer_close(role, code))
        if code in MAY_BE_SENT:
            assert events == [Close(code, "")]
            assert sent(conn) == [(CLOSE, code.to_bytes(2, "big"))]
            event = end(conn)
            assert (event.code, event.clean) == (code, True)
        else:
            assert events == []
            assert failed_with(conn) == 1002


@both_roles
def test_an_empty_close_is_answered_by_an_empty_one(role: Role) -> None:
    conn = make(role)
    assert receive(conn, peer_close(role)) == [Close(1005, "")]
    assert sent(conn) == [(CLOSE, b"")]
    event = end(conn)
    assert (event.code, event.reason, event.clean) == (1005, "", True)


@both_roles
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8\xe2\x82", 1007),
        (b"\x03\xe8\xed\xa0\x80", 1007),
        (b"\x03\xe8" + "é".encode() * 61 + b"\xc3", 1007),
    ],
)
def test_a_malformed_close(role: Role, body: bytes, code: int) -> None:
    """RFC 6455 §5.5.1, §8.1."""
    conn = make(role)
    assert receive(conn, peer_frame(role, CLOSE, body)) == []
    assert failed_with(conn) == code
    event = end(conn)
    assert (event.code, event.clean) == (1006, False)


@both_roles
@pytest.mark.parametrize("same_read", [False, True])
def test_whatever_follows_a_close_is_ignored(role: Role, same_read: bool) -> None:
    """RFC 6455 §1.4: even what would otherwise be a violation."""
    close = peer_close(role, 1001, b"bye")
    behind = (
        peer_frame(role, TEXT, b"data")
        + peer_frame(role, PING, b"?")
        + peer_close(role, 1000)
        + peer_frame(role, BINARY, length=1 << 63, form=64)
        + b"\xff" * 100
    )
    conn = make(role)
    if same_read:
        events = receive(conn, close + behind)
    else:
        events = receive(conn, close)
        for at in range(0, len(behind), 7):
            events += receive(conn, behind[at : at + 7])
    assert events == [Close(1001, "bye")]
    assert sent(conn) == [(CLOSE, b"\x03\xe9")]
    event = end(conn)
    assert (event.code, event.reason, event.clean) == (1001, "bye", True)
    assert event.cause.error is None


def until_dropped(conn: Connection) -> tuple[float, Disconnected]:
    """Let time go by as the engine asks, and nothing else; the clock starts at 0."""
    now = 0.0
    found: list[Event] = []
    while (deadline := conn.next_timeout()) is not None:
        now = max(now, deadline)
        found += conn.handle_timeout(now)
    (event,) = found
    assert isinstance(event, Disconnected)
    assert conn.transport is Transport.CLOSE
    return now, event


@both_roles
def test_a_peer_that_never_answers_our_close(role: Role) -> None:
    conn = make(role)
    conn.send_close(1000)
    when, event = until_dropped(conn)
    assert when == 10.0
    assert (event.code, event.clean, event.cause.kind) == (1006, False, CauseKind.CLOSE_TIMEOUT)


@both_roles
@pytest.mark.parametrize("ours", [False, True])
def test_a_peer_that_closes_and_never_ends_its_stream(role: Role, ours: bool) -> None:
    """A client waits for the server to end first, but not for ever."""
    conn = make(role)
    if ours:
        conn.send_close(1000)
    receive(conn, peer_close(role, 1000))
    when, event = until_dropped(conn)
    assert when == 10.0
    assert (event.code, event.clean, event.cause.kind) == (1000, True, CauseKind.CLOSED)


@both_roles
def test_a_peer_that_talks_on_and_on_instead_of_answering_our_close(role: Role) -> None:
    conn = make(role)
    conn.send_close(1000)
    assert list(conn.handle_timeout(0.0)) == []
    for tick in range(1, 100):
        assert receive(conn, peer_frame(role, TEXT, b"more")) == ["more"]
        assert list(conn.handle_timeout(tick / 10)) == []
    (event,) = conn.handle_timeout(10.0)
    assert isinstance(event, Disconnected)
    assert event.cause.kind is CauseKind.CLOSE_TIMEOUT


@both_roles
def test_a_peer_that_does_not_end_its_stream_after_its_error(role: Role) -> None:
    conn = make(role)
    receive(conn, b"\xff\xff")
    failed_with(conn)
    for _ in range(100):
        assert receive(conn, b"\xff" * 1000) == []
    when, event = until_dropped(conn)
    assert when == 10.0
    assert (event.code, event.clean, event.cause.kind) == (1006, False, CauseKind.PROTOCOL_ERROR)


@both_roles
def test_a_ping_while_closing_is_answered_until_the_handshake_is_complete(role: Role) -> None:
    """RFC 6455 §5.5.2: until a Close frame was received."""
    conn = make(role)
    conn.send_close(1000)
    for number in range(3):
        assert receive(conn, peer_frame(role, PING, b"%d" % number)) == [Ping(b"%d" % number)]
        assert sent(conn) == [(PONG, b"%d" % number)]
    assert receive(conn, peer_close(role, 1000) + peer_frame(role, PING, b"late")) == [Close(1000, "")]
    assert sent(conn) == []


@both_roles
def test_our_own_close_step_by_step(role: Role) -> None:
    """Close out, the peer's Close in, half-close, then drop: nothing on the way is ever cut off."""
    conn = make(role)
    assert (conn.turn, conn.transport) == (Turn.EITHER, Transport.KEEP_OPEN)
    data = conn.send("last words") + conn.send_close(1000, "done")
    assert [frame.opcode for frame in wire.frames(data)] == [TEXT, CLOSE]
    assert (conn.state, conn.turn, conn.transport) == (State.CLOSING, Turn.PEER, Transport.KEEP_OPEN)
    in_flight = b"".join(peer_frame(role, TEXT, b"%d" % n) for n in range(100))
    assert receive(conn, in_flight) == [str(n) for n in range(100)]
    assert receive(conn, peer_close(role, 1000)) == [Close(1000, "")]
    server = role is Role.SERVER
    assert conn.transport is (Transport.HALF_CLOSE if server else Transport.KEEP_OPEN)
    assert conn.turn is Turn.PEER
    event = end(conn)
    assert event.clean
    assert (conn.state, conn.turn, conn.transport) == (State.CLOSED, Turn.NOBODY, Transport.CLOSE)
