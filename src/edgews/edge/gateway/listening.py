"""An address at work: it accepts, and makes each connection known to the gateway."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from edgews.edge.forwarding.proxyheader import MAX_HEADER, ProxyHeader, ProxyHeaderError, ProxyHeaderReader
from edgews.edge.forwarding.proxypeers import ProxyPeers

from .proxied import Proxied
from .sockets import name_of

if TYPE_CHECKING:
    from .server import Gateway

_log = logging.getLogger("edgews.edge")

# Connections that the system keeps until they are accepted.
BACKLOG: Final = 1024
# Connections that are accepted in one turn of the loop; the rest comes with the next one.
TURN: Final = 64
# How long nobody is accepted when the system has nothing left for a new connection (seconds).
SHORTAGE_PAUSE: Final = 1.0
# What is left for TLS where there is no time left.
_SHORT: Final = 0.001
_SHORTAGE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listening:
    """The sockets of an address.

    The loop's own servers could not be stopped without dropping what they have just accepted, and know
    nothing of what a proxy says in front of TLS.
    """

    def __init__(self, gateway: Gateway, address: str) -> None:
        self.gateway = gateway
        self.address = address
        self.context: ssl.SSLContext | None = None
        self.sockets: list[socket.socket] = []
        # Who has to say first for whom it speaks.
        self.proxies = ProxyPeers(())
        self._opening: set[asyncio.Task[Any]] = set()

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        scheme = "ws" if self.context is None else "wss"
        names = dict.fromkeys(map(name_of, self.sockets))
        return [name if name.startswith("unix:") else f"{scheme}://{name}" for name in names]

    def use(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on these sockets, and on no others any more."""
        loop = self.gateway.loop
        for sock in self.sockets:
            if sock not in sockets:
                loop.remove_reader(sock)
        for sock in sockets:
            if sock not in self.sockets:
                sock.setblocking(False)
                sock.listen(BACKLOG)
                loop.add_reader(sock, self._accept, sock)
        self.sockets = list(sockets)

    def stop(self, *, last: bool) -> None:
        """Accept no more; the last one to listen takes what has come already."""
        sockets = self.sockets
        self.use(())
        if last:
            for sock in sockets:
                while self._accept_one(sock):
                    pass

    async def settle(self) -> None:
        """Wait until everything that was accepted is known to the gateway, or gone."""
        if self._opening:
            await asyncio.wait(self._opening)

    def abort(self) -> None:
        """Drop what is not yet known to the gateway."""
        for task in self._opening:
            task.cancel()

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(TURN):
            if not self._accept_one(sock):
                return

    def _accept_one(self, sock: socket.socket) -> bool:
        """Accept a connection; say whether there may be more."""
        try:
            accepted, peer = sock.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in _SHORTAGE:
                self._pause(sock, error)
                return False
            # It is gone again; the next one may wait behind it.
            return error.errno == errno.ECONNABORTED
        accepted.setblocking(False)
        address = peer[0] if isinstance(peer, tuple) else None
        proxied = Proxied(self.gateway, secure=self.context is not None, address=address)
        # What a proxy says comes first.
        announced = address in self.proxies
        work: Coroutine[Any, Any, object]
        work = self._open_announced(accepted, proxied) if announced else self._open(accepted, proxied)
        task = self.gateway.loop.create_task(work)
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, accepted, proxied))
        proxied.approach(task)
        self.gateway.arrivals.enter(proxied, known=not announced)
        return True

    def _opened(self, sock: socket.socket, proxied: Proxied, task: asyncio.Task[Any]) -> None:
        """Forget what stood in front of the request."""
        self._opening.discard(task)
        error = None
        if task.cancelled():
            # Maybe before it began.
            sock.close()
        else:
            error = task.exception()
        if isinstance(error, OSError | ProxyHeaderError):
            # The peer's fault, or it is gone.
            _log.debug("not opened on %s: %s", self.address, error)
            self.gateway.observer.dropped(proxied, _reason(error))
            error = None
        if proxied.client.transport is None:
            self.gateway.arrivals.leave(proxied)
        if error is not None:
            raise error

    def _pause(self, sock: socket.socket, error: OSError) -> None:
        if sock in self.sockets:
            _log.error("cannot accept on %s: %s", self.address, error.strerror)
            self.gateway.loop.remove_reader(sock)
            self.gateway.loop.call_later(SHORTAGE_PAUSE, self._resume, sock)

    def _resume(self, sock: socket.socket) -> None:
        if sock in self.sockets:
            self.gateway.loop.add_reader(sock, self._accept, sock)

    def _open(self, sock: socket.socket, proxied: Proxied) -> Coroutine[Any, Any, object]:
        """Return what makes a connection known to the gateway; awaited, it raises OSError if it is gone."""
        loop = self.gateway.loop
        options: dict[str, Any] = {}
        if proxied.secure:
            proxied.awaited = "TLS"
            left = proxied.started + self.gateway.open_timeout - loop.time()
            options = {"ssl": self.context, "ssl_handshake_timeout": max(left, _SHORT)}
            options["ssl_shutdown_timeout"] = self.gateway.linger
        return loop.connect_accepted_socket(lambda: proxied.client, sock, **options)

    async def _open_announced(self, sock: socket.socket, proxied: Proxied) -> None:
        """Do what stands in front of the request: a proxy says for whom it speaks."""
        proxied.awaited = "PROXY header"
        header = await self._read_header(sock, proxied.started + self.gateway.open_timeout)
        if header.known:
            proxied.peername = proxied.address = header.address
            self.gateway.arrivals.know(proxied)
        await self._open(sock, proxied)

    async def _read_header(self, sock: socket.socket, due: float) -> ProxyHeader:
        """Read a PROXY header, and nothing of what follows: that may be TLS.

        Raises:
            OSError, ProxyHeaderError: it does not come, or not in time. The socket is closed.
        """
        loop = self.gateway.loop
        reader = ProxyHeaderReader()
        try:
            async with asyncio.timeout_at(due):
                while reader.header is None:
                    await _readable(loop, sock)
                    data = sock.recv(MAX_HEADER, socket.MSG_PEEK)
                    if not data:
                        raise ConnectionResetError("the stream ended")
                    sock.recv(reader.feed(data))
        except BaseException:
            sock.close()
            raise
        return reader.header


def _reason(error: Exception) -> str:
    """Say why a connection came to nothing, for counting."""
    match error:
        # What asyncio says of a TLS handshake that takes too long.
        case TimeoutError() | ConnectionAbortedError():
            return "too late"
        case ProxyHeaderError() | ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
            return "malformed"
        case _:
            return "lost"


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until there is something to read."""
    ready: asyncio.Future[None] = loop.create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, is_ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)
