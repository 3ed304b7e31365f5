"""What the doctor is asked to try."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgews.client import ClientConnection
from edgews.extensions import PerMessageDeflate
from edgews.headers import Headers
from edgews.limits import Timeouts
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

        A user and password in the URI become Basic credentials. RFC 7617 §2.

        Raises:
            InvalidValueError: something that may not be sent.
        """
        headers = Headers(self.headers)
        if self.uri.username is not None and not headers.has("Authorization"):
            credentials = f"{self.uri.username}:{self.uri.password or ''}".encode()
            headers = Headers([*headers, ("Authorization", f"Basic {b64encode(credentials).decode()}")])
        return ClientConnection(
            self.uri,
            timeouts=_TIMEOUTS,
            origin=origin,
            subprotocols=self.subprotocols,
            headers=headers,
            compression=OFFERS,
        )
