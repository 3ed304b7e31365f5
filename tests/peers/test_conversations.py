"""Each adapter talks with other people's code, in real processes, as client and as server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peers.agents.agent import Message, Pieces
from tests.peers.matrix import OURS, pairings
from tests.peers.meeting import Meeting
from tests.peers.relay import Relay
from tests.raw import TIMEOUT

pytestmark = pytest.mark.interop

MESSAGES: list[Message] = [
    "Hello",
    b"\x00\xff",
    "",
    b"",
    "wörld \U0001f30d",
    "x" * 126,
    bytes(range(256)) * 256,
    "y" * (2**20 - 2) + "é",
]


def among(parameters: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("meeting", parameters, indirect=True)


def over(*variants: str, **what: Any) -> pytest.MarkDecorator:
    return among(pairings(*variants, **what))


def until(condition: Callable[[], object]) -> None:
    """Ask again until a condition holds; each question is a message to a process and its answer."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline


@over("plain", "deflate", "tls")
def test_messages_both_ways(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    if "compressed" in peer.facts:
        assert peer.facts["compressed"] is ("deflate" in meeting.pairing.options)
    for message in MESSAGES:
        for sender, receiver in ((ours, peer), (peer, ours)):
            sender.send(message)
            assert receiver.message() == message
    ours.finish(peer)


def whole(pieces: Pieces) -> Message:
    if isinstance(pieces[0], str):
        return "".join(piece for piece in pieces if isinstance(piece, str))
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


PIECES: list[Pieces] = [["one ", "two ", "three"], ["", "x" * 70_000, ""], [b"\x00", b"\xff" * 300]]


@over("plain", "deflate")
def test_our_fragments(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    for pieces in PIECES:
        ours.send_pieces(pieces)
        assert peer.message() == whole(pieces)
    ours.finish(peer)


@over("plain", "deflate", can=["pieces"])
def test_their_fragments(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    for pieces in PIECES:
        peer.send_pieces(pieces)
        assert ours.message() == whole(pieces)
    ours.finish(peer)


BETWEEN: Pieces = ["one ", None, "two ", None, "three"]


@among(pairings("plain") + pairings("deflate", can=["between"]))
def test_our_pings_between_fragments(meeting: Meeting) -> None:
    """Not with wsproto, and hypercorn on it, when the message is compressed: they lose what follows the Ping.

    The end of the Ping makes their extension forget that it is in a message (`_inbound_compressed`), and the
    rest is taken as if it were not compressed. RFC 6455 §5.4 allows control frames there, RFC 7692 §6 leaves
    them alone: they are wrong.
    """
    ours, peer = meeting.open()
    ours.send_pieces(BETWEEN)
    assert peer.message() == "one two three"
    ours.finish(peer)


@over("plain", "deflate", can=["pieces", "ping"])
def test_their_pings_between_fragments(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    peer.send_pieces(BETWEEN)
    assert ours.message() == "one two three"
    ours.finish(peer)


@over("plain", "tls")
def test_our_ping(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    for _ in range(3):
        ours.ping()
    ours.finish(peer)


@over("plain", "tls", can=["ping"])
def test_their_ping(meeting: Meeting) -> None:
    meeting.path += "/by-hand"
    ours, peer = meeting.open()
    for _ in range(3):
        peer.ping()
    ours.finish(peer)


@over("plain", can=["keepalive"], ping_interval=0.02)
def test_pings_that_go_by_themselves(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    enough = {"pings_received": 3, "pongs_received": 3}
    until(lambda: (stats := ours.stats()) and all(stats[name] >= least for name, least in enough.items()))
    ours.finish(peer)


@over("plain", "tls")
def test_we_close(meeting: Meeting) -> None:
    """The answer "typically echos" the code (RFC 6455 §5.5.1): aiohttp's has 1000 always, and may."""
    ours, peer = meeting.open()
    closing = ours.close(4000, "bye €")
    if "end" in meeting.can:
        assert peer.closed() == (4000, "bye €")
    assert ours.closed()[0] == (4000 if "same" in meeting.can else 1000)
    ours.party.answer(closing)


@over("plain", "tls")
def test_they_close(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    closing = peer.close(4001, "enough €")
    assert ours.closed() == (4001, "enough €")
    peer.party.answer(closing)


@over("plain", can=["nothing"])
def test_they_close_without_a_code(meeting: Meeting) -> None:
    ours, peer = meeting.open()
    closing = peer.close(None)
    assert ours.closed() == (1005, "")
    peer.party.answer(closing)
    assert peer.closed() == (1005, "")


@over("plain", subprotocols=["chat"])
@pytest.mark.parametrize("offer", [["chat", "other"], ["other", "chat"]], ids=["first", "last"])
def test_subprotocol(meeting: Meeting, offer: list[str]) -> None:
    port = meeting.listen()
    client = {"subprotocols": offer}
    ours, peer = meeting.open(port, ours=client, peer=client)
    assert ours.facts["subprotocol"] == peer.facts["subprotocol"] == "chat"
    ours.finish(peer)


@over("plain", "tls")
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_the_way_is_cut(meeting: Meeting, reset: bool) -> None:
    with Relay(meeting.listen()) as relay:
        ours, peer = meeting.open(relay.port)
        ours.send("still there?")
        assert peer.message() == "still there?"
        relay.cut(reset=reset)
        assert ours.closed() == (1006, "")
        assert peer.closed()[0] == 1006


@over("plain", "tls")
def test_a_refusal(meeting: Meeting) -> None:
    meeting.path = f"/refuse{meeting.path}"
    outcome = meeting.dial(meeting.listen()).event()
    assert outcome["event"] == "refused", outcome
    if "status" in meeting.can or not meeting.pairing.we_serve:
        assert outcome["status"] == 403, outcome


@over("tls")
def test_an_authority_that_the_client_does_not_know(meeting: Meeting) -> None:
    strict = {"trust": False}
    outcome = meeting.dial(meeting.listen(), ours=strict, peer=strict).event()
    assert outcome["event"] == "refused", outcome
    assert outcome["status"] is None


@over("plain", "deflate", "tls")
def test_a_message_too_big_for_us(meeting: Meeting) -> None:
    """The peer is told, though it may still be sending when the limit is reached."""
    ours, peer = meeting.open()
    peer.begin_to_send("x" * (2**20 + 1))
    ours.closed()
    if "end" in meeting.can:
        assert peer.closed()[0] == 1009


@over("plain", can=["limit"])
def test_a_message_too_big_for_them(meeting: Meeting) -> None:
    ours, _ = meeting.open(peer={"max_size": 1000})
    ours.send("x" * 1001)
    assert ours.closed()[0] == 1009


# Chromium lets each further connection wait for some time, and takes five seconds for all of them.
@among(
    pairings("plain", can=["crowd"], we_serve=True, ours=OURS[:1])
    + pairings("plain", can=["crowd", "ping"], we_serve=True, ours=OURS[1:])
)
def test_a_hundred_connections_at_once(meeting: Meeting) -> None:
    count = 100
    echoes, codes = meeting.crowd(count)
    assert echoes == [f"I am {number}" for number in range(count)]
    assert codes == [1000] * count
    until(lambda: meeting.left() == 0)
