"""What is inspected comes out as it went in, less what the rules drop; and it ends as any tunnel does."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Limits, PerMessageDeflate, Timeouts, Transport
from edgews.edge.policy.actions import Close, Drop, Sender
from edgews.edge.policy.fields import MessageFacts
from edgews.edge.relay.ends import End, Party, Why
from edgews.edge.relay.inspection import MESSAGE_COST, TURN, inspected
from edgews.edge.relay.legs import Leg
from edgews.extensions import Agreement
from tests import wire

from .both import TIMES, Both, close_frame, framed, whole_frames

DEFLATE = PerMessageDeflate(threshold=0), Agreement(False, False, 15, 15)
TAIL = b"\x00\x00\xff\xff"


@dataclass
class Said:
    refusal: Drop | Close | None = None
    rule: str | None = None


@dataclass
class Words:
    """Who drops what has an x in it, and closes where there is an exclamation mark."""

    seen: list[tuple[MessageFacts, float]] = field(default_factory=list)
    senders: tuple[Sender, ...] = (Sender.CLIENT,)

    def judge(self, facts: MessageFacts, now: float) -> Said:
        self.seen.append((facts, now))
        text = facts.data if isinstance(facts.data, str) else facts.data.decode("latin-1")
        if "!" in text:
            return Said(Close(1013, "not so loud"), "loud")
        return Said(Drop(), "no x") if "x" in text else Said()


class Peer:
    """What a side sends, and what it makes of what it gets."""

    def __init__(self, leg: Leg, compresses: bool) -> None:
        self.leg = leg
        self.compresses = compresses
        self._deflater = zlib.compressobj(wbits=-15)
        self._inflater = zlib.decompressobj(-15)

    def frames(self, message: str | bytes, cuts: list[int] = (), between: bytes = b"") -> bytes:
        """Return a message in frames, with something between two of them."""
        payload = message.encode() if isinstance(message, str) else message
        if self.compresses:
            squeezed = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
            payload = squeezed.removesuffix(TAIL)
        edges = [0, *sorted(min(at, len(payload)) for at in cuts), len(payload)]
        made = []
        for number, (begin, end) in enumerate(pairwise(edges)):
            opcode = (wire.TEXT if isinstance(message, str) else wire.BINARY) if not number else 0
            rsv = 4 if self.compresses and not number else 0
            last = number == len(edges) - 2
            made.append(framed(self.leg, opcode, payload[begin:end], fin=last, rsv=rsv))
        return between.join(made)

    def messages(self, data: bytes) -> list[str | bytes]:
        """Return the messages in what a side got; each is one frame."""
        found: list[str | bytes] = []
        for frame in wire.frames(data):
            assert frame.fin
            assert frame.masked is not self.leg.client
            if frame.opcode not in (wire.TEXT, wire.BINARY):
                continue
            assert self.compresses or not frame.rsv
            payload = self._inflater.decompress(frame.payload + TAIL) if frame.rsv else frame.payload
            found.append(payload.decode() if frame.opcode == wire.TEXT else payload)
        return found


def both(client: bool = False, origin: bool = False, **how) -> Both:
    """Return a tunnel that inspects; the legs compress or not."""
    return Both(
        inspected(
            client=DEFLATE if client else None,
            origin=DEFLATE if origin else None,
            **{"timeouts": TIMES, **how},
        )
    )


contents = st.text(max_size=40) | st.binary(max_size=40) | st.sampled_from(["x", "axb", b"x", "é" * 70])
sent = st.tuples(st.booleans(), contents, st.lists(st.integers(0, 60), max_size=3), st.booleans())
sizes = st.lists(st.sampled_from([1, 2, 3, 7, 50, 1000]), min_size=1, max_size=5)
fills = st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=4)


@given(
    st.lists(sent, max_size=8),
    sizes,
    fills,
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (Sender.CLIENT,), (Sender.ORIGIN,), tuple(Sender)]),
)
def test_what_went_in_comes_out_whatever_the_pieces(story, pieces, fills, client, origin, judged):
    words = Words(senders=judged)
    it = both(client, origin, judge=words if judged else None)
    judges = {True: Sender.CLIENT in judged, False: Sender.ORIGIN in judged}
    peers = {True: Peer(it.client, client), False: Peer(it.origin, origin)}
    expected: dict[bool, list[str | bytes]] = {True: [], False: []}
    stream = {True: b"", False: b""}
    pings = {True: 0, False: 0}
    for from_client, message, cuts, pinged in story:
        if judges[from_client] and "!" in str(message):
            continue
        ping = framed(peers[from_client].leg, wire.PING, b"%d" % pings[from_client]) if pinged else b""
        pings[from_client] += len(cuts) if pinged else 0
        stream[from_client] += peers[from_client].frames(message, cuts, ping)
        bad = "x" in (message if isinstance(message, str) else message.decode("latin-1"))
        if not (judges[from_client] and bad):
            expected[not from_client].append(message)
    step = 0
    while any(stream.values()):
        for turn, of_client, full in fills:
            if turn == step:
                it.fill(it.client if of_client else it.origin, full)
        for from_client in (True, False):
            size = pieces[step % len(pieces)]
            piece, stream[from_client] = stream[from_client][:size], stream[from_client][size:]
            if piece:
                it.say(peers[from_client].leg, piece)
        step += 1
    for leg in (it.client, it.origin):
        it.fill(leg, False)
        it.say(leg, close_frame(leg, 1000))
    for side, peer in peers.items():
        got = it.got[id(peer.leg)]
        assert peer.messages(got) == expected[side]
        kinds = [frame.opcode for frame in wire.frames(got)]
        assert kinds[-1] == wire.CLOSE
        assert (wire.PONG in kinds) is bool(pings[side])
        assert kinds.count(wire.PONG) <= pings[side]
        assert it.tunnel.other(peer.leg).scanner.messages == len(expected[side])


sides = st.sampled_from(["client", "origin"])
deeds = st.one_of(
    st.tuples(
        st.sampled_from(
            ["text", "loud", "ping", "pong", "half", "rest", "close", "wrong", "end", "lost", "full", "free"]
        ),
        sides,
    ),
    st.tuples(st.just("finish"), sides),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 5.0, 20.0])),
)


@given(st.lists(deeds, max_size=14), st.booleans(), st.booleans())
def test_whatever_happens_no_rule_is_broken_and_it_ends(story, forever, all_judged):
    timeouts = Timeouts(close=5.0, idle=50.0, ping_interval=None if forever else 20.0, ping_timeout=4.0)
    it = both(timeouts=timeouts, judge=Words(senders=tuple(Sender) if all_judged else (Sender.CLIENT,)))
    open_frames = {"client": False, "origin": False}
    for deed, what in story:
        if deed == "wait":
            it.wait(what)
            continue
        leg = getattr(it, what)
        half = open_frames[what]
        if deed == "half" and not half:
            it.say(leg, framed(leg, wire.TEXT, b"half", length=8))
            open_frames[what] = True
        elif deed == "rest" and half:
            it.say(leg, wire.xor(b"rest", wire.KEY) if leg.client else b"rest")
            open_frames[what] = False
        elif deed in ("text", "loud", "ping", "pong", "close", "wrong") and not half:
            data = {
                "text": framed(leg, wire.TEXT, b"text"),
                "loud": framed(leg, wire.TEXT, b"text!"),
                "ping": framed(leg, wire.PING, b"ping"),
                "pong": framed(leg, wire.PONG, b"edgews gateway 1"),
                "close": close_frame(leg, 3000),
                "wrong": framed(leg, 7),
            }[deed]
            it.say(leg, data)
        elif deed in ("end", "lost"):
            it.end(leg, lost=deed == "lost")
        elif deed in ("full", "free"):
            it.fill(leg, deed == "full")
        elif deed == "finish":
            it.finish()
    if it.tunnel.end is None:
        it.finish()
    it.wait(100.0)
    assert it.tunnel.over
    assert it.tunnel.end is not None
    assert it.tunnel.next_timeout() == math.inf
    for leg in (it.client, it.origin):
        frames, rest = whole_frames(it.got[id(leg)])
        assert not rest
        closes = [number for number, frame in enumerate(frames) if frame.opcode == wire.CLOSE]
        assert closes in ([], [len(frames) - 1])
        assert all(frame.masked is not leg.client for frame in frames)


# What is checked


@pytest.mark.parametrize(("side", "told"), [("client", 1001), ("origin", 1014)])
@pytest.mark.parametrize(
    ("opcode", "payload", "how", "code"),
    [
        (7, b"x", {}, 1002),
        (wire.TEXT, b"\xff", {}, 1007),
        (wire.TEXT, b"123456789", {}, 1009),
        (wire.CONTINUATION, b"x", {}, 1002),
        (wire.CLOSE, b"\x03", {}, 1002),
        (wire.TEXT, b"x", {"rsv": 4}, 1002),
    ],
)
def test_a_violation_is_told_to_both_and_what_came_before_passes(side, told, opcode, payload, how, code):
    it = both(limits=Limits(max_message_size=8))
    bad = getattr(it, side)
    good = it.tunnel.other(bad)
    it.say(bad, framed(bad, wire.TEXT, b"before") + framed(bad, opcode, payload, **how))
    assert it.at(good)[0] == (wire.TEXT, b"before")
    assert it.code(bad) == code
    assert it.code(good) == told
    assert bad.transport is Transport.HALF_CLOSE
    assert it.tunnel.end is not None
    assert (it.tunnel.end.party.value, it.tunnel.end.code) == (side, code)
    it.say(good, framed(good, wire.TEXT, b"late") + close_frame(good, told))
    assert len(it.at(bad)) == 1
    it.end(bad)
    it.end(good)
    assert it.tunnel.over


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_exact(compressed, over):
    it = both(compressed, limits=Limits(max_message_size=1000))
    message = "a" * (1000 + over)
    it.say(it.client, Peer(it.client, compressed).frames(message, [3, 5]))
    if over:
        assert it.code(it.client) == 1009
        assert it.at(it.origin) == [(wire.CLOSE, b"\x03\xe9the client broke a rule")]
    else:
        assert it.at(it.origin) == [(wire.TEXT, message.encode())]


def test_nothing_is_drawn_that_finds_no_room():
    """A read of small frames may inflate to a thousand times its size."""
    it = both(True, False, limits=Limits(max_message_size=1 << 20))
    size = 100_000
    peer = Peer(it.client, True)
    read = b"".join(peer.frames(bytes(size)) for _ in range(100))
    assert len(read) < 20_000
    it.tunnel.passed(it.client, it.client.scanner.scan(read), it.now)
    waiting = it.origin.data_to_send()
    assert TURN <= len(waiting) <= TURN + size + 100
    assert it.client.holds
    it.fill(it.origin, True)
    it.tunnel.passed(it.client, it.client.scanner.scan(peer.frames(b"behind")), it.now)
    assert it.origin.data_to_send() == b""
    it.got[id(it.origin)] = waiting
    it.fill(it.origin, False)
    assert Peer(it.origin, False).messages(it.got[id(it.origin)]) == [bytes(size)] * 100 + [b"behind"]
    assert not it.client.holds


def test_a_flood_of_empty_messages_and_pings_has_its_turns():
    it = both()
    count = 2 * TURN // MESSAGE_COST
    for opcode in (wire.TEXT, wire.PING):
        read = framed(it.client, opcode) * count
        it.tunnel.passed(it.client, it.client.scanner.scan(read), it.now)
        assert it.client.holds
        it.look()
    assert it.client.scanner.messages == it.client.scanner.pings == count
    assert len(it.at(it.origin)) == count


# Rules


def test_rules_judge_what_the_client_sends():
    words = Words()
    it = both(judge=words)
    for text in ("one", "x", "zwölf"):
        it.frame(it.client, wire.TEXT, text.encode())
        it.wait(1.0)
    it.frame(it.client, wire.BINARY, b"\xff")
    it.frame(it.origin, wire.TEXT, b"x!")
    assert it.at(it.origin) == [(wire.TEXT, b"one"), (wire.TEXT, "zwölf".encode()), (wire.BINARY, b"\xff")]
    assert it.at(it.client) == [(wire.TEXT, b"x!")]
    assert [(facts.data, facts.size, facts.messages, facts.age) for facts, _ in words.seen] == [
        ("one", 3, 1, 0.0),
        ("x", 1, 2, 1.0),
        ("zwölf", 6, 3, 2.0),
        (b"\xff", 1, 4, 3.0),
    ]
    assert [now for _, now in words.seen] == [100.0, 101.0, 102.0, 103.0]
    assert it.tunnel.client.inspected.dropped == 1
    assert it.client.scanner.messages == 3


def test_a_rule_closes_the_connection_and_nothing_follows():
    words = Words()
    it = both(judge=words)
    it.say(it.client, b"".join(framed(it.client, wire.TEXT, text) for text in (b"one", b"two!", b"three")))
    assert it.at(it.origin) == [(wire.TEXT, b"one"), (wire.CLOSE, b"\x03\xe9not so loud")]
    assert it.at(it.client) == []
    it.say(it.origin, framed(it.origin, wire.TEXT, b"last") + close_frame(it.origin, 1001))
    assert it.at(it.client) == [(wire.TEXT, b"last"), (wire.CLOSE, b"\x03\xf5not so loud")]
    assert it.tunnel.end == End(Party.GATEWAY, 1013, "closed by the rule loud", Why.RULE)
    assert len(words.seen) == 2
    assert it.tunnel.client.inspected.dropped == 1


def test_rules_judge_what_the_origin_sends_where_they_say_so():
    words = Words(senders=(Sender.ORIGIN,))
    it = both(judge=words)
    it.frame(it.client, wire.TEXT, b"x!")
    for text in (b"one", b"x", b"three"):
        it.frame(it.origin, wire.TEXT, text)
    assert it.at(it.origin) == [(wire.TEXT, b"x!")]
    assert it.at(it.client) == [(wire.TEXT, b"one"), (wire.TEXT, b"three")]
    assert [(facts.sender, facts.data, facts.messages) for facts, _ in words.seen] == [
        (Sender.ORIGIN, "one", 1),
        (Sender.ORIGIN, "x", 2),
        (Sender.ORIGIN, "three", 3),
    ]
    assert it.tunnel.origin.inspected.dropped == 1
    # Nothing that follows is heard, and the client is told at once.
    it.say(it.origin, b"".join(framed(it.origin, wire.TEXT, text) for text in (b"four!", b"five")))
    assert it.at(it.client)[2:] == [(wire.CLOSE, b"\x03\xf5not so loud")]
    assert it.at(it.origin)[1:] == [(wire.CLOSE, b"\x03\xe9not so loud")]
    it.say(it.origin, framed(it.origin, wire.TEXT, b"six") + close_frame(it.origin, 1001))
    it.say(it.client, close_frame(it.client, 1013))
    it.end(it.origin)
    assert it.tunnel.over
    assert len(it.at(it.client)) == 3
    assert it.tunnel.end == End(Party.GATEWAY, 1013, "closed by the rule loud", Why.RULE)


def test_what_the_origin_says_in_front_of_its_answer_is_judged_as_well():
    it = both(judge=Words(senders=(Sender.ORIGIN,)))
    it.say(it.client, close_frame(it.client, 3000))
    it.say(it.origin, b"".join(framed(it.origin, wire.TEXT, text) for text in (b"one", b"two!", b"three")))
    it.say(it.origin, close_frame(it.origin, 3000))
    assert it.at(it.client)[:2] == [(wire.TEXT, b"one"), (wire.TEXT, b"three")]
    assert it.code(it.client) == 3000


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("count", [0, 3])
def test_a_meter_is_exact(count, judged):
    asked: list[float] = []

    def meter(now: float) -> bool:
        asked.append(now)
        return len(asked) <= count

    words = Words()
    it = both(meter=meter, judge=words if judged else None)
    it.say(it.client, framed(it.client, wire.TEXT, b"a") * 5)
    it.say(it.origin, framed(it.origin, wire.TEXT, b"b") * 5)
    assert it.at(it.origin)[:-1] == [(wire.TEXT, b"a")] * count
    assert it.code(it.origin) == 1001
    assert asked == [100.0] * (count + 1)
    assert len(words.seen) == count * judged
    it.say(it.origin, close_frame(it.origin, 1001))
    assert it.at(it.client) == [(wire.TEXT, b"b")] * 5 + [(wire.CLOSE, b"\x03\xf5too many messages")]
    assert it.tunnel.end == End(Party.GATEWAY, 1013, "too many messages", Why.LIMIT)


# Control frames


def test_each_side_gets_its_own_pongs_at_once():
    it = both()
    for leg in (it.client, it.origin):
        it.say(leg, framed(leg, wire.TEXT, b"be", fin=False) + framed(leg, wire.PING, b"there?"))
        assert it.at(leg)[-1:] == [(wire.PONG, b"there?")]
        it.frame(leg, wire.CONTINUATION, b"gin")
        it.frame(leg, wire.PONG, b"unasked")
    assert it.at(it.client) == [(wire.PONG, b"there?"), (wire.TEXT, b"begin")]
    assert it.at(it.origin) == [(wire.TEXT, b"begin"), (wire.PONG, b"there?")]


def test_who_takes_nothing_gets_the_last_pong_later():
    it = both()
    it.fill(it.client, True)
    for number in range(5):
        it.frame(it.client, wire.PING, b"%d" % number)
    assert it.at(it.client) == []
    it.fill(it.client, False)
    assert it.at(it.client) == [(wire.PONG, b"4")]


def test_nothing_follows_a_close():
    it = both()
    it.finish()
    it.frame(it.origin, wire.PING, b"late")
    assert it.at(it.origin) == [(wire.CLOSE, b"\x03\xe9enough")]
    it.say(it.origin, close_frame(it.origin, None))
    it.frame(it.client, wire.PING, b"late")
    assert it.at(it.client) == [(wire.CLOSE, b"\x03\xe9enough")]


def test_silent_peers_are_pinged_and_given_up():
    it = both()
    it.wait(20.0)
    ((opcode, payload),) = it.at(it.origin)
    assert opcode == wire.PING
    it.frame(it.origin, wire.PONG, payload)
    it.wait(4.0)
    assert it.tunnel.end == End(Party.CLIENT, 1006, "the client did not answer a Ping", Why.PING)
    assert it.code(it.origin) == 1001


# Ends


@pytest.mark.parametrize(("code", "reason"), [(None, b""), (3000, b"so"), (1000, b"")])
def test_a_close_passes_and_is_answered_by_the_other_side(code, reason):
    it = both()
    it.say(it.client, wire.close(code, reason))
    assert it.at(it.origin)[0][1][2:] == reason
    assert it.code(it.origin) == code
    assert it.client.transport is Transport.KEEP_OPEN
    it.frame(it.origin, wire.TEXT, b"still here")
    it.say(it.origin, close_frame(it.origin, code))
    assert it.at(it.client)[0] == (wire.TEXT, b"still here")
    assert it.code(it.client) == code
    assert it.client.transport is Transport.CLOSE
    it.end(it.origin)
    assert it.tunnel.over


@pytest.mark.parametrize("lost", [False, True])
def test_a_stream_ends_behind_what_it_brought(lost):
    it = both()
    it.fill(it.client, True)
    it.frame(it.origin, wire.TEXT, b"goodbye")
    it.end(it.origin, lost=lost)
    it.end(it.origin, lost=True)
    assert it.tunnel.end is None
    it.fill(it.client, False)
    assert it.at(it.client)[0] == (wire.TEXT, b"goodbye")
    assert it.code(it.client) == 1014


@pytest.mark.parametrize("side", ["client", "origin"])
def test_who_never_takes_what_another_left_is_given_up(side):
    it = both()
    gone = getattr(it, side)
    it.fill(it.tunnel.other(gone), True)
    it.frame(gone, wire.TEXT, b"goodbye")
    it.end(gone)
    it.wait(5.0)
    assert it.tunnel.over
    cause = f"the {side} ended its stream, and what it had sent found no room"
    assert it.tunnel.end == End(Party(side), 1006, cause, Why.LOST)


def test_a_message_to_someone_who_has_failed_unnoticed_is_lost():
    it = both()
    it.say(it.client, framed(it.client, wire.TEXT, b"half", length=20))
    it.fill(it.origin, True)
    it.say(it.client, b"\xff\x00\xff\x00\xff")
    it.frame(it.origin, wire.TEXT, b"to nobody")
    assert it.at(it.client) == []
    it.fill(it.origin, False)
    assert it.code(it.client) == 1007
    assert it.code(it.origin) == 1001
