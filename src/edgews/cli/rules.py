"""Wrong frames on demand.

A browser cannot send a wrong frame. So the page asks the server to: it opens a TCP connection to itself, does
the opening handshake, sends the frame, and tells how its other end answered.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from dataclasses import dataclass
from typing import Any

from edgews.backend import mask
from edgews.client import ClientConnection
from edgews.events import Accepted, Close, Disconnected
from edgews.frames import FIN, RSV1, Opcode, close_code_meaning, encode_header
from edgews.states import Transport

# For each step of the conversation with ourselves, in seconds.
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of RFC 6455 and the start of a frame that breaks it.

    Attributes:
        title: what is wrong, for a person.
        first: FIN, RSV bits and opcode.
        length: what the header announces, if not the length of the payload (bytes).
        payload: what follows the header.
        masked: whether the frame is masked, as a client's has to be.
    """

    title: str
    first: int
    payload: bytes
    length: int | None = None
    masked: bool = True

    def frame(self) -> bytes:
        """Return the wrong bytes."""
        length = len(self.payload) if self.length is None else self.length
        header = encode_header(self.first, length, masked=self.masked)
        if not self.masked:
            return header + self.payload
        key = os.urandom(4)
        return header + key + mask(self.payload, key)


RULES = {
    "unmasked": Rule("a frame without a mask (§5.1)", FIN | Opcode.TEXT, b"Hello", masked=False),
    "reserved-bit": Rule("a reserved bit (§5.2)", FIN | RSV1 >> 1 | Opcode.TEXT, b"Hello"),
    "reserved-opcode": Rule("a reserved opcode (§5.2)", FIN | 0x3, b"Hello"),
    "continuation": Rule("a continuation of nothing (§5.4)", FIN | Opcode.CONTINUATION, b"Hello"),
    "long-ping": Rule("a Ping of 126 bytes (§5.5)", FIN | Opcode.PING, bytes(126)),
    "close-code": Rule("a Close with code 1006 (§7.4)", FIN | Opcode.CLOSE, (1006).to_bytes(2, "big")),
    "not-utf8": Rule("text that is not UTF-8 (§8.1)", FIN | Opcode.TEXT, b"caf\xe9 au lait"),
    "too-big": Rule("a message of 1 TiB (§10.4)", FIN | Opcode.BINARY, b"", 1 << 40),
}


class Breaker:
    """Send wrong frames to our own server, and collect what it makes of them.

    Attributes:
        address: where our server listens.
    """

    def __init__(self) -> None:
        self.address: Any = None
        self._lock = threading.Lock()
        # Our end's address -> where the server's end leaves its report.
        self._awaited: dict[Any, queue.SimpleQueue[Disconnected]] = {}

    def report(self, client: Any, closed: Disconnected | None) -> None:
        """Tell how the connection of the client at an address ended, in case that someone waits for it."""
        with self._lock:
            awaited = self._awaited.get(client)
        if awaited is not None and closed is not None:
            awaited.put(closed)

    def break_rule(self, name: str) -> str:
        """Break a rule, and return what happened as JSON; it takes as long as the server takes."""
        return json.dumps(self._report(name))

    def _report(self, name: str) -> dict[str, Any]:
        rule = RULES.get(name)
        if rule is None:
            return {"rule": name, "error": "no such rule"}
        try:
            sent, close, cause = self._converse(rule)
        except OSError as error:
            return {"rule": rule.title, "error": str(error)}
        return {
            "rule": rule.title,
            "sent": sent[:16].hex(" "),
            "size": len(sent),
            "code": close.code,
            "meaning": close_code_meaning(close.code),
            "reason": close.reason,
            "cause": cause,
        }

    def _converse(self, rule: Rule) -> tuple[bytes, Close, str]:
        """Be a client of our own server; return what was sent, its Close, and the cause it reports."""
        host, port = self.address[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        answer: queue.SimpleQueue[Disconnected] = queue.SimpleQueue()
        frame = rule.frame()
        with socket.create_connection((host, port), _TIMEOUT) as sock:
            ours = sock.getsockname()
            with self._lock:
                self._awaited[ours] = answer
            try:
                close = _talk(sock, frame)
                # The end of our stream is the end of the connection.
                sock.close()
                return frame, close, str(answer.get(timeout=_TIMEOUT).cause)
            except queue.Empty:
                raise TimeoutError("the server did not report the end of the connection") from None
            finally:
                with self._lock:
                    del self._awaited[ours]


def _talk(sock: socket.socket, frame: bytes) -> Close:
    """Open the connection, send the frame once it is open, and return the Close that answers it."""
    client = ClientConnection("ws://localhost/")
    sock.sendall(client.data_to_send())
    close: Close | None = None
    while client.transport is not Transport.CLOSE:
        data = sock.recv(4096)
        for event in client.receive_data(data) if data else client.receive_eof():
            if isinstance(event, Accepted):
                sock.sendall(frame)
            elif isinstance(event, Close):
                close = event
    if close is None:
        raise ConnectionError("the server ended the connection without a Close frame")
    return close
