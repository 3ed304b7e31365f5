"""The connection as its owner sees it: the start, the clock, and what may be asked of it."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable

import pytest

from edgews import (
    Agreement,
    Cause,
    CauseKind,
    ClientConnection,
    Close,
    Connection,
    Delivery,
    Disconnected,
    Event,
    PerMessageDeflate,
    Ping,
    Pong,
    Role,
    ServerConnection,
    Side,
    State,
    Timeouts,
    Transport,
    Turn,
)

from .engines import NO_TIMERS, ROLES, end, make, peer_close, peer_frame, receive, sent, whole
from .footprint import bytes_each
from .wire import CLOSE, CONTINUATION, PING, PONG, TEXT, close_code, frames

both_roles = pytest.mark.parametrize("role", ROLES)

REPEATING = random.Random(0).randbytes(2048) * 4


def only(**times: float) -> Timeouts:
    """Return timeouts of which only the named ones run."""
    return dataclasses.replace(NO_TIMERS, **times)


class Owner:
    """An owner with a clock who does what `next_timeout` asks, when it asks, and keeps what comes of it."""

    def __init__(self, conn: Connection, now: float = 500.0) -> None:
        self.conn = conn
        self.start = now
        self.now = now
        self.events: list[tuple[float, Event]] = []
        self.written: list[tuple[float, int, bytes]] = []

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.conn.next_timeout()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.events += [(self.now - self.start, event) for event in self.conn.handle_timeout(self.now)]
            self.flush()
        self.now = until

    def flush(self) -> None:
        self.written += [
            (self.now - self.start, frame.opcode, frame.payload) for frame in frames(self.conn.data_to_send())
        ]

    @property
    def end(self) -> tuple[float, Disconnected]:
        ((when, event),) = self.events
        assert isinstance(event, Disconnected)
        assert self.conn.transport is Transport.CLOSE
        assert self.conn.next_timeout() is None
        return when, event


# The start


@both_roles
def test_a_bare_connection_is_open_at_once(role: Role) -> None:
    timeouts = Timeouts(close=7)
    conn = Connection(role, timeouts=timeouts)
    assert (conn.role, conn.timeouts) == (role, timeouts)
    assert (conn.state, conn.turn, conn.transport) == (State.OPEN, Turn.EITHER, Transport.KEEP_OPEN)
    assert conn.data_to_send() == b""
    assert conn.latency is None
    assert conn.bytes_received == conn.bytes_sent == 0


@both_roles
def test_bytes_that_were_read_already(role: Role) -> None:
    wire = peer_frame(role, TEXT, b"early")
    for cut in range(len(wire) + 1):
        conn = Connection(role, trailing_data=wire + wire[:cut])
        assert receive(conn, wire[cut:]) == ["early", "early"]
        assert conn.bytes_received == 2 * len(wire)
    conn = Connection(role, trailing_data=wire)
    assert receive(conn, b"") == ["early"]
    assert receive(conn, wire) == ["early"]
    *before, last = Connection(role, trailing_data=wire).receive_eof()
    assert before == ["early"]
    assert isinstance(last, Disconnected)


@pytest.mark.parametrize("server_bits", [9, 15])
@pytest.mark.parametrize("client_bits", [9, 15])
@pytest.mark.parametrize("no_takeover", [False, True])
def test_both_ends_read_the_same_agreement(server_bits: int, client_bits: int, no_takeover: bool) -> None:
    """What repeats lies 2 KiB back: a window of 512 bytes does not see it, one of 32 KiB does."""
    wish = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15)
    agreed = Agreement(no_takeover, no_takeover, server_bits, client_bits)
    client = Connection(Role.CLIENT, deflate=(wish, agreed))
    server = Connection(Role.SERVER, deflate=(wish, agreed))
    for sender, receiver, bits in ((client, server, client_bits), (server, client, server_bits)):
        sizes = []
        for _ in range(3):
            data = sender.send(REPEATING)
            sizes.append(len(data))
            assert receive(receiver, data) == [REPEATING]
        if bits == 9:
            assert min(sizes) > 8000
        else:
            assert 2048 < sizes[0] < 2300
            assert all((size < 200) is not no_takeover for size in sizes[1:])


def test_a_client_keeps_to_the_smaller_window_it_wished_for() -> None:
    """RFC 7692 §7.1.2.2: it may always use less than was agreed."""
    sizes = []
    for bits in (9, 15):
        wish = PerMessageDeflate(client_max_window_bits=bits)
        conn = Connection(Role.CLIENT, deflate=(wish, Agreement(False, False, 15, 15)))
        sizes.append(len(conn.send(REPEATING)))
    assert sizes[0] > 8000
    assert sizes[1] < 2300


# Timers


@both_roles
def test_no_timer(role: Role) -> None:
    conn = make(role, timeouts=NO_TIMERS)
    assert conn.next_timeout() is None
    assert list(conn.handle_timeout(1e9)) == []
    conn.send_close()
    assert conn.next_timeout() is None
    assert conn.state is State.CLOSING


@both_roles
def test_what_is_read_before_a_timeout_is_looked_at_stays_in_order(role: Role) -> None:
    """Nothing is asked of the timeout's events yet, and reads go on behind them."""
    conn = make(role)
    waiting: list[Event] = []
    later = [conn.handle_timeout(0.0)]
    later += [conn.receive_data(whole(role, text)) for text in ("one", "two")]
    later.append(conn.receive_data(whole(role, "three") + peer_frame(role, PING)))
    for events in later:
        waiting += events
    assert waiting == ["one", "two", "three", Ping(b"")]


