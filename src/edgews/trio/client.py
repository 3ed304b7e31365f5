"""Opening a connection."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import trio

from edgews.attempts import Attempt, Attempts, check_attempts
from edgews.backoff import DEFAULT_BACKOFF, Backoff
from edgews.endpoints import check_client
from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.redirects import Course, Reach
from edgews.requests import ClientOptions, check_lasting
from edgews.tunnels import proxy_for
from edgews.uri import URI, as_uri

from .blocks import leave
from .connections import Connections, Loop
from .streams import check_stream, dial
from .tunnel import tunnel
from .websocket import WebSocket


class connect:
    """Open a connection to a server for a block: `async with connect(uri) as ws`.

    An exception that leaves the block leaves it as it is, in no group.

    `async for ws in connect(uri)` connects again and again, as `reconnect` does, but without its block: when
    the loop is left, a system task of trio closes the last connection, soon afterwards or at the end of the
    run.

    Args:
        uri: `ws://` or `wss://`; a user and password in it are sent as Basic credentials.
        ssl: the context for `wss://`, None for `ssl.create_default_context()`. With `ws://` it must be None,
            unless redirects are followed, which may lead to `wss://`.
        server_hostname: for `wss://`, the name that the certificate must be made out to, None for the URI's
            host.
        stream: any connected byte stream to use as it is, without TLS of ours; it then belongs to the
            connection.
        proxy: the URI of a proxy (`http://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`); it needs
            the extra `edgews[proxy]`; True for what the environment says (`wss_proxy`, `socks_proxy`,
            `https_proxy`, `all_proxy`; without TLS `ws_proxy`, `socks_proxy`, `https_proxy`, `http_proxy`,
            `all_proxy`; and `no_proxy`); None for none. A `stream` needs none.
        redirects: how many to follow. To another origin go no cookies, no credentials, and of `headers` only
            what is known to be harmless; never from `wss://` to `ws://`. A `stream` leads nowhere else.
        origin: the Origin field; browsers send one, others need none.
        subprotocols: offered, the preferred one first.
        headers: further fields of the request; a User-Agent takes the place of ours.
        cookies: names and values.
        compression: what to offer for permessage-deflate, None for nothing.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds. `Timeouts.open` holds for everything up to the open connection.
        backoff: how long `async for` waits before the next attempt.
        on_attempt: called before each of these waits; what it raises ends the loop.

    Raises:
        InvalidValueError: a URI, subprotocol, field or cookie that may not be sent.
            TypeError, ValueError: an argument that is of a wrong kind, or of no use with the others.
        MissingExtraError: there is a proxy, and `edgews[proxy]` is not installed.
        OSError: no connection, or no trust in the server: `ssl.SSLError` and `ProxyError` are OSErrors.
        TimeoutError: no answer in time.
        InvalidHandshake: an answer that does not open the connection.

    RFC 6455 §4.1.
    """

    def __init__(
        self,
        uri: str | URI,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        stream: trio.abc.Stream | None = None,
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
        backoff: Backoff = DEFAULT_BACKOFF,
        on_attempt: Callable[[Attempt], object] | None = None,
    ) -> None:
        self._uri = as_uri(uri)
        if stream is not None and (ssl is not None or server_hostname is not None):
            raise ValueError("a stream is used as it is, and ssl and server_hostname are not: leave them out")
        check_stream(stream)
        check_client(
            self._uri,
            ssl=ssl,
            server_hostname=server_hostname,
            proxy=proxy,
            redirects=redirects,
            streams={"stream": stream},
        )
        check_attempts(backoff, on_attempt)
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._stream = stream
        self._proxy = proxy
        self._options = ClientOptions(
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
        self._backoff = backoff
        self._on_attempt = on_attempt

    async def __aenter__(self) -> WebSocket:
        self._manager = trio.open_nursery()
        nursery = await self._manager.__aenter__()
        try:
            self._ws = await self._connect(nursery)
        except BaseException as error:
            await leave(self._manager, error)
            raise
        return self._ws

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await leave(self._manager, error, self._ws._leave(error))

    def __aiter__(self) -> Loop:
        check_lasting({"stream": self._stream})
        return Loop(Connections(self._connect, Attempts(self._backoff, self._on_attempt)))

    async def _connect(self, nursery: trio.Nursery) -> WebSocket:
        reach = Reach.ANYWHERE if self._stream is None else Reach.NOWHERE
        course = Course(self._uri, self._options, trio.current_time(), reach)
        while True:
            ws = await self._ask(nursery, course)
            if ws._session.opened:
                return ws
            assert ws.closed is not None
            course.turn(ws.closed, ws.response)

    async def _ask(self, nursery: trio.Nursery, course: Course) -> WebSocket:
        """Return a connection that the server has decided about."""
        conn = course.connection()
        try:
            with trio.fail_at(course.deadline):
                stream = self._stream if self._stream is not None else await self._dial(course)
        except trio.TooSlowError:
            raise TimeoutError("the connection took too long") from None
        ws = WebSocket(conn, stream)
        nursery.start_soon(ws._run)
        try:
            while not (ws._session.opened or ws.closed is not None):
                await ws._wait_change()
        finally:
            if not ws._session.opened:
                ws._abort()
        return ws

    async def _dial(self, course: Course) -> trio.abc.Stream:
        uri = course.uri
        if proxy := proxy_for(uri, self._proxy):
            stream = await tunnel(proxy, uri)
        else:
            stream = await dial(uri.host, uri.port)
        if not uri.secure:
            return stream
        name = None if course.moved else self._server_hostname
        try:
            secure = trio.SSLStream(
                stream,
                tls.create_default_context() if self._ssl is None else self._ssl,
                server_hostname=name or uri.host,
            )
            await secure.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            if isinstance(error.__cause__, tls.SSLError):
                raise error.__cause__ from None
            raise ConnectionError("the connection broke in the TLS handshake") from error
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secure
