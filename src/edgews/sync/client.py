"""Opening a connection, once or again and again."""

from __future__ import annotations

import socket
import ssl as tls
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Unpack

from edgews.attempts import Attempt, Attempts
from edgews.backoff import DEFAULT_BACKOFF, Backoff
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.redirects import Course, Reach
from edgews.requests import ClientArguments, ClientOptions
from edgews.tunnels import proxy_for
from edgews.uri import URI, parse_uri

from .streams import Stream, TlsStream
from .tunnel import dial, tunnel
from .websocket import WebSocket


def connect(
    uri: str | URI,
    *,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    sock: socket.socket | None = None,
    proxy: str | bool | None = True,
    redirects: int = 0,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: HeadersLike = (),
    cookies: Mapping[str, str] = {},
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
        sock: a connected socket to use, which then belongs to the connection.
        proxy: the URI of a proxy (`http://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`); True for
            the one that the environment has for the server, None for none. A `sock` needs none.
        redirects: how many to follow. To another origin go no cookies, no credentials, and of `headers` only
            what is known to be harmless; never from `wss://` to `ws://`. A `sock` leads nowhere else.
        origin: the Origin field; browsers send one, others need none.
        subprotocols: offered, the preferred one first.
        headers: further fields of the request; a User-Agent takes the place of ours.
        cookies: names and values.
        compression: what to offer for permessage-deflate, None for nothing.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds. `Timeouts.open` holds for everything up to the open connection, except
            that a name is looked up for as long as the operating system takes.

    Raises:
        InvalidValueError: a URI, subprotocol, field or cookie that may not be sent.
        MissingExtraError: there is a proxy, and `edgews[proxy]` is not installed.
        OSError: no connection, or no trust in the server: `ssl.SSLError` and `ProxyError` are OSErrors.
        TimeoutError: no answer in time.
        InvalidHandshake: an answer that does not open the connection.

    RFC 6455 §4.1.
    """
    options = ClientOptions(
        redirects=redirects,
        origin=origin,
        subprotocols=subprotocols,
        headers=headers,
        cookies=cookies,
        compression=compression,
        limits=limits,
        timeouts=timeouts,
    )
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    course = Course(parsed, options, monotonic(), Reach.ANYWHERE if sock is None else Reach.NOWHERE)
    while True:
        conn = course.connection()
        stream = _stream(sock or _dial(course, proxy), course, ssl, server_hostname)
        try:
            ws = WebSocket(conn, stream, "edgews-client")
        except BaseException:
            stream.close()
            raise
        try:
            opened = ws._wait_open()
        except BaseException:
            ws._abort()
            raise
        if opened:
            return ws
        assert ws.closed is not None
        if isinstance(stream, TlsStream) and not stream.shaken and stream.error is not None:
            raise stream.error
        course.turn(ws.closed, ws.response)


def _dial(course: Course, wish: str | bool | None) -> socket.socket:
    uri = course.uri
    if proxy := proxy_for(uri, wish):
        return tunnel(proxy, uri, course.deadline)
    return dial(uri.host, uri.port, course.deadline)


def _stream(
    sock: socket.socket, course: Course, ssl: tls.SSLContext | None, server_hostname: str | None
) -> Stream:
    try:
        if not course.uri.secure:
            return Stream(sock)
        context = tls.create_default_context() if ssl is None else ssl
        name = None if course.moved else server_hostname
        return TlsStream(sock, context, server_side=False, server_hostname=name or course.uri.host)
    except BaseException:
        sock.close()
        raise


class Arguments(ClientArguments, total=False):
    """What `reconnect` hands on to `connect`."""

    ssl: tls.SSLContext | None
    server_hostname: str | None


class reconnect:
    """Connect to a server again and again, in a block that ends the last connection in time.

        with reconnect(uri) as connections:
            for ws in connections:
                ...

    A connection ends where its turn of the loop does, and the next attempt comes after a wait. What the turn
    raises ends the loop, `ConnectionClosed` too unless it is caught inside. Without the block
    (`for ws in reconnect(uri)`) CPython ends the last connection where the loop is left; PyPy, some day.

    Args:
        uri: as for `connect`, and so are all that are not named here.
        backoff: how long to wait.
        on_attempt: called before each wait; what it raises ends the loop.

    Raises:
        Exception: what `connect` raises, from the loop, when it would be the same again: an answer that says
            so, a certificate. After failures of the network, time-outs, and the answers 408, 425, 429 and 5xx
            it tries again, not before the time that Retry-After asks for.
    """

    def __init__(
        self,
        uri: str | URI,
        *,
        backoff: Backoff = DEFAULT_BACKOFF,
        on_attempt: Callable[[Attempt], object] | None = None,
        **arguments: Unpack[Arguments],
    ) -> None:
        self._connections = _connections(uri, Attempts(backoff, on_attempt), arguments)

    def __enter__(self) -> Iterator[WebSocket]:
        return self._connections

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connections.close()

    def __iter__(self) -> Iterator[WebSocket]:
        return self._connections


def _connections(
    uri: str | URI, attempts: Attempts, arguments: Arguments
) -> Generator[WebSocket, None, None]:
    """Yield one connection after the other; not a method, so that a loop holds nothing but this."""
    while True:
        try:
            ws = connect(uri, **arguments)
        except Exception as error:
            time.sleep(attempts.failed(error, time.time()))
            continue
        attempts.opened(monotonic())
        try:
            yield ws
        finally:
            ws.close()
        time.sleep(attempts.ended(monotonic()))
