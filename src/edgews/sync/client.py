"""Opening a connection."""

from __future__ import annotations

import socket
import ssl as tls
from collections.abc import Mapping, Sequence
from time import monotonic
from types import NoneType
from typing import Unpack

from edgews.arguments import check
from edgews.endpoints import check_client
from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.redirects import Course, Reach
from edgews.requests import ClientOptions, RequestArguments
from edgews.tunnels import proxy_for
from edgews.uri import URI, as_uri

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
        ssl: the context for `wss://`, None for `ssl.create_default_context()`. With `ws://` it must be None,
            unless redirects are followed, which may lead to `wss://`.
        server_hostname: for `wss://`, the name that the certificate must be made out to, None for the URI's
            host.
        sock: a connected socket to use, which then belongs to the connection.
        proxy: the URI of a proxy (`http://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`); it needs
            the extra `edgews[proxy]`; True for what the environment says (`wss_proxy`, `socks_proxy`,
            `https_proxy`, `all_proxy`; without TLS `ws_proxy`, `socks_proxy`, `https_proxy`, `http_proxy`,
            `all_proxy`; and `no_proxy`); None for none. A `sock` needs none.
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
        TypeError, ValueError: an argument that is of a wrong kind, or of no use with the others.
        MissingExtraError: there is a proxy, and `edgews[proxy]` is not installed.
        OSError: no connection, or no trust in the server: `ssl.SSLError` and `ProxyError` are OSErrors.
        TimeoutError: no answer in time.
        InvalidHandshake: an answer that does not open the connection.

    RFC 6455 §4.1.
    """
    opening = Opening(
        uri,
        ssl=ssl,
        server_hostname=server_hostname,
        sock=sock,
        proxy=proxy,
        redirects=redirects,
        origin=origin,
        subprotocols=subprotocols,
        headers=headers,
        cookies=cookies,
        compression=compression,
        delivery=delivery,
        limits=limits,
        timeouts=timeouts,
    )
    return opening.open()


class Opening:
    """What `connect` was told, once it is known to make sense."""

    def __init__(
        self,
        uri: str | URI,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        sock: socket.socket | None = None,
        proxy: str | bool | None = True,
        **request: Unpack[RequestArguments],
    ) -> None:
        self._uri = as_uri(uri)
        check("sock", sock, (socket.socket, NoneType), "a socket or None")
        options = ClientOptions(**request)
        check_client(
            self._uri,
            ssl=ssl,
            server_hostname=server_hostname,
            proxy=proxy,
            redirects=options.redirects,
            streams={"sock": sock},
        )
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._sock = sock
        self._proxy = proxy
        self._options = options

    def open(self) -> WebSocket:
        """Return an open connection; without a `sock`, another one each time."""
        reach = Reach.ANYWHERE if self._sock is None else Reach.NOWHERE
        course = Course(self._uri, self._options, monotonic(), reach)
        while True:
            conn = course.connection()
            stream = self._stream(self._sock or self._dial(course), course)
            try:
                ws = WebSocket(conn, stream, "edgews-client")
            except BaseException:
                stream.close()
                raise
            try:
                ws._start()
                opened = ws._wait_open()
            except BaseException:
                ws._abort()
                if ws._thread.is_alive():
                    ws._join()
                raise
            if opened:
                return ws
            assert ws.closed is not None
            if isinstance(stream, TlsStream) and not stream.shaken and stream.error is not None:
                raise stream.error
            course.turn(ws.closed, ws.response)

    def _dial(self, course: Course) -> socket.socket:
        uri = course.uri
        if proxy := proxy_for(uri, self._proxy):
            return tunnel(proxy, uri, course.deadline)
        return dial(uri.host, uri.port, course.deadline)

    def _stream(self, sock: socket.socket, course: Course) -> Stream:
        try:
            if not course.uri.secure:
                return Stream(sock)
            context = tls.create_default_context() if self._ssl is None else self._ssl
            name = None if course.moved else self._server_hostname
            return TlsStream(sock, context, server_side=False, server_hostname=name or course.uri.host)
        except BaseException:
            sock.close()
            raise
