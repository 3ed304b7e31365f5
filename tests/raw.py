"""A peer that does exactly what a test says, over a real socket and without the engine."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from tests import wire

# Long enough for a loaded machine; no test waits for it to pass.
TIMEOUT = 60.0


def check(condition: object, message: str) -> None:
    """Fail, also under `python -O`: pytest keeps the assertions of test modules alone."""
    if not condition:
        raise AssertionError(message)


@contextlib.contextmanager
def deaf_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as sock:
        # Bound, it is taken; it does not listen.
        sock.bind((host, 0))
        yield sock.getsockname()[1]


def knock(address: Any) -> None:
    """Connect and leave at once, so that who waits for a connection need not wait any longer."""
    with contextlib.suppress(OSError):
        socket.create_connection(address[:2], TIMEOUT).close()


class Raw:
    """One end of a TCP connection; `head` is the HTTP head of the other side once it has been read."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.head = b""
        self._buffer = b""

    @classmethod
    def connect(cls, address: Any) -> Raw:
        return cls(socket.create_connection(address[:2], TIMEOUT))

    @classmethod
    def open(cls, address: Any, behind: bytes = b"", **changes: str | None) -> Raw:
        """Open a WebSocket connection as a client; `behind` goes out with the request."""
        raw = cls.connect(address)
        raw.send(wire.request({name.replace("_", "-"): value for name, value in changes.items()}) + behind)
        raw.read_head()
        return raw

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the stream ended in the head: {self._buffer!r}")
            self._buffer += data
        self.head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return self.head

    def read_frame(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame, None at the end of the stream."""
        head = self._take(2, or_nothing=True)
        if not head:
            return None
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        key = self._take(4) if head[1] & 0x80 else b""
        payload = self._take(length)
        return head[0] & 0x0F, wire.xor(payload, key) if key else payload

    def read_rest(self) -> bytes:
        """Return everything up to the end of the stream."""
        pieces = [self._buffer]
        try:
            while data := self.sock.recv(65536):
                pieces.append(data)
        finally:
            # Where a reset comes instead, what came before it is still there.
            self._buffer = b"".join(pieces)
        rest, self._buffer = self._buffer, b""
        return rest

    def read_until_gone(self) -> bytes:
        """Return everything up to where the stream is gone, by an end or by a reset.

        Who closes a socket without having read all of it sends a reset, and so does one whose socket
        still gets data: this is for peers that may end like that, read_rest() for those that must not.
        """
        try:
            return self.read_rest()
        except (BrokenPipeError, ConnectionResetError):
            rest, self._buffer = self._buffer, b""
            return rest

    def _take(self, size: int, *, or_nothing: bool = False) -> bytes:
        pieces, have = [self._buffer], len(self._buffer)
        while have < size:
            data = self.sock.recv(65536)
            if not data:
                if or_nothing and not have:
                    return b""
                raise EOFError(f"the stream ended in a frame, behind {have} of its next {size} bytes")
            pieces.append(data)
            have += len(data)
        self._buffer = b"".join(pieces)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
