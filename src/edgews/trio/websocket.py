"""A connection for trio."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import trio

from edgews.client import ClientConnection
from edgews.errors import StateError
from edgews.events import Disconnected, Response
from edgews.fragments import UNFINISHED, AsyncPieces, MessagePieces, Pieces, is_pieces, send_pieces
from edgews.frames import CloseCode
from edgews.messages import BytesLike, PreparedMessage
from edgews.outcomes import ConnectionClosed
from edgews.server import ServerConnection
from edgews.states import State
from edgews.status import Status

from .pump import HIGH_WATER, Pump

T = TypeVar("T")


class WebSocket(Pump, Status):
    """A connection; `connect` and `serve` make it.

    One task receives at a time; any task may send, ping and close. Iterating gives the messages as they come,
    and ends after a closing handshake; any other end raises `ConnectionClosed`.

    Attributes:
        remote_address, local_address: as the `socket` module gives them, None for a stream that is no
            socket's.
    """

    def __init__(self, conn: ClientConnection | ServerConnection, stream: trio.abc.Stream) -> None:
        super().__init__(conn, stream)
        # A message in fragments is on its way, and others wait for its end.
        self._in_pieces = False
        self.remote_address: Any = None
        self.local_address: Any = None
        below: Any = stream
        while isinstance(below, trio.SSLStream):
            below = below.transport_stream
        if isinstance(below, trio.SocketStream):
            # A peer that is gone already has no address any more.
            with suppress(OSError):
                self.local_address = below.socket.getsockname()
                self.remote_address = below.socket.getpeername()

    # What the application asks

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and are not with the operating system yet."""
        return self._waiting

    # What the application does

    async def send(
        self,
        message: str | BytesLike | PreparedMessage | Pieces | AsyncPieces,
        *,
        compress: bool | None = None,
    ) -> None:
        """Send a `str` as a text message, anything bytes-like as a binary message.

        The message is encoded and handed over at once, so a call that is cancelled while it waits has sent
        all of it. It waits as long as too much of what was sent before has not left; a peer that takes
        nothing for `Timeouts.ping_timeout` seconds is given up.

        Args:
            message: what to send. A `PreparedMessage` was encoded for many connections. An iterable, async or
                not, gives a message in fragments: they go out as they come, other calls wait for the last
                one, and a call that is cancelled or fails in between fails the connection.
            compress: True or False decides where permessage-deflate was agreed; None leaves it to the
                configured threshold.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            InvalidValueError: text that has no UTF-8.
            TypeError: nothing that can be sent, such as a mapping.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._in_pieces:
            await self._wait_change()
        if is_pieces(message):
            await self._send_pieces(message, compress)  # type: ignore[arg-type]
        else:
            await self._send_whole(message, compress)  # type: ignore[arg-type]

    async def _send_whole(self, message: str | BytesLike | PreparedMessage, compress: bool | None) -> None:
        try:
            if isinstance(message, PreparedMessage):
                data = self._conn.send_prepared(message, compress=compress)
            else:
                data = self._conn.send(message, compress=compress)
        except StateError:
            raise await self._end() from None
        await self._write_all(data)

    async def _send_pieces(self, pieces: Pieces | AsyncPieces, compress: bool | None) -> None:
        self._in_pieces = True
        try:
            await send_pieces(self._conn, pieces, compress, self._write_all)
        except StateError:
            raise await self._end() from None
        finally:
            self._in_pieces = False
            if self._conn.sending_fragments and self._conn.state is State.OPEN:
                self._put(self._conn.fail(CloseCode.INTERNAL_ERROR, UNFINISHED))
            self._notify()

    async def _write_all(self, data: bytes) -> None:
        """Hand bytes over, and wait until little enough waits to be written."""
        self._put(data)
        self._notify()
        await trio.lowlevel.cancel_shielded_checkpoint()
        while self._waiting > HIGH_WATER:
            await self._wait_change()

    async def recv(self) -> str | bytes:
        """Return the next message: a `str` for text, `bytes` for binary.

        Messages that came before the end of the connection are returned before the end is raised. A call
        that is cancelled has taken nothing.

        Raises:
            ConnectionClosed: the connection has ended, and there is no more to receive.
        """
        return await self._take(self._session.take)

    def recv_streaming(self) -> MessagePieces:
        """Give the next message in the pieces in which it comes, with the `delivery` that gives pieces.

        With whole messages, the message is the only piece. The rest of one that was not taken to its end is
        skipped by the next call, of `recv` as well.

        Raises:
            ConnectionClosed: while iterating; a message may have been cut off.
        """
        return MessagePieces(self._session, self._take)

    async def _take(self, take: Callable[[], T | None]) -> T:
        """Return what `take` gives once it gives something."""
        await trio.lowlevel.checkpoint_if_cancelled()
        session = self._session
        while True:
            stalled = not session.reading
            message = take()
            if message is None and session.held:
                session.draw()
                message = take()
            if stalled or message is None:
                self._notify()
            if message is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return message
            if session.closed is not None:
                raise ConnectionClosed(session.closed)
            await self._wait_change()

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.recv()
        except ConnectionClosed as error:
            if error.disconnected.clean:
                raise StopAsyncIteration from None
            raise

    async def ping(self) -> float:
        """Send a Ping and wait for its Pong.

        Messages that come in front of the Pong wait for `recv`; a Pong behind more of them than the inbox
        holds is not seen before they are taken.

        Returns:
            Seconds until the Pong came.

        Raises:
            ConnectionClosed: the connection is closing, or ends before the Pong.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        payload = os.urandom(4)
        session = self._session
        try:
            self._put(session.send_ping(payload))
        except StateError:
            raise await self._end() from None
        start = trio.current_time()
        # The engine measures the latency as well, and has to know the time for that.
        session.handle_timeout(start)
        self._notify()
        try:
            while not session.pings[payload]:
                if session.closed is not None:
                    raise ConnectionClosed(session.closed)
                await self._wait_change()
            end = trio.current_time()
            session.handle_timeout(end)
            return end - start
        finally:
            del session.pings[payload]

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection, and wait until it is closed.

        That is when the peer has said Close too and has ended its byte stream, or after the close timeout.
        Messages that come meanwhile can still be received, as far as the inbox has room; the rest is dropped.
        Closing again does nothing but wait.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: at most 123 bytes of UTF-8.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
        """
        self._start_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> Disconnected:
        """Wait until nothing is left of the connection, and return how it ended."""
        while self._session.closed is None:
            await self._wait_change()
        return self._session.closed

    # What `connect` and `serve` call

    async def _leave(self, error: BaseException | None) -> None:
        """Close at the end of a block."""
        normal = error is None or isinstance(error, ConnectionClosed)
        await self.close(CloseCode.NORMAL_CLOSURE if normal else CloseCode.INTERNAL_ERROR)

    def _start_close(self, code: int, reason: str = "") -> None:
        if self._session.opened and self._conn.state is State.OPEN:
            self._put(self._conn.send_close(code, reason))
        self._session.leave()
        self._notify()

    def _accept(self, subprotocol: str | None) -> bool:
        """As a server, open the connection; say whether it is open."""
        try:
            self._put(self._session.accept(subprotocol, ()))
        except StateError:
            # The client has gone, or its time is up.
            return False
        self._notify()
        return self._session.opened

    def _reject(self, response: Response) -> None:
        """As a server, answer with another HTTP response."""
        assert isinstance(self._conn, ServerConnection)
        try:
            data = self._conn.reject(response.status, headers=response.headers, body=response.body)
        except StateError:
            return
        self._put(data)
        self._session.leave()
        self._session.receive_data(b"")
        self._notify()

    def _abort(self) -> None:
        """Drop the connection without a word."""
        self._scope.cancel()

    async def _end(self) -> ConnectionClosed:
        return ConnectionClosed(await self.wait_closed())
