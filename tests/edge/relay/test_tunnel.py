"""How a relayed connection ends: whatever both sides do, and without a rule broken by us."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Limits, Timeouts, Transport
from edgews.edge.relay.ends import End, Party, Why
from tests import wire

from .both import Both, close_frame, framed, whole_frames

sides = st.sampled_from(["client", "origin"])
deeds = st.one_of(
    st.tuples(st.just("text"), sides),
    st.tuples(st.just("ping"), sides),
    st.tuples(st.just("pong"), sides),
    st.tuples(st.just("half"), sides),
    st.tuples(st.just("rest"), sides),
    st.tuples(st.just("close"), sides),
    st.tuples(st.just("wrong"), sides),
    st.tuples(st.just("end"), sides),
    st.tuples(st.just("lost"), sides),
    st.tuples(st.just("pause"), sides),
    st.tuples(st.just("finish"), sides),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 5.0, 20.0])),
)


@given(st.lists(deeds, max_size=14), st.booleans())
def test_whatever_happens_no_rule_is_broken_and_it_ends(story, forever):
    timeouts = Timeouts(close=5.0, idle=50.0, ping_interval=None if forever else 20.0, ping_timeout=4.0)
    both = Both(timeouts=timeouts)
    open_frames = {"client": 0, "origin": 0}
    for deed, what in story:
        if deed == "wait":
            both.wait(what)
            continue
        leg = getattr(both, what)
        left = open_frames[what]
        if deed == "half" and not left:
            both.say(leg, framed(leg, wire.TEXT, b"half", length=8))
            open_frames[what] = 4
        elif deed == "rest" and left:
            both.say(leg, b"rest")
            open_frames[what] = 0
        elif deed in ("text", "ping", "pong", "close", "wrong") and not left:
            data = {
                "text": framed(leg, wire.TEXT, b"text"),
                "ping": framed(leg, wire.PING, b"ping"),
                "pong": framed(leg, wire.PONG, b"edgews gateway 1"),
                "close": close_frame(leg, 3000),
                "wrong": framed(leg, 7),
            }[deed]
            both.say(leg, data)
        elif deed in ("end", "lost"):
            both.end(leg, lost=deed == "lost")
        elif deed == "pause":
            leg.paused = not leg.paused
        elif deed == "finish":
            both.finish()
    if both.tunnel.end is None:
        both.finish()
    both.wait(100.0)
    assert both.tunnel.over
    assert both.tunnel.next_timeout() == math.inf
    for leg in (both.client, both.origin):
        frames, rest = whole_frames(both.got[id(leg)])
        closes = [number for number, frame in enumerate(frames) if frame.opcode == wire.CLOSE]
        assert closes in ([], [len(frames) - 1])
        assert all(frame.masked is not leg.client for frame in frames)
        # Only if the other side has stopped inside a frame does the stream end there,
        # or it has ended its own stream and is told no more.
        assert not rest or leg.eof or not both.tunnel.other(leg).scanner.at_boundary
        assert not (rest and closes)


def test_what_both_say_passes_and_a_close_is_answered_by_the_other_side():
    both = Both()
    both.frame(both.client, wire.TEXT, b"up")
    both.frame(both.origin, wire.BINARY, b"down")
    both.say(both.client, close_frame(both.client, 1000))
    assert both.client.transport is Transport.KEEP_OPEN
    both.say(both.origin, close_frame(both.origin, 1000))
    assert both.at(both.origin) == [(wire.TEXT, b"up"), (wire.CLOSE, b"\x03\xe8")]
    assert both.at(both.client) == [(wire.BINARY, b"down"), (wire.CLOSE, b"\x03\xe8")]
    # The gateway is a server to the client, and a client to the origin.
    assert both.client.transport is Transport.CLOSE
    assert both.origin.transport is Transport.KEEP_OPEN
    both.end(both.client, lost=True)
    assert both.origin.transport is Transport.KEEP_OPEN
    both.end(both.origin)
    assert both.tunnel.over
    assert both.tunnel.end == End(Party.CLIENT, 1000, "the client closed", Why.CLOSE)


def test_the_reason_of_a_close_is_part_of_the_cause():
    both = Both()
    both.say(both.origin, wire.close(4000, b"enough", key=None))
    assert both.tunnel.end == End(Party.ORIGIN, 4000, "the origin closed (enough)", Why.CLOSE)


@pytest.mark.parametrize(("side", "told"), [("client", 1001), ("origin", 1014)])
@pytest.mark.parametrize(("opcode", "how", "code"), [(7, {}, 1002), (wire.TEXT, {"length": 99}, 1009)])
def test_a_violation_is_told_to_both(side, told, opcode, how, code):
    both = Both(limits=Limits(max_message_size=9))
    bad = getattr(both, side)
    good = both.tunnel.other(bad)
    both.frame(bad, opcode, b"x", **how)
    assert both.code(bad) == code
    assert both.code(good) == told
    assert bad.transport is Transport.HALF_CLOSE
    assert both.tunnel.end is not None
    assert (both.tunnel.end.party.value, both.tunnel.end.code) == (side, code)
    both.say(good, close_frame(good, told))
    both.end(bad)
    both.end(good)
    assert both.tunnel.over


def test_a_close_of_ours_waits_for_the_end_of_a_frame():
    both = Both()
    both.frame(both.origin, wire.TEXT, b"half", length=8)
    both.frame(both.client, 7)
    assert both.got[id(both.client)] == b"\x81\x08half"
    assert both.client.transport is Transport.KEEP_OPEN
    both.say(both.origin, b"rest" + framed(both.origin, wire.TEXT, b"too late"))
    assert both.at(both.client)[0] == (wire.TEXT, b"halfrest")
    assert both.code(both.client) == 1002
    assert both.client.transport is Transport.HALF_CLOSE


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_client_ends_the_origins_stream(lost):
    both = Both()
    both.end(both.client, lost=lost)
    assert both.origin.transport is (Transport.CLOSE if lost else Transport.HALF_CLOSE)
    assert both.at(both.origin) == []
    both.end(both.origin)
    assert both.tunnel.over
    assert both.tunnel.end is not None
    assert (both.tunnel.end.party, both.tunnel.end.code) == (Party.CLIENT, 1006)


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_origin_is_a_bad_gateway(lost):
    both = Both()
    both.end(both.origin, lost=lost)
    assert both.code(both.client) == 1014
    both.say(both.client, close_frame(both.client, 1014))
    assert both.tunnel.over


def test_a_lost_origin_inside_a_frame_just_ends_the_stream():
    both = Both()
    both.frame(both.origin, wire.TEXT, b"half", length=8)
    both.end(both.origin)
    assert both.got[id(both.client)] == b"\x81\x08half"
    assert both.tunnel.over


@pytest.mark.parametrize("code", [None, 3000])
def test_a_close_that_the_origin_does_not_answer_is_answered(code):
    both = Both()
    both.say(both.client, close_frame(both.client, code))
    both.end(both.origin)
    assert both.code(both.client) == code
    assert both.tunnel.over


def test_the_gateways_end_lets_the_origin_finish_what_it_says():
    both = Both()
    both.finish(1001, "shutting down")
    assert both.code(both.origin) == 1001
    assert both.at(both.client) == []
    both.frame(both.origin, wire.TEXT, b"last")
    both.frame(both.client, wire.TEXT, b"unheard")
    both.say(both.origin, close_frame(both.origin, 1000))
    assert both.at(both.client)[0] == (wire.TEXT, b"last")
    assert both.code(both.client) == 1001
    both.say(both.client, close_frame(both.client, 1001))
    assert both.client.transport is Transport.CLOSE
    both.end(both.origin)
    assert both.tunnel.over
    assert len(both.at(both.origin)) == 1
    # What follows changes nothing.
    both.finish(1008, "again")
    assert both.tunnel.end == End(Party.GATEWAY, 1001, "shutting down", Why.GATEWAY)


@pytest.mark.parametrize("how", ["gone", "silent", "wrong"])
def test_the_gateways_end_gets_to_the_client_whatever_the_origin_does(how):
    both = Both()
    both.finish(1008, "not allowed")
    if how == "gone":
        both.end(both.origin)
    elif how == "wrong":
        both.frame(both.origin, 7)
    else:
        both.wait(5.0)
    assert both.code(both.client) == 1008
    both.wait(10.0)
    assert both.tunnel.over


def test_a_tunnel_can_be_dropped():
    both = Both()
    both.tunnel.abort("too many")
    assert both.tunnel.over
    assert both.tunnel.end == End(Party.GATEWAY, 1006, "too many", Why.DROPPED)


# Time


def test_silent_peers_are_pinged_and_their_pongs_stay_here():
    both = Both()
    both.wait(20.0)
    ((opcode, payload),) = both.at(both.client)
    assert opcode == wire.PING
    both.frame(both.client, wire.PONG, payload)
    ((_, payload),) = both.at(both.origin)
    both.frame(both.origin, wire.PONG, payload)
    assert len(both.at(both.client)) == len(both.at(both.origin)) == 1
    both.wait(4.0)
    assert both.tunnel.end is None
    assert both.tunnel.next_timeout() == both.now + 20.0
    # Nobody has let time pass before the answers.
    assert both.client.latency == both.origin.latency == 0.0


def test_an_end_of_ours_may_wait_less_for_the_origin():
    both = Both()
    both.tunnel.finish(1001, "enough", both.now, patience=2.0)
    both.look()
    assert both.code(both.origin) == 1001
    both.wait(1.9)
    assert both.at(both.client) == []
    both.wait(0.2)
    assert both.code(both.client) == 1001
    assert both.origin.transport is Transport.CLOSE
    both.wait(both.tunnel.timeouts.close or 0)
    assert both.tunnel.over


def test_the_time_of_a_ping_is_measured():
    both = Both()
    both.wait(20.0)
    ((_, payload),) = both.at(both.client)
    both.now += 1.5
    both.frame(both.client, wire.PONG, b"another")
    assert both.client.latency is None
    both.now += 1.0
    both.frame(both.client, wire.PONG, payload)
    assert both.client.latency == 2.5
    assert both.origin.latency is None


@pytest.mark.parametrize(("side", "told"), [("client", 1001), ("origin", 1014)])
def test_who_does_not_answer_a_ping_is_given_up(side, told):
    both = Both()
    dead = getattr(both, side)
    alive = both.tunnel.other(dead)
    both.wait(20.0)
    both.frame(alive, wire.PONG, both.at(alive)[0][1])
    both.wait(4.0)
    assert dead.transport is Transport.CLOSE
    assert both.code(alive) == told
    assert both.tunnel.end == End(Party(side), 1006, f"the {side} did not answer a Ping", Why.PING)
    both.wait(20.0)
    assert both.tunnel.over


def test_who_is_not_read_from_is_not_silent():
    both = Both()
    both.client.paused = both.origin.paused = True
    both.wait(1000.0)
    assert both.tunnel.end is None
    assert both.at(both.client) == []


def test_without_a_timeout_pings_are_just_sent():
    both = Both(timeouts=Timeouts(ping_interval=20.0, ping_timeout=None))
    both.wait(100.0)
    assert both.tunnel.end is None
    assert len(both.at(both.client)) == 5


def test_no_timers():
    both = Both(timeouts=Timeouts(close=None, idle=None, ping_interval=None))
    assert both.tunnel.next_timeout() == math.inf
    both.finish()
    assert both.tunnel.next_timeout() == math.inf
    both.tunnel.handle_timeout(1e9)
    assert not both.tunnel.over


@pytest.mark.parametrize(
    ("how", "reason", "why"),
    [
        ({"max_age": 60.0}, "the connection is too old", Why.AGE),
        ({"timeouts": Timeouts(idle=60.0, ping_interval=None)}, "no message for too long", Why.IDLE),
    ],
)
def test_connections_that_are_old_or_idle_end(how, reason, why):
    both = Both(**{"timeouts": Timeouts(ping_interval=None), **how})
    for _ in range(3):
        both.wait(14.0)
        both.frame(both.client, wire.TEXT, b"x")
    assert both.tunnel.end is None
    both.wait(80.0)
    assert both.tunnel.end == End(Party.GATEWAY, 1001, reason, why)
    assert both.code(both.client) == 1001


def test_a_look_that_comes_too_early_does_nothing():
    both = Both()
    both.tunnel.handle_timeout(both.now)
    assert both.tunnel.next_timeout() == both.now + 20.0


def test_a_violation_behind_our_close_is_told_to_nobody():
    both = Both()
    both.finish()
    both.frame(both.origin, 7)
    assert both.code(both.client) == 1001
    assert len(both.at(both.origin)) == 1
    both.end(both.origin)
    both.frame(both.client, 7)
    assert len(both.at(both.client)) == 1


def test_an_origin_closes_behind_a_client_that_was_told():
    both = Both()
    both.finish()
    both.frame(both.client, 7)
    assert both.code(both.client) == 1002
    both.say(both.origin, close_frame(both.origin, 1001))
    assert len(both.at(both.client)) == 1
