"""A server with a thread for each connection."""

from __future__ import annotations

import logging
import math
import socket
import ssl as tls
import threading
from collections.abc import Callable, Sequence, Set
from inspect import iscoroutinefunction
from time import monotonic
from types import NoneType, TracebackType
from typing import Any

from edgews.arguments import check, check_flag, check_timeout
from edgews.endpoints import check_server
from edgews.events import Delivery, Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.frames import CloseCode, encode_close
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.outcomes import ConnectionClosed
from edgews.serving import FAILED, ServerOptions, decided
from edgews.serving import spread as spread_over

from .condition import Condition
from .poller import Poller
from .streams import Stream, TlsStream
from .websocket import WebSocket

_log = logging.getLogger("edgews.sync")

# How long to leave the listening socket alone when the system has no more descriptors or threads (seconds),
# unless a connection ends before.
_SHORTAGE_PAUSE = 1.0


class Server:
    """A listening socket and its connections; `serve` makes it.

    As a context manager it shuts down at the end of the block.

    Attributes:
        address: where it listens, as the `socket` module gives it.
    """

    def __init__(
        self,
        handler: Callable[[WebSocket], None],
        sock: socket.socket,
        *,
        ssl: tls.SSLContext | None,
        options: ServerOptions,
    ) -> None:
        self._handler = handler
        self._sock = sock
        self._ssl = ssl
        self._options = options
        sock.setblocking(False)
        self.address: Any = sock.getsockname()
        # Guards all below.
        self._lock = threading.Lock()
        self._changed = Condition(self._lock)
        # Threads of connections; the connection is there once its socket is set up.
        self._threads: dict[threading.Thread, WebSocket | None] = {}
        self._serving = False
        self._stopping = self._stopped = False
        self._poller = Poller(sock)

    @property
    def connections(self) -> Set[WebSocket]:
        """The connections that are open now, in the order in which they came; a copy, for `broadcast`."""
        with self._lock:
            found = [ws for ws in self._threads.values() if ws is not None]
        return dict.fromkeys(ws for ws in found if ws._session.opened and ws.closed is None).keys()

    def serve_forever(self) -> None:
        """Accept connections until `shutdown` is called, on this thread.

        Each connection gets a thread for the handler and one for its byte stream. When there are as many
        connections as `max_connections`, further ones wait in the queue of the operating system.
        """
        with self._lock:
            if self._serving or self._stopping:
                raise RuntimeError("the server is running, or was shut down")
            self._serving = True
        try:
            paused_until = -math.inf
            while not self._stopping:
                now = monotonic()
                accepting = now >= paused_until and len(self._threads) < self._options.max_connections
                if accepting:
                    paused_until = self._accept(now)
                pause = paused_until - now if paused_until > now else None
                self._poller.wait(read=accepting and pause is None, write=False, timeout=pause)
        finally:
            with self._lock:
                self._serving = False
                self._changed.notify_all()

    def shutdown(
        self,
        timeout: float | None = None,
        *,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        spread: float = 0.0,
    ) -> None:
        """Stop accepting, close every connection, and wait until they are gone.

        Connections that are not open yet are dropped at once. Handlers learn of it by `ConnectionClosed`.
        Nothing is left of the server afterwards: no descriptor, and no thread except of handlers that have
        not returned. Any thread may call it, a handler's too. Whoever calls it meanwhile waits for the end of
        the first call, but no handler does.

        Args:
            timeout: seconds after which connections that are still there are dropped, whether they were told
                or not; None leaves it to `Timeouts.close` and to the handlers.
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
        spread_over(0, spread)
        with self._lock:
            if self._stopping:
                # A handler may be waited for itself.
                if threading.current_thread() not in self._threads:
                    self._changed.wait_for(lambda: self._stopped, timeout)
                return
            self._stopping = True
        try:
            self._stop(monotonic(), math.inf if timeout is None else timeout, code, reason, spread)
        finally:
            with self._lock:
                self._stopped = True
                self._changed.notify_all()

    def _stop(self, start: float, timeout: float, code: int, reason: str, spread: float) -> None:
        deadline = start + timeout
        with self._lock:
            self._poller.wake()
            self._changed.wait_for(lambda: not self._serving)
            self._sock.close()
            self._poller.close()
            connections = [ws for ws in self._threads.values() if ws is not None]
            # One without an identity was about to start when Ctrl-C came.
            threads = [
                thread
                for thread in self._threads
                if thread.ident and thread is not threading.current_thread()
            ]
        opened = [ws for ws in connections if ws._session.opened]
        try:
            for ws in connections:
                if not ws._session.opened:
                    ws._abort()
            for ws, offset in zip(opened, spread_over(len(opened), spread), strict=True):
                # One that goes by itself, or whose time is up, keeps nobody waiting.
                ws._join(max(0.0, min(start + offset, deadline) - monotonic()))
                if monotonic() < deadline:
                    ws._start_close(code, reason)
            # The connection of a handler that calls this has no such thread, and comes to its end as well.
            for end in (*(thread.join for thread in threads), *(ws._join for ws in connections)):
                end(None if deadline == math.inf else max(0.0, deadline - monotonic()))
        finally:
            # After Ctrl-C too.
            for ws in connections:
                ws._abort()
            for ws in connections:
                ws._join()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def _accept(self, now: float) -> float:
        """Take one connection from the queue; return until when to take no more."""
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return -math.inf
        except OSError as error:
            _log.error("cannot accept a connection: %s", error)
            return now + _SHORTAGE_PAUSE
        thread = threading.Thread(target=self._run, args=(sock,), name=f"edgews-{sock.fileno()}", daemon=True)
        with self._lock:
            self._threads[thread] = None
        try:
            thread.start()
        except RuntimeError as error:
            _log.error("cannot start a thread: %s", error)
            sock.close()
            self._forget(thread)
            return now + _SHORTAGE_PAUSE
        return -math.inf

    def _run(self, sock: socket.socket) -> None:
        """Serve one connection from its beginning to its end."""
        thread = threading.current_thread()
        try:
            ws = self._open(sock, thread.name)
            if ws is None:
                return
            try:
                self._converse(ws)
            finally:
                ws._join()
        finally:
            self._forget(thread)

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            del self._threads[thread]
            if not self._stopping:
                self._poller.wake()

    def _open(self, sock: socket.socket, name: str) -> WebSocket | None:
        conn = self._options.connection()
        try:
            if self._ssl is None:
                stream = Stream(sock)
            else:
                stream = TlsStream(sock, self._ssl, server_side=True, server_hostname=None)
            ws = WebSocket(conn, stream, name)
            ws._start()
        except (OSError, RuntimeError) as error:
            # The client is gone already, or descriptors or threads have run out.
            _log.error("cannot serve a connection: %s", error)
            sock.close()
            return None
        with self._lock:
            self._threads[threading.current_thread()] = ws
            if self._stopping:
                ws._abort()
        return ws

    def _converse(self, ws: WebSocket) -> None:
        request = ws._wait_request()
        if request is None:
            return
        try:
            decide = self._options.process_request
            response = decided(None if decide is None else decide(request))
            if response is not None:
                ws._reject(response)
                return
            if not ws._accept(self._options.choose(request)):
                return
        except Exception:
            _log.exception("cannot answer the request for %s", request.target)
            ws._reject(FAILED)
            return
        code = CloseCode.NORMAL_CLOSURE
        try:
            self._handler(ws)
        except ConnectionClosed:
            # It may tell of another connection.
            pass
        except Exception:
            _log.exception("the handler of a connection failed")
            code = CloseCode.INTERNAL_ERROR
        ws.close(code)


def serve(
    handler: Callable[[WebSocket], None],
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    ssl: tls.SSLContext | None = None,
    reuse_port: bool = False,
    process_request: Callable[[Request], Response | None] | None = None,
    subprotocols: Sequence[str] = (),
    select_subprotocol: Callable[[Request], str | None] | None = None,
    origins: Sequence[str | None] | None = None,
    compression: PerMessageDeflate | None = None,
    delivery: Delivery = Delivery.MESSAGES,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    max_connections: int = 250,
) -> Server:
    """Listen; `Server.serve_forever` then serves.

    Args:
        handler: called with each open connection, on a thread of its own. The connection is closed with 1000
            when it returns, with 1011 when it raises.
        host: an address, or a name, which stands for its first address; None and an empty one stand for
            every address of one family, IPv4 unless the system prefers the other.
        port: None and 0 let the system choose; `Server.address` tells.
        sock: a listening socket to use instead, which then belongs to the server.
        ssl: the context for TLS, None for none.
        reuse_port: share the port with other processes.
        process_request: called with each HTTP request, on the connection's thread. A `Response` is sent
            instead of opening the connection; a plain HTTP request (`Request.is_upgrade` is False) that gets
            None is answered with 426.
        subprotocols: supported; the client's first choice among them is taken.
        select_subprotocol: called instead with the request; returns one that the client offered, or None.
        origins: the origins that are let in; None in it stands for a request without an Origin field, None
            instead of it lets everyone in.
        compression: the wish for permessage-deflate, None for none.
        delivery: in which pieces messages come: whole, or as `recv_streaming` gives them; `recv` puts them
            together.
        limits: sizes in bytes.
        timeouts: times in seconds.
        max_connections: each one costs two threads and three descriptors, and the memory that `limits` allow.
            The default keeps within the 1,024 descriptors that systems commonly give a process.

    Raises:
        OSError: the address cannot be had.
        TypeError, ValueError: an argument that is of a wrong kind, or of no use with the others; a handler
            that is a coroutine function.

    RFC 6455 §4.2.
    """
    for name, function in (("handler", handler), ("process_request", process_request)):
        if iscoroutinefunction(function):
            raise TypeError(f"{name} is a coroutine function; edgews.sync calls plain ones")
    check("sock", sock, (socket.socket, NoneType), "a socket or None")
    check_server(handler, host, port, ssl=ssl, several=False, streams={"sock": sock})
    check_flag("reuse_port", reuse_port)
    options = ServerOptions(
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
    listener = _listen(host, port or 0, reuse_port) if sock is None else sock
    return Server(handler, listener, ssl=ssl, options=options)


def _listen(host: str | None, port: int, reuse_port: bool) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=socket.SOMAXCONN, reuse_port=reuse_port)
