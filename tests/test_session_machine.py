"""A session driven at random, with lists as model: what is in the inbox, and what is not looked at yet."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgews import Role, State, StateError
from edgews.session import ANSWER_TIME, HIGH_WATER, LOW_WATER, MESSAGE_COST

from . import wire
from .engines import ROLES, peer_close, peer_frame, whole
from .test_session import Owner, opened

PAYLOADS = (b"a", b"b", b"c")
CLOSED = (wire.CLOSE, b"\x03\xe8")
VIOLATED = (wire.CLOSE, 1002)

# "text" or "binary" and how long it is, or another word and its payload: short to print.
Item = tuple[str, int | bytes]

messages = st.tuples(st.sampled_from(["text", "binary"]), st.sampled_from([0, 5, 30_000, 60_000]))
controls = st.tuples(st.sampled_from(["ping", "pong"]), st.sampled_from([*PAYLOADS, b"unknown"]))
lasts = st.sampled_from([("close", b""), ("violation", b"")])


def reads(last: bool) -> st.SearchStrategy[list[Item]]:
    """Return reads, of which most are messages alone."""
    mixed = st.lists(messages | controls, max_size=5)
    behind = st.lists(lasts, min_size=1, max_size=1) if last else st.just([])
    return st.one_of(
        st.lists(messages, min_size=1, max_size=1),
        st.tuples(messages, st.integers(2, 4)).map(lambda pair: [pair[0]] * pair[1]),
        st.tuples(mixed, behind).map(lambda pair: pair[0] + pair[1]),
    )


def message_of(item: Item) -> str | bytes | None:
    """Return what is delivered; None for a control frame."""
    match item:
        case "text", int(size):
            return "x" * size
        case "binary", int(size):
            return bytes(size)
    return None


def encode(role: Role, item: Item) -> bytes:
    match item:
        case "ping", bytes(payload):
            return peer_frame(role, wire.PING, payload)
        case "pong", bytes(payload):
            return peer_frame(role, wire.PONG, payload)
        case "close", _:
            return peer_close(role, 1000)
        case "violation", _:
            return peer_frame(role, 3)
    message = message_of(item)
    assert message is not None
    return whole(role, message)


class Machine(RuleBasedStateMachine):
    """An adapter that reads while there is room, and an application that does what it likes."""

    owner: Owner

    @initialize(role=st.sampled_from(ROLES))
    def begin(self, role: Role) -> None:
        self.role = role
        self.owner, _ = opened(role)
        self.session = self.owner.session
        self.now = 500.0
        self.inbox: list[str | bytes] = []
        self.full = self.busy = self.leaving = False
        # What was read and not looked at, None if the engine has said that this was all.
        self.pending: deque[Item] | None = None
        self.patience = -math.inf
        self.pings: dict[bytes, bool] = {}
        # The peer may still send, and so may we.
        self.listening = self.open = True
        self.read_eof = self.ended = False
        # What the engine has to write by itself: one Pong at most, and our Close behind it.
        self.pong: bytes | None = None
        self.replies: list[object] = []

    # The model

    @property
    def cost(self) -> int:
        return sum(len(message) + MESSAGE_COST for message in self.inbox)

    def keep(self, message: str | bytes) -> None:
        self.inbox.append(message)
        self.full = self.cost >= HIGH_WATER
        self.busy = True

    def feed(self, items: list[Item]) -> None:
        if self.pending is None:
            self.pending = deque()
            self.patience = -math.inf
        self.pending += items
        self.draw()

    def draw(self) -> None:
        while self.pending is not None and (self.leaving or not (self.busy or self.full)):
            if not self.pending:
                self.pending = None
            else:
                self.look_at(self.pending.popleft())

    def look_at(self, item: Item) -> None:
        message = message_of(item)
        if item == ("eof", b""):
            self.ended, self.open, self.listening = True, False, False
        elif not self.listening:
            return
        elif message is None:
            self.look_at_control(item)
        elif not self.full:
            self.keep(message)

    def look_at_control(self, item: Item) -> None:
        word, payload = item
        if word == "ping":
            assert isinstance(payload, bytes)
            self.pong = payload
        elif word == "pong":
            earlier = list(self.pings)
            if payload in earlier:
                for one in earlier[: earlier.index(payload) + 1]:
                    self.pings[one] = True
        else:
            if self.pong is not None:
                self.replies.append((wire.PONG, self.pong))
                self.pong = None
            if self.open:
                self.replies.append(CLOSED if word == "close" else VIOLATED)
            self.open = self.listening = False

    # What has come of it

    def check(self, told: bool = True) -> None:
        """Compare what goes out by itself; `told` says that a change has to be told, if there is one."""
        if self.pong is not None:
            self.replies.append((wire.PONG, self.pong))
            self.pong = None
        expected, self.replies = self.replies, []
        found = [
            (opcode, 1002) if opcode == wire.CLOSE and wire.close_code(payload) == 1002 else (opcode, payload)
            for opcode, payload in self.owner.sent()
        ]
        assert found == expected
        changes = self.owner.changes()
        if not told:
            assert changes == []

    def noticed(self, call: Callable[[], object]) -> None:
        """Make a call that may look at what is held; whatever is new then has to be told."""

        def seen() -> tuple[object, ...]:
            return self.session.waiting, self.session.closed, dict(self.session.pings)

        before = seen()
        call()
        assert seen() == before or self.owner.looks

    # What an adapter does

    def receive(self, items: list[Item]) -> None:
        data = b"".join(encode(self.role, item) for item in items)
        alone = False

        def call() -> None:
            nonlocal alone
            alone = self.session.receive_data(data)

        had = self.session.waiting
        if self.pending is None and not self.leaving:
            call()
        else:
            self.noticed(call)
            assert not alone
        if alone:
            assert self.listening
            for item in items:
                message = message_of(item)
                assert message is not None
                self.keep(message)
            self.check(told=False)
            return
        single = len(items) == 1 and message_of(items[0]) is not None
        assert not (single and self.listening and self.pending is None and not self.leaving)
        self.feed(items)
        assert had or not self.inbox or self.owner.looks
        self.check()

    @precondition(lambda self: self.session.reading and not self.read_eof)
    @rule(items=reads(last=False))
    def read(self, items: list[Item]) -> None:
        self.receive(items)

    # A stream that ends has not much of a story left, so it shall not happen too often.
    @precondition(lambda self: self.session.reading and not self.read_eof)
    @rule(items=reads(last=True), really=st.sampled_from([False, False, True]))
    def read_the_last(self, items: list[Item], really: bool) -> None:
        if really:
            self.receive(items)

    @precondition(lambda self: self.pending is not None and not self.read_eof)
    @rule(items=reads(last=False))
    def read_although_something_is_held(self, items: list[Item]) -> None:
        self.receive(items)

    @precondition(lambda self: not self.read_eof)
    @rule(really=st.sampled_from([False, False, False, True]))
    def end_of_stream(self, really: bool) -> None:
        if really or not self.listening:
            self.read_eof = True
            self.noticed(self.session.receive_eof)
            self.feed([("eof", b"")])
            self.check()

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.session.next_timeout()
        if due is None or due > self.now:
            return
        self.noticed(lambda: self.session.handle_timeout(self.now))
        # Of the engine's timers, none has anything to say here.
        if self.pending is not None:
            if self.patience == -math.inf:
                self.patience = self.now + ANSWER_TIME
            else:
                self.busy = False
                self.draw()
        self.check()

    # What an application does

    @rule()
    def take(self) -> None:
        message = self.session.take()
        if not self.inbox:
            assert message is None
            self.busy = False
            return
        assert message == self.inbox.pop(0)
        self.busy = True
        if self.full and self.cost <= LOW_WATER:
            self.full = False
        self.check(told=False)

    @rule()
    def draw_what_is_held(self) -> None:
        self.noticed(self.session.draw)
        self.draw()
        self.check()

    @rule()
    def come_back(self) -> None:
        while self.inbox:
            self.take()
        self.take()
        self.draw_what_is_held()

    @rule()
    def let_go(self) -> None:
        self.noticed(self.session.release)
        self.busy = False
        self.draw()
        self.check()

    @rule(message=st.sampled_from(["answer", b"answer"]))
    def send(self, message: str | bytes) -> None:
        if self.open:
            opcode = wire.TEXT if isinstance(message, str) else wire.BINARY
            assert wire.one(self.session.conn.send(message))[:2] == (opcode, b"answer")
        else:
            with pytest.raises(StateError):
                self.session.conn.send(message)

    @rule(payload=st.sampled_from(PAYLOADS))
    def ping(self, payload: bytes) -> None:
        if payload in self.pings:
            del self.session.pings[payload], self.pings[payload]
        elif self.open:
            assert wire.one(self.session.send_ping(payload))[:2] == (wire.PING, payload)
            self.pings[payload] = False
            self.busy = False
            self.draw()
            self.check()

    @rule(really=st.sampled_from([False, False, False, True]))
    def close(self, really: bool) -> None:
        if not really:
            return
        if self.open:
            assert wire.one(self.session.conn.send_close())[:2] == CLOSED
            self.open = False
        self.noticed(self.session.leave)
        self.leaving = True
        self.draw()
        self.check()

    # What holds at any time

    @invariant()
    def agrees_with_the_model(self) -> None:
        session = self.session
        assert session.waiting is bool(self.inbox)
        assert session.full is self.full
        assert (session.held is None) is (self.pending is None)
        assert session.reading is (self.pending is None and (self.leaving or not self.full))
        assert session.pings == self.pings
        assert list(session.pings) == list(self.pings)
        assert (session.closed is not None) is self.ended
        assert (session.conn.state is State.OPEN) is (self.open and self.listening)
        if self.full and not self.leaving:
            held = engine = None
        else:
            held = None if self.pending is None else self.patience
            engine = session.conn.next_timeout() if self.pending is None else None
        assert session.next_timeout() == (engine if held is None else held)

    def teardown(self) -> None:
        """Whatever has happened, what is left is received, and then the end."""
        if not hasattr(self, "inbox"):
            return
        if not self.read_eof:
            self.end_of_stream(really=True)
        for _ in range(1000):
            if self.ended and not self.inbox:
                break
            self.come_back()
        assert self.session.closed is not None


Machine.TestCase.settings = settings(stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
