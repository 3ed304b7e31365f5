"""Connections that are not open: those that have asked for nothing yet, or not again, or were refused."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, Final

from edgews.edge.analytics.metrics import OPENING, OPENING_OF_CLIENT
from edgews.edge.config.tables import Config
from edgews.edge.forwarding.proxypeers import ProxyPeers
from edgews.edge.policy.lists import client_group
from edgews.edge.policy.openings import Crowd, Openings

if TYPE_CHECKING:
    from .observer import Observer
    from .proxied import Proxied

# The part of this process's descriptors that such connections may have, whatever the configuration says.
DESCRIPTOR_SHARE: Final = 4


def places(config: Config, descriptors: int) -> int:
    """Return how many there may be in a process with so many descriptors."""
    if descriptors == resource.RLIM_INFINITY:
        return config.max_opening
    return max(min(config.max_opening, descriptors // DESCRIPTOR_SHARE), 1)


def _limits(config: Config) -> tuple[int, int]:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return places(config, descriptors), config.max_opening_per_client


class Arrivals:
    """Gives them places, and sends those away that have to go for others."""

    def __init__(self, config: Config, observer: Observer) -> None:
        self._observer = observer
        self._openings: Openings[Proxied] = Openings(*_limits(config))
        self._trusted = ProxyPeers(config.trusted_proxies)

    def use(self, config: Config) -> None:
        """Go on with another configuration."""
        self._trusted = ProxyPeers(config.trusted_proxies)
        self._dismiss(self._openings.change(*_limits(config)))

    def __len__(self) -> int:
        return len(self._openings)

    def enter(self, proxied: Proxied, *, known: bool = True) -> None:
        """Give a connection a place.

        Args:
            known: whether its peer has nothing more to say about who its client is.
        """
        self._dismiss(self._openings.enter(proxied, self._client(proxied) if known else ""))

    def know(self, proxied: Proxied) -> None:
        """Take it that a connection's peer is known now."""
        self._dismiss(self._openings.know(proxied, self._client(proxied)))

    def leave(self, proxied: Proxied) -> None:
        """Give a place back; who has none may do so as well."""
        self._openings.leave(proxied)

    def standing(self, most: int) -> list[dict[str, Any]]:
        """Return how the limits stand: that of all, and those of up to `most` clients with their share."""
        openings = self._openings
        rows = [(OPENING, "max_opening", len(openings), openings.most)]
        rows += [
            (OPENING_OF_CLIENT, client, openings.share, openings.share) for client in openings.full()[:most]
        ]
        return [
            {"kind": kind, "name": name, "state": "ok" if count < soft else "over"}
            | {"count": count, "soft": soft, "burst": 0, "spent": 0.0}
            for kind, name, count, soft in rows
        ]

    def _client(self, proxied: Proxied) -> str:
        """Return whom a connection counts for: a proxy that is trusted is not its client."""
        address = proxied.peername
        return "" if address in self._trusted else client_group(address)

    def _dismiss(self, crowded: list[tuple[Proxied, Crowd]]) -> None:
        for proxied, crowd in crowded:
            self._observer.dropped(proxied, crowd.value)
            proxied.give_way()
