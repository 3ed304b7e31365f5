"""What the tests of edgews.sync share: servers, raw peers, certificates, every kind of byte stream."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import trustme

from edgews import (
    Disconnected,
    PerMessageDeflate,
    Timeouts,
)
from edgews.handshake import accept_key
from edgews.sync import Server, WebSocket, connect, serve
from tests.raw import TIMEOUT, Raw, check, knock

HOST = "127.0.0.1"
# Timeouts that pass in a test, for peers that never do what they should.
BRIEF = Timeouts(open=0.3, close=0.3, ping_interval=0.1, ping_timeout=0.3)


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def edgews_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("edgews-")}


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        check(time.monotonic() < deadline, "what was waited for has not happened")
        time.sleep(0.001)


@contextlib.contextmanager
def running(handler: Callable[[WebSocket], Any], **options: Any) -> Iterator[Server]:
    options.setdefault("port", 0)
    server = serve(handler, None if "sock" in options else HOST, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown(TIMEOUT)
        thread.join(TIMEOUT)
    check(not thread.is_alive(), "serve_forever goes on after shutdown")


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def send_all(ws: WebSocket, messages: Iterable[str | bytes]) -> None:
    for message in messages:
        ws.send(message)


@dataclass
class Report:
    """An echo handler that tells how its connection ended."""

    ended: threading.Event = field(default_factory=threading.Event)
    received: list[str | bytes] = field(default_factory=list)
    closed: Disconnected | None = None

    def __call__(self, ws: WebSocket) -> None:
        try:
            for message in ws:
                self.received.append(message)
                ws.send(message)
        finally:
            self.closed = ws.closed
            self.ended.set()

    def wait(self) -> Disconnected:
        if not self.ended.wait(TIMEOUT) or self.closed is None:
            raise AssertionError("the handler has not ended, or its connection has not")
        return self.closed


class Listener:
    """A raw server: `peer` is called with the one connection that it accepts.

    A client whose time was over before it had connected leaves it with one that ends at once.
    """

    def __init__(self, peer: Callable[[Raw], object]) -> None:
        self._sock = socket.create_server((HOST, 0))
        self._accepted = False
        self._peer = peer
        self._thread = threading.Thread(target=self._run)
        self.address = self._sock.getsockname()
        self.uri = f"ws://{HOST}:{self.address[1]}/"

    def _run(self) -> None:
        sock, _ = self._sock.accept()
        self._accepted = True
        with Raw(sock) as raw:
            self._peer(raw)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._accepted:
            knock(self.address)
        self._thread.join(TIMEOUT)
        self._sock.close()
        check(not self._thread.is_alive(), "the raw server has not ended")


def accept(raw: Raw) -> None:
    """Answer the request of a client as a server."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", raw.read_head())
    if key is None:
        raise AssertionError(f"no key: {raw.head!r}")
    raw.send(
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key[1].decode())}\r\n\r\n"
        ).encode()
    )


def uri(server: Server, path: str = "/", scheme: str = "ws") -> str:
    return f"{scheme}://{HOST}:{server.address[1]}{path}"


# Certificates

AUTHORITY = trustme.CA()


def server_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


# Every kind of byte stream


@dataclass
class Link:
    """How a client reaches a server."""

    scheme: str
    serving: dict[str, Any]
    connecting: dict[str, Any]

    @contextlib.contextmanager
    def open(self, handler: Callable[[WebSocket], Any], **options: Any) -> Iterator[WebSocket]:
        with (
            running(handler, **self.serving) as server,
            connect(uri(server, scheme=self.scheme), **self.connecting, **options) as ws,
        ):
            yield ws


LINKS = {
    "plain": lambda: Link("ws", {}, {}),
    "deflate": lambda: Link(
        "ws", {"compression": PerMessageDeflate()}, {"compression": PerMessageDeflate(level=9)}
    ),
    "tls1.2": lambda: Link("wss", {"ssl": server_context(ssl.TLSVersion.TLSv1_2)}, {"ssl": client_context()}),
    "tls1.3": lambda: Link("wss", {"ssl": server_context()}, {"ssl": client_context()}),
}