@both_roles
def test_the_first_deadline_is_at_once(role: Role) -> None:
    """A timer that does not know the time yet has to be told."""
    conn = make(role)
    assert conn.next_timeout() == -math.inf
    assert list(conn.handle_timeout(7.0)) == []
    assert conn.next_timeout() == 27.0


@pytest.mark.parametrize("kind", [ServerConnection, lambda: ClientConnection("ws://example.com/")])
def test_open_timeout(kind: Callable[[], Connection]) -> None:
    conn = kind()
    # A client's request is out; from here on there is silence.
    conn.data_to_send()
    owner = Owner(conn)
    owner.advance(9.9)
    assert owner.events == []
    assert conn.state is State.CONNECTING
    owner.advance(1.0)
    ((when, event),) = owner.events
    assert when == 10.0
    assert isinstance(event, Disconnected)
    assert (event.code, event.clean) == (1006, False)
    assert event.cause.kind is CauseKind.OPEN_TIMEOUT
    assert event.cause.initiator is Side.LOCAL
    assert conn.state is State.CLOSED


@both_roles
def test_close_timeout(role: Role) -> None:
    owner = Owner(make(role))
    owner.advance(3.0)
    owner.conn.send_close(1001, "bye")
    owner.advance(60.0)
    when, event = owner.end
    assert when == 13.0
    assert (event.code, event.clean) == (1006, False)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.CLOSE_TIMEOUT, Side.LOCAL)
    assert event.cause.detail == "we closed with 1001 (bye), and the peer did not answer"


@both_roles
@pytest.mark.parametrize("first", ["we", "they", "violation", "fail"])
def test_a_peer_that_never_ends_its_stream_is_dropped(role: Role, first: str) -> None:
    conn = make(role)
    owner = Owner(conn)
    owner.advance(1.0)
    if first == "we":
        conn.send_close(1000)
        owner.advance(5.0)
    if first in ("we", "they"):
        assert receive(conn, peer_close(role, 1000)) == [Close(1000, "")]
    elif first == "violation":
        receive(conn, peer_frame(role, 3))
    else:
        conn.fail(1011)
    owner.flush()
    began = owner.now - owner.start
    owner.advance(60.0)
    when, event = owner.end
    assert when == began + 10.0
    kind = {"violation": CauseKind.PROTOCOL_ERROR, "fail": CauseKind.FAILED}.get(first, CauseKind.CLOSED)
    assert event.cause.kind is kind
    assert event.clean is (kind is CauseKind.CLOSED)
    assert event.code == (1000 if event.clean else 1006)


