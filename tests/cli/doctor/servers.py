"""Servers that are wrong in one way each, over real sockets, and a doctor in this process who visits them."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from edgews.cli.doctor.dial import look_up
from edgews.cli.doctor.findings import Level
from edgews.cli.doctor.options import Options
from edgews.cli.doctor.probe import Probe
from edgews.cli.doctor.report import Report
from edgews.handshake import accept_key
from edgews.uri import parse_uri
from tests import wire
from tests.raw import TIMEOUT, Raw, check
from tests.sync.harness import HOST

Peer = Callable[[Raw], object]
Action = Callable[[Raw, bytes], object]


def examine(uri: str, *, resolve: Any = look_up, **options: Any) -> Report:
    """Let the doctor see a server; `uri` may be one of HTTP."""
    scheme = uri.partition(":")[0]
    parsed = parse_uri(uri.replace("http", "ws", 1) if scheme.startswith("http") else uri)
    options.setdefault("timeout", TIMEOUT)
    options.setdefault("message", "hello")
    steps: list[Any] = []
    report = Probe(Options(uri=parsed, scheme=scheme, **options), steps.append, resolve).run()
    check(steps == report.steps, "not every step was told")
    return report


def ids(report: Report, level: Level | None = None) -> set[str]:
    return {
        finding.advice.id for finding in report.findings if level is None or finding.advice.level is level
    }


class Scripted:
    """A server that treats each connection as `peer` says; `context` is for TLS."""

    def __init__(self, peer: Peer, context: ssl.SSLContext | None = None, backlog: int = 10) -> None:
        self._peer = peer
        self._context = context
        self._sock = socket.create_server((HOST, 0), backlog=backlog)
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._stopping = False
        self.port: int = self._sock.getsockname()[1]

    def uri(self, scheme: str = "ws", host: str = HOST) -> str:
        return f"{scheme}://{host}:{self.port}/"

    def __enter__(self) -> Scripted:
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        socket.create_connection((HOST, self.port)).close()
        self._thread.join(TIMEOUT)
        self._sock.close()
        for thread in self._threads:
            thread.join(TIMEOUT)
            check(not thread.is_alive(), "a scripted peer has not ended")
        if self._failures:
            raise self._failures[0]

    def _accept(self) -> None:
        while True:
            sock, _ = self._sock.accept()
            if self._stopping:
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                if not self._shake(sock):
                    return
            self._peer(Raw(sock))
        except (EOFError, ConnectionError, ssl.SSLError):
            # The doctor has gone, as it may at any time.
            pass
        except BaseException as error:
            # A half-close behind a reset has an error of no class of its own.
            if not isinstance(error, OSError) or error.errno != errno.ENOTCONN:
                self._failures.append(error)
        finally:
            sock.close()

    @staticmethod
    def _shake(tls: ssl.SSLSocket) -> bool:
        try:
            tls.do_handshake()
        except OSError:
            # Read what came behind, so that the alert is not overtaken by a reset.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(tls, socket.SHUT_WR)
                while socket.socket.recv(tls, 4096):
                    pass
            return False
        return True


@contextlib.contextmanager
def once(peer: Peer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yield the `host:port` of a server that takes one connection, and then listens no more."""
    # Nobody else gets the port while this one holds it, too.
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((HOST, 0))
    address = holder.getsockname()
    listener = socket.create_server(address, reuse_port=True)

    def serve() -> None:
        sock, _ = listener.accept()
        listener.close()
        sock.settimeout(TIMEOUT)
        with contextlib.suppress(OSError, EOFError), sock:
            if context is None:
                peer(Raw(sock))
            else:
                with context.wrap_socket(sock, server_side=True) as tls:
                    peer(Raw(tls))

    thread = threading.Thread(target=serve)
    thread.start()
    with holder:
        yield f"{HOST}:{address[1]}"
    thread.join(TIMEOUT)
    check(not thread.is_alive(), "the peer has not ended")


# What peers do


def switch(raw: Raw, changes: dict[str, str | None] | None = None, status: str = "101 Switching") -> None:
    """Answer as a server that agrees; a change to None takes a field away."""
    head = raw.read_head().decode("latin-1")
    key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    fields: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_key(key),
        **(changes or {}),
    }
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in fields.items() if value is not None),
    ]
    raw.send("\r\n".join([*lines, "", ""]).encode())


