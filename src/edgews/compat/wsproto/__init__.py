"""wsproto's public API on the engine of edgews.

    import edgews.compat.wsproto
    edgews.compat.wsproto.install()

From then on `import wsproto` gives this package, for programs and frameworks that know nothing of edgews.
Call it before any of them is imported: where wsproto's own package is already loaded, `install` refuses,
because classes of both would meet. pytest does the same with `-p edgews.compat.wsproto.pytest_plugin`.

What is different, and why:

* A violation of the protocol leaves the state `REMOTE_CLOSING`, so callers answer it with its Close code.
* Messages, inflated ones among them, end at `Limits.max_message_size` with 1009: at 16 MiB, unless
  `install(limits=...)` or an argument says otherwise. Heads of HTTP are limited as well.
* Parameters of permessage-deflate that RFC 7692 does not allow are declined, and of several offers the first
  acceptable one counts.
* Ping and Pong may be sent until the closing handshake is complete.
* Behind the peer's Close, the end of the byte stream is no event of its own.
* `LocalProtocolError` and `RemoteProtocolError` are all that is raised.
* Extensions of other makers are negotiated, and their hooks for frames are called, at a price in speed, where
  permessage-deflate stands behind them; in front of them, or with hooks of its own, it is refused with
  `LocalProtocolError`. wsproto's parser and masker (`FrameProtocol`, `FrameDecoder`, ...) do not exist here.

RFC 6455; RFC 7692.
"""

from __future__ import annotations

from collections.abc import Generator

from edgews.limits import Limits

from .connection import Connection, ConnectionState, ConnectionType
from .events import Event
from .handshake import H11Handshake
from .installing import install as install
from .typing import Headers

# The wsproto whose API this is.
__version__ = "1.3.2"

__all__ = ["ConnectionType", "WSConnection"]


class WSConnection:
    """One end of a connection, from the first byte of its opening handshake.

    Args:
        connection_type: which side we are.
        limits: what the peer may cost; None for the default. Not known to wsproto.
    """

    def __init__(self, connection_type: ConnectionType, *, limits: Limits | None = None) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        self.handshake = H11Handshake(connection_type, limits=limits)
        self.connection: Connection | None = None

    @property
    def state(self) -> ConnectionState:
        """How far the connection is."""
        return self.handshake.state if self.connection is None else self.connection.state

    def initiate_upgrade_connection(self, headers: Headers, path: bytes | str) -> None:
        """Take a request that someone else has parsed; `H11Handshake` says more."""
        self.handshake.initiate_upgrade_connection(headers, path)

    def send(self, event: Event) -> bytes:
        """Return the bytes that carry an event to the peer.

        Raises:
            LocalProtocolError: the state does not allow it, or it cannot go on the wire.
        """
        if self.connection is not None:
            return self.connection.send(event)
        data = self.handshake.send(event)
        self.connection = self.handshake.connection
        return data

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes that were read, or None for the end of the byte stream; `events` has what came of them.

        Raises:
            RemoteProtocolError: the opening handshake is unacceptable.
            LocalProtocolError: the connection is closed, or `data` is not bytes-like.
        """
        if self.connection is not None:
            self.connection.receive_data(data)
        else:
            self.handshake.receive_data(data)
            self.connection = self.handshake.connection

    def events(self) -> Generator[Event, None, None]:
        """Yield what has come from the peer and was not given before."""
        yield from self.handshake.events()
        if self.connection is not None:
            yield from self.connection.events()
