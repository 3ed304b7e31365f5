"""Requests as they come in: normalised, without tokens, from whom a trusted proxy says."""

from __future__ import annotations

import pytest

from edgews.edge.forwarding.entrance import UNIX, Entrance
from edgews.edge.forwarding.headers import Identity, Peer
from edgews.edge.policy.bearer import Places
from edgews.edge.policy.normalize import TargetError
from edgews.events import Request
from edgews.headers import Headers

FIELDS = Headers([("Host", "h"), ("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", "https")])
REQUEST = Request("GET", "/a/./b?token=t&q=1", FIELDS)
PROXY, SOCKET = Peer("10.0.0.1", False, "ray"), Peer(None, False, "ray")


def test_nobody_is_believed_by_default() -> None:
    entry = Entrance(Identity()).look(REQUEST, PROXY)
    assert (entry.facts.client, entry.facts.secure, entry.facts.ray_id) == ("10.0.0.1", False, "ray")
    assert str(entry.facts.target) == "/a/b?token=t&q=1"
    assert entry.facts.headers == FIELDS
    assert entry.facts.method == "GET"
    assert entry.token is None
    assert entry.forwarded.headers.get("X-Edgews-Client-IP") == "10.0.0.1"
    assert Entrance(Identity()).look(REQUEST, SOCKET).facts.client is None


@pytest.mark.parametrize(
    ("proxies", "peer", "client"),
    [
        (["10.0.0.0/8"], PROXY, "192.0.2.9"),
        (["10.0.0.0/8"], SOCKET, None),
        ([UNIX], SOCKET, "192.0.2.9"),
        ([UNIX], PROXY, "10.0.0.1"),
        ([UNIX, "10.0.0.1"], PROXY, "192.0.2.9"),
    ],
)
def test_who_is_believed(proxies: list[str], peer: Peer, client: str | None) -> None:
    entry = Entrance(Identity(), proxies).look(REQUEST, peer)
    believed = client == "192.0.2.9"
    assert (entry.facts.client, entry.forwarded.client) == (client, client)
    assert entry.facts.secure is entry.forwarded.secure is believed


def test_a_token_is_taken_out_of_everything() -> None:
    request = Request("GET", "/?token=query", Headers([*FIELDS, ("Authorization", "Bearer v1.secret")]))
    entry = Entrance(Identity(), places=Places()).look(request, PROXY)
    assert entry.token == "v1.secret"
    assert str(entry.facts.target) == "/"
    assert not entry.facts.headers.has("Authorization")
    assert not entry.forwarded.headers.has("Authorization")
    assert "secret" not in repr(entry)


def test_a_target_that_nobody_reads_alike() -> None:
    with pytest.raises(TargetError):
        Entrance(Identity()).look(Request("GET", "/..;/a", FIELDS), PROXY)
