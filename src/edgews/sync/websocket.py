"""A connection over blocking calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any

from edgews.arguments import check_timeout
from edgews.broadcasting import CLOSED, SLOW, YES, Sent
from edgews.client import ClientConnection
from edgews.errors import StateError
from edgews.events import Disconnected, Fragment, Request, Response
from edgews.fragments import UNFINISHED, Pieces, is_pieces, with_end
from edgews.frames import CloseCode
from edgews.messages import BytesLike, PreparedMessage
from edgews.outcomes import ConnectionClosed
from edgews.server import ServerConnection
from edgews.states import State
from edgews.status import Status

from .pump import Pump
from .streams import Stream


class WebSocket(Pump, Status):
    """A connection; `connect` and `serve` make it.

    One thread may send while another receives, and any thread may close. Iterating gives the messages as they
    come, and ends after a closing handshake; any other end raises `ConnectionClosed`. As a context manager it
    closes with 1000 at the end of the block, or with 1011 when an exception leaves it.

    Attributes:
        remote_address, local_address: as the `socket` module gives them.
    """

    def __init__(self, conn: ClientConnection | ServerConnection, stream: Stream, name: str) -> None:
        self.remote_address: Any = stream.sock.getpeername()
        self.local_address: Any = stream.sock.getsockname()
        self._receivers = 0
        # A message in fragments is on its way, and others wait for its end.
        self._in_pieces = False
        super().__init__(conn, stream, name)

    # What the application calls

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and are not with the operating system yet."""
        with self._lock:
            return self._stream.buffered

    def send(
        self, message: str | BytesLike | PreparedMessage | Pieces, *, compress: bool | None = None
    ) -> None:
        """Send a `str` as a text message, anything bytes-like as a binary message.

        Returns when the operating system has all of it. That takes as long as the peer takes to read; a peer
        that takes nothing for `Timeouts.ping_timeout` seconds is given up.

        Args:
            message: what to send. A `PreparedMessage` was encoded for many connections. An iterable gives a
                message in fragments: they go out as they come, other threads wait for the last one, and an
                exception in between fails the connection.
            compress: True or False decides where permessage-deflate was agreed; None leaves it to the
                configured threshold.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            InvalidValueError: text that has no UTF-8.
            TypeError: nothing that can be sent, such as a mapping.
        """
        in_pieces = False
        try:
            with self._lock:
                self._changed.wait_for(
                    lambda: not self._in_pieces or self._stream.broken or self.closed is not None
                )
                if isinstance(message, PreparedMessage):
                    self._send_frame(partial(self._conn.send_prepared, message, compress=compress))
                    return
                if not is_pieces(message):
                    self._send_frame(partial(self._conn.send, message, compress=compress))  # type: ignore[arg-type]
                    return
                if self._stream.broken:
                    raise self._wait_closed()
                in_pieces = self._in_pieces = True
            for piece, final in with_end(message):  # type: ignore[arg-type]
                with self._lock:
                    self._send_frame(partial(self._conn.send_fragment, piece, final=final, compress=compress))
        finally:
            if in_pieces:
                self._end_pieces()

    def recv(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: a `str` for text, `bytes` for binary.

        Messages that came before the end of the connection are returned before the end is raised. One thread
        should receive at a time.

        Args:
            timeout: seconds to wait; None waits for as long as it takes.

        Raises:
            TimeoutError: no message has come in time; nothing is lost.
            ConnectionClosed: the connection has ended, and there is no more to receive.
        """
        check_timeout(timeout)
        message: str | bytes = self._take(self._session.take, timeout)
        return message

    def recv_streaming(self) -> Iterator[str | bytes]:
        """Give the next message in the pieces in which it comes, with the `delivery` that gives pieces.

        With whole messages, the message is the only piece. The rest of one that was not taken to its end is
        skipped by the next call, of `recv` as well.

        Raises:
            ConnectionClosed: the connection has ended; a message may have been cut off.
        """
        first = True
        while True:
            fragment: Fragment = self._take(partial(self._session.take_fragment, first), None)
            yield fragment.data
            if fragment.final:
                return
            first = False

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                message = self.recv()
            except ConnectionClosed as error:
                if error.disconnected.clean:
                    return
                raise
            yield message

    def ping(self, timeout: float | None = 20.0) -> float:
        """Send a Ping and wait for its Pong.

        Messages that come in front of the Pong wait for `recv`; a Pong behind more of them than the inbox
        holds is not seen.

        Args:
            timeout: seconds to wait; None waits until the connection ends.

        Returns:
            Seconds until the Pong came.

        Raises:
            TimeoutError: no Pong has come in time.
            ConnectionClosed: the connection is closing or closed.
        """
        check_timeout(timeout)
        payload = os.urandom(4)
        session = self._session
        with self._lock:
            if self._stream.broken:
                raise self._wait_closed()
            start = monotonic()
            try:
                try:
                    self._write(partial(session.send_ping, payload))
                except StateError:
                    raise self._wait_closed() from None
                # The engine measures the latency as well, and has to know the time for that.
                session.handle_timeout(start)
                self._poller.wake()
                ended = self._changed.wait_for(
                    lambda: session.pings[payload] or self._stream.broken or session.closed is not None,
                    timeout,
                )
                if session.pings[payload]:
                    end = monotonic()
                    session.handle_timeout(end)
                    return end - start
            finally:
                session.pings.pop(payload, None)
            if ended:
                raise self._wait_closed()
            raise TimeoutError(f"no Pong within {timeout} s")

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
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
        self._join()

    def wait_closed(self, timeout: float | None = None) -> Disconnected:
        """Wait until nothing is left of the connection, and return how it ended.

        Args:
            timeout: seconds to wait; None waits for as long as it takes.

        Raises:
            TimeoutError: it has not ended in time.
        """
        check_timeout(timeout)
        if not self._join(timeout):
            raise TimeoutError(f"the connection has not ended within {timeout} s")
        assert self.closed is not None
        return self.closed

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, ConnectionClosed):
            self.close()
        else:
            self.close(CloseCode.INTERNAL_ERROR)

    # For `broadcast`

    def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
        """Send a message without waiting, unless the peer does not keep up."""
        with self._lock:
            if self.closed is not None or self._stream.broken:
                return CLOSED
            if self._stream.pending:
                return SLOW
            try:
                self._write(partial(self._conn.send_prepared, message, compress=compress))
            except StateError:
                return CLOSED
            return YES

    def _fail(self, code: int, reason: str = "") -> None:
        """Fail the connection, if it is open."""
        with self._lock:
            if self._conn.state is State.OPEN:
                self._write(partial(self._conn.fail, code, reason))
                self._poller.wake()

    # What `connect` and `serve` call

    def _start_close(self, code: int, reason: str = "") -> None:
        with self._lock:
            if self._session.opened and self._conn.state is State.OPEN:
                self._write(partial(self._conn.send_close, code, reason))
            self._session.leave()
            self._poller.wake()

    def _accept(self, subprotocol: str | None) -> bool:
        """As a server, open the connection; say whether it is open."""
        with self._lock:
            try:
                # Not for a plain HTTP request, which is answered with 426.
                self._write(partial(self._session.accept, subprotocol, ()))
            except StateError:
                # The client has gone, or its time is up.
                return False
            self._poller.wake()
            return self._session.opened

    def _reject(self, response: Response) -> None:
        """As a server, answer with another HTTP response, and wait until it is delivered."""
        with self._lock:
            # A StateError: the client has gone, or its time is up.
            with suppress(StateError):
                reject = self._server().reject
                self._write(partial(reject, response.status, headers=response.headers, body=response.body))
            self._poller.wake()
        self._join()

    def _server(self) -> ServerConnection:
        assert isinstance(self._conn, ServerConnection)
        return self._conn

    def _abort(self) -> None:
        """Drop the connection without a word."""
        with self._lock:
            self._aborted = True
            self._poller.wake()

    def _join(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left of the connection; say whether that came in time."""
        # Not by `join` alone: where Ctrl-C ends that, Python may take the thread for one that has ended.
        with self._lock:
            if not self._changed.wait_for(lambda: self._gone, timeout):
                return False
            if self.closed is None:
                # The end stands behind messages that nobody has asked for.
                self._session.leave()
        self._thread.join()
        return True

    def _wait_open(self) -> bool:
        """As a client, wait for the server's answer; say whether it opened the connection."""
        with self._lock:
            self._changed.wait_for(lambda: self._session.opened or self.closed is not None)
            opened = self._session.opened
        if not opened:
            self._join()
        return opened

    def _wait_request(self) -> Request | None:
        """As a server, wait for the client's request; None if none came that could be answered."""
        with self._lock:
            self._changed.wait_for(lambda: self._session.request is not None or self.closed is not None)
            return None if self.closed is not None else self._session.request

    def _read_on(self) -> None:
        """Let the thread read again, if it waits for room that there is now."""
        if self._session.reading and not self._watched[0]:
            self._poller.wake()

    def _take(self, take: Callable[[], Any], timeout: float | None) -> Any:
        """Return what `take` gives once it gives something."""
        session = self._session
        with self._lock:
            if self._torn:
                raise self._wait_closed()
            full = session.full
            message = self._ask(take)
            if message is None:
                message = self._wait_message(take, timeout)
            if self._receivers:
                # Another thread has nothing to answer.
                self._ask(session.release)
            if full and not session.full:
                # What is held back waits no longer than its time again.
                self._poller.wake()
            self._read_on()
            return message

    def _wait_message(self, take: Callable[[], Any], timeout: float | None) -> Any:
        session = self._session
        deadline = None if timeout is None else monotonic() + timeout
        self._receivers += 1
        try:
            while True:
                if session.held:
                    # The application has come back, so what it wanted to answer is answered.
                    self._ask(self._answer)
                self._read_on()
                if (message := self._ask(take)) is not None:
                    return message
                if session.held:
                    continue
                if session.closed is not None:
                    raise self._error()
                left = None if deadline is None else deadline - monotonic()
                if not self._changed.wait_for(lambda: session.waiting or session.closed is not None, left):
                    raise TimeoutError(f"no message within {timeout} s")
        finally:
            self._receivers -= 1

    def _send_frame(self, encode: Callable[[], bytes]) -> None:
        """Write what `encode` returns; under the lock."""
        self._wait_written()
        try:
            self._write(encode)
        except StateError:
            raise self._wait_closed() from None
        self._wait_written()

    def _end_pieces(self) -> None:
        with self._lock:
            self._in_pieces = False
            if self._conn.sending_fragments and self._conn.state is State.OPEN:
                self._write(partial(self._conn.fail, CloseCode.INTERNAL_ERROR, UNFINISHED))
                self._poller.wake()
            self._changed.notify_all()

    def _wait_written(self) -> None:
        """Wait until nothing waits for the operating system any more."""
        self._writers += 1
        try:
            self._changed.wait_for(lambda: not self._stream.pending or self.closed is not None)
        finally:
            self._writers -= 1
        if self._stream.broken or self._stream.pending:
            raise self._wait_closed()

    def _wait_closed(self) -> ConnectionClosed:
        """Wait for the end, and return it; under the lock, for a call that cannot send any more."""
        if self._stream.broken:
            # The end stands behind messages that this caller does not ask for.
            self._session.leave()
            self._poller.wake()
        self._changed.wait_for(lambda: self.closed is not None or self._gone)
        self._session.leave()
        return self._error()

    def _error(self) -> ConnectionClosed:
        assert self.closed is not None
        return ConnectionClosed(self.closed)
