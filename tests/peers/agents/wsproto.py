"""wsproto itself over blocking sockets, as a small program of one's own would use it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import wsproto
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

from .agent import HOST, REFUSAL, Message, Options, Pieces, ThreadsAgent

# What a socket that does not block raises when there is nothing to read, or no room to write.
LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Connection:
    """A socket, with wsproto for what passes it."""

    def __init__(self, sock: socket.socket, kind: wsproto.ConnectionType) -> None:
        # One thread reads, others write: OpenSSL wants one at a time, and a lock may not be held for long.
        sock.setblocking(False)
        self.sock = sock
        self.ws = wsproto.WSConnection(kind)
        self._lock = threading.Lock()
        self._events: list[Any] = []
        self.pong = threading.Event()
        self.subprotocol: str | None = None
        self.extensions: list[Any] = []
        self.closed: tuple[int | None, str] = (1006, "")

    def send(self, event: Any) -> None:
        with self._lock:
            data = memoryview(self.ws.send(event))
            while data:
                try:
                    data = data[self.sock.send(data) :]
                except LATER:
                    select.select([], [self.sock], [])

    def receive(self) -> bytes:
        """Wait for bytes; none are the end of the stream."""
        while True:
            try:
                with self._lock:
                    return self.sock.recv(65536)
            except LATER:
                select.select([self.sock], [], [])

    def event(self) -> Any:
        """Return the next event; None at the end of the stream."""
        while not self._events:
            try:
                data = self.receive()
            except ConnectionError:
                data = b""
            if not data:
                return None
            with self._lock:
                self.ws.receive_data(data)
                self._events += self.ws.events()
        return self._events.pop(0)


def as_event(message: Message, last: bool = True) -> TextMessage | BytesMessage:
    if isinstance(message, str):
        return TextMessage(message, message_finished=last)
    return BytesMessage(message, message_finished=last)


class Wsproto(ThreadsAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._listening: list[socket.socket] = []

    def extensions(self, options: Options) -> list[Any]:
        return [] if options.deflate is None else [PerMessageDeflate(**options.deflate)]

    async def listen(self, options: Options) -> int:
        sock = socket.create_server((HOST, 0))
        threading.Thread(target=self._accept, args=(sock, options)).start()
        self._listening.append(sock)
        return sock.getsockname()[1]  # type: ignore[no-any-return]

    def _accept(self, listening: socket.socket, options: Options) -> None:
        context = self.server_context() if options.tls else None
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                threading.Thread(target=self._serve, args=(sock, context, options)).start()

    def _serve(self, sock: socket.socket, context: Any, options: Options) -> None:
        with contextlib.suppress(OSError):
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
        with sock:
            peer = Connection(sock, wsproto.ConnectionType.SERVER)
            request = peer.event()
            if not isinstance(request, Request):
                return
            if request.target.startswith("/refuse"):
                peer.send(RejectConnection(status_code=403, has_body=True))
                peer.send(RejectData(REFUSAL))
                return
            peer.extensions = self.extensions(options)
            peer.subprotocol = next(filter(request.subprotocols.__contains__, options.subprotocols), None)
            peer.send(AcceptConnection(subprotocol=peer.subprotocol, extensions=peer.extensions))
            self.converse_blocked(request.target, peer)

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, options: Options) -> AsyncIterator[Connection]:
        parts = urlsplit(uri)
        assert parts.hostname is not None
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
            if options.tls:
                context = self.client_context(options)
                sock = stack.enter_context(context.wrap_socket(sock, server_hostname=parts.hostname))
            peer = Connection(sock, wsproto.ConnectionType.CLIENT)
            peer.send(
                Request(
                    host=parts.netloc,
                    target=parts.path,
                    subprotocols=options.subprotocols,
                    extensions=self.extensions(options),
                )
            )
            answer = peer.event()
            if isinstance(answer, RejectConnection):
                raise Refused(answer.status_code)
            assert isinstance(answer, AcceptConnection)
            peer.subprotocol, peer.extensions = answer.subprotocol, answer.extensions
            yield peer

    async def messages(self, ws: Connection) -> AsyncIterator[Message]:
        parts: list[Any] = []
        try:
            while (event := ws.event()) is not None:
                if isinstance(event, Ping):
                    ws.send(event.response())
                elif isinstance(event, Pong):
                    ws.pong.set()
                elif isinstance(event, CloseConnection):
                    ws.closed = event.code, event.reason or ""
                    # A peer that has failed the connection does not wait for the answer.
                    with contextlib.suppress(OSError):
                        if ws.ws.state is ConnectionState.REMOTE_CLOSING:
                            ws.send(event.response())
                        # The server ends its stream first: RFC 6455 §7.1.1.
                        while ws.ws.client and ws.receive():
                            pass
                    return
                else:
                    parts.append(event.data)
                    if event.message_finished:
                        yield type(parts[0])().join(parts)
                        parts = []
        except RemoteProtocolError as error:
            ws.send(error.event_hint)
            ws.closed = (1002, str(error))

    def facts(self, ws: Connection) -> dict[str, Any]:
        return {
            "subprotocol": ws.subprotocol,
            "compressed": any(extension.enabled() for extension in ws.extensions),
        }

    def end(self, ws: Connection) -> tuple[int | None, str]:
        return ws.closed

    def status(self, error: Exception) -> int | None:
        return error.status if isinstance(error, Refused) else None

    async def send(self, ws: Connection, message: Message) -> None:
        ws.send(as_event(message))

    async def send_pieces(self, ws: Connection, pieces: Pieces) -> None:
        last = max(number for number, piece in enumerate(pieces) if piece is not None)
        for number, piece in enumerate(pieces):
            if piece is None:
                await self.ping(ws)
            else:
                ws.send(as_event(piece, number == last))

    async def ping(self, ws: Connection) -> None:
        ws.pong.clear()
        ws.send(Ping(b"to and fro"))
        ws.pong.wait()

    async def close(self, ws: Connection, code: int, reason: str) -> None:
        ws.send(CloseConnection(code, reason))

    def stop(self) -> None:
        for sock in self._listening:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
