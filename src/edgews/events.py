"""What a connection tells its owner.

    Event = str | bytes | Fragment | Request | Accepted | Rejected | Ping | Pong | Close | Disconnected

A text message is a `str` and a binary message is `bytes`: the two that come by the million need no
wrapper. All others are plain dataclasses, made for `match`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from .errors import RemoteProtocolError
from .headers import Headers, lists_token, split_list


@dataclass(slots=True)
class Fragment:
    """A piece of a message, with any other `Delivery` than `MESSAGES`.

    `data` is `str` for text, cut between two characters, and `bytes` for binary. `final` marks the last
    piece of the message, which may be empty.
    """

    data: str | bytes
    final: bool


@dataclass(slots=True)
class Request:
    """An HTTP request as a server sees it, or as a client sends it.

    Attributes:
        method: as it came; `CONNECT` for RFC 8441.
        target: path and query, as they came.
        headers: every field, in order.
        http_version: `1.1`, `1.0`, `2` or `3`.
        protocol: the `:protocol` of an extended CONNECT (RFC 8441), None in HTTP/1.1.
        is_upgrade: False when this is a plain HTTP request, which may be answered by `reject` with any
            response and cannot be accepted.
    """

    method: str
    target: str
    headers: Headers
    http_version: str = "1.1"
    protocol: str | None = None
    is_upgrade: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        self.is_upgrade = self.protocol is not None or lists_token(
            self.headers.get_all("Upgrade"), "websocket"
        )

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query without the question mark."""
        return self.target.partition("?")[2]

    @property
    def subprotocols(self) -> list[str]:
        """Offered subprotocols, preferred first. RFC 6455 §4.1 (10.)."""
        return [
            name for value in self.headers.get_all("Sec-WebSocket-Protocol") for name in split_list(value)
        ]

    @property
    def origin(self) -> str | None:
        """The Origin field; None when there is none, as from most clients that are no browsers."""
        return self.headers.get("Origin")


@dataclass(slots=True)
class Response:
    """An HTTP response; `body` is empty for the ones that open a connection."""

    status: int
    headers: Headers
    body: bytes = b""


@dataclass(slots=True)
class Accepted:
    """The server agreed, as a client sees it; the connection is open."""

    subprotocol: str | None
    response: Response


@dataclass(slots=True)
class Rejected:
    """The server answered something else, as a client sees it; `Disconnected` follows.

    The body is cut at `Limits.max_body_size`.
    """

    response: Response


@dataclass(slots=True)
class Ping:
    """A Ping arrived; with `auto_pong` its answer waits in `data_to_send`. RFC 6455 §5.5.2."""

    data: bytes


@dataclass(slots=True)
class Pong:
    """A Pong arrived, asked for or not. RFC 6455 §5.5.3."""

    data: bytes


@dataclass(slots=True)
class Close:
    """The peer's Close frame; `code` is 1005 when it carried none. RFC 6455 §5.5.1."""

    code: int
    reason: str


class CauseKind(Enum):
    """Why a connection ended."""

    CLOSED = "closed"
    """The closing handshake ran to its end."""
    PEER_VANISHED = "peer vanished"
    """The byte stream ended without a closing handshake."""
    CLOSE_TIMEOUT = "close timeout"
    """We said Close, and the peer never did."""
    PING_TIMEOUT = "ping timeout"
    """A Ping was not answered, and nothing else came either."""
    IDLE_TIMEOUT = "idle timeout"
    """No message for too long."""
    OPEN_TIMEOUT = "open timeout"
    """The opening handshake took too long."""
    HANDSHAKE_REFUSED = "handshake refused"
    """The application, or the server, said no to the opening handshake."""
    HANDSHAKE_FAILED = "handshake failed"
    """The peer's opening handshake was not acceptable."""
    NO_UPGRADE = "no upgrade"
    """A plain HTTP request was answered as one."""
    PROTOCOL_ERROR = "protocol error"
    """The peer broke a rule."""
    MESSAGE_TOO_BIG = "message too big"
    """The peer sent more than `Limits` allow."""
    FAILED = "failed"
    """The application called `fail`."""


class Side(Enum):
    """Who began the end of a connection."""

    LOCAL = "local"
    PEER = "peer"


@dataclass(slots=True)
class Cause:
    """The diagnosis behind a code like 1006.

    Attributes:
        kind: one of a few kinds, for counting.
        initiator: who began the end; the peer, when it broke a rule.
        detail: one sentence for a person.
        header: the header field at fault in an opening handshake.
        error: the rule that was broken, with its RFC section.
    """

    kind: CauseKind
    initiator: Side
    detail: str
    header: str | None = None
    error: RemoteProtocolError | None = None

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}"


@dataclass(slots=True)
class Disconnected:
    """The end: always the last event, exactly once, when the byte stream may be dropped.

    Attributes:
        code: the peer's close code, 1005 if its Close had none, 1006 if no Close came.
        reason: the peer's reason.
        clean: both Close frames were exchanged.
        cause: why; where we failed the connection, its `error` has the code that we sent.

    RFC 6455 §7.1.4, §7.1.5, §7.1.6.
    """

    code: int
    reason: str
    clean: bool
    cause: Cause


Event: TypeAlias = str | bytes | Fragment | Request | Accepted | Rejected | Ping | Pong | Close | Disconnected


class Delivery(Enum):
    """In which pieces messages are delivered."""

    MESSAGES = "messages"
    """Whole, as `str` and `bytes`."""
    FRAGMENTS = "fragments"
    """One `Fragment` for each data frame."""
    STREAM = "stream"
    """A `Fragment` for whatever has arrived, without waiting for the end of a frame."""
    EAGER = "eager"
    """Whole, as `str` and `bytes`, what arrives in one uncompressed frame and one read; else as `STREAM`."""
