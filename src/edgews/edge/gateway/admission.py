"""Who may come in: what is asked of a request before any origin hears of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from edgews.edge.forwarding.entrance import Entrance
from edgews.edge.forwarding.headers import Identity, Peer
from edgews.edge.policy.connlimit import Scope, Standing
from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.normalize import TargetError
from edgews.edge.policy.policies import Policies

from .failures import NO_ROUTE
from .shedding import Shedding

if TYPE_CHECKING:
    from .prepare import Prepared
    from .proxied import Proxied
    from .routes import Route
    from .server import Gateway

_SALT_BYTES: Final = 16


class Admission:
    """Asks the policies, in the terms of the gateway.

    Attributes:
        policies: the present ones, with their counts.
    """

    def __init__(self, gateway: Gateway, prepared: Prepared) -> None:
        self._gateway = gateway
        self._salt = os.urandom(_SALT_BYTES)
        self.policies = Policies(prepared.definition, salt=self._salt, sharing=gateway.sharing)
        self._shedding = Shedding(gateway, self.policies.connections)
        self._take(prepared)

    def use(self, prepared: Prepared) -> None:
        """Go on with other policies; connections, counts and limiters that are the same stay."""
        self.policies = Policies(
            prepared.definition,
            before=self.policies,
            salt=self._salt,
            now=self._gateway.loop.time(),
            sharing=self._gateway.sharing,
        )
        self.present()
        self._take(prepared)
        self._shedding.changed()

    def _take(self, prepared: Prepared) -> None:
        self._databases = prepared.databases
        config = prepared.config
        identity = Identity(config.header_prefix)
        self._entrance = Entrance(identity, config.trusted_proxies, prepared.definition.places)

    @property
    def identity(self) -> Identity:
        """The names of the gateway's own fields."""
        return self._entrance.identity

    def admit(self, proxied: Proxied) -> Route | Failure:
        """Say where a request goes, or why it goes nowhere; it has its place until `release`."""
        request = proxied.request
        assert request is not None
        try:
            entry = self._entrance.look(request, Peer(proxied.peername, proxied.secure, proxied.ray))
        except TargetError as error:
            return Failure(400, "malformed target", str(error))
        proxied.entry = entry = self._databases.locate(entry)
        facts = entry.facts
        proxied.ray, proxied.address = facts.ray_id, facts.client
        route = self._gateway.table.find(facts)
        if route is None:
            return NO_ROUTE
        proxied.route = route
        verdict = proxied.verdict = self.policies.admit(
            proxied,
            facts,
            route=route.name,
            token=entry.token,
            now=self._gateway.loop.time(),
            wall=time.time(),
        )
        if verdict.failure is not None:
            return verdict.failure
        self._shedding.check()
        entry.judge = self.policies.messages_for(facts)
        if route.message_limiter is not None:
            entry.meter = self.policies.meter(route.message_limiter, facts)
        return route

    def present(self, more: int = 0) -> int:
        """Say how many connections have been let in here, and how many more; return the whole gateway's."""
        connections = self.policies.connections
        return connections.present(len(connections) + more)

    def release(self, proxied: Proxied) -> None:
        """Give back the place of a connection."""
        self.policies.release(proxied, self._gateway.loop.time())
        self.present()

    def standing(self, scopes: Iterable[Scope] | None = None) -> list[Standing]:
        """Return where the scopes of connections stand: `ok`, `burst` or `over`."""
        return self.policies.connections.standing(self._gateway.loop.time(), scopes)

    def close(self) -> None:
        """Stop looking."""
        self._shedding.close()
