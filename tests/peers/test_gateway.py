"""Other people's clients and servers with a gateway of ours between them."""

from __future__ import annotations

import itertools

import pytest

from tests.edge.harness import running
from tests.peers.agents.agent import HOST
from tests.peers.conftest import Parties
from tests.peers.meeting import End

pytestmark = [pytest.mark.edge, pytest.mark.interop, pytest.mark.xdist_group("websockets.asyncio")]

LONG = "wörds " * 40_000
_names = itertools.count(1)


@pytest.mark.parametrize(
    "who",
    [
        pytest.param("websockets.sync", marks=pytest.mark.peers),
        pytest.param("ws", marks=[pytest.mark.npm, pytest.mark.peers]),
    ],
)
@pytest.mark.parametrize(
    ("inspect", "near_squeezes", "far_squeezes"),
    [
        ("frames", False, False),
        ("frames", True, True),
        ("messages", False, False),
        ("messages", True, False),
        ("messages", False, True),
        ("messages", True, True),
    ],
)
def test_a_client_and_a_server_do_not_notice(
    parties: Parties, who: str, inspect: str, near_squeezes: bool, far_squeezes: bool
) -> None:
    """Where messages are inspected, one side may compress and the other one not."""
    client, origin = parties(who), parties("websockets.asyncio")
    deflate = {"deflate": {}}
    port = origin.listen(**(deflate if far_squeezes else {}))
    name = f"/gateway/{next(_names)}"
    with running(f"ws://{HOST}:{port}", inspect=inspect) as gateway:
        uri = f"ws://{HOST}:{gateway.address[1]}{name}"
        client.begin("open", name=name, uri=uri, **(deflate if near_squeezes else {}))
        near, far = End(client, name), End(origin, name)
        for end, squeezes in ((near, near_squeezes), (far, far_squeezes)):
            facts = end.event()
            assert facts["event"] == "opened", facts
            # Not everyone tells.
            assert bool(facts.get("extensions", squeezes)) is squeezes
        for sender, receiver in ((near, far), (far, near)):
            for message in ("", "hello", LONG, b"", bytes(range(256)) * 1000):
                sender.send(message)
                assert receiver.message() == message
            sender.send_pieces(["one, ", None, "two, ", "three"])
            assert receiver.message() == "one, two, three"
            sender.ping()
        closing = near.close(4000, "enough")
        assert far.closed() == (4000, "enough")
        assert near.closed() == (4000, "enough")
        client.answer(closing)
        end = gateway.last("end")
        assert (end["code"], end["by"], end["cause"]) == (4000, "client", "the client closed (enough)")
        assert (end["messages_up"], end["messages_down"]) == (6, 6)