@both_roles
def test_an_application_that_does_not_answer_a_close(role: Role) -> None:
    conn = make(role, auto_close=False)
    owner = Owner(conn)
    receive(conn, peer_close(role, 1000))
    owner.advance(60.0)
    when, event = owner.end
    assert when == 10.0
    assert (event.code, event.clean, event.cause.kind) == (1000, False, CauseKind.CLOSED)


@both_roles
def test_idle_timeout(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(idle=4.0, close=2.0)))
    owner.advance(10.0)
    assert owner.written == [(4.0, CLOSE, b"\x03\xe9idle timeout")]
    when, event = owner.end
    assert when == 6.0
    assert (event.code, event.clean) == (1006, False)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.IDLE_TIMEOUT, Side.LOCAL)


@both_roles
def test_an_idle_connection_ends_cleanly_if_the_peer_is_there(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(idle=4.0)))
    owner.advance(5.0)
    assert receive(owner.conn, peer_close(role, 1001)) == [Close(1001, "")]
    event = end(owner.conn)
    assert (event.code, event.clean, event.cause.kind) == (1001, True, CauseKind.IDLE_TIMEOUT)


@both_roles
@pytest.mark.parametrize("life", ["receive", "send", "long frame", "fragments in", "fragments out"])
def test_messages_and_their_pieces_are_life(role: Role, life: str) -> None:
    owner = Owner(make(role, timeouts=only(idle=4.0)))
    conn = owner.conn
    long = peer_frame(role, TEXT, b"x" * 100)
    if life == "long frame":
        receive(conn, long[:20])
    elif life == "fragments in":
        receive(conn, peer_frame(role, TEXT, b"x", fin=False))
    for step in range(20):
        owner.advance(3.0)
        if life == "receive":
            receive(conn, peer_frame(role, TEXT, b"x"))
        elif life == "send":
            conn.send("x")
        elif life == "long frame":
            receive(conn, long[20 + step : 21 + step])
        elif life == "fragments in":
            receive(conn, peer_frame(role, CONTINUATION, b"x", fin=False))
        else:
            conn.send_fragment("x", final=False)
    assert conn.state is State.OPEN
    last = owner.now - owner.start
    owner.advance(10.0)
    ((when, opcode, _),) = owner.written
    assert opcode == CLOSE
    assert last + 4.0 <= when <= last + 5.0


@both_roles
def test_pings_are_no_life_for_the_idle_timer(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(idle=4.0, ping_interval=1.0)))
    for _ in range(4):
        owner.advance(1.0)
        receive(owner.conn, peer_frame(role, PING))
    assert [opcode for _, opcode, _ in owner.written if opcode == CLOSE] == [CLOSE]


@both_roles
def test_automatic_pings_and_the_latency(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(ping_interval=5.0, ping_timeout=4.0)))
    payloads = []
    for number in range(1, 5):
        owner.advance(5.0)
        when, opcode, payload = owner.written[-1]
        assert (when, opcode) == (5.0 * number, PING)
        payloads.append(payload)
        owner.now += number / 8
        assert receive(owner.conn, peer_frame(role, PONG, payload)) == [Pong(payload)]
        assert owner.conn.next_timeout() == -math.inf
        owner.advance(0.0)
        assert owner.conn.latency == number / 8
        owner.now -= number / 8
    assert owner.conn.pings_sent == owner.conn.pongs_received == 4
    assert len(set(payloads)) == 4


@both_roles
def test_ping_timeout(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(ping_interval=5.0, ping_timeout=4.0)))
    owner.advance(60.0)
    when, event = owner.end
    assert when == 9.0
    assert (event.code, event.clean) == (1006, False)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.PING_TIMEOUT, Side.LOCAL)
    assert [(when, opcode) for when, opcode, _ in owner.written] == [(5.0, PING), (9.0, CLOSE)]
    assert close_code(owner.written[-1][2]) == 1011


@both_roles
def test_a_long_upload_in_front_of_the_pong_is_a_sign_of_life(role: Role) -> None:
    owner = Owner(make(role, timeouts=only(ping_interval=5.0, ping_timeout=4.0)))
    wire = peer_frame(role, TEXT, b"x" * 1000)
    for at in range(100):
        owner.advance(1.0)
        receive(owner.conn, wire[at : at + 1])
    assert owner.events == []
    owner.advance(60.0)
    when, event = owner.end
    assert 104.0 <= when <= 109.0
    assert event.cause.kind is CauseKind.PING_TIMEOUT


