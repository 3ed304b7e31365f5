"""What the doctor is asked to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgews.client import ClientConnection
from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.limits import DEFAULT_LIMITS, Timeouts
from edgews.requests import ClientOptions
from edgews.uri import URI

# As browsers offer it.
OFFERS: Final = (PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15),)
# No site has this name: RFC 6761 §6.4.
FOREIGN: Final = "https://edgews-doctor.invalid"

# The doctor keeps the time itself.
_TIMEOUTS: Final = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to try; times in seconds.

    Attributes:
        scheme: as the user wrote it.
        message: what to send, None for nothing.
        idle: how long to stay silent, 0 for not at all.
        timeout: for each step.
    """

    uri: URI
    scheme: str
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = ()
    origin: str | None = None
    insecure: bool = False
    message: str | None = None
    idle: float = 0.0
    timeout: float = 10.0

    @property
    def own_origin(self) -> str:
        """The Origin of a page on the same host."""
        return f"{'https' if self.uri.secure else 'http'}://{self.uri.host_header}"

    def connection(self, origin: str | None) -> ClientConnection:
        """Return the engine's side of a connection from a page of that origin.

        Raises:
            InvalidValueError: something that may not be sent.
        """
        options = ClientOptions(
            redirects=0,
            origin=origin,
            subprotocols=self.subprotocols,
            headers=self.headers,
            cookies={},
            compression=OFFERS,
            delivery=Delivery.MESSAGES,
            limits=DEFAULT_LIMITS,
            timeouts=_TIMEOUTS,
        )
        return options.connection(self.uri)
