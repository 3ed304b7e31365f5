"""What breaks a read off: every kind of violation, the limits, and the application itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    CauseKind,
    CloseFrameError,
    CompressionError,
    Connection,
    ControlFrameError,
    Delivery,
    FragmentationError,
    FrameHeaderError,
    InvalidUtf8Error,
    Limits,
    MaskingError,
    MessageTooBigError,
    RemoteProtocolError,
    Role,
    Side,
    Transport,
)

from .engines import (
    ROLES,
    both_roles,
    end,
    every_type,
    failed_with,
    make,
    peer_close,
    peer_frame,
    receive,
    squeeze,
    whole,
)
from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_code, frames

# Violations

Violation = tuple[Callable[[Role], bytes], int, type[RemoteProtocolError]]

# One row for each kind of error; tests/test_frames.py and tests/threats have every header there is.
VIOLATIONS: dict[str, Violation] = {
    "opcode": (lambda role: peer_frame(role, 3), 1002, FrameHeaderError),
    "rsv": (lambda role: peer_frame(role, TEXT, b"x", rsv=4), 1002, FrameHeaderError),
    "length": (lambda role: peer_frame(role, TEXT, b"x", form=16), 1002, FrameHeaderError),
    "mask": (
        lambda role: peer_frame(role, TEXT, key=None if role is Role.SERVER else bytes(4)),
        1002,
        MaskingError,
    ),
    "control": (lambda role: peer_frame(role, PING, fin=False), 1002, ControlFrameError),
    "size": (lambda role: peer_frame(role, BINARY, length=1 << 62)[:10], 1009, MessageTooBigError),
    "continuation": (lambda role: peer_frame(role, CONTINUATION), 1002, FragmentationError),
    "nested": (
        lambda role: peer_frame(role, TEXT, b"a", fin=False) + peer_frame(role, TEXT, b"b"),
        1002,
        FragmentationError,
    ),
    "utf-8": (lambda role: peer_frame(role, TEXT, b"a\xff"), 1007, InvalidUtf8Error),
    "close": (lambda role: peer_close(role, 1005), 1002, CloseFrameError),
    "reason": (lambda role: peer_close(role, 1000, b"\xff"), 1007, InvalidUtf8Error),
}


@both_roles
@pytest.mark.parametrize(("build", "code", "error"), VIOLATIONS.values(), ids=VIOLATIONS)
@pytest.mark.parametrize("closing", [False, True])
def test_a_violation_fails_the_connection(
    role: Role, build: Callable[[Role], bytes], code: int, error: type[RemoteProtocolError], closing: bool
) -> None:
    """RFC 6455 §7.1.7: messages in front of it arrive, nothing behind it does."""
    conn = make(role)
    if closing:
        conn.send_close(1001)
    wire = whole(role, "before") + build(role)
    assert receive(conn, wire) == ["before"]
    if closing:
        assert conn.data_to_send() == b""
        assert conn.transport is Transport.HALF_CLOSE
    else:
        assert failed_with(conn) == code
    assert receive(conn, whole(role, "behind")) == []
    event = end(conn)
    assert (event.code, event.reason, event.clean) == (1006, "", False)
    assert type(event.cause.error) is error
    assert event.cause.error.code == code
    assert event.cause.initiator is Side.PEER
    too_big = error is MessageTooBigError
    assert event.cause.kind is (CauseKind.MESSAGE_TOO_BIG if too_big else CauseKind.PROTOCOL_ERROR)
    assert event.cause.detail.endswith(f"({error.section}); failed with {code}")


@both_roles
def test_what_the_application_answers_goes_out_before_the_close(role: Role) -> None:
    conn = make(role)
    wire = whole(role, "one") + peer_frame(role, PING, b"p") + whole(role, b"two") + peer_frame(role, 3)
    written = b""
    for event in conn.receive_data(wire + whole(role, "behind")):
        if isinstance(event, str | bytes):
            written += conn.send(event)
    written += conn.data_to_send()
    found = [(frame.opcode, frame.payload) for frame in frames(written)]
    assert found[:3] == [(TEXT, b"one"), (PONG, b"p"), (BINARY, b"two")]
    assert [opcode for opcode, _ in found[3:]] == [CLOSE]
    assert close_code(found[3][1]) == 1002


@both_roles
@pytest.mark.parametrize(
    ("bad", "at"),
    [
        (b"\x80", 0),
        (b"\xc0\x80", 0),
        (b"\xe2\x28", 1),
        (b"\xed\xa0\x80", 1),
        (b"\xf0\x8f\xbf\xbf", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xf0\x90\x80\xc0", 3),
        (b"\xf5\x80", 0),
        (b"\xff", 0),
    ],
)
@pytest.mark.parametrize("delivery", Delivery)
def test_text_fails_inside_a_frame_that_still_arrives(
    role: Role, bad: bytes, at: int, delivery: Delivery
) -> None:
    """RFC 6455 §8.1: at the first octet that cannot be UTF-8, with the rest of the frame far away."""
    payload = b"o" + bad
    wire = peer_frame(role, TEXT, payload + bytes(1000))
    header = len(wire) - len(payload) - 1000
    conn = make(role, delivery=delivery)
    receive(conn, wire[:header])
    for octet in range(at + 1):
        assert conn.transport is Transport.KEEP_OPEN
        receive(conn, wire[header + octet : header + octet + 1])
    assert conn.transport is Transport.KEEP_OPEN
    receive(conn, wire[header + at + 1 : header + at + 2])
    assert failed_with(conn) == 1007


@both_roles
@pytest.mark.parametrize("payload", [b"\xff\xff", b"", b"\x01\x05\x00\xfa\xffab"])
def test_compressed_data_that_does_not_inflate(role: Role, payload: bytes) -> None:
    conn = make(role, deflate=True)
    assert receive(conn, peer_frame(role, BINARY, payload, rsv=4)) == []
    assert failed_with(conn) == 1007
    assert isinstance(end(conn).cause.error, CompressionError)


@both_roles
def test_rsv1_belongs_to_the_first_frame_alone(role: Role) -> None:
    """RFC 7692 §6."""
    for opcode in (PING, PONG, CLOSE):
        conn = make(role, deflate=True)
        receive(conn, peer_frame(role, opcode, rsv=4))
        assert failed_with(conn) == 1002
    conn = make(role, deflate=True)
    receive(
        conn, peer_frame(role, TEXT, squeeze(b"x"), rsv=4, fin=False) + peer_frame(role, CONTINUATION, rsv=4)
    )
    assert failed_with(conn) == 1002


# Limits


@both_roles
@every_type
def test_the_limit_of_a_frame_is_exact(role: Role, as_type: Callable[[bytes], bytes]) -> None:
    for limits in (Limits(max_frame_size=1000), Limits(max_message_size=1000)):
        for opcode in (TEXT, BINARY):
            conn = make(role, limits=limits)
            assert len(receive(conn, as_type(peer_frame(role, opcode, bytes(1000))))) == 1
            assert receive(conn, as_type(peer_frame(role, opcode, bytes(1001))[:8])) == []
            assert failed_with(conn) == 1009


@both_roles
def test_the_limit_of_a_message_counts_all_its_fragments(role: Role) -> None:
    limits = Limits(max_message_size=1000, max_frame_size=600)
    for last, fits in ((400, True), (401, False)):
        conn = make(role, limits=limits)
        receive(conn, peer_frame(role, BINARY, bytes(600), fin=False))
        events = receive(conn, peer_frame(role, CONTINUATION, bytes(last))[: None if fits else 8])
        assert events == ([bytes(1000)] if fits else [])
        assert fits or failed_with(conn) == 1009
    conn = make(role, limits=limits)
    receive(conn, peer_frame(role, BINARY, length=601)[:8])
    assert failed_with(conn) == 1009


@both_roles
def test_no_limit(role: Role) -> None:
    conn = make(role, limits=Limits(max_message_size=None))
    assert receive(conn, whole(role, bytes(3 << 20))) == [bytes(3 << 20)]
    conn = make(role, limits=Limits(max_message_size=None), deflate=True)
    assert receive(conn, peer_frame(role, BINARY, squeeze(bytes(3 << 20)), rsv=4)) == [bytes(3 << 20)]
    assert receive(conn, peer_frame(role, BINARY, length=1 << 62, form=64)[:10]) == []
    assert conn.transport is Transport.KEEP_OPEN


@both_roles
def test_the_limit_of_zero(role: Role) -> None:
    conn = make(role, limits=Limits(max_message_size=0))
    assert receive(conn, whole(role, "") + whole(role, b"")) == ["", b""]
    receive(conn, whole(role, "x"))
    assert failed_with(conn) == 1009


# The application


@given(
    role=st.sampled_from(ROLES),
    stops=st.sampled_from(["fail", "send_close"]),
    count=st.integers(1, 5),
    ping=st.booleans(),
)
def test_the_application_may_end_it_in_the_middle(role: Role, stops: str, count: int, ping: bool) -> None:
    """Each message stands alone between two Pings, so that each is met by itself."""
    conn: Connection = make(role)
    piece = whole(role, "x") + peer_frame(role, PING)
    wire = piece * 5 + (peer_frame(role, PING) if ping else b"")
    seen = 0
    for event in conn.receive_data(wire):
        if event == "x":
            seen += 1
            if seen == count:
                getattr(conn, stops)()
    assert seen == (count if stops == "fail" else 5)
