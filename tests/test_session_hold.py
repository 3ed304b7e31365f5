"""What stands behind a message waits until the application has come back for more, or for a second."""

from __future__ import annotations

import math

import pytest

from edgews import CauseKind, Disconnected, Role, State, StateError, Transport
from edgews.session import ANSWER_TIME, HIGH_WATER, MESSAGE_COST

from . import wire
from .engines import both_roles, peer_close, peer_frame, whole
from .test_session import Owner, opened

CLOSE_1000 = (wire.CLOSE, b"\x03\xe8")


def behind(role: Role, what: str) -> bytes:
    """Return what a peer may send behind a message."""
    return {
        "Close": peer_close(role, 1000),
        "violation": peer_frame(role, wire.TEXT, b"\xff"),
        "Ping": peer_frame(role, wire.PING, b"there?"),
        "fragment": peer_frame(role, wire.TEXT, b"be", fin=False),
        "the rest of a message": peer_frame(role, wire.TEXT, b"gun", fin=False)[:-1],
    }[what]


def answers(owner: Owner, what: str) -> bool:
    """Say whether the engine has answered, and nothing but what was right."""
    sent = owner.sent()
    if not sent:
        return False
    ((opcode, payload),) = sent
    if what == "Ping":
        assert (opcode, payload) == (wire.PONG, b"there?")
    else:
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1000 if what == "Close" else 1007)
    return True


every_answer = pytest.mark.parametrize("what", ["Close", "violation", "Ping"])


def assert_held(owner: Owner) -> None:
    session = owner.session
    assert session.held
    assert not session.reading
    assert session.conn.state is State.OPEN
    assert session.transport is Transport.KEEP_OPEN
    assert owner.sent() == []


# Until the application comes back


@every_answer
@both_roles
def test_the_answer_to_a_message_goes_out_in_front_of_what_we_say_by_ourselves(role: Role, what: str) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(whole(role, "question") + behind(role, what))
    assert_held(near)
    assert session.take() == "question"
    assert_held(near)
    assert wire.one(session.conn.send("answer"))[:2] == (wire.TEXT, b"answer")
    assert_held(near)
    # It has come back, and still nothing happens until it is drawn.
    assert session.take() is None
    assert_held(near)
    session.draw()
    assert not session.held
    assert answers(near, what)
    if what == "Ping":
        assert session.reading
        session.conn.send("more")
    else:
        with pytest.raises(StateError):
            session.conn.send("more")


@every_answer
@both_roles
def test_drawing_alone_is_not_coming_back(role: Role, what: str) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question") + behind(role, what))
    near.session.draw()
    assert_held(near)
    assert near.session.take() == "question"
    near.session.draw()
    assert_held(near)


@every_answer
@both_roles
def test_each_message_has_its_answer(role: Role, what: str) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(b"".join(whole(role, str(number)) for number in range(5)) + behind(role, what))
    for number in range(5):
        assert session.take() == str(number)
        assert_held(near)
        session.conn.send(f"answer {number}")
        assert session.take() is None
        session.draw()
    assert not session.held
    assert answers(near, what)


@every_answer
@both_roles
def test_an_application_that_has_nothing_to_answer_is_not_waited_for(role: Role, what: str) -> None:
    near, _ = opened(role)
    near.session.receive_data(behind(role, what))
    assert not near.session.held
    assert answers(near, what)


@every_answer
@both_roles
def test_an_application_that_has_come_back_is_not_waited_for(role: Role, what: str) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question"))
    assert near.receive() == ["question"]
    near.session.receive_data(behind(role, what))
    assert not near.session.held
    assert answers(near, what)


@every_answer
@both_roles
def test_what_comes_in_a_read_of_its_own_waits_as_well(role: Role, what: str) -> None:
    """In which pieces it comes makes no difference to an application that has not answered yet."""
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question"))
    near.session.receive_data(behind(role, what))
    assert_held(near)
    assert near.receive() == ["question"]
    assert answers(near, what)


@both_roles
def test_many_reads_while_something_is_held(role: Role) -> None:
    """An adapter may have some in its hands; nothing is lost, and the order stays."""
    near, _ = opened(role)
    session = near.session
    data = (
        whole(role, "a") + behind(role, "Ping") + whole(role, "b") + behind(role, "fragment")
        + peer_frame(role, wire.CONTINUATION, b"gin") + whole(role, b"c") + behind(role, "Close")
    )  # fmt: skip
    for at in range(len(data)):
        session.receive_data(data[at : at + 1])
    session.receive_eof()
    assert session.closed is None
    assert session.conn.state is State.OPEN
    assert near.receive() == ["a", "b", "begin", b"c"]
    assert near.sent() == [(wire.PONG, b"there?"), CLOSE_1000]
    assert isinstance(session.closed, Disconnected)
    assert session.closed.clean


@pytest.mark.parametrize("what", ["fragment", "the rest of a message"])
@both_roles
def test_a_message_that_is_not_complete(role: Role, what: str) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question") + behind(role, what))
    assert near.receive() == ["question"]
    assert near.session.reading
    if what == "fragment":
        near.session.receive_data(peer_frame(role, wire.CONTINUATION, b"gin"))
        assert near.receive() == ["begin"]
    else:
        near.session.receive_data(peer_frame(role, wire.TEXT, b"gun", fin=False)[-1:])
        near.session.receive_data(peer_frame(role, wire.CONTINUATION))
        assert near.receive() == ["gun"]


