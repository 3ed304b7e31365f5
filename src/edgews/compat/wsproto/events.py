"""wsproto's events: what comes from the peer, and what is sent to it."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .extensions import Extension
    from .typing import Headers

T = TypeVar("T", "bytes | bytearray", str)


class Event(ABC):  # noqa: B024 - as in wsproto, it has nothing to implement
    """Base of all events."""


@dataclass(frozen=True)
class Request(Event):
    """The request that opens a connection: received by a server, sent by a client.

    Attributes:
        host: the Host field, an international name in its own letters.
        target: path and query.
        extensions: a client offers `Extension` objects; a server receives the offers as strings.
        extra_headers: further fields; a server also receives Upgrade, Connection, Sec-WebSocket-Key and
            Sec-WebSocket-Version here, with all names in lower case.
        subprotocols: offered, the preferred one first.
    """

    host: str
    target: str
    extensions: Sequence[Extension] | Sequence[str] = field(default_factory=list)
    extra_headers: Headers = field(default_factory=list)
    subprotocols: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AcceptConnection(Event):
    """The answer that opens the connection: sent by a server, received by a client.

    Attributes:
        subprotocol: one of those that were offered, or None.
        extensions: a server says here which ones it supports; a client learns which ones are agreed.
        extra_headers: further fields.
    """

    subprotocol: str | None = None
    extensions: list[Extension] = field(default_factory=list)
    extra_headers: Headers = field(default_factory=list)


@dataclass(frozen=True)
class RejectConnection(Event):
    """Another answer than the one that opens the connection.

    Attributes:
        status_code: of the HTTP response.
        headers: its fields.
        has_body: `RejectData` follows. A client learns True of every final response.
    """

    status_code: int = 400
    headers: Headers = field(default_factory=list)
    has_body: bool = False


@dataclass(frozen=True)
class RejectData(Event):
    """A piece of the body behind `RejectConnection`; the last one has `body_finished`."""

    data: bytes
    body_finished: bool = True


@dataclass(frozen=True)
class CloseConnection(Event):
    """A Close frame, or the end of a connection without one (1006), or the peer's violation.

    Attributes:
        code: the close code; 1005 stands for none.
        reason: the reason behind it.

    RFC 6455 §5.5.1, §7.4.
    """

    code: int
    reason: str | None = None

    def response(self) -> CloseConnection:
        """Return the answer, to be sent when the state is `REMOTE_CLOSING`."""
        return CloseConnection(code=self.code, reason=self.reason)


@dataclass(frozen=True)
class Message(Event, Generic[T]):
    """A message, or a piece of one.

    Attributes:
        data: what has arrived, or is to be sent, of the payload.
        frame_finished: the frame ends here; without a meaning when sent.
        message_finished: the message ends here.
    """

    data: T
    frame_finished: bool = True
    message_finished: bool = True


@dataclass(frozen=True)
class TextMessage(Message[str]):
    """Text, cut between two characters."""


@dataclass(frozen=True)
class BytesMessage(Message["bytes | bytearray"]):
    """Binary data."""


@dataclass(frozen=True)
class Ping(Event):
    """A Ping frame; its payload has at most 125 bytes. RFC 6455 §5.5.2."""

    payload: bytes = b""

    def response(self) -> Pong:
        """Return the answer, which nobody else sends."""
        return Pong(payload=self.payload)


@dataclass(frozen=True)
class Pong(Event):
    """A Pong frame; its payload has at most 125 bytes. RFC 6455 §5.5.3."""

    payload: bytes = b""
