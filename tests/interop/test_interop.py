"""edgews beside other people's code, from the request to the last Close, without I/O."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import CauseKind, Transport
from tests.handshakes import pieces

from .parties import Message, Ours, Party, PlainH11, Websockets, Wsproto

pytestmark = pytest.mark.peers

MESSAGES = st.lists(
    st.text(max_size=40)
    | st.binary(max_size=40)
    | st.sampled_from(["x" * 125, "x" * 126, b"\0" * 65_535, b"\xff" * 65_536, "\u20ac" * 30_000]),
    max_size=5,
)
CUTS = st.lists(st.integers(1, 1 << 17), max_size=5)

PAIRS = [
    *(
        (peer, ours, deflate)
        for peer in (Websockets, Wsproto)
        for ours in (True, False)
        for deflate in (True, False)
    ),
    (PlainH11, True, False),
    (PlainH11, False, False),
]
pairs = pytest.mark.parametrize(
    ("peer", "we_are_client", "deflate"),
    PAIRS,
    ids=[f"{p.__name__}-{'client' if c else 'server'}-{'deflate' if d else 'plain'}" for p, c, d in PAIRS],
)
Peer = Callable[[bool, bool], Party]


def deliver(one: Party, other: Party, cuts: list[int]) -> None:
    """Carry bytes both ways, in pieces, until nobody has any."""
    moved = True
    while moved:
        moved = False
        for sender, receiver in ((one, other), (other, one)):
            data = sender.take()
            for piece in pieces(data, cuts) if data else ():
                receiver.feed(piece)
                moved = True


def connect(peer: Peer, we_are_client: bool, deflate: bool, cuts: list[int]) -> tuple[Ours, Party]:
    us, them = Ours(we_are_client, deflate), peer(not we_are_client, deflate)
    deliver(us, them, cuts)
    assert us.opened
    assert them.opened
    assert us.subprotocol == them.subprotocol == "chat"
    assert them.compressed is deflate
    return us, them


@pairs
@given(ours=MESSAGES, theirs=MESSAGES, cuts=CUTS)
def test_messages_arrive_as_they_were_sent(
    peer: Peer,
    we_are_client: bool,
    deflate: bool,
    ours: list[Message],
    theirs: list[Message],
    cuts: list[int],
) -> None:
    us, them = connect(peer, we_are_client, deflate, cuts)
    for message in ours:
        us.send(message)
    for message in theirs:
        them.send(message)
    deliver(us, them, cuts)
    assert them.messages == ours
    assert us.messages == theirs


@pairs
def test_pings_are_answered(peer: Peer, we_are_client: bool, deflate: bool) -> None:
    us, them = connect(peer, we_are_client, deflate, [])
    us.ping(b"ours")
    them.ping(b"theirs")
    deliver(us, them, [])
    assert us.pongs == [b"ours"]
    assert them.pongs == [b"theirs"]


@pairs
@pytest.mark.parametrize("we_close", [True, False])
def test_either_side_closes(peer: Peer, we_are_client: bool, deflate: bool, we_close: bool) -> None:
    us, them = connect(peer, we_are_client, deflate, [])
    (us if we_close else them).close(4321, "that is \u20ac all")
    deliver(us, them, [])
    assert us.closed is not None
    assert us.closed[0] == 4321
    if we_close:
        assert them.closed == (4321, "that is \u20ac all")
    else:
        assert us.closed == (4321, "that is \u20ac all")
        assert them.closed is not None
        assert them.closed[0] == 4321
    # The server is the first to end its stream: RFC 6455 §7.1.1.
    expected = Transport.KEEP_OPEN if we_are_client else Transport.HALF_CLOSE
    assert us.connection.transport is expected
    (last,) = us.connection.receive_eof()
    assert last.clean  # type: ignore[union-attr]
    assert last.code == 4321  # type: ignore[union-attr]
    assert last.cause.kind is CauseKind.CLOSED  # type: ignore[union-attr]


@pairs
@given(cuts=CUTS)
def test_frames_behind_the_handshake_arrive(
    peer: Peer, we_are_client: bool, deflate: bool, cuts: list[int]
) -> None:
    us, them = Ours(we_are_client, deflate), peer(not we_are_client, deflate)
    client, server = (us, them) if we_are_client else (them, us)
    server.feed(client.take())
    server.send("early")
    deliver(client, server, cuts)
    assert client.messages == ["early"]
