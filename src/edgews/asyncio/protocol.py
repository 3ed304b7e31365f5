"""A connection over callbacks, for frameworks: no task, and one write for the answers to one read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from edgews.client import ClientConnection
from edgews.events import Accepted, Disconnected, Event, Fragment, Request, Response
from edgews.frames import CloseCode
from edgews.messages import BytesLike, PreparedMessage
from edgews.server import ServerConnection
from edgews.serving import FAILED
from edgews.states import State

from .link import LARGE, Link

_log = logging.getLogger("edgews.asyncio")


class WebSocketProtocol(Link):
    """The protocol of an asyncio transport; derive from it and give the callbacks a body.

        server = await loop.create_server(lambda: Chat(ServerConnection()), host, port)
        _, chat = await loop.create_connection(lambda: Chat(ClientConnection(uri)), host, port)

    Every callback may send and close. What is sent while a read is worked through goes out in one write
    behind it. An exception that leaves a callback fails the connection with 1011.

    Args:
        conn: the engine's connection, from its very beginning.
    """

    __slots__ = ("_open", "_paused")

    def __init__(self, conn: ServerConnection | ClientConnection) -> None:
        super().__init__(conn, conn, asyncio.get_running_loop())
        self._paused = False
        self._open = False

    # To override

    def request_received(self, request: Request) -> Response | str | None:
        """Decide, as a server, about a request.

        Returns:
            None to open the connection, a string to open it with this subprotocol, a `Response` to answer
            with that. A plain HTTP request (`Request.is_upgrade` is False) that gets none is answered with
            426.
        """
        return None

    def connection_opened(self) -> None:
        """Take note that messages may be sent and will come."""

    def message_received(self, message: str | bytes) -> None:
        """Take a message: a `str` for text, `bytes` for binary."""

    def fragment_received(self, fragment: Fragment) -> None:
        """Take a piece of a message, if the connection was made to deliver pieces."""

    def connection_closed(self, disconnected: Disconnected) -> None:
        """Take note of the end: called once, and last."""

    # To call

    @property
    def conn(self) -> ServerConnection | ClientConnection:
        """The engine's connection, to look at."""
        return self._conn

    def send(self, message: str | BytesLike | PreparedMessage, *, compress: bool | None = None) -> None:
        """Send a `str` as a text message, anything bytes-like as a binary message; never wait.

        `writable` says whether the peer keeps up.

        Raises:
            StateError: not open, or already closing.
            InvalidValueError: text that has no UTF-8.
        """
        if isinstance(message, PreparedMessage):
            self._put(self._conn.send_prepared(message, compress=compress))
        elif len(message) > LARGE:
            self._put(self._send_large(message, compress))
        else:
            self._put(self._conn.send(message, compress=compress))

    def send_fragment(self, data: str | BytesLike, *, final: bool) -> None:
        """Send a piece of a message, as `Connection.send_fragment`."""
        self._put(self._conn.send_fragment(data, final=final))

    def send_ping(self, data: BytesLike = b"") -> None:
        """Send a Ping; `latency` knows the way there and back once the Pong has come."""
        self._put(self._conn.send_ping(data))
        self._settle()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake; nothing happens if it has started already.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
        """
        if self._conn.state is State.OPEN:
            self._put(self._conn.send_close(code, reason))
            self._settle()
        elif not self._open:
            self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Let the peer wait; what is in the hands of `message_received` comes whole."""
        self._paused = True
        self._settle()

    def resume_reading(self) -> None:
        """Read again."""
        self._paused = False
        self._settle()

    @property
    def writable(self) -> bool:
        """Whether the peer has taken enough of what was sent; if not, `drain` waits until it has."""
        return self._drained is None

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was sent."""
        if self._drained is not None:
            await asyncio.shield(self._drained)

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered Ping and its Pong, None before the first."""
        return self._conn.latency

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and are not with the operating system yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        events = self._conn.receive_data(data)
        if isinstance(events, tuple):
            # One message, as most often: what is sent goes out at once, and nothing else can have changed.
            try:
                for message in events:
                    self.message_received(message)
            except Exception:
                self._broken()
            return
        self._work(events)

    def _eof(self) -> None:
        self._work(self._conn.receive_eof())

    def _tell_time(self) -> None:
        self._give(self._conn.handle_timeout(self._loop.time()))

    def _work(self, events: Iterable[Event]) -> None:
        self._give(events)
        self._advance()

    def _give(self, events: Iterable[Event]) -> None:
        """Give all events to the callbacks, then write what they sent."""
        self._corked = []
        try:
            for event in events:
                if isinstance(event, (str, bytes)):
                    self.message_received(event)
                else:
                    self._handle(event)
        except Exception:
            self._broken()
        self._uncork()

    def _handle(self, event: Event) -> None:
        match event:
            case Fragment():
                self.fragment_received(event)
            case Request():
                self._decide(event)
            case Accepted():
                self._opened()
            case Disconnected():
                self.connection_closed(event)
            case _:
                pass

    def _decide(self, request: Request) -> None:
        conn = self._conn
        assert isinstance(conn, ServerConnection)
        try:
            decision = self.request_received(request)
            if isinstance(decision, Response):
                self._put(conn.reject(decision.status, headers=decision.headers, body=decision.body))
            else:
                self._put(conn.accept(subprotocol=decision))
        except Exception:
            _log.exception("cannot answer the request for %s", request.target)
            self._put(conn.reject(FAILED.status, headers=FAILED.headers, body=FAILED.body))
        if conn.state is State.OPEN:
            self._opened()

    def _opened(self) -> None:
        self._open = True
        self.connection_opened()

    def _broken(self) -> None:
        """A callback has failed, and so does the connection."""
        _log.exception("a callback of a connection failed")
        if self._conn.state is State.OPEN:
            self._put(self._conn.fail(CloseCode.INTERNAL_ERROR))
        self._settle()

    def _settle(self) -> None:
        if self._corked is None:
            self._advance()

    def _wants_more(self) -> bool:
        # A callback cannot wait, so what it answers would pile up for a peer that takes nothing.
        return not self._paused and self._drained is None
