"""Plain HTTP to origins, by aiohttp: connections that are kept, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from edgews.edge.forwarding.origins import Origin
from edgews.edge.policy.decisions import Failure
from edgews.events import Request

from .failures import connect_failure

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

# How long an unused connection to an origin is kept (seconds): less than most servers keep theirs.
KEPT: Final = 4.0
# What has come of an answer, before the origin has to wait (bytes).
_BUFFER: Final = 64 * 1024
# Whoever repeats one of these has done nothing: RFC 9110 §9.2.1. Only they go out on a connection that was
# used before, which the origin may be closing in this moment; the library then asks once more.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_EXTRAS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class _Fresh(aiohttp.BaseConnector):
    """Uses no connection again on which something has come that nobody asked for.

    The library would take it for the answer to whatever is asked next, which may be somebody else's question.
    RFC 9112 §9.2.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        for protocol, _ in self._conns.get(key, ()):
            if protocol.should_close:
                protocol.close()
        return await super()._get(key, traces)


class _FreshTCP(_Fresh, aiohttp.TCPConnector):
    pass


class _FreshUnix(_Fresh, aiohttp.UnixConnector):
    pass


class Upstreams:
    """The HTTP connections of one route.

    Args:
        context: for origins with TLS.
        connect_timeout: for TCP and TLS, in seconds.
        max_header_size: of an answer's head, in bytes.
    """

    def __init__(
        self, context: ssl.SSLContext | None, *, connect_timeout: float, max_header_size: int
    ) -> None:
        self._context = context
        self._options: dict[str, Any] = {
            # Only the connecting: all else depends on what the client does meanwhile.
            "timeout": aiohttp.ClientTimeout(total=None, connect=connect_timeout),
            "auto_decompress": False,
            "read_bufsize": _BUFFER,
            "max_line_size": max_header_size,
            "max_field_size": max_header_size,
            "skip_auto_headers": _NO_EXTRAS,
            "trace_configs": [_traced()],
        }
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}
        self._busy = 0
        self._retired = False
        self._closing: asyncio.Task[None] | None = None
        self.closed = False

    def request(
        self,
        origin: Origin,
        asked: Request,
        body: AsyncGenerator[bytes, None] | None,
        reached: Callable[[], object],
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask an origin; the block has its answer, whose body is still to come.

        Args:
            reached: called once there is a connection, and the head on its way.

        Raises:
            ValueError: the target would not arrive as it is.
            aiohttp.ClientError, OSError, TimeoutError: there is no answer; see `unreached`.
        """
        # What an address has of an empty query, the library leaves out.
        path, _, query = asked.target.partition("?")
        url = _url(origin, asked.target)
        if url.raw_path_qs != (asked.target if query else path):
            raise ValueError("the target has characters that may not stand there")
        session = self._session(origin, kept=body is None and asked.method in _SAFE)
        return session.request(
            asked.method,
            url,
            headers=CIMultiDict((name, _sent(value)) for name, value in asked.headers),
            data=body,
            allow_redirects=False,
            trace_request_ctx=reached,
        )

    def get(self, origin: Origin, target: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask an origin for something of the gateway's own, on a connection of its own."""
        return self._session(origin, kept=False).get(_url(origin, target), allow_redirects=False)

    def _session(self, origin: Origin, *, kept: bool) -> aiohttp.ClientSession:
        session = self._sessions.get((origin.text, kept))
        if session is None:
            # How many there are at a time, the limit of connections of the gateway's own says.
            options: dict[str, Any] = {"limit": 0, "force_close": not kept}
            if kept:
                options["keepalive_timeout"] = KEPT
            connector = (
                _FreshUnix(origin.path, **options)
                if origin.path is not None
                else _FreshTCP(ssl=self._context or True, **options)
            )
            session = self._sessions[origin.text, kept] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **self._options
            )
        return session

    def enter(self) -> None:
        """Say that a request is going to use them."""
        self._busy += 1

    def leave(self) -> None:
        """Say that it is done."""
        self._busy -= 1
        self._close_if_idle()

    def retire(self) -> None:
        """Close all connections once nobody uses them any more."""
        self._retired = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retired and not self._busy and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_late())

    async def _close_late(self) -> None:
        """Close all connections, unless a request has come in between that was on its way already."""
        if self._busy:
            self._closing = None
        else:
            await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._closing is not None and self._closing is not asyncio.current_task():
            await self._closing
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()
        self.closed = self._retired


def unreached(error: Exception) -> Failure | None:
    """Return what to answer if no connection came about; None if it did, and something else went wrong."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return connect_failure(TimeoutError())
        case aiohttp.ClientConnectorCertificateError():
            return connect_failure(ssl.SSLCertVerificationError())
        case aiohttp.ClientConnectorSSLError():
            return connect_failure(ssl.SSLError())
        case aiohttp.ClientConnectorError():
            return connect_failure(error.os_error)
        case _:
            return None


def _traced() -> aiohttp.TraceConfig:
    """Return what makes the library say when it has reached somebody."""

    async def sent(session: aiohttp.ClientSession, context: Any, parameters: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx()

    traced = aiohttp.TraceConfig()
    traced.on_request_headers_sent.append(sent)
    return traced


def watch(response: aiohttp.ClientResponse) -> None:
    """Have whoever reads the body learn that the connection is gone, whatever the reason.

    By itself the library tells nobody when it gives one up for a malformed chunk.
    """
    connection = response.connection
    protocol = None if connection is None else connection.protocol
    gone = None if protocol is None else protocol.closed
    if gone is not None:
        gone.add_done_callback(lambda gone: _broken(response.content, gone))


def _broken(content: aiohttp.StreamReader, gone: asyncio.Future[None]) -> None:
    if not gone.cancelled():
        # An exception that nobody has looked at is reported as a fault of ours.
        gone.exception()
    if not content.is_eof() and content.exception() is None:
        content.set_exception(aiohttp.ClientPayloadError())


def _sent(value: str) -> str:
    """Return a field's value, which has a character for each byte, so that its bytes go out again.

    The library writes UTF-8. What is none arrives as if it were Latin-1; RFC 9110 §5.5 advises against both.
    """
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _url(origin: Origin, target: str) -> URL:
    scheme = "https" if origin.secure else "http"
    where = "localhost" if origin.path is not None else origin.authority
    return URL(f"{scheme}://{where}{target}", encoded=True)
