"""The table of states: closed in itself, and in agreement with what is derived from it."""

from __future__ import annotations

import pytest

from edgews.states import (
    BOTH_CLOSED,
    FAILED,
    LINGERING,
    OPEN,
    OVER,
    THEY_CLOSED,
    TRANSITIONS,
    TURNS,
    WE_CLOSED,
    Half,
    Halves,
    Input,
    State,
    Transport,
    Turn,
    listens,
    may_send_control,
    may_send_data,
    rfc_state,
    transport,
)

ALL = list(TRANSITIONS)
ORDER = list(Half)
STEPS = [(before, step, after) for before, steps in TRANSITIONS.items() for step, after in steps.items()]


def test_every_state_has_a_name_and_a_turn() -> None:
    assert set(ALL) == {OPEN, WE_CLOSED, THEY_CLOSED, BOTH_CLOSED, FAILED, LINGERING, OVER}
    assert set(TURNS) == set(ALL)


def test_no_step_leaves_the_table() -> None:
    assert {after for _, _, after in STEPS} == set(ALL) - {OPEN}


def test_every_state_is_reached_from_open() -> None:
    reached = {OPEN}
    while more := {after for before, _, after in STEPS if before in reached} - reached:
        reached |= more
    assert reached == set(ALL)


@pytest.mark.parametrize(("before", "step", "after"), STEPS)
def test_neither_half_ever_goes_back(before: Halves, step: Input, after: Halves) -> None:
    assert before != after
    for half in (0, 1):
        assert ORDER.index(after[half]) >= ORDER.index(before[half])


@pytest.mark.parametrize(("before", "step", "after"), STEPS)
def test_a_step_moves_the_half_of_the_side_that_takes_it(before: Halves, step: Input, after: Halves) -> None:
    moved = {half for half in (0, 1) if before[half] is not after[half]}
    if after == OVER:
        # Whatever ends the peer's stream ends everything: nobody is left to send to.
        assert step in (Input.RECEIVE_EOF, Input.DROP)
    elif step in (Input.SEND_CLOSE, Input.SEND_EOF):
        assert moved == {0}
        assert after[0] is (Half.CLOSE_SENT if step is Input.SEND_CLOSE else Half.EOF)
    else:
        assert step is Input.RECEIVE_CLOSE
        assert moved == {1}
        assert after[1] is Half.CLOSE_SENT


@pytest.mark.parametrize("halves", ALL)
def test_the_end_of_the_peers_stream_and_giving_up_always_lead_to_the_end(halves: Halves) -> None:
    for step in (Input.RECEIVE_EOF, Input.DROP):
        assert TRANSITIONS[halves].get(step) == (None if halves == OVER else OVER)


@pytest.mark.parametrize("halves", ALL)
def test_a_close_frame_is_sent_and_taken_once(halves: Halves) -> None:
    """RFC 6455 §5.5.1: the second Close of either side does not exist."""
    ours, theirs = halves
    assert (Input.SEND_CLOSE in TRANSITIONS[halves]) is (ours is Half.OPEN)
    assert (Input.RECEIVE_CLOSE in TRANSITIONS[halves]) is listens(halves)
    assert not (listens(halves) and theirs is not Half.OPEN)


@pytest.mark.parametrize("halves", ALL)
def test_what_may_be_sent(halves: Halves) -> None:
    """RFC 6455 §5.5.1: no data behind a Close frame; §5.5.2, §5.5.3: Ping and Pong until both are out."""
    ours, theirs = halves
    assert may_send_data(halves) is (ours is Half.OPEN)
    both = ours is not Half.OPEN and theirs is not Half.OPEN
    assert may_send_control(halves) is (ours is not Half.EOF and not both)
    assert may_send_control(halves) or not may_send_data(halves)


@pytest.mark.parametrize("halves", ALL)
def test_what_becomes_of_the_byte_stream(halves: Halves) -> None:
    ours, theirs = halves
    expected = Transport.KEEP_OPEN
    if ours is Half.EOF:
        expected = Transport.CLOSE if theirs is Half.EOF else Transport.HALF_CLOSE
    assert transport(halves) is expected
    # Without half-closing it is the same, but for the end of our stream: that waits for the peer's Close.
    if expected is Transport.HALF_CLOSE:
        expected = Transport.CLOSE if theirs is Half.CLOSE_SENT else Transport.KEEP_OPEN
    assert transport(halves, half_closes=False) is expected


@pytest.mark.parametrize("halves", ALL)
def test_the_state_of_the_rfc(halves: Halves) -> None:
    """RFC 6455 §7.1.3: CLOSING from the first Close frame on, whoever sends it; §7.1.4: CLOSED."""
    expected = State.CLOSING
    if halves[0] is halves[1] and halves[0] is not Half.CLOSE_SENT:
        expected = State.OPEN if halves[0] is Half.OPEN else State.CLOSED
    assert rfc_state(halves) is expected


@pytest.mark.parametrize("halves", ALL)
def test_whose_turn_it_is(halves: Halves) -> None:
    ours, theirs = halves
    if halves == OPEN:
        assert TURNS[halves] is Turn.EITHER
    elif halves == OVER:
        assert TURNS[halves] is Turn.NOBODY
    elif ours is Half.OPEN:
        assert theirs is Half.CLOSE_SENT
        assert TURNS[halves] is Turn.LOCAL
    else:
        assert TURNS[halves] is Turn.PEER
