"""What permessage-deflate was told, seen in the bytes that pass."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from tests.peers.matrix import pairings
from tests.peers.meeting import End, Meeting

pytestmark = pytest.mark.interop

# Random letters take about three quarters of a byte each. Said twice they take no more, where the window
# reaches back to the first; and nearly nothing in a second message, where the window is kept as well.
HALF = "".join(random.Random(7692).choices(string.ascii_letters, k=1000))
ONCE, LITTLE = len(HALF), len(HALF) // 4

WISHES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "takeover": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "window": {"server_max_window_bits": 9, "client_max_window_bits": 9},
}


def cost(ours: End, peer: End, counter: str) -> int:
    """Send one message, and return how many bytes that took."""
    before = ours.stats()[counter]
    sender, receiver = (ours, peer) if counter == "bytes_sent" else (peer, ours)
    sender.send(HALF * 2)
    assert receiver.message() == HALF * 2
    return ours.stats()[counter] - before


def check(ours: End, peer: End, wish: str) -> None:
    for counter in ("bytes_sent", "bytes_received"):
        first, second = cost(ours, peer, counter), cost(ours, peer, counter)
        assert (first < ONCE) is (wish != "window"), (counter, first)
        assert (second < LITTLE) is (wish == "nothing"), (counter, second)


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("meeting", pairings("deflate"), indirect=True)
def test_our_wish(meeting: Meeting, wish: str) -> None:
    ours, peer = meeting.open(ours={"deflate": WISHES[wish]})
    check(ours, peer, wish)
    ours.finish(peer)


@pytest.mark.parametrize("wish", [name for name in WISHES if WISHES[name]])
@pytest.mark.parametrize(
    "meeting",
    pairings("deflate", can=["wish"], we_serve=True) + pairings("deflate", can=["demand"], we_serve=False),
    indirect=True,
)
def test_their_wish(meeting: Meeting, wish: str) -> None:
    """As a server, wsproto lets the client's window take the place of its own, as RFC 7692 §7.1.2 allows."""
    ours, peer = meeting.open(peer={"deflate": WISHES[wish]})
    check(ours, peer, wish)
    ours.finish(peer)
