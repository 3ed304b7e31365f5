"""A request as policies see it: in its one spelling, without its token, from the client behind proxies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edgews.edge.policy.bearer import Places
from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.lists import Networks
from edgews.edge.policy.normalize import normalize
from edgews.events import Request

from .headers import Forwarded, Identity, Peer, to_origin

if TYPE_CHECKING:
    from edgews.edge.policy.policies import MessagePolicies
    from edgews.edge.relay.frames import Meter

# Stands for all Unix sockets among the addresses of trusted proxies.
UNIX: Final = "unix"


@dataclass(slots=True)
class Entry:
    """A request that came in.

    Attributes:
        facts: for rules, without country and network.
        forwarded: its fields as the origin gets them, and who the client is.
        token: what was taken out of it; None without one.
        judge, meter: what is asked about each message of the connection, once it is let in. They stay as
            they are then, whatever is loaded later.
    """

    facts: UpgradeFacts
    forwarded: Forwarded
    token: str | None = field(repr=False)
    judge: MessagePolicies | None = None
    meter: Meter | None = None


class Entrance:
    """Looks at requests, in one way for all that are asked about them.

    Args:
        identity: the names of the gateway's own fields.
        proxies: addresses and networks of those that are believed, and `UNIX`.
        places: where tokens stand; None if there are none.
    """

    __slots__ = ("_places", "_trust_unix", "_trusted", "identity")

    def __init__(self, identity: Identity, proxies: Iterable[str] = (), places: Places | None = None) -> None:
        self.identity = identity
        known = set(proxies)
        self._trust_unix = UNIX in known
        self._trusted = Networks(known - {UNIX})
        self._places = places

    def look(self, request: Request, peer: Peer) -> Entry:
        """Return what is known of a request.

        Raises:
            TargetError: its target cannot be read in one way.
        """
        target, headers, token = normalize(request.target), request.headers, None
        if self._places is not None:
            carried = self._places.take(target, headers)
            target, headers, token = carried.target, carried.headers, carried.token
        forwarded = to_origin(
            headers,
            peer,
            trusted=self._trusted,
            identity=self.identity,
            trust_unix=self._trust_unix,
        )
        facts = UpgradeFacts(
            request.method, target, headers, forwarded.client, forwarded.secure, forwarded.ray_id
        )
        return Entry(facts, forwarded, token)
