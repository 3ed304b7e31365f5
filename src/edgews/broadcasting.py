"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Literal, Protocol

from .arguments import check_flag, check_several, wrong
from .frames import CloseCode
from .messages import BytesLike, PreparedMessage


class Sent(Enum):
    """What became of a message for one connection."""

    YES = "yes"
    SLOW = "the peer does not keep up"
    CLOSED = "not open, or in the middle of a message in fragments"


# Asking a class for them takes as long as a call, once for each connection.
YES, SLOW, CLOSED = Sent


class Receiver(Protocol):
    """What an adapter's connections have for this."""

    def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
        """Send a message without waiting, unless the peer does not keep up."""
        ...

    def _fail(self, code: int, reason: str = "") -> None:
        """Fail the connection, if it is open."""
        ...


def broadcast(
    connections: Iterable[Receiver],
    message: str | BytesLike | PreparedMessage,
    *,
    slow: Literal["skip", "close"] = "skip",
    compress: bool | None = None,
) -> int:
    """Send a message to many connections, without waiting for any of them.

    It is framed and compressed once. A connection that is not open, or in the middle of a message in
    fragments, is left out.

    Args:
        connections: of one adapter, such as its server's `connections`; of asyncio also `WebSocketProtocol`.
        message: a `str` for text, anything bytes-like for binary.
        slow: what becomes of a connection whose peer has not taken enough of what was sent before: it does
            not get this message, or it is closed with 1008.
        compress: True or False decides where permessage-deflate was agreed; None leaves it to the
            configured threshold.

    Returns:
        How many connections the message went to.

    Raises:
        InvalidValueError: text that has no UTF-8.
        ValueError: `slow` is neither.
    """
    if slow not in ("skip", "close"):
        raise ValueError(f'slow must be "skip" or "close", not {slow!r}')
    if hasattr(connections, "_send_prepared"):
        raise wrong("connections", "several connections", connections)
    check_several("connections", connections, "several connections")
    if compress is not None:
        check_flag("compress", compress)
    prepared = message if isinstance(message, PreparedMessage) else PreparedMessage(message)
    count = 0
    nobody = object()
    behind = SLOW if slow == "close" else None
    # What is no connection is found out at no cost for those that are.
    connection: object = nobody
    try:
        for connection in connections:
            sent = connection._send_prepared(prepared, compress)
            if sent is YES:
                count += 1
            elif sent is behind:
                connection._fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
    except AttributeError:
        if connection is nobody or hasattr(connection, "_send_prepared"):
            raise
        raise wrong("each of connections", "a connection", connection) from None
    return count
