"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from edgews.frames import CloseCode
from edgews.messages import BytesLike, PreparedMessage

from .link import Link, Sent


def broadcast(
    connections: Iterable[Link],
    message: str | BytesLike | PreparedMessage,
    *,
    slow: Literal["skip", "close"] = "skip",
    compress: bool | None = None,
) -> int:
    """Send a message to many connections, without waiting for any of them.

    It is framed and compressed once. A connection that is not open, or in the middle of a message in
    fragments, is left out.

    Args:
        connections: of either level of this adapter, such as `Server.connections`.
        message: a `str` for text, anything bytes-like for binary.
        slow: what becomes of a connection whose peer has not taken enough of what was sent before: it does
            not get this message, or it is closed with 1008.
        compress: True or False decides where permessage-deflate was agreed; None leaves it to the
            configured threshold.

    Returns:
        How many connections the message went to.

    Raises:
        InvalidValueError: text that has no UTF-8.
    """
    prepared = message if isinstance(message, PreparedMessage) else PreparedMessage(message)
    count = 0
    yes, behind = Sent.YES, Sent.SLOW if slow == "close" else None
    for connection in connections:
        sent = connection._send_prepared(prepared, compress)
        if sent is yes:
            count += 1
        elif sent is behind:
            connection._fail(CloseCode.POLICY_VIOLATION, "too slow in taking what was sent")
    return count
