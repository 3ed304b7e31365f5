"""Who may come in: what is asked of a request before any origin hears of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgews.edge.config.policies import UNIX
from edgews.edge.forwarding.headers import Forwarded, Identity, Peer, to_origin
from edgews.edge.forwarding.routing import find
from edgews.edge.policy.bearer import Carried
from edgews.edge.policy.connlimit import Scope, Standing
from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.lists import Networks
from edgews.edge.policy.normalize import TargetError, normalize
from edgews.edge.policy.policies import MessagePolicies, Policies
from edgews.edge.relay.frames import Meter

from .failures import NO_ROUTE
from .shedding import Shedding

if TYPE_CHECKING:
    from .prepare import Prepared
    from .proxied import Proxied
    from .routes import Route
    from .server import Gateway

_SALT_BYTES: Final = 16


@dataclass(slots=True, frozen=True)
class Entry:
    """What is known of a request once it was looked at.

    Attributes:
        facts: for rules, without the token.
        forwarded: its fields as the origin gets them, and who the client is.
        judge, meter: what is asked about each message of the connection, once it is let in. They stay as
            they are then, whatever is loaded later.
    """

    facts: UpgradeFacts
    forwarded: Forwarded
    judge: MessagePolicies | None = None
    meter: Meter | None = None


class Admission:
    """Asks the policies, in the terms of the gateway.

    Attributes:
        identity: the names of the gateway's own fields.
        policies: the present ones, with their counts.
    """

    def __init__(self, gateway: Gateway, prepared: Prepared) -> None:
        self._gateway = gateway
        self._salt = os.urandom(_SALT_BYTES)
        self.policies = Policies(prepared.definition, salt=self._salt)
        self._shedding = Shedding(gateway, self.policies.connections)
        self._take(prepared)

    def use(self, prepared: Prepared) -> None:
        """Go on with other policies; connections, counts and limiters that are the same stay."""
        now = self._gateway.loop.time()
        self.policies = Policies(prepared.definition, before=self.policies, salt=self._salt, now=now)
        self._take(prepared)
        self._shedding.check()

    def _take(self, prepared: Prepared) -> None:
        config = prepared.config
        self.identity = Identity(config.header_prefix)
        self._trusted = Networks(proxy for proxy in config.trusted_proxies if proxy != UNIX)
        self._trust_unix = UNIX in config.trusted_proxies
        self._databases = prepared.databases

    def admit(self, proxied: Proxied) -> Route | Failure:
        """Say where a request goes, or why it goes nowhere; it has its place until `release`."""
        request = proxied.request
        assert request is not None
        try:
            target = normalize(request.target)
        except TargetError as error:
            return Failure(400, "malformed target", str(error))
        places = self.policies.definition.places
        headers = request.headers
        carried = Carried(None, target, headers) if places is None else places.take(target, headers)
        peer = Peer(proxied.peername, proxied.secure, proxied.ray)
        forwarded = to_origin(
            carried.headers,
            peer,
            trusted=self._trusted,
            identity=self.identity,
            trust_unix=self._trust_unix,
        )
        proxied.ray = forwarded.ray_id
        proxied.address = forwarded.client
        facts = UpgradeFacts(
            method=request.method,
            target=carried.target,
            headers=carried.headers,
            client=forwarded.client,
            secure=forwarded.secure,
            ray_id=forwarded.ray_id,
            country=self._databases.country(forwarded.client),
            asn=self._databases.asn(forwarded.client),
        )
        proxied.entry = Entry(facts, forwarded)
        route = find(self._gateway.routes, facts)
        if route is None:
            return NO_ROUTE
        proxied.route = route
        verdict = proxied.verdict = self.policies.admit(
            proxied,
            facts,
            route=route.name,
            token=carried.token,
            now=self._gateway.loop.time(),
            wall=time.time(),
        )
        if verdict.failure is not None:
            return verdict.failure
        self._shedding.check()
        proxied.entry = Entry(
            facts,
            forwarded,
            self.policies.messages_for(facts),
            None if route.message_limiter is None else self.policies.meter(route.message_limiter, facts),
        )
        return route

    def release(self, proxied: Proxied) -> None:
        """Give back the place of a connection."""
        self.policies.release(proxied, self._gateway.loop.time())

    def standing(self, scopes: Iterable[Scope] | None = None) -> list[Standing]:
        """Return where the scopes of connections stand: `ok`, `burst` or `over`."""
        return self.policies.connections.standing(self._gateway.loop.time(), scopes)

    def close(self) -> None:
        """Stop looking."""
        self._shedding.close()
