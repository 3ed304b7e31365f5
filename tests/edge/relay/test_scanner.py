"""What the scanner lets pass, counts and refuses, with the engine as oracle: it gets the same bytes."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    Close,
    CompressionError,
    InvalidUtf8Error,
    Limits,
    MessageTooBigError,
    Ping,
    Pong,
    Role,
)
from edgews.edge.relay.scanner import FrameScanner
from edgews.limits import DEFAULT_LIMITS
from tests import wire
from tests.engines import make as engine
from tests.engines import peer_close, peer_frame, squeeze
from tests.properties.traffic import any_traffic, cut, encode, roles, run, valid_traffic

# The longest control frame short of one byte.
LONGEST_HELD = 2 + 4 + 125 - 1

splits = st.lists(st.integers(1, 400), max_size=5)
limits = st.sampled_from([Limits(), Limits(max_message_size=100), Limits(max_frame_size=30)])


def make(role: Role, *, deflate: bool = False, limits: Limits = DEFAULT_LIMITS) -> FrameScanner:
    """Make the scanner of what the peer of `role` sends."""
    return FrameScanner(masked=role is Role.SERVER, deflate=deflate, limits=limits)


def passed(scanner: FrameScanner, reads: list[bytes]) -> bytes:
    """Scan reads, and return what passes."""
    out = b""
    for read in reads:
        passes = scanner.scan(read)
        out += read if passes is None else passes
    return out


def test_a_limit_of_frames_is_none_of_compressed_messages():
    scanner = make(Role.SERVER, deflate=True, limits=Limits(max_frame_size=30))
    frames = [
        wire.frame(wire.BINARY if not at else 0, bytes(30), fin=at == 2, rsv=0 if at else 4)
        for at in range(3)
    ]
    assert scanner.scan(b"".join(frames)) == b"".join(frames)
    assert scanner.error is None
    assert scanner.binaries == 1


@given(data=st.data(), role=roles, compressed=st.booleans(), sizes=splits, limits=limits)
def test_it_judges_and_counts_like_the_engine(data, role, compressed, sizes, limits):
    stream = encode(role, data.draw(any_traffic(compressed)))
    scanner = make(role, deflate=compressed, limits=limits)
    out = passed(scanner, cut(stream, sizes))
    oracle = run(engine(role, deflate=compressed, limits=limits), cut(stream, sizes))
    texts = sum(isinstance(event, str) for event in oracle.events)
    binaries = sum(isinstance(event, bytes) for event in oracle.events)
    pings = sum(isinstance(event, Ping) for event in oracle.events)
    pongs = sum(isinstance(event, Pong) for event in oracle.events)
    counts = (texts, binaries, pings, pongs)
    found = (scanner.texts, scanner.binaries, scanner.pings, scanner.pongs)
    assert stream.startswith(out)
    error = oracle.end.cause.error
    seen_inside = (InvalidUtf8Error, CompressionError, *([MessageTooBigError] if compressed else []))
    if isinstance(error, seen_inside) and "close reason" not in str(error):
        # Only who unmasks and inflates sees that; until then all was the same.
        assert all(ours >= theirs for ours, theirs in zip(found, counts, strict=True))
        return
    assert found == counts
    assert scanner.messages == texts + binaries
    assert (type(scanner.error), str(scanner.error)) == (type(error), str(error))
    close = next((event for event in oracle.events if isinstance(event, Close)), None)
    assert scanner.close == close
    assert scanner.over is (error is not None or close is not None)
    assert scanner.size == len(out) or not scanner.at_boundary
    if not scanner.over:
        assert len(stream) - len(out) <= LONGEST_HELD


@given(data=st.data(), role=roles, compressed=st.booleans(), sizes=splits)
def test_what_keeps_the_rules_passes_whole_and_with_its_boundaries(data, role, compressed, sizes):
    stream = encode(role, data.draw(valid_traffic(compressed)))
    scanner = make(role, deflate=compressed)
    out = b""
    for read in cut(stream, sizes):
        passes = scanner.scan(read)
        out += read if passes is None else passes
        if scanner.at_boundary:
            assert sum(len(_again(frame)) for frame in wire.frames(out)) == len(out)
    assert out == stream


def _again(frame: wire.Parsed) -> bytes:
    key = wire.KEY if frame.masked else None
    return wire.frame(frame.opcode, frame.payload, fin=frame.fin, rsv=frame.rsv, key=key)


@given(data=st.data(), role=roles, sizes=splits, at=st.integers(0, 500), last=st.booleans())
def test_a_frame_of_ours_stands_between_two_of_the_peers(data, role, sizes, at, last):
    stream = encode(role, data.draw(valid_traffic(False)))
    ours = peer_frame(role, wire.PING, b"ours")
    scanner = make(role)
    out = b""
    put = False
    for read in [*cut(stream, sizes), b""]:
        if not put and len(out) >= at:
            out += scanner.finish(ours) if last else scanner.inject(ours)
            put = True
        passes = scanner.scan(read)
        out += read if passes is None else passes
    frames = wire.frames(out)
    whole = wire.frames(stream)
    if put:
        place = next(n for n, frame in enumerate(frames) if frame.payload == b"ours")
        if last:
            assert place == len(frames) - 1
            assert frames[:-1] == whole[:place]
        else:
            assert [*frames[:place], *frames[place + 1 :]] == whole
    else:
        assert frames == whole
    # What does not pass is no message of this direction.
    assert scanner.messages == sum(frame.fin and frame.opcode < 8 for frame in frames)
    assert scanner.size == len(stream)


@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
def test_a_close_behind_our_last_frame_is_noticed_and_stays(role):
    scanner = make(role)
    assert scanner.finish(peer_close(role, 1001)) == peer_close(role, 1001)
    assert scanner.over
    assert passed(scanner, [peer_frame(role, wire.TEXT, b"late"), peer_close(role, 1001)]) == b""
    assert scanner.close == Close(1001, "")
    assert scanner.finish(peer_close(role, 1000)) == b""


def test_nothing_follows_a_close_that_passed():
    scanner = make(Role.SERVER)
    close = peer_close(Role.SERVER, 1000, b"bye")
    text = peer_frame(Role.SERVER, wire.TEXT, b"x")
    assert passed(scanner, [close + text, text]) == close
    assert scanner.inject(b"ours") == b""
    assert scanner.messages == 0


def test_a_close_can_be_kept():
    scanner = make(Role.CLIENT)
    scanner.keep_close = True
    text = peer_frame(Role.CLIENT, wire.TEXT, b"x")
    assert passed(scanner, [text + peer_close(Role.CLIENT, 1000)]) == text
    assert scanner.close == Close(1000, "")
    assert scanner.finish(b"ours") == b"ours"


@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_pong_that_answers_our_ping_stays_and_others_pass(role, size):
    text = peer_frame(role, wire.TEXT, b"x" * 10)
    own, foreign = peer_frame(role, wire.PONG, b"ours"), peer_frame(role, wire.PONG, b"theirs")
    scanner = make(role)
    assert not scanner.expects_pong
    scanner.expect_pong(b"ours")
    assert passed(scanner, cut(text + foreign, [size])) == text + foreign
    assert scanner.expects_pong
    assert passed(scanner, cut(own + text + own, [size])) == text + own
    assert not scanner.expects_pong
    assert scanner.pongs == 3


@pytest.mark.parametrize("fin", [True, False])
def test_limits_hold_for_a_message_as_a_whole(fin):
    limits = Limits(max_message_size=10)
    scanner = make(Role.CLIENT, limits=limits)
    first = wire.frame(wire.TEXT, b"x" * 6, fin=False, key=None)
    assert passed(scanner, [first + wire.frame(wire.CONTINUATION, b"x" * 5, fin=fin, key=None)]) == first
    assert isinstance(scanner.error, MessageTooBigError)


@pytest.mark.parametrize(("size", "fails"), [(1 << 20, False), (1 << 21, True)])
def test_a_compressed_message_may_be_a_quarter_longer(size, fails):
    scanner = make(Role.CLIENT, deflate=True)
    head = wire.frame(wire.BINARY, b"", rsv=4, key=None, length=size)
    passed(scanner, [head])
    assert (scanner.error is not None) is fails


def test_without_a_limit_anything_passes():
    scanner = make(Role.CLIENT, deflate=True, limits=Limits(max_message_size=None))
    for rsv in (0, 4):
        head = wire.frame(wire.BINARY, b"", rsv=rsv, fin=False, key=None, length=1 << 40)
        assert make(Role.CLIENT, deflate=True, limits=Limits(max_message_size=None)).scan(head) == head
    many = b"".join(
        wire.frame(op, b"", fin=False, key=None, length=0) for op in (wire.TEXT, *[wire.CONTINUATION] * 9)
    )
    assert passed(scanner, [many]) == many
    assert scanner.messages == 0


def test_a_frame_that_is_not_all_there_costs_no_memory():
    scanner = make(Role.CLIENT, limits=Limits(max_message_size=None))
    head = wire.frame(wire.BINARY, b"", key=None, length=sys.maxsize)
    assert passed(scanner, [head]) == head
    piece = bytes(1000)
    assert [scanner.scan(piece) for _ in range(10)] == [None] * 10
    assert not scanner.at_boundary
    assert scanner.size == len(head) + 10_000


@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
def test_compressed_messages_go_the_short_way(role):
    scanner = make(role, deflate=True)
    data = peer_frame(role, wire.TEXT, squeeze(b"hello"), rsv=4)
    assert scanner.scan(data) is None
    assert scanner.texts == 1
    assert scanner.error is None


def test_fragments_are_messages_of_one_type():
    role = Role.SERVER
    scanner = make(role)
    for opcode in (wire.TEXT, wire.BINARY):
        passed(scanner, [peer_frame(role, opcode, b"a", fin=False)])
        passed(scanner, [peer_frame(role, wire.CONTINUATION, b"" if opcode == wire.TEXT else b"b")])
    passed(scanner, [peer_frame(role, wire.BINARY, fin=False), peer_frame(role, wire.CONTINUATION)])
    assert (scanner.texts, scanner.binaries) == (1, 2)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([(wire.CONTINUATION, True)], "without a message to continue"),
        ([(wire.TEXT, False), (wire.BINARY, True)], "new message inside"),
    ],
)
def test_fragments_have_an_order(frames, says):
    scanner = make(Role.CLIENT)
    stream = b"".join(wire.frame(opcode, b"x", fin=fin, key=None) for opcode, fin in frames)
    passed(scanner, [stream])
    assert says in str(scanner.error)
    assert scanner.scan(stream) == b""


def test_it_says_whether_a_frame_of_ours_waits():
    scanner = make(Role.CLIENT)
    passed(scanner, [wire.frame(wire.TEXT, b"half", length=8, key=None)])
    assert scanner.inject(b"ours") == b""
    assert scanner.waits
    assert scanner.scan(b"re") == b"re"
    assert scanner.scan(b"st") == b"stours"
    assert not scanner.waits


def test_a_frame_that_was_cut_is_not_counted():
    scanner = make(Role.CLIENT)
    passed(scanner, [wire.frame(wire.TEXT, b"half", length=8, key=None)])
    assert scanner.finish(b"") == b""
    assert (
        passed(scanner, [b"rest" + wire.frame(wire.TEXT, b"x", key=None) + wire.close(1000, key=None)]) == b""
    )
    assert scanner.messages == 0
    assert scanner.close == Close(1000, "")


def test_our_last_frame_waits_for_the_end_of_one_that_is_counted():
    scanner = make(Role.CLIENT)
    passed(scanner, [wire.frame(wire.TEXT, b"half", length=8, key=None)])
    assert scanner.finish(b"last") == b""
    assert scanner.scan(b"rest" + wire.frame(wire.TEXT, b"x", key=None)) == b"restlast"
    assert scanner.messages == 1
    assert scanner.finish(b"again") == b""
