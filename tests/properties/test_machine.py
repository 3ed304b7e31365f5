"""A connection driven at random, with the table of states as oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgews import (
    Close,
    Connection,
    Disconnected,
    Event,
    Limits,
    LocalProtocolError,
    Ping,
    Pong,
    PreparedMessage,
    Role,
)
from edgews.states import (
    BOTH_CLOSED,
    OPEN,
    OVER,
    THEY_CLOSED,
    TRANSITIONS,
    TURNS,
    Half,
    Halves,
    Input,
    listens,
    may_send_control,
    may_send_data,
    rfc_state,
    transport,
)
from tests.engines import NO_TIMERS, ROLES, make, peer_close, peer_frame, snapshot
from tests.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frames

codes = st.sampled_from([1000, 1001, 1011, 3000, 4999])
payloads = st.binary(max_size=20)
CLOSE_TIMEOUT = 8.0


class Machine(RuleBasedStateMachine):
    """The model is a pair of halves, what was sent in fragments, and when the close timer ends."""

    conn: Connection

    @initialize(
        role=st.sampled_from(ROLES), auto_close=st.booleans(), auto_pong=st.booleans(), deflate=st.booleans()
    )
    def begin(self, role: Role, auto_close: bool, auto_pong: bool, deflate: bool) -> None:
        self.role = role
        self.auto_close = auto_close
        self.auto_pong = auto_pong
        self.conn = make(
            role,
            deflate=deflate,
            auto_close=auto_close,
            auto_pong=auto_pong,
            limits=Limits(max_message_size=1000),
            timeouts=dataclasses.replace(NO_TIMERS, close=CLOSE_TIMEOUT),
        )
        self.halves: Halves = OPEN
        self.now = 0.0
        self.drop_at: float | None = None
        self.sending: type | None = None
        self.in_message = False
        self.peer_code: int | None = None
        self.clean = False
        self.we_sent_close = False
        self.ended = 0

    # The model

    def step(self, step: Input) -> None:
        self.halves = TRANSITIONS[self.halves][step]

    def restart_close_timer(self) -> None:
        self.drop_at = self.now + CLOSE_TIMEOUT

    def close_exchanged(self) -> None:
        if self.halves == BOTH_CLOSED:
            self.clean = True
            if self.role is Role.SERVER:
                self.step(Input.SEND_EOF)
        self.restart_close_timer()

    def model_failure(self) -> None:
        if self.halves[0] is Half.OPEN:
            self.step(Input.SEND_CLOSE)
            self.clean = self.halves == BOTH_CLOSED
        self.step(Input.SEND_EOF)
        self.restart_close_timer()

    # The connection

    def wrote(self, data: bytes) -> list[tuple[int, bytes]]:
        found = [(frame.opcode, frame.payload) for frame in frames(data)]
        for opcode, _ in found:
            assert not (self.we_sent_close and opcode < 8), "data behind our Close"
            assert not (self.we_sent_close and opcode == CLOSE), "a second Close"
            self.we_sent_close = self.we_sent_close or opcode == CLOSE
        return found

    def look_at_clock(self) -> None:
        assert self.consume(self.conn.handle_timeout(self.now)) == []

    def consume(self, events: Iterable[Event]) -> list[Event]:
        found = []
        for event in events:
            assert not self.ended
            if isinstance(event, Disconnected):
                self.ended += 1
                assert event.code == (1006 if self.peer_code is None else self.peer_code)
                assert event.clean is self.clean
            else:
                found.append(event)
        return found

    def receive(self, data: bytes) -> list[Event]:
        found = self.consume(self.conn.receive_data(data))
        return found

    def expect_close(self, sends: bool) -> None:
        found = self.wrote(self.conn.data_to_send())
        assert [opcode for opcode, _ in found] == ([CLOSE] if sends else [])

    # What we do

    @rule(
        data=st.text(max_size=5) | payloads,
        way=st.sampled_from(["send", "prepared", "parts"]),
    )
    def send(self, data: str | bytes, way: str) -> None:
        def call() -> bytes:
            if way == "prepared":
                return self.conn.send_prepared(PreparedMessage(data))
            return b"".join(self.conn.send_parts(data)) if way == "parts" else self.conn.send(data)

        if may_send_data(self.halves) and self.sending is None:
            ((opcode, _),) = self.wrote(call())
            assert opcode == (TEXT if isinstance(data, str) else BINARY)
        else:
            self.refused(call)

    @rule(data=st.text(max_size=5) | payloads, final=st.booleans())
    def send_fragment(self, data: str | bytes, final: bool) -> None:
        def call() -> bytes:
            return self.conn.send_fragment(data, final=final)

        if may_send_data(self.halves) and self.sending in (None, type(data)):
            ((opcode, _),) = self.wrote(call())
            assert (opcode == CONTINUATION) is (self.sending is not None)
            self.sending = None if final else type(data)
        else:
            self.refused(call)

    @rule(payload=payloads, opcode=st.sampled_from([PING, PONG]))
    def send_control(self, payload: bytes, opcode: int) -> None:
        def call() -> bytes:
            return (self.conn.send_ping if opcode == PING else self.conn.send_pong)(payload)

        if may_send_control(self.halves):
            assert self.wrote(call()) == [(opcode, payload)]
        else:
            self.refused(call)
        self.look_at_clock()

    @rule(code=codes)
    def send_close(self, code: int) -> None:
        if not may_send_data(self.halves):
            self.refused(lambda: self.conn.send_close(code))
            return
        assert self.wrote(self.conn.send_close(code)) == [(CLOSE, code.to_bytes(2, "big"))]
        self.step(Input.SEND_CLOSE)
        self.close_exchanged()
        self.look_at_clock()

    @rule(code=codes)
    def fail(self, code: int) -> None:
        if self.halves[0] is Half.EOF:
            self.refused(lambda: self.conn.fail(code))
            return
        sends = self.halves[0] is Half.OPEN
        assert self.wrote(self.conn.fail(code)) == ([(CLOSE, code.to_bytes(2, "big"))] if sends else [])
        self.model_failure()
        self.look_at_clock()

    def refused(self, call: Callable[[], object]) -> None:
        before = snapshot(self.conn)
        with pytest.raises(LocalProtocolError):
            call()
        assert snapshot(self.conn) == before

    # What the peer does

    @rule(message=st.text(max_size=5), count=st.integers(1, 3))
    def receive_messages(self, message: str, count: int) -> None:
        if self.in_message:
            return
        found = self.receive(peer_frame(self.role, TEXT, message.encode()) * count)
        assert found == ([message] * count if listens(self.halves) else [])

    @rule(payload=payloads, final=st.booleans())
    def receive_fragment(self, payload: bytes, final: bool) -> None:
        opcode = CONTINUATION if self.in_message else BINARY
        found = self.receive(peer_frame(self.role, opcode, payload, fin=final))
        if listens(self.halves):
            assert len(found) == int(final)
            self.in_message = not final
        else:
            assert found == []

    @rule(payload=payloads)
    def receive_ping(self, payload: bytes) -> None:
        found = self.receive(peer_frame(self.role, PING, payload))
        heard = listens(self.halves)
        assert found == ([Ping(payload)] if heard else [])
        answers = heard and self.auto_pong
        assert self.wrote(self.conn.data_to_send()) == ([(PONG, payload)] if answers else [])

    @rule(payload=payloads)
    def receive_pong(self, payload: bytes) -> None:
        found = self.receive(peer_frame(self.role, PONG, payload))
        assert found == ([Pong(payload)] if listens(self.halves) else [])
        # It may answer one of our Pings, and the latency then waits for the time.
        self.look_at_clock()

    @rule(code=codes)
    def receive_close(self, code: int) -> None:
        found = self.receive(peer_close(self.role, code))
        if not listens(self.halves):
            assert found == []
            return
        assert found == [Close(code, "")]
        self.peer_code = code
        self.step(Input.RECEIVE_CLOSE)
        answers = self.halves == THEY_CLOSED and self.auto_close
        if answers:
            self.step(Input.SEND_CLOSE)
        self.close_exchanged()
        self.expect_close(answers)
        self.look_at_clock()

    @rule(
        bad=st.sampled_from([b"\x83\x80", b"\x83\x00", b"\xf1\x80", b"\x89\x7e\x00\x7e", b"\x82\xfe\xff\xff"])
    )
    def receive_violation(self, bad: bytes) -> None:
        assert self.receive(bad) == []
        if listens(self.halves):
            sends = self.halves[0] is Half.OPEN
            self.model_failure()
            self.expect_close(sends)
            self.look_at_clock()

    @precondition(lambda self: self.halves != OPEN)
    @rule()
    def end_of_stream(self) -> None:
        self.eof()

    # An open connection that ends has no story left, so it shall not happen too often.
    @precondition(lambda self: self.halves == OPEN)
    @rule(really=st.sampled_from([False, False, True]))
    def sudden_end_of_stream(self, really: bool) -> None:
        if really:
            self.eof()

    def eof(self) -> None:
        assert self.consume(self.conn.receive_eof()) == []
        if self.halves != OVER:
            self.step(Input.RECEIVE_EOF)

    @rule(seconds=st.integers(0, 100).map(lambda n: n / 16))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        found = self.consume(self.conn.handle_timeout(self.now))
        assert found == []
        if self.halves != OVER and self.drop_at is not None and self.now >= self.drop_at:
            self.step(Input.DROP)

    # What holds in every state

    @invariant()
    def agrees_with_the_table(self) -> None:
        if not hasattr(self, "halves"):
            return
        conn, halves = self.conn, self.halves
        assert conn.state is rfc_state(halves)
        assert conn.turn is TURNS[halves]
        assert conn.transport is transport(halves)
        assert self.ended == int(halves == OVER)
        assert self.wrote(conn.data_to_send()) == []
        assert self.we_sent_close is (halves[0] is not Half.OPEN) or halves == OVER
        if halves == OVER:
            assert conn.next_timeout() is None
        else:
            assert conn.next_timeout() == self.drop_at

    @invariant()
    def what_may_not_be_sent_is_refused(self) -> None:
        if not hasattr(self, "halves"):
            return
        conn = self.conn
        if not may_send_data(self.halves):
            for call in (lambda: conn.send("x"), lambda: conn.send_parts(b"x"), lambda: conn.send_close()):
                self.refused(call)
        if not may_send_control(self.halves):
            for call in (lambda: conn.send_ping(), lambda: conn.send_pong(b"x")):
                self.refused(call)


Machine.TestCase.settings = settings(stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase
