"""A session: all it does, once. What goes further has files of its own, and shares what is made here."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews import (
    CauseKind,
    ClientConnection,
    Fragment,
    PerMessageDeflate,
    Request,
    Role,
    ServerConnection,
    State,
    StateError,
    Timeouts,
    Transport,
)
from edgews.fragments import new_session
from edgews.session import ANSWER_TIME, HIGH_WATER, LOW_WATER, MESSAGE_COST

from . import wire
from .engines import NO_TIMERS, ROLES, both_roles, peer_close, peer_frame, whole
from .handshakes import GOOD, HELLO_TO_SERVER, PLAIN
from .properties.traffic import any_traffic

# Everything is compressed, and the peer may use the largest window.
SQUEEZED = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)
TIMERS = Timeouts(open=10.0, close=5.0, idle=None, ping_interval=20.0, ping_timeout=8.0)

# More than any test has events.
ENDLESS = 100_000


class Owner:
    """An adapter without I/O: it has a clock, and keeps what the session looked like at each change."""

    def __init__(self, conn: ServerConnection | ClientConnection) -> None:
        self.session = new_session(conn, self._look)
        self.now = 500.0
        self.looks: list[dict[str, Any]] = []

    def _look(self) -> None:
        names = ("waiting", "request", "response", "opened", "closed")
        self.looks.append({name: getattr(self.session, name) for name in names})
        self.looks[-1]["pings"] = dict(self.session.pings)

    def changes(self) -> list[dict[str, Any]]:
        """Return what the session looked like at each change since the last question."""
        looks, self.looks = self.looks, []
        return looks

    def sent(self) -> list[tuple[int, bytes]]:
        """Return what the engine sends by itself, as pairs of opcode and payload."""
        return [(frame.opcode, frame.payload) for frame in wire.frames(self.session.data_to_send())]

    def advance(self, seconds: float) -> None:
        """Let time pass, and come when the session wants to be told."""
        until = self.now + seconds
        for _ in range(ENDLESS):
            due = self.session.next_timeout()
            if due is None or due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            self.session.handle_timeout(self.now)
        raise AssertionError("the session wants to be told the time for ever")

    def take(self) -> list[str | bytes]:
        """Take what waits, until there is none."""
        return list(iter(self.session.take, None))

    def receive(self) -> list[str | bytes]:
        """Come back for more as long as there is any."""
        messages = self.take()
        for _ in range(ENDLESS):
            if not self.session.held:
                return messages
            self.session.draw()
            messages += self.take()
        raise AssertionError("the session holds something back for ever")


def server(**options: Any) -> Owner:
    return Owner(ServerConnection(**{"timeouts": NO_TIMERS, **options}))


def client(**options: Any) -> Owner:
    return Owner(ClientConnection("ws://example.com/chat", **{"timeouts": NO_TIMERS, **options}))


def opened(role: Role = Role.SERVER, **options: Any) -> tuple[Owner, Owner]:
    """Open a connection between two sessions; return the one of `role`, and its peer.

    The first has the options, and both have the same wish for compression.
    """
    shared = {"compression": options.pop("compression", None)}
    near, far = {**shared, **options}, shared
    serving, asking = (
        (server(**near), client(**far)) if role is Role.SERVER else (server(**far), client(**near))
    )
    serving.session.receive_data(asking.session.data_to_send())
    asking.session.receive_data(serving.session.accept(None, ()))
    for owner in (serving, asking):
        owner.changes()
    return (serving, asking) if role is Role.SERVER else (asking, serving)


# The opening handshake


def test_both_sides_learn_what_was_said() -> None:
    serving, asking = server(), client(subprotocols=["soap", "wamp"])
    assert serving.session.request is None
    assert asking.session.request is asking.session.conn.request  # type: ignore[union-attr]
    serving.session.receive_data(asking.session.data_to_send())
    (look,) = serving.changes()
    assert isinstance(look["request"], Request)
    assert look["request"].subprotocols == ["soap", "wamp"]
    assert not serving.session.opened
    answer = serving.session.accept("wamp", {"X-Served-By": "edgews"})
    assert serving.session.opened
    assert serving.session.response is None
    assert not asking.session.opened
    asking.session.receive_data(answer)
    (look,) = asking.changes()
    assert look["opened"]
    assert look["response"].status == 101
    assert look["response"].headers.get("X-Served-By") == "edgews"
    assert asking.session.conn.subprotocol == serving.session.conn.subprotocol == "wamp"
    for owner in (serving, asking):
        assert owner.session.closed is None
        assert owner.session.reading
        assert not owner.session.held
        assert owner.session.conn.state is State.OPEN
        assert owner.session.transport is Transport.KEEP_OPEN


def test_messages_go_both_ways() -> None:
    near, far = opened()
    for one, other in ((near, far), (far, near)):
        for message in ("text", b"binary", ""):
            other.session.receive_data(one.session.conn.send(message))
            assert other.session.waiting
            assert other.session.take() == message
            assert not other.session.waiting
            assert other.session.take() is None


def test_what_came_behind_the_request_is_there_once_it_is_open() -> None:
    owner = server()
    owner.session.receive_data(GOOD + HELLO_TO_SERVER)
    assert not owner.session.waiting
    owner.session.accept(None, ())
    assert owner.session.take() == "hello"


def test_a_plain_request_is_not_opened() -> None:
    owner = server()
    owner.session.receive_data(PLAIN)
    assert owner.session.request is not None
    assert not owner.session.request.is_upgrade
    answer = owner.session.accept(None, ())
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert not owner.session.opened
    assert owner.session.transport is Transport.HALF_CLOSE
    owner.changes()
    owner.session.receive_data(HELLO_TO_SERVER)
    assert owner.changes() == []
    assert owner.session.take() is None
    owner.session.receive_eof()
    (look,) = owner.changes()
    assert look["closed"].cause.kind is CauseKind.HANDSHAKE_FAILED
    assert owner.session.transport is Transport.CLOSE


def test_a_refusal_is_the_response() -> None:
    serving, asking = server(), client()
    serving.session.receive_data(asking.session.data_to_send())
    assert isinstance(serving.session.conn, ServerConnection)
    asking.session.receive_data(serving.session.conn.reject(403, body="members only"))
    asking.session.receive_eof()
    rejected, ended = asking.changes()
    assert (rejected["response"].status, rejected["response"].body) == (403, b"members only")
    assert rejected["closed"] is None
    assert ended["closed"].cause.kind is CauseKind.HANDSHAKE_REFUSED
    assert not asking.session.opened


# Who is woken, and who need not be


@both_roles
@pytest.mark.parametrize("behind_a_ping", [False, True])
def test_a_message_is_there_when_it_is_told(role: Role, behind_a_ping: bool) -> None:
    near, _ = opened(role)
    ping = peer_frame(role, wire.PING, b"x") if behind_a_ping else b""
    alone = near.session.receive_data(ping + whole(role, "a"))
    assert alone is not behind_a_ping
    assert [look["waiting"] for look in near.changes()] == [True] * behind_a_ping
    assert near.session.take() == "a"


@both_roles
def test_what_the_engine_answers_by_itself_wakes_nobody(role: Role) -> None:
    near, _ = opened(role)
    assert not near.session.receive_data(peer_frame(role, wire.PING, b"x"))
    assert not near.session.receive_data(peer_close(role, 1000))
    assert near.changes() == []
    assert near.sent() == [(wire.PONG, b"x"), (wire.CLOSE, b"\x03\xe8")]


@both_roles
def test_a_pong_and_the_end_are_there_when_they_are_told(role: Role) -> None:
    near, far = opened(role)
    far.session.receive_data(near.session.send_ping(b"one"))
    assert near.changes() == []
    assert not near.session.receive_data(far.session.data_to_send())
    (look,) = near.changes()
    assert look["pings"] == {b"one": True}
    far.session.receive_data(near.session.conn.send_close(1001))
    near.session.receive_data(far.session.data_to_send())
    assert near.changes() == []
    near.session.receive_eof()
    (look,) = near.changes()
    assert look["closed"] is near.session.closed
    assert (look["closed"].code, look["closed"].clean) == (1001, True)


@both_roles
def test_messages_alone(role: Role) -> None:
    """Several in a read, one in several, or a part of one: an adapter need not look at anything else."""
    near, _ = opened(role)
    session = near.session
    assert session.receive_data(whole(role, "a") + whole(role, "b") + whole(role, "c"))
    assert near.take() == ["a", "b", "c"]
    long = whole(role, b"x" * 3000)
    session.receive_data(long[:1000])
    assert session.receive_data(long[1000:2000])
    assert not session.waiting
    session.receive_data(long[2000:])
    assert near.take() == [b"x" * 3000]


@given(st.sampled_from(ROLES), any_traffic(False), st.booleans())
def test_nothing_else_is_new_where_it_says_so(role: Role, items: list[Any], comes_back: bool) -> None:
    near, _ = opened(role)
    session = near.session

    def seen() -> tuple[object, ...]:
        return session.transport, session.next_timeout(), session.closed, session.held, session.conn.state

    for item in items:
        before = seen()
        near.changes()
        if session.receive_data(item.encode(role)):
            assert near.changes() == []
            assert session.data_to_send() == b""
            assert seen() == before
        if comes_back:
            near.receive()
        session.data_to_send()


# The inbox


@given(st.lists(st.integers(0, 40_000) | st.none(), max_size=30))
@example([40_000, 40_000, 40_000, 20_000, None, None, None, None, 10])
def test_the_marks_hold_whatever_comes_and_is_taken(steps: list[int | None]) -> None:
    """A number is the size of a message that comes, None takes one."""
    near, _ = opened()
    costs: list[int] = []
    full = False
    for size in steps:
        if size is None:
            message = near.session.take()
            assert (message is None) is (not costs)
            if costs:
                assert message == bytes(costs.pop(0) - MESSAGE_COST)
                full = full and sum(costs) > LOW_WATER
        elif not full:
            assert near.session.receive_data(whole(Role.SERVER, bytes(size)))
            costs.append(size + MESSAGE_COST)
            full = sum(costs) >= HIGH_WATER
        assert near.session.full is full
        assert near.session.reading is not full
        assert near.session.waiting is bool(costs)


@both_roles
def test_more_messages_than_are_taken_at_a_time(role: Role) -> None:
    """The inbox never becomes empty, and forgets nothing."""
    near, _ = opened(role)
    sent, taken = 0, []
    for round_ in range(1500):
        for _ in range(2 if round_ < 700 else 1):
            near.session.receive_data(whole(role, str(sent)))
            sent += 1
        taken.append(near.session.take())
        assert near.session.waiting
    taken += near.take()
    assert taken == [str(number) for number in range(sent)]


@both_roles
def test_what_finds_no_room_is_dropped_once_the_application_leaves(role: Role) -> None:
    near, far = opened(role)
    session = near.session
    session.leave()
    size = HIGH_WATER // 4 - MESSAGE_COST
    for number in range(4):
        assert not session.full
        session.receive_data(whole(role, bytes([number]) * size))
        assert session.reading
    assert session.full
    session.receive_data(whole(role, "dropped"))
    session.receive_data(whole(role, "dropped") + whole(role, "dropped"))
    assert near.take() == [bytes([number]) * size for number in range(4)]
    assert not session.full
    session.receive_data(whole(role, "there is room again"))
    far.session.receive_data(session.conn.send_close(1000))
    session.receive_data(far.session.data_to_send())
    session.receive_eof()
    assert near.take() == ["there is room again"]
    assert session.closed is not None
    assert session.closed.clean


# What stands behind a message


@both_roles
def test_what_stands_behind_a_message_waits_for_its_answer(role: Role) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(whole(role, "question") + peer_close(role, 1000))
    assert session.take() == "question"
    assert session.held
    assert not session.reading
    assert near.sent() == []
    assert wire.one(session.conn.send("answer")).payload == b"answer"
    assert session.take() is None
    assert near.sent() == []
    session.draw()
    assert not session.held
    assert near.sent() == [(wire.CLOSE, b"\x03\xe8")]


@both_roles
def test_but_not_for_longer_than_a_second(role: Role) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(whole(role, "question") + peer_frame(role, wire.PING, b"x"))
    assert session.next_timeout() == -math.inf
    session.handle_timeout(100.0)
    assert session.next_timeout() == 100.0 + ANSWER_TIME
    session.handle_timeout(math.nextafter(100.0 + ANSWER_TIME, 0))
    assert session.held
    session.handle_timeout(100.0 + ANSWER_TIME)
    assert not session.held
    assert near.sent() == [(wire.PONG, b"x")]
    assert session.take() == "question"


@both_roles
def test_nor_does_time_run_while_there_is_no_room(role: Role) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(whole(role, bytes(HIGH_WATER)) + peer_frame(role, wire.PING, b"x"))
    assert session.held
    assert session.next_timeout() is None
    near.advance(1e6)
    assert session.held
    assert session.take() == bytes(HIGH_WATER)
    assert session.next_timeout() == -math.inf
    near.advance(ANSWER_TIME)
    assert near.sent() == [(wire.PONG, b"x")]


# Pings and timers


@both_roles
def test_a_ping_and_its_answer(role: Role) -> None:
    near, far = opened(role)
    ping = near.session.send_ping(b"there?")
    assert wire.one(ping)[:2] == (wire.PING, b"there?")
    assert near.session.pings == {b"there?": False}
    far.session.receive_data(ping)
    near.session.receive_data(far.session.data_to_send())
    assert near.session.pings == {b"there?": True}


@both_roles
def test_nothing_is_sent_behind_a_close(role: Role) -> None:
    near, far = opened(role)
    far.session.receive_data(near.session.conn.send_close())
    for session in (near.session, far.session):
        with pytest.raises(StateError):
            session.send_ping(b"late")
        assert session.pings == {}


@both_roles
def test_a_pong_answers_the_pings_before_its_own_as_well(role: Role) -> None:
    near, _ = opened(role)
    for payload in (b"a", b"b", b"c"):
        near.session.send_ping(payload)
    near.session.receive_data(peer_frame(role, wire.PONG, b"unknown"))
    assert near.session.pings == {b"a": False, b"b": False, b"c": False}
    near.session.receive_data(peer_frame(role, wire.PONG, b"b"))
    assert near.session.pings == {b"a": True, b"b": True, b"c": False}


@both_roles
def test_the_engine_is_asked_for_its_timers(role: Role) -> None:
    near, _ = opened(role, timeouts=TIMERS)
    session = near.session
    assert session.next_timeout() == session.conn.next_timeout() == -math.inf
    session.handle_timeout(near.now)
    assert session.next_timeout() == session.conn.next_timeout() == near.now + 20.0
    # One look that comes too early does no harm.
    session.handle_timeout(near.now + 19.0)
    assert session.next_timeout() == near.now + 20.0
    assert near.sent() == []
    near.session.handle_timeout(near.now + 20.0)
    assert [opcode for opcode, _ in near.sent()] == [wire.PING]


@both_roles
@pytest.mark.parametrize("size", [10, HIGH_WATER])
@pytest.mark.parametrize("holds", [False, True])
def test_a_connection_that_has_failed_ends_in_time(role: Role, size: int, holds: bool) -> None:
    """Whether or not what came is taken: an application that waits to send takes nothing."""
    near, _ = opened(role, timeouts=TIMERS)
    near.advance(1.0)
    behind = peer_frame(role, wire.PING) if holds else b""
    near.session.receive_data(whole(role, bytes(size)) + behind)
    near.session.conn.fail(1008, "too slow in taking what was sent")
    near.advance(4.9)
    assert near.session.closed is None
    near.advance(0.2)
    assert near.session.closed is not None
    assert near.session.closed.cause.kind is CauseKind.FAILED
    assert near.session.transport is Transport.CLOSE
    assert near.take() == [bytes(size)]


@both_roles
def test_a_message_is_its_only_piece(role: Role) -> None:
    near, _ = opened(role)
    assert near.session.take_fragment(True) is None
    near.session.receive_data(whole(role, "whole"))
    assert near.session.take_fragment(True) == Fragment("whole", True)
