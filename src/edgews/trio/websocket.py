"""A connection for trio."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import trio

from edgews.broadcasting import CLOSED, SLOW, YES, Sent
from edgews.client import ClientConnection
from edgews.errors import StateError
from edgews.events import Disconnected, Response
from edgews.fragments import UNFINISHED, AsyncPieces, MessagePieces, Pieces, is_pieces, send_pieces
from edgews.frames import CloseCode
from edgews.messages import BytesLike, PreparedMessage
from edgews.outcomes import ConnectionClosed, parted
from edgews.server import ServerConnection
from edgews.states import State
from edgews.status import Status

from .pump import HIGH_WATER, Pump
from .streams import addresses

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
        self.local_address, self.remote_address = addresses(stream)
        super().__init__(conn, stream)
        # A message in fragments is on its way, and others wait for its end.
        self._in_pieces = False

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
        while self._in_pieces and not self._ended:
            await self._wait_change()
        if not self._writable:
            raise await self._end()
        try:
            if is_pieces(message):
                await self._send_pieces(message, compress)  # type: ignore[arg-type]
                return
            if isinstance(message, PreparedMessage):
                data = self._conn.send_prepared(message, compress=compress)
            else:
                data = self._conn.send(message, compress=compress)  # type: ignore[arg-type]
        except StateError:
            if self._conn.state is State.OPEN:
                # Not ours, but that of an iterable.
                raise
            raise await self._end() from None
        await self._write_all(data)

    async def _send_pieces(self, pieces: Pieces | AsyncPieces, compress: bool | None) -> None:
        self._in_pieces = True
        try:
            await send_pieces(self._conn, pieces, compress, self._write_all)
            # There may have been none.
            await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            self._in_pieces = False
            if self._conn.sending_fragments:
                self._fail(CloseCode.INTERNAL_ERROR, UNFINISHED)
            self._notify()

    async def _write_all(self, data: bytes) -> None:
        """Hand bytes over, and wait until little enough waits to be written."""
        self._put(data)
        self._notify()
        await trio.lowlevel.cancel_shielded_checkpoint()
        while self._waiting > HIGH_WATER:
            await self._wait_change()
        if self._gone:
            raise await self._end()

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
        stalled = not session.reading
        waited = False
        while (message := take()) is None:
            if session.held:
                session.draw()
                self._notify()
            elif session.closed is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                raise ConnectionClosed(session.closed)
            else:
                await self._wait_change()
                waited = True
        if stalled:
            self._notify()
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return message

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
        if not self._writable:
            raise await self._end()
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
                if self._ended or not self._writable:
                    raise await self._end()
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
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._gone:
            await self._wait_change()
        if self._session.closed is None:
            # The end stands behind messages that nobody has asked for.
            self._session.leave()
        await trio.lowlevel.cancel_shielded_checkpoint()
        assert self._session.closed is not None
        return self._session.closed

    # For `broadcast`

    def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
        """Send a message without waiting, unless the peer does not keep up."""
        if self._ended:
            return CLOSED
        if self._waiting > HIGH_WATER:
            return SLOW
        try:
            data = self._conn.send_prepared(message, compress=compress)
        except StateError:
            return CLOSED
        self._put(data)
        self._notify()
        return YES

    def _fail(self, code: int, reason: str = "") -> None:
        """Fail the connection, if it is open."""
        if self._conn.state is State.OPEN:
            self._put(self._conn.fail(code, reason))
            self._notify()

    # What `connect` and `serve` call

    async def _leave(self, error: BaseException | None) -> None:
        """Close at the end of a block, and in any case leave nothing of the connection."""
        normal = error is None or parted(error, ConnectionClosed)[1] is None
        try:
            await self.close(CloseCode.NORMAL_CLOSURE if normal else CloseCode.INTERNAL_ERROR)
        finally:
            self._abort()

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

    @property
    def _ended(self) -> bool:
        return self._gone or self._session.closed is not None

    async def _end(self) -> ConnectionClosed:
        """Return what a call raises that cannot send any more."""
        if not self._writable:
            # The end stands behind messages that this caller does not ask for.
            self._session.leave()
            self._notify()
        return ConnectionClosed(await self.wait_closed())
