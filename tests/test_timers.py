"""The five timers against a simulated clock.

All times are multiples of 1/16 second, which floats hold exactly: every comparison is exact, too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.limits import Timeouts
from edgews.timers import ASAP, LINGER, Due, Timers

OFF = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)


class Clock:
    """A caller with a clock, who comes as soon as `next` says, and notes what was due when."""

    def __init__(self, timeouts: Timeouts, now: float = 1000.0) -> None:
        self.timers = Timers(timeouts)
        self.now = now
        self.messages = 0
        self.received = 0
        self.log: list[tuple[float, Due]] = []
        self.over = False

    def look(self) -> list[Due]:
        due = self.timers.look(self.now, self.messages, self.received)
        self.log.extend((self.now, one) for one in due)
        if set(due) - {Due.SEND_PING}:
            # Nothing comes behind these: the connection ends, or begins to.
            self.over = True
            self.timers.stop()
        return due

    def settle(self) -> None:
        """Come at once while something waits for the time."""
        while self.timers.next() == ASAP:
            self.look()

    def advance(self, seconds: float) -> None:
        """Let time go by, and come at every deadline on the way."""
        self.settle()
        end = self.now + seconds
        while (deadline := self.timers.next()) is not None and deadline <= end:
            assert deadline >= self.now
            self.now = deadline
            self.look()
            self.settle()
        self.now = end

    def pong(self, payload: bytes) -> None:
        self.received += 1
        self.timers.pong_received(payload)


def with_only(**times: float) -> Timeouts:
    return dataclasses.replace(OFF, **times)


@pytest.fixture(params=[0.0, 1000.0, -50.0], ids=["zero", "later", "negative"])
def origin(request: pytest.FixtureRequest) -> float:
    """A clock may count from anywhere."""
    value: float = request.param
    return value


def test_nothing_runs_at_first_and_when_all_is_off() -> None:
    assert Timers(Timeouts()).next() is None
    clock = Clock(OFF)
    for start in (clock.timers.start_open, clock.timers.start_session, clock.timers.start_close):
        start()
        assert clock.timers.next() is None
        assert clock.look() == []


@pytest.mark.parametrize(
    ("name", "start", "due"),
    [
        ("open", Timers.start_open, Due.OPEN),
        ("close", Timers.start_close, Due.CLOSE),
        ("idle", Timers.start_session, Due.IDLE),
        ("ping_interval", Timers.start_session, Due.SEND_PING),
    ],
)
def test_each_timer_is_due_exactly_at_its_time(
    name: str, start: Callable[[Timers], None], due: Due, origin: float
) -> None:
    clock = Clock(with_only(**{name: 4.0}), origin)
    start(clock.timers)
    assert clock.timers.next() == -math.inf
    clock.advance(4.0 - 1 / 16)
    assert clock.log == []
    clock.advance(1 / 16)
    assert clock.log == [(origin + 4.0, due)]


def test_the_ping_timeout_counts_from_the_ping(origin: float) -> None:
    clock = Clock(with_only(ping_timeout=4.0), origin)
    clock.timers.start_session()
    clock.advance(1.0)
    clock.timers.ping_sent(b"a")
    assert clock.timers.next() == ASAP
    clock.advance(4.0 - 1 / 16)
    assert clock.log == []
    clock.advance(1 / 16)
    assert clock.log == [(origin + 5.0, Due.PING_TIMEOUT)]


def test_without_a_ping_timeout_a_ping_is_only_timed() -> None:
    clock = Clock(OFF)
    clock.timers.ping_sent(b"a")
    clock.advance(1000.0)
    assert clock.timers.next() is None
    clock.pong(b"a")
    clock.advance(0.0)
    assert clock.timers.latency == 1000.0


def test_open_stops_when_the_session_starts() -> None:
    clock = Clock(with_only(open=1.0))
    clock.timers.start_open()
    clock.advance(0.5)
    clock.timers.start_session()
    assert clock.timers.next() is None


def test_closing_stops_all_others() -> None:
    clock = Clock(Timeouts(open=1.0, close=4.0, idle=1.0, ping_interval=1.0, ping_timeout=1.0))
    clock.timers.start_open()
    clock.timers.start_session()
    clock.timers.ping_sent(b"a")
    clock.settle()
    clock.timers.start_close()
    clock.timers.ping_sent(b"b")
    clock.advance(3.0)
    assert clock.log == []
    clock.advance(1.0)
    assert [due for _, due in clock.log] == [Due.CLOSE]


def test_the_close_timer_begins_anew_at_each_step() -> None:
    clock = Clock(with_only(close=4.0))
    clock.timers.start_close()
    clock.advance(3.0)
    clock.timers.start_close()
    clock.advance(3.0)
    assert clock.log == []
    clock.advance(1.0)
    assert clock.log == [(clock.now, Due.CLOSE)]


def test_a_peer_that_falls_silent_ends_the_close_timer(origin: float) -> None:
    clock = Clock(with_only(close=8.0), origin)
    clock.timers.start_close(linger=True)
    for _ in range(5):
        clock.advance(0.5)
        clock.received += 1
        assert clock.look() == []
    # It is looked at once in so many seconds.
    clock.advance(2 * LINGER)
    assert clock.log == [(origin + 4.0, Due.CLOSE)]


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("pong", [False, True])
def test_stop_leaves_nothing(looked: bool, pong: bool) -> None:
    clock = Clock(Timeouts(idle=1.0))
    for start in (clock.timers.start_open, clock.timers.start_session, clock.timers.start_close):
        start()
    clock.timers.ping_sent(b"a")
    if looked:
        clock.settle()
    if pong:
        clock.pong(b"a")
    clock.timers.stop()
    assert clock.timers.next() is None
    clock.now += 1000.0
    assert clock.look() == []


def test_pings_go_on_at_their_interval() -> None:
    clock = Clock(with_only(ping_interval=5.0))
    clock.timers.start_session()
    clock.advance(20.0)
    assert clock.log == [(1000.0 + time, Due.SEND_PING) for time in (5.0, 10.0, 15.0, 20.0)]


def test_a_late_caller_sends_one_ping_not_many() -> None:
    clock = Clock(with_only(ping_interval=5.0))
    clock.timers.start_session()
    clock.settle()
    clock.now += 100.0
    assert clock.look() == [Due.SEND_PING]
    assert clock.look() == []
    assert clock.timers.next() == clock.now + 5.0


def test_several_timers_may_be_due_at_one_look() -> None:
    clock = Clock(Timeouts(idle=4.0, ping_interval=4.0, ping_timeout=4.0))
    clock.timers.start_session()
    clock.timers.ping_sent(b"a")
    clock.settle()
    clock.now += 50.0
    assert clock.look() == [Due.PING_TIMEOUT, Due.IDLE, Due.SEND_PING]


# Pings and their Pongs


def test_a_pong_ends_the_wait_and_gives_the_latency() -> None:
    clock = Clock(with_only(ping_timeout=4.0))
    clock.timers.ping_sent(b"a")
    clock.advance(2.5)
    assert clock.timers.latency is None
    clock.pong(b"a")
    assert clock.timers.next() == ASAP
    clock.look()
    assert clock.timers.latency == 2.5
    assert clock.timers.next() is None


def test_a_pong_answers_every_ping_before_its_own() -> None:
    """RFC 6455 §5.5.3: an endpoint may answer the most recent Ping only."""
    clock = Clock(with_only(ping_timeout=4.0))
    for payload in (b"a", b"b", b"c"):
        clock.timers.ping_sent(payload)
        clock.advance(1.0)
    clock.pong(b"b")
    clock.settle()
    assert clock.timers.latency == 2.0
    # c is still out: the wait goes on, and b's Pong was a sign of life.
    clock.advance(4.0)
    assert clock.log == []
    clock.advance(1.0)
    assert clock.log == [(1008.0, Due.PING_TIMEOUT)]


def test_a_pong_that_answers_nothing_changes_nothing() -> None:
    clock = Clock(with_only(ping_timeout=4.0))
    clock.timers.pong_received(b"unasked")
    clock.timers.ping_sent(b"a")
    clock.settle()
    clock.timers.pong_received(b"unasked")
    assert clock.timers.next() == 1004.0
    clock.timers.pong_received(b"a")
    clock.settle()
    clock.timers.pong_received(b"a")
    assert clock.timers.next() is None


def test_any_byte_is_a_sign_of_life_but_does_not_end_the_wait() -> None:
    clock = Clock(with_only(ping_timeout=4.0))
    clock.timers.ping_sent(b"a")
    clock.advance(3.0)
    clock.received += 1
    clock.advance(4.0)
    assert clock.log == []
    clock.advance(1.0)
    assert clock.log == [(1008.0, Due.PING_TIMEOUT)]


def test_a_ping_sent_twice_is_timed_from_the_second() -> None:
    clock = Clock(OFF)
    clock.timers.ping_sent(b"")
    clock.advance(1.0)
    clock.timers.ping_sent(b"")
    clock.advance(2.0)
    clock.pong(b"")
    clock.settle()
    assert clock.timers.latency == 2.0


def test_a_pong_that_comes_before_the_clock_was_told_has_no_latency() -> None:
    clock = Clock(OFF)
    clock.timers.ping_sent(b"a")
    clock.pong(b"a")
    assert clock.timers.next() is None
    clock.look()
    assert clock.timers.latency is None


def test_pings_without_answer_are_forgotten_oldest_first() -> None:
    clock = Clock(OFF)
    for i in range(1000):
        clock.timers.ping_sent(b"%d" % i)
        clock.advance(1.0)
    clock.pong(b"0")
    assert clock.timers.next() is None
    clock.pong(b"990")
    clock.settle()
    assert clock.timers.latency == 10.0


# Idle


def test_messages_postpone_the_idle_timer() -> None:
    clock = Clock(with_only(idle=4.0))
    clock.timers.start_session()
    for _ in range(40):
        clock.advance(3.0)
        clock.messages += 1
    assert clock.log == []
    clock.advance(5.0)
    ((when, due),) = clock.log
    assert due is Due.IDLE
    assert 1120.0 + 4.0 <= when <= 1120.0 + 5.0


def test_bytes_that_are_no_message_do_not_postpone_it() -> None:
    clock = Clock(with_only(idle=4.0))
    clock.timers.start_session()
    for _ in range(4):
        clock.received += 1
        clock.advance(1.0)
    assert clock.log == [(1004.0, Due.IDLE)]


# Properties

ticks = st.integers(0, 200).map(lambda n: n / 16)
spans = st.integers(1, 160).map(lambda n: n / 16)
maybe = st.none() | spans
anything = st.builds(Timeouts, open=maybe, close=maybe, idle=maybe, ping_interval=maybe, ping_timeout=maybe)
happenings = st.lists(
    st.tuples(ticks, st.sampled_from(["message", "bytes", "ping", "pong", "nothing"])), max_size=40
)


class Observer(Clock):
    """A caller who knows when everything really happened, and checks what is due against it."""

    def __init__(self, timeouts: Timeouts, punctual: bool) -> None:
        super().__init__(timeouts)
        self.timeouts = timeouts
        self.punctual = punctual
        self.out: list[tuple[bytes, float]] = []
        self.last_ping = self.last_message = self.last_byte = self.now
        self.started = self.now

    def happen(self, what: str) -> None:
        if what == "message":
            self.messages += 1
            self.last_message = self.now
        elif what == "bytes":
            self.received += 1
            self.last_byte = self.now
        elif what == "ping":
            self.ping()
        elif what == "pong" and self.out:
            self.last_byte = self.now
            payload, when = self.out.pop(0)
            self.pong(payload)
            if self.punctual and not self.over:
                self.settle()
                assert self.timers.latency == self.now - when

    def ping(self) -> None:
        payload = b"%d" % len(self.log) + b".%r" % self.now + b"/%d" % len(self.out)
        self.timers.ping_sent(payload)
        self.out.append((payload, self.now))
        del self.out[:-16]

    def look(self) -> list[Due]:
        due = super().look()
        for one in due:
            self.check_not_early(one)
        return due

    def check_not_early(self, due: Due) -> None:
        times = self.timeouts
        if due is Due.SEND_PING:
            assert times.ping_interval is not None
            assert self.now >= self.last_ping + times.ping_interval
            assert self.now == self.last_ping + times.ping_interval or not self.punctual
            self.last_ping = self.now
        elif due is Due.IDLE:
            assert times.idle is not None
            assert self.now >= self.last_message + times.idle
        else:
            assert due is Due.PING_TIMEOUT
            assert times.ping_timeout is not None
            assert self.out
            assert self.now >= self.last_byte + times.ping_timeout or self.last_byte < self.out[0][1]
            assert self.now >= self.out[0][1] + times.ping_timeout or len(self.out) == 16

    def check_not_late(self) -> None:
        """Only for one who is punctual: what should have been due was."""
        times = self.timeouts
        if self.over:
            return
        if times.idle is not None:
            assert self.now < self.last_message + times.idle * 1.25
        if times.ping_interval is not None:
            assert self.now < self.last_ping + times.ping_interval
        if times.ping_timeout is not None and self.out:
            assert self.now < max(self.last_byte, self.out[0][1]) + 2 * times.ping_timeout


@given(anything, happenings)
def test_a_punctual_caller_misses_nothing_and_nothing_is_early(
    timeouts: Timeouts, story: list[tuple[float, str]]
) -> None:
    clock = Observer(timeouts, punctual=True)
    clock.timers.start_session()
    clock.settle()
    for pause, what in story:
        clock.advance(pause)
        clock.happen(what)
        clock.settle()
        clock.check_not_late()


@given(anything, happenings)
def test_a_late_caller_gets_nothing_early(timeouts: Timeouts, story: list[tuple[float, str]]) -> None:
    clock = Observer(timeouts, punctual=False)
    clock.timers.start_session()
    clock.look()
    clock.last_ping = clock.now
    for pause, what in story:
        clock.now += pause
        clock.happen(what)
        if what == "nothing":
            clock.look()


@given(anything, st.lists(st.sampled_from(["open", "session", "close", "ping", "pong", "look"]), max_size=30))
def test_next_is_in_the_future_after_a_look(timeouts: Timeouts, steps: list[str]) -> None:
    """Coming when asked, with what is due done, never leads to being asked for the same time again."""
    clock = Clock(timeouts)
    timers = clock.timers
    for step in steps:
        clock.now += 1 / 16
        if step == "open":
            timers.start_open()
        elif step == "session":
            timers.start_session()
        elif step == "close":
            timers.start_close()
        elif step == "ping":
            timers.ping_sent(step.encode())
        elif step == "pong":
            clock.pong(b"ping")
        else:
            clock.look()
            deadline = timers.next()
            assert deadline is None or deadline > clock.now
    timers.stop()
    assert timers.next() is None
