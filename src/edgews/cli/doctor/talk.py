"""A WebSocket connection over a blocking socket, with a record of all that came and how it ended."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from edgews.cli.doctor.dial import reason_of
from edgews.cli.doctor.observed import Answer, End, Ending
from edgews.client import ClientConnection
from edgews.errors import HandshakeError
from edgews.events import Accepted, Close, Disconnected, Event, Rejected
from edgews.extensions import PerMessageDeflate
from edgews.http1 import ResponseReader
from edgews.limits import Limits
from edgews.states import Transport

# What is kept of the answer (bytes), of each message (bytes or characters), and how many events: a server may
# send without end.
_KEPT: Final = 65536
_MESSAGE_KEPT: Final = 4096
_EVENTS_KEPT: Final = 1000


class Talk:
    """One connection.

    Args:
        sock: connected, with TLS where that is wanted; the caller closes it.
        conn: the engine's side, without timers.
        timeout: for the request and its answer, and for each write, in seconds.

    Attributes:
        events: what came last, in order, without the end; long messages are cut.
        accepted: the connection has opened.
        ending: how the server ended it.
    """

    def __init__(self, sock: socket.socket, conn: ClientConnection, timeout: float) -> None:
        self._sock = sock
        self._timeout = timeout
        self._conn = conn
        self._raw = b""
        self._error = ""
        self._rejected = False
        self.events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self.accepted = False
        self.ending: Ending | None = None

    def open(self, offers: tuple[PerMessageDeflate, ...]) -> Answer:
        """Send the request and return what came for it."""
        start = monotonic()
        self.send(self._conn.data_to_send())
        self.wait(self._timeout, lambda: self.accepted or self._rejected)
        answer = Answer(self._conn.request, offers, monotonic() - start, self._raw, error=self._error)
        if not self.accepted and self.ending is not None and self.ending.end is not End.VIOLATION:
            answer.ending = self.ending
        reader = ResponseReader(Limits())
        reader.request(self._conn.request)
        try:
            read = reader.feed(self._raw, b"\r\n\r\n" in self._raw)
        except HandshakeError as error:
            answer.fault = str(error)
        else:
            answer.response = read and read[0]
        return answer

    def send(self, data: bytes) -> None:
        """Write bytes; that the other end is gone shows when it is read from."""
        self._sock.settimeout(self._timeout)
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._error = self._error or reason_of(error)

    def wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        """Read until `until()` holds, the byte stream ends or time is up; say whether it holds."""
        deadline = monotonic() + seconds
        while not until() and not self.over:
            left = deadline - monotonic()
            if left <= 0:
                break
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                break
            except OSError as error:
                self._failed(error)
            else:
                self._received(data)
        return until()

    @property
    def over(self) -> bool:
        """Whether nothing can come any more."""
        return self.ending is not None and self.ending.stream_ended

    def _received(self, data: bytes) -> None:
        if not self.accepted:
            self._raw = (self._raw + data)[:_KEPT]
        conn = self._conn
        if not data:
            self._end(Ending(End.EOF, detail="the byte stream ended without a Close frame"))
            # The body of a refusal may end with the stream.
            self._take(conn.receive_eof())
            return
        self._take(conn.receive_data(data))
        if reply := conn.data_to_send():
            self.send(reply)
        if conn.transport is not Transport.KEEP_OPEN and self.ending is None:
            # We failed it; the cause comes with the end.
            self._take(conn.receive_eof())

    def _end(self, ending: Ending) -> None:
        """The stream has ended, maybe behind a Close."""
        if self.ending is None:
            self.ending = ending
        self.ending.stream_ended = True

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Accepted():
                    self.accepted = True
                case Rejected():
                    self._rejected = True
                case Close(code, reason):
                    self.ending = Ending(End.CLOSE, code, reason, "closed", stream_ended=False)
                case Disconnected(cause=cause):
                    # After a refusal or the end of the stream that was known before.
                    if self.ending is None and not self._rejected:
                        self.ending = Ending(End.VIOLATION, detail=str(cause))
                case str() | bytes():
                    self.events.append(event[:_MESSAGE_KEPT])
                case _:
                    self.events.append(event)

    def _failed(self, error: OSError) -> None:
        """The stream broke."""
        self._error = self._error or reason_of(error)
        detail = f"TLS failed: {error.reason}" if isinstance(error, ssl.SSLError) else "it was reset"
        self._end(Ending(End.RESET, detail=detail))
