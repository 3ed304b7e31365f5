"""What a connection makes of what its peer sends: messages, control frames, Close, and the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from edgews import (
    CauseKind,
    Close,
    Connection,
    Delivery,
    Disconnected,
    Event,
    Fragment,
    FragmentationError,
    Limits,
    MessageTooBigError,
    Ping,
    Pong,
    Role,
    Side,
    State,
    Transport,
    Turn,
    backend,
)

from .engines import (
    both_roles,
    end,
    every_type,
    failed_with,
    make,
    peer_close,
    peer_frame,
    receive,
    sent,
    snapshot,
    squeeze,
    whole,
)
from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frames

MESSAGES: list[str | bytes] = [
    "",
    b"",
    "é",
    b"\xff",
    "x" * 125,
    b"x" * 126,
    "é" * 2000,
    bytes(65535),
    bytes(65536),
]


# Messages


@both_roles
@every_type
def test_messages_arrive_one_by_one_and_side_by_side(role: Role, as_type: Callable[[bytes], bytes]) -> None:
    conn = make(role)
    wire = [whole(role, message) for message in MESSAGES]
    for data, message in zip(wire, MESSAGES, strict=True):
        assert receive(conn, as_type(data)) == [message]
    assert receive(conn, as_type(b"".join(wire))) == MESSAGES
    same = [whole(role, b"%d" % i) for i in range(5000)]
    assert receive(conn, as_type(b"".join(same))) == [b"%d" % i for i in range(5000)]
    assert conn.messages_received == 2 * len(MESSAGES) + 5000
    assert conn.bytes_received == 2 * sum(map(len, wire)) + sum(map(len, same))


@both_roles
def test_messages_arrive_while_all_scratch_memory_is_in_use(role: Role) -> None:
    """As when other threads read at this moment."""
    taken = []
    with suppress(IndexError):
        while True:
            taken.append(backend.take_scratch())
    try:
        assert receive(make(role), whole(role, "a")) == ["a"]
    finally:
        for scratch in taken:
            backend.give_scratch(scratch)


@both_roles
def test_a_frame_in_two_reads(role: Role) -> None:
    wire = whole(role, "héllo")
    for cut in range(1, len(wire)):
        conn = make(role)
        assert receive(conn, wire[:cut]) == []
        # Of a frame whose header is there, bytes go to where they belong at once.
        assert conn.has_data or conn.inside_frame
        assert receive(conn, wire[cut:] + wire) == ["héllo", "héllo"]
        assert not conn.has_data
        assert receive(conn, b"") == []


@both_roles
def test_behind_a_message_that_came_in_pieces_the_short_way_is_taken_again(role: Role) -> None:
    conn = make(role)
    for first in (b"", peer_frame(role, TEXT, b"a", fin=False) + peer_frame(role, CONTINUATION, b"b")):
        receive(conn, first)
        receive(conn, peer_frame(role, PONG))
        assert receive(conn, whole(role, "x") + whole(role, "y")) == ["x", "y"]


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
def test_control_frames_between_fragments_do_no_harm(role: Role, deflate: bool) -> None:
    """RFC 6455 §5.4."""
    payload = b"abcdef"
    wire = squeeze(payload) if deflate else payload
    conn = make(role, deflate=deflate)
    pieces = [wire[:2], b"", wire[2:4], wire[4:]]
    events: list[Event] = []
    for number, piece in enumerate(pieces):
        first = number == 0
        events += receive(
            conn,
            peer_frame(
                role,
                TEXT if first else CONTINUATION,
                piece,
                rsv=4 if deflate and first else 0,
                fin=number == len(pieces) - 1,
            )
            + peer_frame(role, PING, b"%d" % number),
        )
        assert sent(conn) == [(PONG, b"%d" % number)]
    assert events == [Ping(b"0"), Ping(b"1"), Ping(b"2"), "abcdef", Ping(b"3")]


@both_roles
@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (Delivery.MESSAGES, ["aé!", b"xy", "", b""]),
        (
            Delivery.FRAGMENTS,
            [
                Fragment("a", False),
                Fragment("", False),
                Fragment("é!", True),
                Fragment(b"xy", True),
                Fragment("", True),
                Fragment(b"", True),
            ],
        ),
        (
            Delivery.STREAM,
            [
                Fragment("a", False),
                Fragment("é!", True),
                Fragment(b"xy", True),
                Fragment("", True),
                Fragment(b"", True),
            ],
        ),
        (Delivery.EAGER, [Fragment("a", False), Fragment("é!", True), b"xy", "", b""]),
    ],
)
def test_delivery(role: Role, delivery: Delivery, expected: list[Event]) -> None:
    wire = (
        peer_frame(role, TEXT, b"a\xc3", fin=False)
        + peer_frame(role, CONTINUATION, b"", fin=False)
        + peer_frame(role, CONTINUATION, b"\xa9!")
        + whole(role, b"xy")
        + whole(role, "")
        + whole(role, b"")
    )
    conn = make(role, delivery=delivery)
    assert receive(conn, wire) == expected
    assert conn.messages_received == 4


@both_roles
def test_a_stream_does_not_wait_for_the_end_of_a_frame(role: Role) -> None:
    conn = make(role, delivery=Delivery.STREAM)
    wire = whole(role, b"abcdef")
    assert receive(conn, wire[:-3]) == [Fragment(b"abc", False)]
    assert receive(conn, wire[-3:-1]) == [Fragment(b"de", False)]
    assert receive(conn, wire[-1:]) == [Fragment(b"f", True)]


@both_roles
def test_eager_delivery_takes_the_short_way_where_it_can(role: Role) -> None:
    conn = make(role, delivery=Delivery.EAGER)
    frame = whole(role, "abcdef")
    assert conn.receive_data(frame) == ("abcdef",)
    assert receive(conn, frame + frame[:-3]) == ["abcdef", Fragment("abc", False)]
    assert conn.inside_frame
    assert receive(conn, frame[-3:-1]) == [Fragment("de", False)]
    assert receive(conn, frame[-1:] + frame + whole(role, b"x")) == [Fragment("f", True), "abcdef", b"x"]
    assert not conn.inside_frame
    assert conn.receive_data(frame + frame) == ["abcdef", "abcdef"]
    assert conn.messages_received == 7


@both_roles
def test_where_a_fragment_stops(role: Role) -> None:
    """`inside_frame` goes with the event that was given last, while the rest of the read waits."""
    conn = make(role, delivery=Delivery.STREAM)
    frame = peer_frame(role, BINARY, b"abc", fin=False) + peer_frame(role, CONTINUATION, b"defg")
    found = [(event, conn.inside_frame) for event in conn.receive_data(frame[:-2])]
    assert found == [(Fragment(b"abc", False), False), (Fragment(b"de", False), True)]


# Control frames


@both_roles
def test_a_ping_is_answered(role: Role) -> None:
    """RFC 6455 §5.5.2, §5.5.3."""
    conn = make(role)
    for payload in (b"", b"\x00\xff", bytes(125)):
        assert receive(conn, peer_frame(role, PING, payload)) == [Ping(payload)]
        assert sent(conn) == [(PONG, payload)]
        assert conn.data_to_send() == b""
    assert conn.pings_received == conn.pongs_sent == 3


@both_roles
def test_pongs_are_events_and_nothing_more(role: Role) -> None:
    conn = make(role)
    assert receive(conn, peer_frame(role, PONG, b"unasked")) == [Pong(b"unasked")]
    assert conn.data_to_send() == b""
    assert conn.pongs_received == 1


@both_roles
def test_of_the_pings_in_one_read_the_last_is_answered(role: Role) -> None:
    conn = make(role)
    wire = b"".join(peer_frame(role, PING, b"%d" % i) for i in range(1000))
    assert len(receive(conn, wire)) == 1000
    assert sent(conn) == [(PONG, b"999")]
    assert conn.pings_received == 1000


@both_roles
@every_type
def test_each_read_keeps_its_answer(role: Role, as_type: Callable[[bytes], bytes]) -> None:
    """Whether what waits was written in between or not."""
    conn = make(role)
    for payload in (b"a", b"b", b"c"):
        receive(conn, as_type(peer_frame(role, PING, payload)))
    assert sent(conn) == [(PONG, b"a"), (PONG, b"b"), (PONG, b"c")]


@both_roles
@pytest.mark.parametrize("limit", [1, 100, 4096])
def test_pongs_that_nobody_writes_are_bounded(role: Role, limit: int) -> None:
    conn = make(role, limits=Limits(max_buffered_writes=limit))
    for i in range(500):
        receive(conn, peer_frame(role, PING, b"%03d" % i * 40))
    one = 2 + 120 + (4 if role is Role.CLIENT else 0)
    data = conn.data_to_send()
    kept = frames(data)
    # The most recent Ping is always answered; the others share the room.
    assert kept[-1].payload == b"499" * 40
    assert [frame.payload for frame in kept[:-1]] == [b"%03d" % i * 40 for i in range(len(kept) - 1)]
    assert len(kept) - 1 == limit // one
    assert len(data) <= limit + one


@both_roles
def test_auto_pong_off(role: Role) -> None:
    conn = make(role, auto_pong=False)
    assert receive(conn, peer_frame(role, PING, b"x")) == [Ping(b"x")]
    assert conn.data_to_send() == b""
    assert frames(conn.send_pong(b"x"))[0].opcode == PONG


@both_roles
def test_a_control_frame_waits_for_its_end(role: Role) -> None:
    wire = peer_frame(role, PING, b"abcd")
    conn = make(role)
    for at in range(len(wire) - 1):
        assert receive(conn, wire[at : at + 1]) == []
    assert receive(conn, wire[-1:]) == [Ping(b"abcd")]


# Compression


@both_roles
def test_compressed_messages(role: Role) -> None:
    conn = make(role, deflate=True)
    wire = peer_frame(role, TEXT, squeeze(b"hello"), rsv=4)
    assert receive(conn, wire + whole(role, "plain") + wire) == ["hello", "plain", "hello"]


@both_roles
def test_inflation_waits_until_it_is_asked_for(role: Role) -> None:
    """Ten messages of 1 MiB in one read of 11 KiB: one at a time is in memory."""
    conn = make(role, deflate=True, takeover=False)
    wire = peer_frame(role, BINARY, squeeze(bytes(1 << 20)), rsv=4) * 10
    count = 0
    for event in conn.receive_data(wire):
        count += 1
        assert event == bytes(1 << 20)
        assert conn.messages_received == count
    assert count == 10


# What the peer must not do


@both_roles
def test_a_violation_ends_what_is_received(role: Role) -> None:
    """RFC 6455 §7.1.7; the other violations have a file of their own."""
    for wire, code, error in (
        (peer_frame(role, CONTINUATION), 1002, FragmentationError),
        (peer_frame(role, TEXT, fin=False) + whole(role, b""), 1002, FragmentationError),
        (peer_frame(role, BINARY, length=1 << 62)[:10], 1009, MessageTooBigError),
    ):
        conn = make(role)
        assert receive(conn, whole(role, "before") + wire) == ["before"]
        assert failed_with(conn) == code
        assert receive(conn, whole(role, "behind")) == []
        assert type(end(conn).cause.error) is error


@both_roles
@pytest.mark.parametrize("size", [1, 125, 4095, 4096, 70_000])
def test_a_text_that_is_not_utf8_is_no_message(role: Role, size: int) -> None:
    conn = make(role)
    wire = peer_frame(role, TEXT, b"\xff" * size)
    assert receive(conn, whole(role, "before")) == ["before"]
    assert receive(conn, wire) == []
    assert failed_with(conn) == 1007
    assert conn.messages_received == 1
    assert conn.bytes_received == len(whole(role, "before") + wire)


@both_roles
def test_a_text_is_looked_at_while_its_frame_arrives(role: Role) -> None:
    """RFC 6455 §8.1."""
    good, bad = (peer_frame(role, TEXT, payload) for payload in (b"\xe2\x82\xac.", b"\xe2\x82.."))
    conn = make(role)
    assert [receive(conn, piece) for piece in (good[:-3], good[-3:-1], good[-1:])] == [[], [], ["€."]]
    assert [receive(conn, piece) for piece in (bad[:-3], bad[-3:-2])] == [[], []]
    assert conn.transport is Transport.KEEP_OPEN
    assert receive(conn, bad[-2:-1]) == []
    assert failed_with(conn) == 1007


# The closing handshake


@both_roles
@pytest.mark.parametrize("code", [None, 1000, 1014, 3000, 4999])
def test_a_close_is_answered_with_its_own_code(role: Role, code: int | None) -> None:
    """RFC 6455 §5.5.1; then the server ends its stream first: §7.1.1."""
    conn = make(role)
    reason = b"" if code is None else "warum ⁇".encode()
    events = receive(conn, whole(role, "x") + peer_close(role, code, reason) + whole(role, "behind"))
    assert events == ["x", Close(code or 1005, reason.decode())]
    assert sent(conn) == [(CLOSE, b"" if code is None else code.to_bytes(2, "big"))]
    assert conn.transport is (Transport.HALF_CLOSE if role is Role.SERVER else Transport.KEEP_OPEN)
    assert (conn.state, conn.turn) == (State.CLOSING, Turn.PEER)
    assert receive(conn, whole(role, "later") + peer_close(role, 1000)) == []
    event = end(conn)
    assert (event.code, event.reason, event.clean) == (code or 1005, reason.decode(), True)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.CLOSED, Side.PEER)
    said = "no code" if code is None else f"{code} (warum ⁇)"
    assert event.cause.detail == f"the peer closed with {said}"


@both_roles
def test_our_close_is_answered_by_the_peer(role: Role) -> None:
    conn = make(role)
    conn.send_close(1001)
    wire = whole(role, "still") + peer_frame(role, PING, b"p") + peer_close(role, 1000)
    assert receive(conn, wire) == ["still", Ping(b"p"), Close(1000, "")]
    assert sent(conn) == [(PONG, b"p")]
    event = end(conn)
    assert (event.code, event.clean) == (1000, True)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.CLOSED, Side.LOCAL)


@both_roles
def test_auto_close_off(role: Role) -> None:
    conn = make(role, auto_close=False)
    assert receive(conn, peer_close(role, 3000)) == [Close(3000, "")]
    assert conn.data_to_send() == b""
    assert (conn.turn, conn.transport) == (Turn.LOCAL, Transport.KEEP_OPEN)
    assert receive(conn, whole(role, "behind")) == []
    event = end(conn)
    assert (event.code, event.clean) == (3000, False)
    assert event.cause.kind is CauseKind.CLOSED


@both_roles
def test_the_answer_to_a_ping_goes_out_before_the_answer_to_a_close(role: Role) -> None:
    conn = make(role)
    receive(conn, peer_frame(role, PING, b"p") + peer_close(role, 1000))
    assert [opcode for opcode, _ in sent(conn)] == [PONG, CLOSE]


# The end of the stream


@both_roles
@pytest.mark.parametrize("rest", [b"", b"\x81", "frame", "fragment"])
def test_a_peer_that_vanishes(role: Role, rest: bytes | str) -> None:
    """RFC 6455 §7.1.5: 1006."""
    if rest == "frame":
        rest = whole(role, "abcdef")[:-2]
    elif rest == "fragment":
        rest = peer_frame(role, TEXT, b"x", fin=False)
    assert isinstance(rest, bytes)
    conn = make(role)
    assert receive(conn, whole(role, "x") + rest) == ["x"]
    event = end(conn)
    assert (event.code, event.reason, event.clean) == (1006, "", False)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.PEER_VANISHED, Side.PEER)
    assert event.cause.detail == "the byte stream ended without a Close frame"
    assert (conn.state, conn.turn) == (State.CLOSED, Turn.NOBODY)
    assert list(conn.receive_eof()) == []
    assert receive(conn, whole(role, "x")) == []
    assert list(conn.handle_timeout(0.0)) == []


@both_roles
def test_a_peer_that_vanishes_instead_of_answering_our_close(role: Role) -> None:
    conn = make(role)
    conn.send_close(1000)
    event = end(conn)
    assert (event.code, event.clean) == (1006, False)
    assert (event.cause.kind, event.cause.initiator) == (CauseKind.PEER_VANISHED, Side.LOCAL)
    assert event.cause.detail.endswith("and the peer ended the byte stream without answering")


@both_roles
def test_the_end_of_the_stream_with_events_in_front_of_it(role: Role) -> None:
    conn = make(role)
    iter(conn.receive_data(peer_frame(role, PING, b"1")))
    *before, last = conn.receive_eof()
    assert before == [Ping(b"1")]
    assert isinstance(last, Disconnected)


# Our side


def test_what_was_not_asked_for_stays() -> None:
    conn = make()
    wire = peer_frame(Role.SERVER, PING, b"1") + peer_frame(Role.SERVER, PING, b"2")
    assert next(iter(conn.receive_data(wire))) == Ping(b"1")
    assert receive(conn, peer_frame(Role.SERVER, PING, b"3")) == [Ping(b"2"), Ping(b"3")]


@both_roles
@pytest.mark.parametrize("wrong", [5, None, "text", 1.5, [1]])
def test_what_is_not_bytes_like_changes_nothing(role: Role, wrong: Any) -> None:
    conn = make(role)
    before = snapshot(conn)
    with pytest.raises(TypeError):
        conn.receive_data(wrong)
    assert snapshot(conn) == before


@both_roles
def test_until_the_opening_handshake_is_done_bytes_wait(role: Role) -> None:
    conn = Connection(role, _connecting=True)
    wire = whole(role, "x")
    assert receive(conn, wire[:3]) == []
    assert receive(conn, wire[3:]) == []
    assert conn.state is State.CONNECTING
    conn._start(None)
    assert receive(conn, wire) == ["x", "x"]


@both_roles
def test_who_gives_up_looks_at_nothing_any_more(role: Role) -> None:
    conn = make(role)
    conn.send_close(1000)
    receive(conn, whole(role, "cut off")[:-1])
    (event,) = (*conn.handle_timeout(0.0), *conn.handle_timeout(10.0))
    assert isinstance(event, Disconnected)
    assert event.cause.kind is CauseKind.CLOSE_TIMEOUT
    assert receive(conn, whole(role, "x")) == []
    assert list(conn.receive_eof()) == []