@both_roles
def test_ping_timeout_while_closing(role: Role) -> None:
    """Our Close is out already, and no close timer runs: the Ping alone finds the dead peer."""
    owner = Owner(make(role, timeouts=only(ping_timeout=4.0)))
    owner.conn.send_close()
    owner.conn.send_ping(b"?")
    owner.advance(60.0)
    when, event = owner.end
    assert when == 4.0
    assert event.cause.kind is CauseKind.PING_TIMEOUT
    assert owner.written == []


@both_roles
def test_our_own_pings_are_timed_too(role: Role) -> None:
    owner = Owner(make(role, timeouts=NO_TIMERS))
    owner.conn.send_ping(b"mine")
    assert owner.conn.next_timeout() == -math.inf
    owner.advance(0.75)
    assert owner.conn.next_timeout() is None
    receive(owner.conn, peer_frame(role, PONG, b"mine"))
    owner.advance(0.0)
    assert owner.conn.latency == 0.75


@both_roles
def test_a_caller_who_comes_very_late_meets_one_end(role: Role) -> None:
    """Every timer is long due: the first that ends the connection is the cause, and the only one."""
    conn = make(role, timeouts=Timeouts(idle=1.0))
    conn.send_ping(b"?")
    assert list(conn.handle_timeout(0.0)) == []
    (event,) = conn.handle_timeout(1e6)
    assert isinstance(event, Disconnected)
    assert event.cause.kind is CauseKind.PING_TIMEOUT
    assert conn.next_timeout() is None
    assert list(conn.handle_timeout(2e6)) == []
    assert [opcode for opcode, _ in sent(conn)] == [CLOSE]


@both_roles
def test_nothing_runs_when_all_is_over(role: Role) -> None:
    conn = make(role, timeouts=Timeouts(idle=1.0))
    conn.send_ping(b"?")
    receive(conn, peer_frame(role, PING))
    end(conn)
    assert conn.next_timeout() is None


# Both sides at once


@both_roles
def test_a_close_from_both_sides_at_once(role: Role) -> None:
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    ours, theirs = make(role), make(other)
    mine, yours = ours.send_close(1000), theirs.send_close(3000)
    assert receive(ours, yours) == [Close(3000, "")]
    assert receive(theirs, mine) == [Close(1000, "")]
    assert ours.data_to_send() == theirs.data_to_send() == b""
    for conn, code in ((ours, 3000), (theirs, 1000)):
        server = conn.role is Role.SERVER
        assert conn.transport is (Transport.HALF_CLOSE if server else Transport.KEEP_OPEN)
        event = end(conn)
        assert (event.code, event.clean) == (code, True)
        assert event.cause.initiator is Side.LOCAL


def test_the_server_ends_its_stream_first() -> None:
    """RFC 6455 §7.1.1."""
    client, server = make(Role.CLIENT), make(Role.SERVER)
    receive(server, client.send_close(1000))
    receive(client, server.data_to_send())
    assert server.transport is Transport.HALF_CLOSE
    assert client.transport is Transport.KEEP_OPEN
    assert client.turn is server.turn is Turn.PEER
    assert end(client).clean
    assert end(server).clean


def test_a_stream_that_cannot_be_half_closed() -> None:
    """The server ends it as a whole once both have said Close; after a failure the peer may go on first."""
    client, server = make(Role.CLIENT), make(Role.SERVER)
    server.cannot_half_close()
    receive(server, client.send_close(1000))
    assert server.transport is Transport.CLOSE
    assert end(server).clean

    client, server = make(Role.CLIENT), make(Role.SERVER)
    server.cannot_half_close()
    server.fail(1011)
    assert list(server.handle_timeout(0.0)) == []
    assert receive(server, client.send_ping()) == []
    assert list(server.handle_timeout(1.0)) == []
    assert server.transport is Transport.KEEP_OPEN
    (event,) = server.handle_timeout(2.0)
    assert isinstance(event, Disconnected)
    assert event.cause.kind is CauseKind.FAILED
    assert server.transport is Transport.CLOSE


# What may be asked


