"""The peers that have to say with a PROXY header for whom they speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgews.edge.policy.lists import Networks, parse_address

# Stands for whoever can open a Unix socket.
UNIX: Final = "unix"


class ProxyPeers:
    """Networks, and maybe Unix sockets.

    Nobody else may send a PROXY header, and these may not leave it out: a listener that guessed would let
    anybody say who they are.
    """

    def __init__(self, peers: Sequence[str]) -> None:
        self._networks = Networks(peer for peer in peers if peer != UNIX)
        self._unix = UNIX in peers

    def __contains__(self, address: str | None) -> bool:
        if address is None:
            return self._unix
        return bool(self._networks) and parse_address(address) in self._networks
