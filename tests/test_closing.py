"""What goes out by itself, how a connection is closed, and that nothing goes out behind that."""

from __future__ import annotations

import pytest

from edgews import (
    CauseKind,
    Connection,
    InvalidValueError,
    Role,
    ServerConnection,
    Side,
    StateError,
    Timeouts,
    Transport,
    Turn,
)

from .engines import both_roles, end, make, peer_close, peer_frame, receive, sent, snapshot
from .test_outgoing import REFUSED_AT_THE_END
from .wire import CLOSE, PING, PONG, TEXT, close_code, frames, one


def in_state(name: str, role: Role) -> Connection:
    """Bring a connection into a state of the table, by its name."""
    conn = make(role, auto_close=False)
    if name in ("WE_CLOSED", "BOTH_CLOSED"):
        conn.send_close(1000)
    if name in ("THEY_CLOSED", "BOTH_CLOSED"):
        receive(conn, peer_close(role, 1000))
    return conn


# Close frames


def allowed(code: int) -> bool:
    """RFC 6455 §7.4.1, §7.4.2 and the IANA registry, written out."""
    registered = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
    return code in registered or 3000 <= code < 5000


@both_roles
@pytest.mark.parametrize("name", ["send_close", "fail"])
def test_close_codes_that_may_be_sent(role: Role, name: str) -> None:
    conn = make(role)
    before = snapshot(conn)
    for code in range(-1, 65_537):
        if not allowed(code):
            with pytest.raises(InvalidValueError):
                getattr(conn, name)(code)
    assert snapshot(conn) == before
    for code in range(65_536):
        if allowed(code):
            frame = one(getattr(make(role), name)(code, "why"))
            assert (frame.opcode, frame.payload) == (CLOSE, code.to_bytes(2, "big") + b"why")


@both_roles
def test_close_reasons(role: Role) -> None:
    assert one(make(role).send_close(None)).payload == b""
    assert one(make(role).send_close(1000, "é" * 61)).payload == b"\x03\xe8" + ("é" * 61).encode()
    assert len(one(make(role).send_close(1000, "x" * 123)).payload) == 125
    conn = make(role)
    before = snapshot(conn)
    for code, reason in ((1000, "x" * 124), (1000, "é" * 62), (1000, "\ud800"), (None, "why")):
        with pytest.raises(InvalidValueError):
            conn.send_close(code, reason)
        assert snapshot(conn) == before


def test_close_code_is_read_from_the_frame() -> None:
    """The helper of these tests, against RFC 6455 §5.5.1."""
    assert close_code(one(make().send_close(4321)).payload) == 4321
    assert close_code(one(make().send_close(None)).payload) is None


# When there is nothing to close


@pytest.mark.parametrize("name", ["send_close", "fail"])
def test_no_close_goes_out_before_the_connection_is_open(name: str) -> None:
    conn = ServerConnection()
    with pytest.raises(StateError, match="not open yet"):
        getattr(conn, name)()
    assert conn.data_to_send() == b""


# Behind a Close frame


@both_roles
def test_close_goes_out_once(role: Role) -> None:
    conn = make(role)
    assert conn.send_close(1001)
    before = snapshot(conn)
    with pytest.raises(StateError, match="our Close is already sent"):
        conn.send_close(1000)
    assert snapshot(conn) == before


@both_roles
def test_answering_the_close_of_the_peer_completes_the_handshake(role: Role) -> None:
    """RFC 6455 §7.1.1: then the server ends its stream first, and the client waits for that."""
    conn = in_state("THEY_CLOSED", role)
    assert (conn.turn, conn.transport) == (Turn.LOCAL, Transport.KEEP_OPEN)
    conn.send("data may still go out")
    assert one(conn.send_close(1001)).payload == b"\x03\xe9"
    server = role is Role.SERVER
    assert conn.transport is (Transport.HALF_CLOSE if server else Transport.KEEP_OPEN)
    for call in REFUSED_AT_THE_END:
        with pytest.raises(StateError, match="closing or closed"):
            call(conn)
    event = end(conn)
    assert (event.code, event.clean) == (1000, True)


# fail


@pytest.mark.parametrize(
    ("name", "role", "sends", "clean"),
    [
        ("OPEN", Role.SERVER, True, False),
        ("OPEN", Role.CLIENT, True, False),
        ("WE_CLOSED", Role.SERVER, False, False),
        ("WE_CLOSED", Role.CLIENT, False, False),
        ("THEY_CLOSED", Role.SERVER, True, True),
        ("THEY_CLOSED", Role.CLIENT, True, True),
        ("BOTH_CLOSED", Role.CLIENT, False, True),
    ],
)
def test_fail_in_every_state(name: str, role: Role, sends: bool, clean: bool) -> None:
    """RFC 6455 §7.1.7: a Close frame unless one is out, then nothing that comes counts."""
    conn = in_state(name, role)
    data = conn.fail(1008, "enough")
    assert [(f.opcode, f.payload) for f in frames(data)] == ([(CLOSE, b"\x03\xf0enough")] if sends else [])
    assert conn.data_to_send() == b""
    assert conn.transport is Transport.HALF_CLOSE
    assert conn.turn is Turn.PEER
    assert receive(conn, peer_frame(role, TEXT, b"late")) == []
    with pytest.raises(StateError):
        conn.fail()
    event = end(conn)
    assert event.clean is clean
    assert event.cause.kind is CauseKind.FAILED
    assert event.cause.initiator is Side.LOCAL
    assert event.cause.detail == "we failed the connection and closed with 1008 (enough)"


@both_roles
def test_fail_keeps_a_diagnosis_that_was_made_before(role: Role) -> None:
    conn = make(role, timeouts=Timeouts(idle=1.0))
    for now in (0.0, 5.0):
        assert list(conn.handle_timeout(now)) == []
    assert sent(conn)[0][0] == CLOSE
    conn.fail()
    assert end(conn).cause.kind is CauseKind.IDLE_TIMEOUT


@both_roles
def test_a_waiting_pong_goes_out_before_the_close_of_fail(role: Role) -> None:
    conn = make(role)
    receive(conn, peer_frame(role, PING, b"?"))
    assert [f.opcode for f in frames(conn.fail())] == [PONG, CLOSE]
