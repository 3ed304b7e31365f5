"""Who talks to whom, over what: the matrix as data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

# The variants of a connection: options for both ends.
PLAIN: dict[str, Any] = {}
DEFLATE: dict[str, Any] = {"deflate": {}}
TLS: dict[str, Any] = {"tls": True}
VARIANTS = {"plain": PLAIN, "deflate": DEFLATE, "tls": TLS}


@dataclass(frozen=True)
class Peer:
    """What other people's code can be asked for.

    Attributes:
        needs: the marker of what a machine must have for it.
        client, server: the roles that it has.
        can: what its interface offers beside messages and closing:
            deflate    compression
            wish       as a client, parameters of compression of its own choice
            demand     the same as a server
            pieces     messages in fragments
            ping       a Ping, and word of its Pong
            keepalive  Pings that go out by themselves
            between    Pings between the fragments of a compressed message
            same       answers a Close with the code that it got
            limit      a limit for the size of a message
            nothing    a Close without a code
            status     a client tells the HTTP status that refused it
            end        tells the peer's code and reason as they came
            crowd      many connections with one order
            tls        TLS
    """

    name: str
    needs: str
    can: frozenset[str]
    client: bool = True
    server: bool = True


def peer(name: str, needs: str, can: str, **roles: bool) -> Peer:
    return Peer(name, needs, frozenset(can.split()), **roles)


_WEBSOCKETS = "deflate wish demand pieces between ping keepalive same limit status end"
# With threads, websockets reads and writes TLS at the same time without a lock, on which OpenSSL does not
# count: once in some thousand openings the answer is lost, or the process.
PEERS = [
    peer("websockets.asyncio", "peers", f"{_WEBSOCKETS} tls"),
    peer("websockets.sync", "peers", _WEBSOCKETS),
    peer("aiohttp", "peers", "deflate between ping limit status end tls"),
    peer("wsproto", "peers", "deflate wish pieces ping same status end tls"),
    peer("hypercorn", "peers", "deflate keepalive same limit tls", client=False),
    peer("trio-websocket", "peers", "ping same limit status end tls"),
    peer("ws", "npm", "deflate wish demand pieces between ping same limit nothing status end crowd tls"),
    peer("chromium", "browser", "deflate between same nothing end crowd tls", server=False),
]

OURS = ["edgews.asyncio", "edgews.asyncio-uvloop", "edgews.trio", "edgews.sync"]


@dataclass(frozen=True)
class Pairing:
    """One of our adapters and one peer, in their roles, with the options of both ends."""

    ours: str
    peer: Peer
    we_serve: bool
    options: dict[str, Any] = field(default_factory=dict)


def pairings(
    *variants: str,
    can: Collection[str] = (),
    we_serve: bool | None = None,
    ours: Collection[str] = OURS,
    **options: Any,
) -> list[Any]:
    """Return the parameters of a scenario: all pairings in which the peer can do what it needs."""
    return [
        _parameter(Pairing(name, peer, serving, {**VARIANTS[variant], **options}), variant)
        for peer in PEERS
        for serving in (True, False)
        for name in ours
        for variant in variants
        if (peer.client if serving else peer.server)
        and we_serve in (None, serving)
        and peer.can >= {*can, *VARIANTS[variant]}
    ]


def _parameter(pairing: Pairing, variant: str) -> Any:
    peer = pairing.peer
    marks = [getattr(pytest.mark, peer.needs), pytest.mark.xdist_group(peer.name)]
    if "uvloop" in pairing.ours:
        marks.append(pytest.mark.peers)
    roles = (peer.name, pairing.ours) if pairing.we_serve else (pairing.ours, peer.name)
    return pytest.param(pairing, id=f"{'-to-'.join(roles)}-{variant}", marks=marks)