def switching(**changes: str | None) -> Peer:
    """Return a peer whose 101 is changed."""
    fields = {name.replace("_", "-"): value for name, value in changes.items()}

    def peer(raw: Raw) -> None:
        switch(raw, fields)
        raw.read_until_gone()

    return peer


def answering(data: bytes, *, after: bool = True) -> Peer:
    """Return a peer that answers the request, or the connection, with these bytes, then ends."""

    def peer(raw: Raw) -> None:
        if after:
            raw.read_head()
        raw.send(data)
        raw.sock.shutdown(socket.SHUT_WR)
        raw.read_until_gone()

    return peer


def greeting(data: bytes) -> Peer:
    """Return a peer that speaks first, and then waits as long as the other side does."""

    def peer(raw: Raw) -> None:
        raw.send(data)
        raw.read_until_gone()

    return peer


def refusing(status: int, body: str = "", **fields: str) -> Peer:
    """Return a peer that answers with another status."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return answering("\r\n".join([*lines, "", body]).encode())


def alerting(description: int) -> Peer:
    """Return a peer that refuses a TLS handshake with an alert. RFC 8446 §6."""

    def peer(raw: Raw) -> None:
        check(raw.sock.recv(65536), "no ClientHello")
        raw.send(b"\x15\x03\x03\x00\x02\x02" + bytes([description]))
        raw.sock.shutdown(socket.SHUT_WR)
        raw.read_until_gone()

    return peer


def conversing(ping: Action | None = None, text: Action | None = None, close: Action | None = None) -> Peer:
    """Return a peer that behaves, but for one kind of frame; what an action returns says whether to end."""
    actions = {
        wire.PING: ping or (lambda raw, data: raw.send(server_frame(wire.PONG, data))),
        wire.PONG: nothing,
        wire.TEXT: text or (lambda raw, data: raw.send(server_frame(wire.TEXT, data))),
        wire.CLOSE: close or (lambda raw, data: raw.send(server_frame(wire.CLOSE, data)) or True),
    }

    def peer(raw: Raw) -> None:
        switch(raw)
        while (frame := raw.read_frame()) is not None:
            if actions[frame[0]](raw, frame[1]):
                return

    return peer


def server_frame(opcode: int, payload: bytes = b"") -> bytes:
    return wire.frame(opcode, payload, key=None)


def closing(code: int, reason: bytes = b"") -> Action:
    """Return an action that closes and waits for the answer."""

    def act(raw: Raw, data: bytes) -> bool:
        raw.send(wire.close(code, reason, key=None))
        raw.read_frame()
        return True

    return act


def nothing(raw: Raw, data: bytes) -> bool:
    """Do not answer."""
    return False


def end(raw: Raw, data: bytes) -> bool:
    """End the byte stream without a word."""
    return True


def reset(raw: Raw, data: bytes) -> bool:
    """Drop the connection."""
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def silent_for(seconds: float, then: Action) -> Action:
    """Return an action behind a message: echo it, and act when nothing more has come for so long."""

    def act(raw: Raw, data: bytes) -> object:
        raw.send(server_frame(wire.TEXT, data))
        raw.sock.settimeout(seconds)
        try:
            frame = raw.read_frame()
        except TimeoutError:
            return then(raw, b"")
        raise AssertionError(f"it was not silent: {frame}")

    return act


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """Listen on a port that answers no further attempt to connect, and yield it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        address = listener.getsockname()
        for _ in range(10):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(0.2)
            try:
                sock.connect(address)
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue takes everything")
        yield address[1]


@contextlib.contextmanager
def stripping_proxy(port: int, *, request: bool) -> Iterator[str]:
    """Relay to a server, and take Upgrade and Connection out of the request, or else out of the answer."""

    def strip(head: bytes) -> bytes:
        lines = head.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith((b"upgrade:", b"connection:"))]
        return b"\r\n".join([*kept, b"", b""])

    def peer(front: Raw) -> None:
        head = front.read_head()
        with Raw.connect((HOST, port)) as back:
            back.send(strip(head) if request else head + b"\r\n\r\n")
            answer = back.read_head()
            front.send(answer + b"\r\n\r\n" if request else strip(answer))
            back.sock.shutdown(socket.SHUT_WR)
            front.send(back.read_rest())

    with Scripted(peer) as proxy:
        yield proxy.uri()
