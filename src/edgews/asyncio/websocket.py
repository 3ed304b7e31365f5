"""A connection over `await`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, TypeVar

from edgews.client import ClientConnection
from edgews.errors import StateError
from edgews.events import Disconnected, Response
from edgews.fragments import (
    UNFINISHED,
    AsyncPieces,
    MessagePieces,
    Pieces,
    is_pieces,
    new_session,
    send_pieces,
)
from edgews.frames import CloseCode
from edgews.headers import HeadersLike
from edgews.messages import EITHER, BytesLike, PreparedMessage, as_bytes
from edgews.outcomes import ConnectionClosed, parted
from edgews.server import ServerConnection
from edgews.states import State
from edgews.status import Status

from .link import LARGE, Link
from .pings import Pings
from .waiter import Waiter

_log = logging.getLogger("edgews.asyncio")

T = TypeVar("T")

# After so many messages that found room, a task that only sends lets others run.
TURN = 128


class Owner(Protocol):
    """Who made a connection, and is told how it goes on."""

    def came(self, ws: WebSocket) -> None:
        """The byte stream is there, with TLS where that is wanted."""

    def asked(self, ws: WebSocket) -> None:
        """For a server the request has come, for a client the answer; or the connection has ended."""

    def gone(self, ws: WebSocket) -> None:
        """The stream has ended, or the handler has: called once for each."""


class WebSocket(Link, Status):
    """A connection; `connect` and `serve` make it.

    One task receives at a time; any task may send, ping and close. Iterating gives the messages as they come,
    and ends after a closing handshake; any other end raises `ConnectionClosed`. As an asynchronous context
    manager it closes with 1000 at the end of the block, or with 1011 when an exception leaves it.

    Attributes:
        remote_address, local_address: as the `socket` module gives them.
    """

    __slots__ = (
        "_asked",
        "_finished",
        "_fragments",
        "_owner",
        "_pings",
        "_receiver",
        "_sent",
        "_session",
        "_task",
        "local_address",
        "remote_address",
    )

    def __init__(
        self,
        conn: ServerConnection | ClientConnection,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
    ) -> None:
        self._session = new_session(conn, self._changed)
        super().__init__(self._session, conn, loop)
        self._owner = owner
        self._sent = 0
        self._asked = False
        self._receiver = Waiter(loop)
        # There from the first Ping on.
        self._pings: Pings | None = None
        # There as soon as somebody waits for the end.
        self._finished: asyncio.Future[None] | None = None
        # There while a message in fragments goes out: who has another message waits for it.
        self._fragments: asyncio.Future[None] | None = None
        # The handler, for a server.
        self._task: asyncio.Task[Any] | None = None
        self.remote_address: Any = None
        self.local_address: Any = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.remote_address = transport.get_extra_info("peername")
        self.local_address = transport.get_extra_info("sockname")
        super().connection_made(transport)
        self._owner.came(self)

    def data_received(self, data: bytes) -> None:
        session = self._session
        receiver = self._receiver
        if receiver.waiting:
            # What the task sends before it waits again goes out in one write, unless it gets one message
            # alone: one answer is to be expected then, and costs less so.
            self._corked = []
            plain = session.receive_data(data)
            if session.single is not None:
                self._corked = None
                receiver.wake_now()
            else:
                if session.waiting:
                    receiver.wake_now()
                self._uncork()
        else:
            plain = session.receive_data(data)
        if not plain:
            self._look_up()
        elif session.full and self._transport is not None:
            self._read_on(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._pings is not None:
            self._pings.give_up()
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
        self._owner.gone(self)

    def _eof(self) -> None:
        self._session.receive_eof()
        self._look_up()

    def _look_up(self) -> None:
        """See whether the opening handshake has come to the point at which someone has to decide."""
        session = self._session
        if not self._asked and (session.closed is not None or session.opened):
            self._asked = True
            self._advance()
            self._owner.asked(self)
            return
        if not self._asked and session.request is not None and isinstance(self._conn, ServerConnection):
            self._asked = True
            self._owner.asked(self)
            if session.opened:
                # To open it was to go on.
                return
        self._advance()

    def _wants_more(self) -> bool:
        # Whatever waits to be written: two peers that both wait to be read would wait for ever.
        return self._session.reading

    def _changed(self) -> None:
        """Wake who waits for what is there now."""
        session = self._session
        if session.closed is not None or (session.waiting and self._corked is None):
            self._receiver.wake_soon()
        if self._pings is not None:
            self._pings.look()

    # What the application asks

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and are not with the operating system yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # What the application does

    async def send(
        self,
        message: str | BytesLike | PreparedMessage | Pieces | AsyncPieces,
        *,
        compress: bool | None = None,
    ) -> None:
        """Send a `str` as a text message, anything bytes-like as a binary message.

        The message is encoded and handed over at once, so a call that is cancelled has sent all of it. It
        waits as long as too much of what was sent before has not left; a peer that takes nothing for
        `Timeouts.ping_timeout` seconds is given up.

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
        transport = self._transport
        if transport is None:
            raise await self._end()
        try:
            if isinstance(message, PreparedMessage):
                data = self._conn.send_prepared(message, compress=compress)
            # An iterable is none of these, and raises.
            elif len(message) > LARGE:  # type: ignore[arg-type]
                data = self._send_large(message, compress)  # type: ignore[arg-type]
            else:
                data = self._conn.send(message, compress=compress)  # type: ignore[arg-type]
        except StateError:
            if self._fragments is None:
                raise await self._end() from None
            await asyncio.shield(self._fragments)
            await self.send(message, compress=compress)
            return
        except TypeError:
            if not is_pieces(message):
                # `len` says less about it.
                as_bytes(message, "message", EITHER)  # type: ignore[arg-type]
                raise
            await self._send_pieces(message, compress)  # type: ignore[arg-type]
            return
        if self._corked is None and self._drained is None:
            # What `_put` does, in fewer calls: most messages come here.
            transport.write(data)
        else:
            self._put(data)
        self._sent += 1
        if self._drained is not None or self._sent % TURN == 0:
            await self._make_room()

    async def recv(self) -> str | bytes:
        """Return the next message: a `str` for text, `bytes` for binary.

        Messages that came before the end of the connection are returned before the end is raised. A call
        that is cancelled has taken nothing.

        Raises:
            ConnectionClosed: the connection has ended, and there is no more to receive.
            RuntimeError: another task is receiving.
        """
        return await self._received(self.__anext__())

    def recv_streaming(self) -> MessagePieces:
        """Give the next message in the pieces in which it comes, with the `delivery` that gives pieces.

        With whole messages, the message is the only piece. The rest of one that was not taken to its end is
        skipped by the next call, of `recv` as well.

        Raises:
            ConnectionClosed: while iterating; a message may have been cut off.
            RuntimeError: another task is receiving.
        """
        return MessagePieces(self._session, lambda take: self._received(self._take(take)))

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        # What `_take` does, in fewer calls, for a message that is there or comes next.
        session = self._session
        message = session.take()
        if message is None and session.held is None and session.closed is None and not self._receiver.waiting:
            await self._receiver
            message = session.take()
        if message is None:
            return await self._take(session.take)
        if not self._reading and self._transport is not None:
            self._read_on(self._transport)
        return message

    async def _received(self, taken: Awaitable[T]) -> T:
        try:
            return await taken
        except StopAsyncIteration:
            assert self._session.closed is not None
            raise ConnectionClosed(self._session.closed) from None

    async def _take(self, take: Callable[[], T | None]) -> T:
        """Return what `take` gives once it gives something, or raise what iterating ends with."""
        session = self._session
        message = take()
        while message is None:
            if session.held is not None:
                session.draw()
                self._advance()
            elif session.closed is not None:
                if session.closed.clean:
                    raise StopAsyncIteration
                raise ConnectionClosed(session.closed)
            elif self._receiver.waiting:
                raise RuntimeError("another task is receiving from this connection")
            else:
                await self._receiver
            message = take()
        if not self._reading and self._transport is not None:
            self._read_on(self._transport)
        return message

    async def _send_pieces(self, pieces: Pieces | AsyncPieces, compress: bool | None) -> None:
        while self._fragments is not None:
            await asyncio.shield(self._fragments)
        finished = self._fragments = self._loop.create_future()
        try:
            await send_pieces(self._conn, pieces, compress, self._write_piece)
        except StateError:
            if self._conn.state is State.OPEN:
                # It came from the pieces.
                raise
            raise await self._end() from None
        finally:
            self._fragments = None
            finished.set_result(None)
            if self._conn.sending_fragments:
                self._fail(CloseCode.INTERNAL_ERROR, UNFINISHED)

    async def _write_piece(self, frame: bytes) -> None:
        if self._transport is None:
            # The end may stand behind messages that nobody has asked for.
            raise await self._end()
        self._put(frame)
        self._sent += 1
        if self._drained is not None or self._sent % TURN == 0:
            await self._make_room()

    async def ping(self) -> float:
        """Send a Ping and wait for its Pong.

        Messages that come in front of the Pong wait for `recv`; a Pong behind more of them than the inbox
        holds is not seen before they are taken.

        Returns:
            Seconds until the Pong came.

        Raises:
            ConnectionClosed: the connection is closing, or ends before the Pong.
        """
        if self._transport is None:
            raise await self._end()
        payload = os.urandom(4)
        try:
            data = self._session.send_ping(payload)
        except StateError:
            raise await self._end() from None
        # Finer than what a loop knows of the time.
        start = monotonic()
        self._put(data)
        if self._pings is None:
            self._pings = Pings(self._session, self._loop)
        self._pings.add(payload)
        self._advance()
        if await self._pings.answered(payload):
            return monotonic() - start
        raise await self._end() if self._session.closed is None else ConnectionClosed(self._session.closed)

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
        if self._transport is not None:
            if self._finished is None:
                self._finished = self._loop.create_future()
            await asyncio.shield(self._finished)
        if self._session.closed is None:
            # The end stands behind messages that nobody has asked for.
            self._session.leave()
        assert self._session.closed is not None
        return self._session.closed

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, ConnectionClosed):
            await self.close()
        else:
            await self.close(CloseCode.INTERNAL_ERROR)

    # What `connect` and `serve` call

    def _accept(self, subprotocol: str | None, headers: HeadersLike = ()) -> bool:
        """As a server, open the connection; say whether it is open."""
        try:
            self._put(self._session.accept(subprotocol, headers))
        except StateError:
            # The client has gone, or its time is up.
            return False
        self._advance()
        return self._session.opened

    def _reject(self, response: Response) -> None:
        """As a server, answer with another HTTP response."""
        assert isinstance(self._conn, ServerConnection)
        try:
            data = self._conn.reject(response.status, headers=response.headers, body=response.body)
        except StateError:
            return
        self._put(data)
        self._advance()

    def _worked(self, task: asyncio.Task[Any]) -> None:
        """The handler has ended, or what decided about the request."""
        error = None if task.cancelled() else task.exception()
        # The end of a connection is no failure, in a task group neither.
        if error is not None and parted(error, ConnectionClosed)[1] is not None:
            _log.error("the handler of a connection failed", exc_info=error)
            self._start_close(CloseCode.INTERNAL_ERROR)
        elif self._session.closed is None:
            self._start_close(CloseCode.NORMAL_CLOSURE)
        # What it raised leads back here.
        self._task = None
        self._owner.gone(self)

    def _start_close(self, code: int, reason: str = "") -> None:
        if self._session.opened and self._conn.state is State.OPEN:
            self._put(self._conn.send_close(code, reason))
        self._session.leave()
        self._advance()

    def _abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def _end(self) -> ConnectionClosed:
        return ConnectionClosed(await self.wait_closed())
