"""Frames that pass as they came, and what a meter makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.relay.ends import End, Party, Why
from edgews.edge.relay.frames import TOO_MANY, scanned
from tests import wire

from .both import TIMES, Both, close_frame, framed


class Allowance:
    """Lets so many messages pass, and knows when it was asked."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.asked: list[float] = []

    def __call__(self, now: float) -> bool:
        self.asked.append(now)
        self.left -= 1
        return self.left >= 0


def both(allowance: Allowance | None = None) -> Both:
    return Both(scanned(deflate=False, meter=allowance, timeouts=TIMES))


@given(st.integers(0, 6), st.lists(st.integers(0, 4), max_size=6))
def test_the_read_with_one_too_many_is_the_last(count, reads):
    """A read stands for so many messages."""
    allowance = Allowance(count)
    it = both(allowance)
    passed = 0
    for messages in reads:
        it.wait(1.0)
        it.say(it.client, framed(it.client, wire.TEXT, b"x") * messages + framed(it.client, wire.PING))
        it.say(it.origin, framed(it.origin, wire.TEXT, b"x") * 3)
        passed += messages
        if passed > count:
            break
    assert it.client.scanner.messages == passed
    assert [opcode for opcode, _ in it.at(it.origin)].count(wire.TEXT) == passed
    assert len(allowance.asked) == min(passed, count + 1)
    if passed > count:
        assert it.tunnel.end == End(Party.GATEWAY, 1013, TOO_MANY, Why.LIMIT)
        assert it.code(it.origin) == 1001
        it.say(it.client, framed(it.client, wire.TEXT, b"unheard"))
        it.say(it.origin, close_frame(it.origin, 1001))
        assert it.code(it.client) == 1013
        assert len(allowance.asked) == count + 1
    else:
        assert it.tunnel.end is None


def test_a_message_counts_when_it_is_complete():
    allowance = Allowance(0)
    it = both(allowance)
    it.say(it.client, framed(it.client, wire.TEXT, b"be", fin=False))
    assert it.tunnel.end is None
    it.wait(2.0)
    it.say(it.client, framed(it.client, wire.CONTINUATION, b"gin"))
    assert allowance.asked == [102.0]
    assert it.tunnel.end == End(Party.GATEWAY, 1013, TOO_MANY, Why.LIMIT)


def test_without_a_meter_nobody_looks_at_plain_frames():
    it = both()
    assert it.client.scanner.scan(framed(it.client, wire.TEXT, b"x")) is None
    assert it.origin.scanner.scan(framed(it.origin, wire.TEXT, b"x")) is None
    assert it.tunnel.more(it.client, it.now) is None