@both_roles
def test_the_end_of_the_stream_waits_too(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question"))
    near.session.receive_eof()
    near.changes()
    assert_held(near)
    assert near.session.take() == "question"
    near.session.conn.send("answer")
    assert near.session.take() is None
    assert near.session.closed is None
    near.session.draw()
    (look,) = near.changes()
    assert look["closed"].cause.kind is CauseKind.PEER_VANISHED


@both_roles
def test_whoever_waits_for_no_answer_lets_go(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "question") + behind(role, "Ping"))
    assert near.session.take() == "question"
    near.session.release()
    assert not near.session.held
    assert answers(near, "Ping")


@both_roles
def test_letting_go_of_one_message_is_not_letting_go_of_the_next(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "a") + whole(role, "b") + behind(role, "Close"))
    assert near.session.take() == "a"
    near.session.release()
    assert near.session.waiting
    assert_held(near)
    assert near.receive() == ["b"]
    assert answers(near, "Close")


# Until the time is over


@every_answer
@both_roles
def test_an_application_that_does_not_come_back(role: Role, what: str) -> None:
    near, _ = opened(role)
    session = near.session
    session.receive_data(whole(role, "question") + behind(role, what))
    # The session does not know the time yet.
    assert session.next_timeout() == -math.inf
    session.handle_timeout(100.0)
    due = session.next_timeout()
    assert due == 100.0 + ANSWER_TIME
    session.handle_timeout(math.nextafter(due, 0))
    assert_held(near)
    assert session.next_timeout() == due
    near.changes()
    session.handle_timeout(due)
    assert not session.held
    assert answers(near, what)
    assert session.next_timeout() is None
    assert session.take() == "question"


@every_answer
@both_roles
def test_messages_in_front_of_it_do_not_make_the_time_longer(role: Role, what: str) -> None:
    near, _ = opened(role)
    near.session.receive_data(b"".join(whole(role, str(n)) for n in range(5)) + behind(role, what))
    near.advance(ANSWER_TIME / 2)
    assert near.session.take() == "0"
    assert near.session.take() is None
    near.session.draw()
    near.advance(ANSWER_TIME / 4)
    assert_held(near)
    near.advance(ANSWER_TIME / 4)
    assert not near.session.held
    assert answers(near, what)
    assert near.receive() == ["1", "2", "3", "4"]


@both_roles
def test_each_hold_has_a_time_of_its_own(role: Role) -> None:
    near, _ = opened(role)
    for _ in range(3):
        near.session.receive_data(whole(role, "question") + behind(role, "Ping"))
        near.advance(0.75 * ANSWER_TIME)
        assert_held(near)
        assert near.receive() == ["question"]
        assert answers(near, "Ping")


@both_roles
def test_messages_that_came_before_the_end_are_received_before_it_is_seen(role: Role) -> None:
    """Also if the end was known first: `take` has them all."""
    near, _ = opened(role)
    near.session.receive_data(b"".join(whole(role, str(n)) for n in range(5)) + behind(role, "Close"))
    near.session.receive_eof()
    near.advance(ANSWER_TIME)
    assert near.session.closed is not None
    assert not near.session.held
    assert near.take() == ["0", "1", "2", "3", "4"]


# With a full inbox


def filled(role: Role, what: str) -> Owner:
    """Return a session that has no room for what came behind a message."""
    near, _ = opened(role)
    near.session.receive_data(whole(role, bytes(HIGH_WATER - MESSAGE_COST)) + behind(role, what))
    assert near.session.full
    assert_held(near)
    return near


@every_answer
@both_roles
def test_no_time_runs_for_an_application_that_has_too_much_to_do(role: Role, what: str) -> None:
    near = filled(role, what)
    assert near.session.next_timeout() is None
    near.advance(1e6)
    assert_held(near)
    # From here on there is room, and the application has its time for the answer.
    assert near.session.take() is not None
    assert_held(near)
    assert near.session.next_timeout() == -math.inf
    near.advance(0.75 * ANSWER_TIME)
    assert_held(near)
    near.session.conn.send("answer")
    near.advance(0.25 * ANSWER_TIME)
    assert not near.session.held
    assert answers(near, what)


@every_answer
@both_roles
def test_letting_go_makes_no_room(role: Role, what: str) -> None:
    near = filled(role, what)
    near.session.release()
    near.session.draw()
    near.session.handle_timeout(near.now)
    near.session.handle_timeout(near.now + 1e6)
    assert_held(near)
    assert near.session.next_timeout() is None


@every_answer
@both_roles
def test_an_application_that_leaves_is_not_waited_for(role: Role, what: str) -> None:
    near = filled(role, what)
    near.session.leave()
    assert not near.session.held
    assert near.session.reading
    assert answers(near, what)
    assert near.session.full
    # What comes later is not held either.
    if what == "Ping":
        near.session.receive_data(whole(role, "a") + behind(role, "Close"))
        assert not near.session.held
        assert answers(near, "Close")
    near.session.receive_eof()
    assert near.session.closed is not None
    assert len(near.take()) == 1
