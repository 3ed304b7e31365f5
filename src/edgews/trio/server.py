"""A server."""

from __future__ import annotations

import logging
import math
import socket
import ssl as tls
from collections.abc import Awaitable, Callable, Sequence, Set
from inspect import isawaitable
from types import TracebackType
from typing import Any

import trio

from edgews.arguments import check_flag, check_several, check_timeout
from edgews.endpoints import check_server
from edgews.events import Delivery, Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.frames import CloseCode, encode_close
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.outcomes import ConnectionClosed, parted
from edgews.serving import FAILED, TOO_MANY, ServerOptions, decided
from edgews.serving import spread as spread_over

from .blocks import leave
from .websocket import WebSocket

_log = logging.getLogger("edgews.trio")


class serve:
    """Serve for a block: `async with serve(handler, host, port) as server`.

    The end of the block closes the server, as `close` does. An exception that leaves the block leaves it as
    it is, in no group.

    Args:
        handler: called with each open connection, in a task of its own. The connection is closed with 1000
            when it returns, with 1011 when it raises.
        host: a name or address; None and an empty one stand for every address.
        port: None and 0 let the system choose; `listeners` tell.
        listeners: of any kind, to use instead; they then belong to the server.
        ssl: the context for TLS, None for none.
        reuse_port: share the port with other processes.
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

    Attributes:
        listeners: what the server listens on, inside the block.

    Raises:
        OSError: it cannot listen there.
        TypeError, ValueError: an argument that is of a wrong kind, or of no use with the others.
    """

    def __init__(
        self,
        handler: Callable[[WebSocket], Awaitable[None]],
        host: str | None = None,
        port: int | None = None,
        *,
        listeners: Sequence[trio.abc.Listener[Any]] | None = None,
        ssl: tls.SSLContext | None = None,
        reuse_port: bool = False,
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
        check_server(handler, host, port, ssl=ssl, several=False, streams={"listeners": listeners})
        if listeners is not None:
            check_several("listeners", listeners, "several listeners")
        check_flag("reuse_port", reuse_port)
        self._handler = handler
        self._host = host or None
        self._port = port or 0
        self.listeners: list[trio.abc.Listener[Any]] = list(listeners or ())
        self._ssl = ssl
        self._reuse_port = reuse_port
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
        # Each with the task that serves it.
        self._connections: dict[WebSocket, trio.lowlevel.Task] = {}
        self._fewer = trio.lowlevel.ParkingLot()
        # Those of them that wait for all others to end.
        self._closers: set[trio.lowlevel.Task | None] = set()
        self._accepting = trio.CancelScope()
        self._everything = trio.CancelScope()
        self._closed = trio.Event()

    @property
    def connections(self) -> Set[WebSocket]:
        """The connections that are open now, in the order in which they came; a copy, for `broadcast`."""
        found = (ws for ws in self._connections if ws._session.opened and ws.closed is None)
        return dict.fromkeys(found).keys()

    async def serve_forever(self) -> None:
        """Wait until the server is closed."""
        await self._closed.wait()

    async def close(
        self,
        timeout: float | None = None,
        *,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        spread: float = 0.0,
    ) -> None:
        """Stop accepting, close every connection, and wait until they and their handlers are gone.

        Connections that are not open yet are dropped at once. A handler may call it too: it is not waited
        for, and is cancelled when the others are gone and its own connection has ended.

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
        opened = [ws for ws in self._connections if ws._session.opened]
        offsets = spread_over(len(opened), spread)
        self._accepting.cancel()
        for ws in self._connections:
            if not ws._session.opened:
                ws._abort()
        try:
            with trio.move_on_after(math.inf if timeout is None else timeout):
                start = trio.current_time()
                for ws, offset in zip(opened, offsets, strict=True):
                    if offset and not ws._gone:
                        await trio.sleep_until(start + offset)
                    ws._start_close(code, reason)
                await self._wait_others()
        finally:
            self._everything.cancel()
        await self._closed.wait()

    async def __aenter__(self) -> serve:
        if not self.listeners:
            self.listeners = await _listening(self._host, self._port, self._reuse_port)
        if self._ssl is not None:
            context = self._ssl
            self.listeners = [trio.SSLListener(listener, context) for listener in self.listeners]
        self._manager = trio.open_nursery()
        nursery = await self._manager.__aenter__()
        nursery.start_soon(self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await leave(self._manager, error, self.close())

    async def _wait_others(self) -> None:
        """Wait until no connection is left, and no handler but those that wait here."""
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None and task not in self._connections.values():
            task = None if task.parent_nursery is None else task.parent_nursery.parent_task
        if task is not None:
            self._closers.add(task)
            self._fewer.unpark_all()
        try:
            while any(task not in self._closers or not ws._gone for ws, task in self._connections.items()):
                await self._fewer.park()
        finally:
            self._closers.discard(task)

    async def _listen(self) -> None:
        """Run the server; a task of its own, so that ending it does not cancel the block."""
        try:
            with self._everything:
                async with trio.open_nursery() as nursery:
                    with self._accepting:
                        await trio.serve_listeners(self._serve, self.listeners, handler_nursery=nursery)
        finally:
            self._closed.set()

    # One connection

    async def _serve(self, stream: trio.abc.Stream) -> None:
        if self._accepting.cancel_called:
            await trio.aclose_forcefully(stream)
            return
        ws = WebSocket(self._options.connection(), stream)
        self._connections[ws] = trio.lowlevel.current_task()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, ws)
                await self._converse(ws)
        except BaseException as error:
            self._report(error, "a connection has failed")
        finally:
            del self._connections[ws]
            self._fewer.unpark_all()

    async def _run(self, ws: WebSocket) -> None:
        try:
            await ws._run()
        finally:
            self._fewer.unpark_all()

    def _report(self, error: BaseException, what: str) -> None:
        """Log an error, and raise what is none: nobody but the server's owner may stop that."""
        defect, rest = parted(error, Exception)
        if defect is not None:
            _log.error(what, exc_info=defect)
        if rest is not None:
            raise rest

    async def _converse(self, ws: WebSocket) -> None:
        session = ws._session
        while session.request is None and session.closed is None:
            await ws._wait_change()
        if session.closed is not None:
            return
        try:
            opened = await self._answer(ws)
        except Exception:
            _log.exception("cannot answer the request for %s", ws.request.target)
            ws._reject(FAILED)
            return
        if opened:
            await self._handle(ws)

    async def _handle(self, ws: WebSocket) -> None:
        code = CloseCode.NORMAL_CLOSURE
        try:
            await self._handler(ws)
        except BaseException as error:
            failure = parted(error, ConnectionClosed)[1]
            if failure is not None:
                code = CloseCode.INTERNAL_ERROR
                self._report(failure, "the handler of a connection failed")
        # Whatever became of it: what was raised may tell of another connection.
        await ws.close(code)

    async def _answer(self, ws: WebSocket) -> bool:
        """Send the response, or open the connection; say whether it is open."""
        response: Response | None = None
        if len(self._connections) > self._options.max_connections:
            response = TOO_MANY
        elif self._options.process_request is not None:
            answer = self._options.process_request(ws.request)
            response = decided(await answer if isawaitable(answer) else answer)
        if response is None:
            return ws._accept(self._options.choose(ws.request))
        ws._reject(response)
        return False


async def _listening(host: str | None, port: int, reuse_port: bool) -> list[trio.abc.Listener[Any]]:
    if not reuse_port:
        return list(await trio.open_tcp_listeners(port, host=host))
    # trio cannot be told, so this is what it does, with one option more.
    listeners: list[trio.abc.Listener[Any]] = []
    found = await trio.socket.getaddrinfo(
        host, port, type=trio.socket.SOCK_STREAM, flags=trio.socket.AI_PASSIVE
    )
    try:
        for family, *_, address in found:
            sock = socket.create_server(address[:2], family=family, backlog=socket.SOMAXCONN, reuse_port=True)
            listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
    except BaseException:
        for listener in listeners:
            await trio.aclose_forcefully(listener)
        raise
    return listeners
