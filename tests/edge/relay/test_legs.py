"""A byte stream of a relayed connection: what is written there."""

from __future__ import annotations

import pytest

from edgews import Transport
from edgews.edge.relay.legs import Leg
from edgews.edge.relay.scanner import FrameScanner
from tests import wire


def leg(client: bool) -> Leg:
    return Leg(FrameScanner(masked=client), client)


@pytest.mark.parametrize("client", [True, False])
def test_control_frames_are_masked_for_an_origin_alone(client):
    frame = wire.one(leg(client).frame(wire.PING, b"there?"))
    assert frame == wire.Parsed(wire.PING, b"there?", masked=not client)


def test_what_is_put_comes_out_once_and_in_order():
    one = leg(True)
    assert one.data_to_send() == b""
    for data in (b"a", b"", b"b"):
        one.put(data)
    assert one.data_to_send() == b"ab"
    one.put(b"c")
    assert one.data_to_send() == b"c"
    assert one.data_to_send() == b""


@pytest.mark.parametrize("how", [Transport.HALF_CLOSE, Transport.CLOSE])
def test_nothing_is_put_behind_the_end(how):
    one = leg(True)
    one.put(b"a")
    one.transport = how
    one.put(b"b")
    assert one.data_to_send() == b"a"


def test_frames_are_never_held():
    assert not leg(True).holds
