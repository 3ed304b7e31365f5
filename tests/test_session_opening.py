"""Opening handshakes with early bytes, with no end, and with the wrong one."""

from __future__ import annotations

import pytest

from edgews import CauseKind, InvalidValueError, Role, State, StateError

from . import wire
from .engines import both_roles, peer_close, peer_frame, whole
from .handshakes import GOOD, HELLO_TO_SERVER, switch
from .test_session import TIMERS, client, server


@pytest.mark.parametrize(
    "behind",
    [
        [],
        ["a"],
        ["a", "b", "c"],
        ["a", b"b"],
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_comes_before_the_request_is_answered_is_received_behind_it(
    behind: list[str | bytes], pieces: int
) -> None:
    owner = server()
    early = b"".join(whole(Role.SERVER, message) for message in behind) + peer_close(Role.SERVER, 1000)
    reads = [GOOD + early] if pieces == 1 else [GOOD, early]
    for read in reads:
        owner.session.receive_data(read)
        assert owner.session.reading
    assert not owner.session.waiting
    assert len(owner.changes()) == 1
    owner.session.accept(None, ())
    assert owner.session.opened
    assert bool(owner.changes()) is bool(behind)
    for message in behind:
        assert owner.session.take() == message
        assert owner.session.conn.state is State.OPEN
        assert owner.session.take() is None
        owner.session.draw()
    assert owner.sent() == [(wire.CLOSE, b"\x03\xe8")]


def test_a_violation_that_came_early() -> None:
    owner = server()
    owner.session.receive_data(GOOD + HELLO_TO_SERVER + peer_frame(Role.SERVER, 3))
    owner.session.accept(None, ())
    assert owner.receive() == ["hello"]
    ((opcode, payload),) = owner.sent()
    assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1002)
    assert owner.session.opened


@both_roles
def test_what_comes_with_the_handshake_is_held_like_any_other(role: Role) -> None:
    """What stands behind the first message waits for its answer, as later."""
    if role is Role.SERVER:
        owner = server()
        owner.session.receive_data(GOOD + whole(role, "a") + peer_close(role, 1000))
        owner.session.accept(None, ())
    else:
        owner = client()
        switched = switch(owner.session.conn)  # type: ignore[arg-type]
        owner.session.receive_data(switched + whole(role, "a") + peer_close(role, 1000))
    owner.session.data_to_send()
    assert owner.session.take() == "a"
    assert owner.session.held
    assert wire.one(owner.session.conn.send("answer")).payload == b"answer"
    assert owner.receive() == []
    assert owner.sent() == [(wire.CLOSE, b"\x03\xe8")]


def test_a_request_whose_client_has_gone() -> None:
    owner = server()
    owner.session.receive_data(GOOD + HELLO_TO_SERVER)
    owner.session.receive_eof()
    assert owner.session.closed is not None
    assert owner.session.closed.cause.kind is CauseKind.PEER_VANISHED
    with pytest.raises(StateError):
        owner.session.accept(None, ())
    assert not owner.session.opened
    assert owner.session.take() is None
    assert owner.session.data_to_send() == b""


def test_a_request_whose_time_is_up() -> None:
    owner = server(timeouts=TIMERS)
    owner.session.receive_data(GOOD)
    owner.advance(9.9)
    assert owner.session.closed is None
    owner.advance(0.2)
    assert owner.session.closed is not None
    assert owner.session.closed.cause.kind is CauseKind.OPEN_TIMEOUT
    assert owner.session.data_to_send().startswith(b"HTTP/1.1 503 ")
    with pytest.raises(StateError):
        owner.session.accept(None, ())
    assert not owner.session.opened


def test_what_may_not_be_answered_changes_nothing() -> None:
    owner = server()
    with pytest.raises(StateError):
        owner.session.accept(None, ())
    owner.session.receive_data(GOOD)
    with pytest.raises(InvalidValueError):
        owner.session.accept("not offered", ())
    with pytest.raises(InvalidValueError):
        owner.session.accept(None, {"Upgrade": "h2c"})
    assert not owner.session.opened
    assert owner.session.accept(None, ()).startswith(b"HTTP/1.1 101 ")
    with pytest.raises(StateError):
        owner.session.accept(None, ())
    assert owner.session.opened


@pytest.mark.parametrize("answer", ["nothing", "a wrong one"])
def test_no_answer_that_opens_the_connection(answer: str) -> None:
    owner = client()
    owner.session.data_to_send()
    if answer == "a wrong one":
        owner.session.receive_data(switch(owner.session.conn, {"Upgrade": "h2c"}))  # type: ignore[arg-type]
    owner.session.receive_eof()
    (look,) = owner.changes()
    assert look["closed"] is owner.session.closed is not None
    assert owner.session.response is None
    assert not owner.session.opened