def test_a_cause_reads_as_a_sentence() -> None:
    conn = make()
    cause = end(conn).cause
    assert isinstance(cause, Cause)
    assert str(cause) == "peer vanished: the byte stream ended without a Close frame"


@both_roles
def test_the_counters_count_everything(role: Role) -> None:
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    for delivery in Delivery:
        ours, theirs = make(role), make(other, delivery=delivery)
        wire = [
            ours.send("a"),
            ours.send_fragment(b"b", final=False),
            ours.send_ping(b"c"),
            ours.send_fragment(b"d", final=True),
            ours.send_pong(b"e"),
        ]
        receive(theirs, b"".join(wire))
        answer = theirs.data_to_send()
        assert receive(ours, answer) == [Pong(b"c")]
        assert (ours.messages_sent, ours.pings_sent, ours.pongs_sent) == (2, 1, 1)
        assert (theirs.messages_received, theirs.pings_received, theirs.pongs_received) == (2, 1, 1)
        assert ours.bytes_sent == theirs.bytes_received == len(b"".join(wire))
        assert theirs.bytes_sent == ours.bytes_received == len(answer)
        assert (theirs.pongs_sent, ours.pongs_received) == (1, 1)


# Cost


@both_roles
@pytest.mark.parametrize("used", [False, True])
def test_an_open_connection_is_small(role: Role, used: bool) -> None:
    """At most 1.5 KiB of Python objects, limits and timeouts shared, once it has been used or not."""

    def connection() -> Connection:
        conn = Connection(role)
        if used:
            conn.send("hello")
            assert receive(conn, peer_frame(role, TEXT, b"hello")) == ["hello"]
            assert receive(conn, peer_frame(role, PING, b"x")) == [Ping(b"x")]
            conn.data_to_send()
            assert list(conn.handle_timeout(0.0)) == []
        return conn

    assert bytes_each(connection) <= 1536


def test_compression_costs_memory_on_first_use() -> None:
    deflate = (PerMessageDeflate(), Agreement(False, False, 12, 12))
    assert bytes_each(lambda: Connection(Role.SERVER, deflate=deflate)) <= 2048


def test_a_client_keeps_the_promise_of_its_offer() -> None:
    wish = PerMessageDeflate(client_no_context_takeover=True, client_max_window_bits=9)
    agreed = Agreement(False, False, 15, 15)
    client = Connection(Role.CLIENT, deflate=(wish, agreed))
    for _ in range(2):
        (received,) = Connection(Role.SERVER, deflate=(wish, agreed)).receive_data(client.send("again " * 99))
        assert received == "again " * 99


# What may be asked


@both_roles
@pytest.mark.parametrize("delivery", Delivery)
def test_the_delivery(role: Role, delivery: Delivery) -> None:
    assert make(role, delivery=delivery).delivery is delivery


@both_roles
def test_whether_a_message_in_fragments_is_under_way(role: Role) -> None:
    conn = make(role)
    assert not conn.sending_fragments
    conn.send_fragment("half", final=False)
    assert conn.sending_fragments
    conn.send_fragment("", final=True)
    assert not conn.sending_fragments


@both_roles
def test_the_counters_in_one_value(role: Role) -> None:
    conn = make(role)
    read = whole(role, "one") + peer_frame(role, PING) + peer_frame(role, PING) + peer_frame(role, PONG) * 3
    receive(conn, read)
    written = conn.send("a") + conn.send(b"b") + conn.send_ping() + conn.send_ping() + conn.data_to_send()
    stats = conn.stats
    assert (stats.messages_received, stats.messages_sent) == (1, 2)
    assert (stats.bytes_received, stats.bytes_sent) == (len(read), len(written))
    assert (stats.pings_received, stats.pings_sent) == (2, 2)
    assert (stats.pongs_received, stats.pongs_sent) == (3, 1)


@pytest.mark.parametrize("deflate", [PerMessageDeflate(), (PerMessageDeflate(),), ("x", "y")])
def test_what_was_agreed_is_a_pair(deflate):
    with pytest.raises(TypeError, match="deflate must be a PerMessageDeflate and an Agreement, or None"):
        Connection(Role.SERVER, deflate=deflate)
