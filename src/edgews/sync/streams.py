"""Byte streams that never block: TCP, and TLS over TCP.

Nothing here waits and nothing here locks: the caller holds its lock during each call, which lasts no longer
than a system call, and waits for the socket without it. That is also what makes TLS safe with a thread that
reads and others that write, for OpenSSL's objects allow one thread at a time.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

# Bytes asked of the kernel at once, and given to TLS at once: four of its records.
READ_SIZE = 65536

# Bytes to send, and what a call has taken of them without anybody having looked yet: one number or none.
_Entry: TypeAlias = "tuple[bytes | memoryview, list[int]]"


def _note(taken: list[int], call: Callable[[bytes | memoryview], int], data: bytes | memoryview) -> None:
    """Add to a list what a call returns, and be interrupted before both or behind both."""
    taken.extend(map(call, (data,)))


def _waiting(queue: deque[_Entry]) -> int:
    return sum(len(data) - sum(taken) for data, taken in queue)


def _advance(queue: deque[_Entry]) -> None:
    """Go on behind what was taken of the first entry."""
    data, taken = queue[0]
    if taken[0] == len(data):
        queue.popleft()
    else:
        queue[0] = (memoryview(data)[taken[0] :], [])


class Stream:
    """A TCP connection with a queue of bytes to send."""

    __slots__ = ("_ended", "_ending", "_queue", "broken", "bytes_written", "error", "sock")

    # Whether the peer may go on sending after `end`.
    half_closes = True

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # A message goes out in one piece, and shall not wait for the answer to the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._queue: deque[_Entry] = deque()
        self._ending = False
        self._ended = False
        # Nothing can be written any more. What came before that can still be read.
        self.broken = False
        self.error: OSError | None = None
        self.bytes_written = 0

    @property
    def pending(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._queue)

    @property
    def buffered(self) -> int:
        """How many bytes wait to be written."""
        return _waiting(self._queue)

    @property
    def wants_write(self) -> bool:
        """Whether to call `flush` once the socket takes bytes."""
        return bool(self._queue)

    def read(self) -> bytes | None:
        """Return what has arrived; empty at the end of the stream, None when there is nothing now."""
        try:
            return self.sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            self._fail(error)
            return b""

    def put(self, data: bytes) -> None:
        """Queue bytes for `flush`."""
        if data and not self.broken:
            self._queue.append((data, []))

    def flush(self) -> None:
        """Write as much as the socket takes now."""
        self._send_queue(self._queue)
        if self._ending and not self._ended and not self.pending:
            self._end()

    def end(self) -> None:
        """End our direction, after what is queued; reading goes on."""
        if not (self._ending or self.broken):
            self._ending = True
            self.flush()

    def abandon(self) -> None:
        """Write nothing more: what should come next is lost."""
        self.broken = True
        self._queue.clear()

    def close(self) -> None:
        """Give the descriptor back."""
        self.sock.close()

    def _send_queue(self, queue: deque[_Entry]) -> None:
        try:
            while queue:
                data, taken = queue[0]
                if not taken:
                    _note(taken, self.sock.send, data)
                    self.bytes_written += taken[0]
                _advance(queue)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._fail(error)

    def _end(self) -> None:
        self._ended = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = self.error or error
        self.abandon()


class TlsStream(Stream):
    """TLS over a TCP connection; the TLS handshake goes on in `read`.

    Args:
        server_hostname: for a client, the name that the certificate must be made out to.
    """

    __slots__ = ("_incoming", "_notified", "_outgoing", "_records", "_shaken", "_tls")

    # Where OpenSSL has said close_notify, it takes data of the peer for an error.
    half_closes = False

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None
    ) -> None:
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        # What is encrypted and waits for the socket; `_queue` waits to be encrypted.
        self._records: deque[_Entry] = deque()
        self._shaken = False
        self._notified = False

    @property
    def shaken(self) -> bool:
        """Whether the TLS handshake is done."""
        return self._shaken

    @property
    def pending(self) -> bool:
        return bool(self._queue or self._records)

    @property
    def buffered(self) -> int:
        return _waiting(self._records) + _waiting(self._queue)

    @property
    def wants_write(self) -> bool:
        # Bytes that TLS cannot encrypt yet wait for the peer, not for the socket.
        return bool(self._records)

    def read(self) -> bytes | None:
        if self._notified:
            # OpenSSL would take it for an error. Nobody wants it any more, but unread it would turn our end
            # into a reset, which what we have said last may not survive.
            data = super().read()
            return None if data else data
        while True:
            try:
                if not self._shaken:
                    self._tls.do_handshake()
                    self._shaken = True
                    self.flush()
                return self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                self.flush()
                data = super().read()
                if data is None:
                    return None
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                # An alert that says why waits to go out.
                self._queue.clear()
                self.flush()
                self._fail(error)
                return b""

    def flush(self) -> None:
        self._encrypt()
        self._send_queue(self._records)
        # One slice at a time, so that a long message is not there twice.
        while self._queue and self._shaken and not self._records and not self.broken:
            if not self._encrypt():
                return
            self._send_queue(self._records)
        if self._ending and not self._ended and not self.pending:
            self._end()

    def _encrypt(self) -> bool:
        """Encrypt a slice of the queue, unless records wait; say whether records wait now."""
        try:
            if self._queue and self._shaken and not self._records:
                data, taken = self._queue[0]
                if not taken:
                    _note(taken, self._tls.write, memoryview(data)[:READ_SIZE])
                _advance(self._queue)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
        if self._outgoing.pending:
            # As with `_note`: they are in one of the two places at any time.
            self._records.extend(zip(map(self._outgoing.read, (-1,)), ([],), strict=True))
        return bool(self._records)

    def _end(self) -> None:
        """Send close_notify, then end the TCP stream. RFC 8446 §6.1."""
        if self._notified:
            super()._end()
            return
        self._notified = True
        # It complains while the peer's close_notify has not come, and when the TLS handshake never ended.
        with suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()
        self.flush()

    def abandon(self) -> None:
        super().abandon()
        self._records.clear()
