"""Opening a connection."""

from __future__ import annotations

import ssl as tls
from collections.abc import Sequence
from types import TracebackType

import trio

from edgews.events import Delivery
from edgews.extensions import PerMessageDeflate
from edgews.headers import HeadersLike
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.outcomes import refusal
from edgews.requests import client_connection
from edgews.uri import URI, parse_uri

from .websocket import WebSocket


class connect:
    """Open a connection to a server for a block: `async with connect(uri) as ws`.

    An exception that leaves the block leaves it as it is, in no group.

    Args:
        uri: `ws://` or `wss://`; a user and password in it are sent as Basic credentials.
        ssl: the context for `wss://`, None for `ssl.create_default_context()`.
        server_hostname: the name that the certificate must be made out to, None for the URI's host.
        stream: any connected byte stream to use as it is, without TLS of ours; it then belongs to the
            connection.
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
        OSError: no connection.
        trio.BrokenResourceError: no trust in the server, whose cause is an `ssl.SSLError`.
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
        self._stream = stream
        self._open_time = timeouts.open
        self._conn = client_connection(
            self._uri,
            origin=origin,
            subprotocols=subprotocols,
            headers=headers,
            compression=compression,
            delivery=delivery,
            limits=limits,
            timeouts=timeouts,
        )

    async def __aenter__(self) -> WebSocket:
        try:
            with trio.fail_after(float("inf") if self._open_time is None else self._open_time):
                stream = self._stream if self._stream is not None else await self._dial()
        except trio.TooSlowError:
            raise TimeoutError("the connection took too long") from None
        self._ws = ws = WebSocket(self._conn, stream)
        self._manager = trio.open_nursery()
        nursery = await self._manager.__aenter__()
        nursery.start_soon(ws._run)
        try:
            while not ws._session.opened:
                if ws.closed is not None:
                    raise refusal(ws.closed, ws.response)
                await ws._wait_change()
        except BaseException:
            ws._abort()
            await self._manager.__aexit__(None, None, None)
            raise
        return ws

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._ws._leave(error)
        finally:
            self._ws._abort()
            # The block's exception is not the nursery's, which would put it into a group.
            await self._manager.__aexit__(None, None, None)

    async def _dial(self) -> trio.abc.Stream:
        uri = self._uri
        stream = await trio.open_tcp_stream(uri.host, uri.port)
        if not uri.secure:
            return stream
        secure = trio.SSLStream(
            stream,
            tls.create_default_context() if self._ssl is None else self._ssl,
            server_hostname=self._server_hostname or uri.host,
            https_compatible=True,
        )
        try:
            await secure.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(secure)
            raise
        return secure
