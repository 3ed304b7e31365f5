"""A server."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as tls
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence, Set
from inspect import isawaitable, iscoroutine
from os import PathLike
from types import NoneType, TracebackType
from typing import Any

from edgews.arguments import check, check_flag, check_size, check_timeout
from edgews.endpoints import check_server
from edgews.events import Delivery, Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.frames import CloseCode, encode_close
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.serving import FAILED, TOO_MANY, ServerOptions, decided
from edgews.serving import spread as spread_over

from .link import tls_timeouts
from .websocket import WebSocket

_log = logging.getLogger("edgews.asyncio")


class Server:
    """Listening sockets and their connections; `serve` makes it.

    As an asynchronous context manager it closes at the end of the block.
    """

    def __init__(
        self,
        handler: Callable[[WebSocket], Awaitable[None]],
        options: ServerOptions,
    ) -> None:
        self._handler = handler
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[WebSocket] = set()
        # Those among them that are open, in order.
        self._open: dict[WebSocket, None] = {}
        # There while somebody waits until there are fewer.
        self._fewer: asyncio.Future[None] | None = None
        # Handlers that wait for all others to end.
        self._closers: set[asyncio.Task[Any]] = set()
        self._closing = False

    @property
    def connections(self) -> Set[WebSocket]:
        """The connections that are open now, in the order of their opening; a copy, for `broadcast`."""
        # What was made together lies together in memory, so going through it in this order takes less time.
        return self._open.copy().keys()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets that listen."""
        return () if self._server is None else self._server.sockets

    async def serve_forever(self) -> None:
        """Wait until the server is closed, or close it when cancelled."""
        assert self._server is not None
        try:
            await self._server.wait_closed()
            await self.wait_closed()
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(
        self,
        timeout: float | None = None,
        *,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        spread: float = 0.0,
    ) -> None:
        """Stop accepting, close every connection, and wait until they and their handlers are gone.

        Connections that are not open yet are dropped at once. A handler may call it too: its own end is not
        waited for then, only that of its connection.

        Args:
            timeout: seconds after which connections that are still there are dropped and handlers cancelled,
                whether they were told or not; None leaves it to `Timeouts.close` and to the handlers.
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: at most 123 bytes of UTF-8.
            spread: seconds over which the connections are closed one after the other, so that their clients
                do not all come back at once.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
            ValueError: a spread that is negative or no finite number.
        """
        check_timeout(timeout)
        encode_close(code, reason)
        connections = list(self._connections)
        opened = [ws for ws in connections if ws._session.opened]
        offsets = spread_over(len(opened), spread)
        self._closing = True
        if self._server is not None:
            self._server.close()
        for ws in connections:
            if not ws._session.opened:
                ws._abort()
        try:
            async with asyncio.timeout(timeout):
                start = self._loop.time()
                for ws, offset in zip(opened, offsets, strict=True):
                    if offset and ws._transport is not None:
                        await asyncio.sleep(start + offset - self._loop.time())
                    if ws._transport is not None:
                        ws._start_close(code, reason)
                await self.wait_closed()
        except TimeoutError:
            for ws in list(self._connections):
                ws._abort()
                if ws._task is not None and ws._task is not asyncio.current_task():
                    ws._task.cancel()
            await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until no connection is left, and no handler but those that wait here themselves."""
        task = asyncio.current_task()
        if task is None or all(ws._task is not task for ws in self._connections):
            while self._connections:
                await self._wait_fewer()
            return
        self._closers.add(task)
        self._tell_fewer()
        try:
            while any(ws._transport is not None or ws._task not in self._closers for ws in self._connections):
                await self._wait_fewer()
        finally:
            self._closers.discard(task)

    async def _wait_fewer(self) -> None:
        if self._fewer is None:
            self._fewer = self._loop.create_future()
        await asyncio.shield(self._fewer)

    def _tell_fewer(self) -> None:
        if self._fewer is not None:
            self._fewer.set_result(None)
            self._fewer = None

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # One connection

    def _connection(self) -> WebSocket:
        """Make the protocol of a new transport; nothing more comes of it if the TLS handshake fails."""
        return WebSocket(self._options.connection(), self._loop, self)

    def came(self, ws: WebSocket) -> None:
        """Keep a connection; the protocol of the transport calls it."""
        self._connections.add(ws)
        if self._closing:
            ws._abort()

    def gone(self, ws: WebSocket) -> None:
        """Forget a connection whose stream and whose handler have both ended; the connection calls it."""
        if ws._transport is None:
            self._open.pop(ws, None)
            if ws._task is None or ws._task.done():
                self._connections.discard(ws)
            self._tell_fewer()

    def asked(self, ws: WebSocket) -> None:
        """Answer the request, or forget a connection that brought none; the connection calls it."""
        if ws.closed is not None:
            return
        if self._closing or len(self._connections) > self._options.max_connections:
            ws._reject(TOO_MANY)
            return
        try:
            decide = self._options.process_request
            answer = None if decide is None else decide(ws.request)
        except Exception:
            self._give_up(ws)
            return
        if answer is not None and isawaitable(answer):
            self._run(ws, self._answer_later(ws, answer))
        elif self._answer(ws, answer):
            self._run(ws, self._work(ws))

    def _work(self, ws: WebSocket) -> Coroutine[Any, Any, None]:
        """Call the handler; what it raises, be it no coroutine function at all, is an end like any other."""
        try:
            work = self._handler(ws)
        except Exception as error:
            return _fail(error)
        return work if iscoroutine(work) else _wait(work)

    async def _answer_later(self, ws: WebSocket, answer: Awaitable[Response | None]) -> None:
        try:
            response = await answer
        except Exception:
            self._give_up(ws)
            return
        if self._answer(ws, response):
            await self._work(ws)

    def _answer(self, ws: WebSocket, response: Response | None) -> bool:
        """Send the response, or open the connection; say whether it is open."""
        try:
            response = decided(response)
            if response is not None:
                ws._reject(response)
            elif ws._accept(self._options.choose(ws.request)):
                self._open[ws] = None
                return True
        except Exception:
            self._give_up(ws)
        return False

    def _give_up(self, ws: WebSocket) -> None:
        _log.exception("cannot answer the request for %s", ws.request.target)
        ws._reject(FAILED)

    def _run(self, ws: WebSocket, work: Any) -> None:
        ws._task = self._loop.create_task(work)
        ws._task.add_done_callback(ws._worked)


async def _fail(error: Exception) -> None:
    raise error


async def _wait(work: Awaitable[None]) -> None:
    if not isawaitable(work):
        raise TypeError(f"the handler must be a coroutine function; it returned {work!r}")
    await work


class serve:
    """Start a server: `server = await serve(...)`, or `async with serve(...) as server`.

    Args:
        handler: called with each open connection, in a task of its own. The connection is closed with 1000
            when it returns, with 1011 when it raises.
        host: a name or address, or several; None and an empty one stand for every address.
        port: None and 0 let the system choose; `Server.sockets` tell.
        sock: a listening socket to use instead.
        path: of a Unix socket to listen on instead.
        ssl: the context for TLS, None for none.
        reuse_port: share the port with other processes.
        backlog: how many connections may wait in the operating system.
        process_request: called with each HTTP request, may be a coroutine function. A `Response` is sent
            instead of opening the connection; a plain HTTP request (`Request.is_upgrade` is False) that gets
            none is answered with 426.
        subprotocols: those that the server speaks; the client's first choice among them is taken.
        select_subprotocol: chooses from the request instead.
        origins: the origins that are let in; None in it stands for a request without an Origin field,
            None instead of it lets everyone in.
        compression: the wish for permessage-deflate, None for none.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds.
        max_connections: when there are as many, further requests are answered with 503.

    Raises:
        OSError: it cannot listen there.
        TypeError, ValueError: an argument that is of a wrong kind, or of no use with the others.
    """

    def __init__(
        self,
        handler: Callable[[WebSocket], Awaitable[None]],
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        path: str | None = None,
        ssl: tls.SSLContext | None = None,
        reuse_port: bool = False,
        backlog: int = 100,
        process_request: Callable[[Request], Response | Awaitable[Response | None] | None] | None = None,
        subprotocols: Sequence[str] = (),
        select_subprotocol: Callable[[Request], str | None] | None = None,
        origins: Sequence[str | None] | None = None,
        compression: PerMessageDeflate | None = None,
        delivery: Delivery = Delivery.MESSAGES,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_connections: int = 10_000,
    ) -> None:
        check("sock", sock, (socket.socket, NoneType), "a socket or None")
        check("path", path, (str, PathLike, NoneType), "a str or None")
        check_server(handler, host, port, ssl=ssl, several=True, streams={"sock": sock, "path": path})
        check_flag("reuse_port", reuse_port)
        check_size("backlog", backlog, 0)
        self._handler = handler
        self._path = path
        self._listen: dict[str, Any] = {"sock": sock, "ssl": ssl, "backlog": backlog}
        if ssl is not None:
            self._listen |= tls_timeouts(timeouts)
        if path is None and sock is None:
            self._listen |= {"host": host, "port": port or 0, "reuse_port": reuse_port}
        self._options = ServerOptions(
            process_request=process_request,
            subprotocols=subprotocols,
            select_subprotocol=select_subprotocol,
            origins=origins,
            compression=compression,
            delivery=delivery,
            limits=limits,
            timeouts=timeouts,
            max_connections=max_connections,
        )
        self._server: Server | None = None

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await self._server.close()

    async def _start(self) -> Server:
        server = Server(self._handler, self._options)
        loop = asyncio.get_running_loop()
        if self._path is not None:
            server._server = await loop.create_unix_server(server._connection, self._path, **self._listen)
        else:
            server._server = await loop.create_server(server._connection, **self._listen)
        return server
