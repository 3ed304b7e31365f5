"""The engine's timers pass through a session, whatever the application does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgews import CauseKind, Role, Transport
from edgews.session import HIGH_WATER

from . import wire
from .engines import both_roles, peer_frame, whole
from .test_session import TIMERS, Owner, client, opened, server


def keepalive(owner: Owner) -> None:
    owner.advance(19.9)
    assert owner.sent() == []
    owner.advance(0.2)
    assert [opcode for opcode, _ in owner.sent()] == [wire.PING]


@both_roles
def test_a_dead_peer_is_found(role: Role) -> None:
    near, _ = opened(role, timeouts=TIMERS)
    keepalive(near)
    near.advance(8.0)
    assert [opcode for opcode, _ in near.sent()] == [wire.CLOSE]
    (look,) = near.changes()
    assert look["closed"].cause.kind is CauseKind.PING_TIMEOUT
    assert near.session.transport is Transport.CLOSE
    assert near.session.next_timeout() is None


@both_roles
def test_a_busy_application_has_keepalive_too(role: Role) -> None:
    near, _ = opened(role, timeouts=TIMERS)
    near.session.receive_data(whole(role, "work"))
    assert near.session.take() == "work"
    keepalive(near)
    near.advance(10.0)
    assert near.session.closed is not None
    assert near.session.closed.cause.kind is CauseKind.PING_TIMEOUT


@both_roles
def test_a_close_that_is_not_answered(role: Role) -> None:
    near, _ = opened(role, timeouts=TIMERS)
    near.session.conn.send_close()
    near.session.leave()
    near.advance(4.9)
    assert near.session.closed is None
    near.advance(0.2)
    assert near.session.closed is not None
    assert near.session.closed.cause.kind is CauseKind.CLOSE_TIMEOUT


@pytest.mark.parametrize("make", [server, client])
def test_no_handshake_in_time(make: Callable[..., Owner]) -> None:
    owner = make(timeouts=TIMERS)
    owner.session.data_to_send()
    owner.advance(9.9)
    assert owner.session.closed is None
    owner.advance(0.2)
    (look,) = owner.changes()
    assert look["closed"].cause.kind is CauseKind.OPEN_TIMEOUT
    assert not owner.session.opened


@both_roles
def test_no_timers(role: Role) -> None:
    near, _ = opened(role)
    assert near.session.next_timeout() is None
    near.session.handle_timeout(1e9)
    assert near.session.closed is None
    assert near.sent() == []


@both_roles
@pytest.mark.parametrize("holds", [False, True])
def test_a_peer_that_has_to_wait_is_not_taken_for_dead(role: Role, holds: bool) -> None:
    """Its Pong is behind what nobody takes. There is time for it once there is room."""
    near, far = opened(role, timeouts=TIMERS)
    session = near.session
    near.advance(1.0)
    behind = peer_frame(role, wire.PING) if holds else b""
    session.receive_data(whole(role, bytes(HIGH_WATER)) + behind)
    near.advance(1e6)
    assert session.closed is None
    assert near.receive() == [bytes(HIGH_WATER)]
    near.advance(7.9)
    assert session.closed is None
    far.session.receive_data(session.data_to_send())
    session.receive_data(far.session.data_to_send())
    near.advance(11.0)
    assert session.closed is None
