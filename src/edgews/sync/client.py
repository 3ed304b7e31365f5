"""Opening a connection."""

from __future__ import annotations

import math
import socket
import ssl as tls
from collections.abc import Sequence
from time import monotonic

from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.outcomes import refusal
from edgews.requests import client_connection
from edgews.uri import URI, parse_uri

from .streams import Stream, TlsStream
from .websocket import WebSocket


def connect(
    uri: str | URI,
    *,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    sock: socket.socket | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: HeadersLike = (),
    compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None = None,
    delivery: Delivery = Delivery.MESSAGES,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> WebSocket:
    """Open a connection to a server.

    Args:
        uri: `ws://` or `wss://`; a user and password in it are sent as Basic credentials.
        ssl: the context for `wss://`, None for `ssl.create_default_context()`.
        server_hostname: the name that the certificate must be made out to, None for the URI's host.
        sock: a connected TCP socket to use, which then belongs to the connection.
        origin: the Origin field; browsers send one, others need none.
        subprotocols: offered, the preferred one first.
        headers: further fields of the request.
        compression: what to offer for permessage-deflate, None for nothing.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds. `Timeouts.open` holds for the TCP connection, and again for the TLS and
            opening handshakes together; the name is looked up without a timeout.

    Raises:
        InvalidValueError: a URI, subprotocol or field that may not be sent.
        OSError: no TCP connection, or no trust in the server: `ssl.SSLError` is an OSError.
        TimeoutError: no answer in time.
        InvalidHandshake: an answer that does not open the connection.

    RFC 6455 §4.1.
    """
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    conn = client_connection(
        parsed,
        delivery=delivery,
        limits=limits,
        timeouts=timeouts,
        origin=origin,
        subprotocols=subprotocols,
        headers=headers,
        compression=compression,
    )
    if sock is None:
        sock = _connect_tcp(parsed, timeouts.open)
    try:
        stream = _wrap(sock, ssl, server_hostname or parsed.host) if parsed.secure else Stream(sock)
        ws = WebSocket(conn, stream, "edgews-client")
    except BaseException:
        sock.close()
        raise
    try:
        opened = ws._wait_open()
    except BaseException:
        ws._abort()
        raise
    if not opened:
        raise _refused(ws, stream)
    return ws


def _connect_tcp(uri: URI, timeout: float | None) -> socket.socket:
    """Try each address of the host until one answers; all of them together have `timeout` seconds."""
    deadline = math.inf if timeout is None else monotonic() + timeout
    failure: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM):
        left = deadline - monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(None if left == math.inf else left)
            sock.connect(address)
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _wrap(sock: socket.socket, context: tls.SSLContext | None, server_hostname: str) -> TlsStream:
    context = tls.create_default_context() if context is None else context
    return TlsStream(sock, context, server_side=False, server_hostname=server_hostname)


def _refused(ws: WebSocket, stream: Stream) -> Exception:
    """Return what `connect` raises for a connection that ended before it was open."""
    assert ws.closed is not None
    if isinstance(stream, TlsStream) and not stream.shaken and stream.error is not None:
        return stream.error
    return refusal(ws.closed, ws.response)
