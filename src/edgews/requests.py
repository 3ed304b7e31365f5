"""What the clients of all adapters ask for."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from .client import ClientConnection
from .events import Delivery
from .extensions import PerMessageDeflate
from .headers import Headers, HeadersLike
from .limits import Limits, Timeouts
from .uri import URI


def client_connection(
    uri: URI,
    *,
    origin: str | None,
    subprotocols: Sequence[str],
    headers: HeadersLike,
    compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None,
    delivery: Delivery,
    limits: Limits,
    timeouts: Timeouts,
) -> ClientConnection:
    """Return the engine's connection for the arguments of `connect`.

    A user and password in the URI become Basic credentials, unless a field says something else.

    RFC 7617 §2.
    """
    fields = Headers(headers)
    if uri.username is not None and not fields.has("Authorization"):
        credentials = base64.b64encode(f"{uri.username}:{uri.password or ''}".encode()).decode()
        fields = Headers([*fields, ("Authorization", f"Basic {credentials}")])
    return ClientConnection(
        uri,
        limits=limits,
        timeouts=timeouts,
        delivery=delivery,
        origin=origin,
        subprotocols=subprotocols,
        headers=fields,
        compression=compression,
    )
