"""Which Ping a Pong answers, and who waits for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import InvalidValueError, Role, StateError
from edgews.session import ANSWER_TIME

from . import wire
from .engines import ROLES, both_roles, peer_frame, whole
from .test_session import Owner, opened, server

payloads = st.lists(st.binary(max_size=3), unique=True, max_size=6)


def pong(role: Role, payload: bytes) -> bytes:
    return peer_frame(role, wire.PONG, payload)


@given(st.sampled_from(ROLES), payloads, st.lists(st.binary(max_size=3), max_size=4))
def test_a_pong_answers_its_own_ping_and_all_before_it(
    role: Role, pings: list[bytes], pongs: list[bytes]
) -> None:
    """RFC 6455 §5.5.3. One that nobody asked for answers none."""
    near, _ = opened(role)
    for payload in pings:
        near.session.send_ping(payload)
    reached = 0
    for payload in pongs + pings[2:3]:
        near.session.receive_data(pong(role, payload))
        if payload in pings:
            reached = max(reached, pings.index(payload) + 1)
        answered = {payload: number < reached for number, payload in enumerate(pings)}
        assert near.session.pings == answered


@both_roles
def test_whoever_no_longer_waits_is_forgotten(role: Role) -> None:
    near, _ = opened(role)
    for payload in (b"a", b"b", b"c"):
        near.session.send_ping(payload)
    del near.session.pings[b"b"]
    near.session.receive_data(pong(role, b"b"))
    assert near.session.pings == {b"a": False, b"c": False}
    near.session.receive_data(pong(role, b"c"))
    assert near.session.pings == {b"a": True, b"c": True}


@both_roles
def test_keepalive_answers_nobody(role: Role) -> None:
    near, far = opened(role)
    near.session.send_ping(b"mine")
    keepalive = near.session.conn.send_ping(b"engine")
    far.session.receive_data(keepalive)
    near.session.receive_data(far.session.data_to_send())
    assert near.session.pings == {b"mine": False}


def test_what_cannot_be_sent_is_not_waited_for() -> None:
    owner = server()
    with pytest.raises(StateError):
        owner.session.send_ping(b"too early")
    near, far = opened()
    near.session.receive_data(whole(Role.SERVER, "question") + peer_frame(Role.SERVER, wire.PING, b"x"))
    with pytest.raises(InvalidValueError):
        near.session.send_ping(bytes(126))
    # Nor has anything else happened.
    assert near.session.held
    far.session.receive_data(near.session.conn.send_close())
    near.session.leave()
    near.session.receive_data(far.session.data_to_send())
    with pytest.raises(StateError):
        near.session.send_ping(b"too late")
    assert owner.session.pings == near.session.pings == {}


@both_roles
def test_whoever_waits_for_a_pong_has_nothing_to_answer(role: Role) -> None:
    """What is held back is looked at, or the Pong would be behind it."""
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question") + peer_frame(role, wire.PING, b"x"))
    assert near.session.held
    near.session.send_ping(b"mine")
    assert not near.session.held
    assert near.sent() == [(wire.PONG, b"x")]
    near.session.receive_data(pong(role, b"mine"))
    assert near.session.pings == {b"mine": True}
    assert near.session.take() == "question"


@both_roles
def test_a_ping_goes_out_in_front_of_the_close_that_it_lets_go(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(
        whole(role, "question") + wire.close(1000, key=wire.KEY if role is Role.SERVER else None)
    )
    assert wire.one(near.session.send_ping(b"mine")).opcode == wire.PING
    assert near.sent() == [(wire.CLOSE, b"\x03\xe8")]


def waiting(role: Role) -> Owner:
    near, _ = opened(role)
    near.session.send_ping(b"mine")
    near.session.handle_timeout(near.now)
    return near


@both_roles
def test_messages_in_front_of_a_pong_are_kept(role: Role) -> None:
    near = waiting(role)
    for number in range(3):
        near.session.receive_data(whole(role, str(number)))
    near.session.receive_data(pong(role, b"mine"))
    near.advance(ANSWER_TIME)
    assert near.session.pings == {b"mine": True}
    assert near.receive() == ["0", "1", "2"]


@both_roles
def test_a_pong_behind_a_message_is_seen_when_the_application_comes_back(role: Role) -> None:
    near = waiting(role)
    near.session.receive_data(whole(role, "a") + whole(role, b"b") + pong(role, b"mine"))
    near.changes()
    assert near.receive() == ["a", b"b"]
    assert near.changes()[-1]["pings"] == {b"mine": True}


@both_roles
def test_the_end_instead_of_a_pong(role: Role) -> None:
    near = waiting(role)
    near.session.receive_eof()
    (look,) = near.changes()
    assert look["closed"] is not None
    assert look["pings"] == near.session.pings == {b"mine": False}
