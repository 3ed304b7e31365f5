"""Opening a connection."""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from ipaddress import ip_address
from os import PathLike
from types import NoneType, TracebackType
from typing import Any

from edgews.arguments import check
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

from .connections import Connections
from .dialling import dial
from .link import tls_timeouts
from .tunnel import tunnel
from .websocket import WebSocket


class connect:
    """Open a connection to a server: `await connect(uri)`, or `async with connect(uri) as ws`.

    `async for ws in connect(uri)` connects again and again, as `reconnect` does, but without its block: when
    the loop is left, the event loop closes the last connection, soon afterwards or at its own end.

    Args:
        uri: `ws://` or `wss://`; a user and password in it are sent as Basic credentials.
        ssl: the context for `wss://`, None for `ssl.create_default_context()`. With `ws://` it must be None,
            unless redirects are followed, which may lead to `wss://`.
        server_hostname: for `wss://`, the name that the certificate must be made out to, None for the URI's
            host.
        sock: a connected socket to use, which then belongs to the connection.
        path: of a Unix socket to connect to; the URI then only says what is asked for.
        proxy: the URI of a proxy (`http://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`); it needs
            the extra `edgews[proxy]`; True for what the environment says (`wss_proxy`, `socks_proxy`,
            `https_proxy`, `all_proxy`; without TLS `ws_proxy`, `socks_proxy`, `https_proxy`, `http_proxy`,
            `all_proxy`; and `no_proxy`); None for none. `sock` and `path` need none.
        redirects: how many to follow. To another origin go no cookies, no credentials, and of `headers` only
            what is known to be harmless; never from `wss://` to `ws://`. A `sock` leads nowhere else, and
            a `path` to no other origin.
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
        sock: socket.socket | None = None,
        path: str | None = None,
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
        check("sock", sock, (socket.socket, NoneType), "a socket or None")
        check("path", path, (str, PathLike, NoneType), "a str or None")
        check_client(
            self._uri,
            ssl=ssl,
            server_hostname=server_hostname,
            proxy=proxy,
            redirects=redirects,
            streams={"sock": sock, "path": path},
        )
        check_attempts(backoff, on_attempt)
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._sock = sock
        self._path = path
        self._proxy = proxy
        self._timeouts = timeouts
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
        self._ws: WebSocket | None = None

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self._open().__await__()

    async def __aenter__(self) -> WebSocket:
        self._ws = await self._open()
        return self._ws

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._ws is not None
        await self._ws.__aexit__(kind, error, trace)

    async def __aiter__(self) -> AsyncGenerator[WebSocket, None]:
        check_lasting({"sock": self._sock})
        connections = Connections(self._open, Attempts(self._backoff, self._on_attempt))
        try:
            while True:
                yield await connections.next()
        finally:
            # Where the loop was left, the event loop comes here.
            await connections.leave(None)

    async def _open(self) -> WebSocket:
        limit = asyncio.timeout(self._timeouts.open)
        try:
            async with limit:
                return await self._follow()
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"no connection within {self._timeouts.open} s") from None
            raise

    async def _follow(self) -> WebSocket:
        """Return an open connection, after as many redirects as it takes."""
        loop = asyncio.get_running_loop()
        reach = Reach.ANYWHERE if self._path is None else Reach.ORIGIN
        course = Course(self._uri, self._options, loop.time(), reach if self._sock is None else Reach.NOWHERE)
        while True:
            ws = await self._ask(loop, course)
            if ws._session.opened:
                return ws
            course.turn(await ws.wait_closed(), ws.response)

    async def _ask(self, loop: asyncio.AbstractEventLoop, course: Course) -> WebSocket:
        """Return a connection that the server has decided about."""
        answer = _Answer(loop)
        ws = WebSocket(course.connection(), loop, answer)
        await self._dial(loop, course, ws)
        try:
            await answer.decided
        except BaseException:
            ws._abort()
            raise
        return ws

    async def _dial(self, loop: asyncio.AbstractEventLoop, course: Course, ws: WebSocket) -> None:
        uri = course.uri
        options: dict[str, Any] = {}
        if uri.secure:
            name = None if course.moved else self._server_hostname
            options["ssl"] = tls.create_default_context() if self._ssl is None else self._ssl
            options["server_hostname"] = name or uri.host
            options |= tls_timeouts(self._timeouts)
        if self._path is not None:
            await loop.create_unix_connection(lambda: ws, self._path, **options)
            return
        if self._sock is not None:
            options["sock"] = self._sock
        elif proxy := proxy_for(uri, self._proxy):
            options["sock"] = await tunnel(loop, proxy, uri)
        elif _is_address(uri.host):
            options |= {"host": uri.host, "port": uri.port}
        else:
            options["sock"] = await dial(loop, uri.host, uri.port)
        await loop.create_connection(lambda: ws, **options)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Answer:
    """What `connect` waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.decided: asyncio.Future[None] = loop.create_future()

    def came(self, ws: WebSocket) -> None:
        pass

    def asked(self, ws: WebSocket) -> None:
        if not self.decided.done():
            self.decided.set_result(None)

    def gone(self, ws: WebSocket) -> None:
        pass
