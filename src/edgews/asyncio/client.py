"""Opening a connection."""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any

from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.outcomes import refusal
from edgews.requests import client_connection
from edgews.uri import URI, parse_uri

from .link import tls_timeouts
from .websocket import WebSocket

# After so many seconds without an answer the next address is tried beside the first. RFC 8305 §5.
_NEXT_ADDRESS = 0.25


class connect:
    """Open a connection to a server: `await connect(uri)`, or `async with connect(uri) as ws`.

    Args:
        uri: `ws://` or `wss://`; a user and password in it are sent as Basic credentials.
        ssl: the context for `wss://`, None for `ssl.create_default_context()`.
        server_hostname: the name that the certificate must be made out to, None for the URI's host.
        sock: a connected socket to use, which then belongs to the connection.
        path: of a Unix socket to connect to; the URI then only says what is asked for.
        origin: the Origin field; browsers send one, others need none.
        subprotocols: offered, the preferred one first.
        headers: further fields of the request.
        compression: what to offer for permessage-deflate, None for nothing.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds. `Timeouts.open` holds for everything up to the open connection.

    Raises:
        InvalidValueError: a URI, subprotocol or field that may not be sent.
        OSError: no connection, or no trust in the server: `ssl.SSLError` is an OSError.
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
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        headers: HeadersLike = (),
        compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None = None,
        delivery: Delivery = Delivery.MESSAGES,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._uri = parse_uri(uri) if isinstance(uri, str) else uri
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._sock = sock
        self._path = path
        self._timeouts = timeouts
        self._request: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "headers": headers,
            "compression": compression,
            "delivery": delivery,
            "limits": limits,
        }
        self._ws: WebSocket | None = None

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self._connect().__await__()

    async def __aenter__(self) -> WebSocket:
        self._ws = await self._connect()
        return self._ws

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._ws is not None
        await self._ws.__aexit__(kind, error, trace)

    async def _connect(self) -> WebSocket:
        async with asyncio.timeout(self._timeouts.open):
            return await self._open()

    async def _open(self) -> WebSocket:
        loop = asyncio.get_running_loop()
        answer = _Answer(loop)
        conn = client_connection(self._uri, timeouts=self._timeouts, **self._request)
        ws = WebSocket(conn, loop, answer)
        await self._dial(loop, ws)
        try:
            await answer.decided
        except BaseException:
            ws._abort()
            raise
        if not ws._session.opened:
            raise refusal(await ws.wait_closed(), ws.response)
        return ws

    async def _dial(self, loop: asyncio.AbstractEventLoop, ws: WebSocket) -> None:
        uri = self._uri
        options: dict[str, Any] = {}
        if uri.secure:
            options["ssl"] = tls.create_default_context() if self._ssl is None else self._ssl
            options["server_hostname"] = self._server_hostname or uri.host
            options |= tls_timeouts(self._timeouts)
        if self._path is not None:
            await loop.create_unix_connection(lambda: ws, self._path, **options)
        elif self._sock is not None:
            await loop.create_connection(lambda: ws, sock=self._sock, **options)
        else:
            # uvloop tries one address after the other.
            if isinstance(loop, asyncio.BaseEventLoop):
                options["happy_eyeballs_delay"] = _NEXT_ADDRESS
            await loop.create_connection(lambda: ws, uri.host, uri.port, **options)


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
