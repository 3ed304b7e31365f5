"""Other people's code at the other end: `websockets` as client and server, `wsproto` as both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets.asyncio.server
import websockets.exceptions
import websockets.sync.client
import wsproto
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.events import Request as WsprotoRequest
from wsproto.extensions import Extension
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from edgews import PerMessageDeflate, Timeouts
from edgews.sync import ConnectionClosed, InvalidHandshake, connect
from tests.raw import TIMEOUT
from tests.sync.harness import HOST, Report, client_context, echo, running, server_context, uri

pytestmark = pytest.mark.peers

MESSAGES: list[str | bytes] = [
    "",
    "Hello",
    "wörld \U0001f30d",
    b"",
    b"\x00\xff",
    "x" * 200_000,
    bytes(900_000),
]

COMPRESSION = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflate"])
SECURITY = pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])


def scheme(secure: bool) -> str:
    return "wss" if secure else "ws"


def deflate(compressed: bool) -> PerMessageDeflate | None:
    return PerMessageDeflate() if compressed else None


class TestWebsocketsClient:
    """The synchronous client of `websockets` talks to our server."""

    @contextlib.contextmanager
    def open(
        self, handler: Callable[..., None], *, secure: bool = False, compressed: bool = False, **options: Any
    ) -> Iterator[websockets.sync.client.ClientConnection]:
        serving: dict[str, Any] = {
            "ssl": server_context() if secure else None,
            "compression": deflate(compressed),
        }
        with (
            running(handler, **serving) as server,
            websockets.sync.client.connect(
                uri(server, scheme=scheme(secure)),
                ssl=client_context() if secure else None,
                compression="deflate" if compressed else None,
                **options,
            ) as ws,
        ):
            yield ws

    @SECURITY
    @COMPRESSION
    def test_echo(self, secure: bool, compressed: bool) -> None:
        with self.open(echo, secure=secure, compressed=compressed) as ws:
            assert [extension.name for extension in ws.protocol.extensions] == (
                ["permessage-deflate"] if compressed else []
            )
            for message in MESSAGES:
                ws.send(message)
                assert ws.recv(TIMEOUT) == message

    @COMPRESSION
    def test_fragments_with_a_ping_between(self, compressed: bool) -> None:
        with self.open(echo, compressed=compressed) as ws:

            def pieces() -> Iterator[str]:
                yield "one "
                assert ws.ping().wait(TIMEOUT)
                yield "two "
                yield "three"

            ws.send(pieces())
            assert ws.recv(TIMEOUT) == "one two three"

    @SECURITY
    def test_client_closes(self, secure: bool) -> None:
        report = Report()
        with self.open(report, secure=secure) as ws:
            ws.close(4000, "bye")
        closed = report.wait()
        assert (closed.code, closed.reason, closed.clean) == (4000, "bye", True)

    @SECURITY
    def test_server_closes(self, secure: bool) -> None:
        with (
            self.open(lambda ws: ws.close(4001, "enough"), secure=secure) as ws,
            pytest.raises(websockets.exceptions.ConnectionClosedError) as caught,
        ):
            ws.recv(TIMEOUT)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")

    def test_keepalive_both_ways(self) -> None:
        timeouts = Timeouts(ping_interval=0.02, ping_timeout=5)
        with (
            running(echo, timeouts=timeouts) as server,
            websockets.sync.client.connect(uri(server), ping_interval=0.02, ping_timeout=5) as ws,
        ):
            for _ in range(50):
                assert ws.ping().wait(TIMEOUT)
            assert ws.latency > 0

    def test_too_big(self) -> None:
        with self.open(echo) as ws:
            ws.send(bytes(1_048_577))
            with pytest.raises(websockets.exceptions.ConnectionClosedError) as caught:
                ws.recv(TIMEOUT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


class WebsocketsServer:
    """The asyncio server of `websockets`, on a thread."""

    def __init__(self, handler: Callable[..., Any], **options: Any) -> None:
        self._handler = handler
        self._options = options
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with websockets.asyncio.server.serve(self._handler, HOST, 0, **self._options) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._stop.wait()

    def __enter__(self) -> WebsocketsServer:
        self._thread.start()
        assert self._started.wait(TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()


async def websockets_echo(ws: websockets.asyncio.server.ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


class TestWebsocketsServer:
    """Our client talks to the asyncio server of `websockets`."""

    @SECURITY
    @COMPRESSION
    def test_echo(self, secure: bool, compressed: bool) -> None:
        options = {
            "ssl": server_context() if secure else None,
            "compression": "deflate" if compressed else None,
        }
        with (
            WebsocketsServer(websockets_echo, **options) as server,
            connect(
                f"{scheme(secure)}://{HOST}:{server.port}/",
                ssl=client_context() if secure else None,
                compression=deflate(compressed),
            ) as ws,
        ):
            assert ws.response is not None
            assert ws.response.headers.has("Sec-WebSocket-Extensions") is compressed
            for message in MESSAGES:
                ws.send(message)
                assert ws.recv(TIMEOUT) == message
            assert ws.ping(TIMEOUT) > 0
            ws.close(4000, "bye")
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.clean) == (4000, True)

    @SECURITY
    def test_server_closes(self, secure: bool) -> None:
        async def leave(ws: websockets.asyncio.server.ServerConnection) -> None:
            await ws.close(4001, "enough")

        with (
            WebsocketsServer(leave, ssl=server_context() if secure else None) as server,
            connect(
                f"{scheme(secure)}://{HOST}:{server.port}/", ssl=client_context() if secure else None
            ) as ws,
        ):
            assert list(ws) == []
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.reason, ws.closed.clean) == (4001, "enough", True)

    def test_server_refuses(self) -> None:
        def refuse(connection: Any, request: Any) -> Any:
            return connection.respond(403, "not you\n")

        with (
            WebsocketsServer(websockets_echo, process_request=refuse) as server,
            pytest.raises(InvalidHandshake) as caught,
        ):
            connect(f"ws://{HOST}:{server.port}/")
        assert caught.value.response is not None
        assert (caught.value.response.status, caught.value.response.body) == (403, b"not you\n")

    def test_server_finds_a_message_too_big(self) -> None:
        with (
            WebsocketsServer(websockets_echo, max_size=1000) as server,
            connect(f"ws://{HOST}:{server.port}/") as ws,
        ):
            ws.send("x" * 1001)
            with contextlib.suppress(ConnectionClosed):
                ws.recv(TIMEOUT)
            assert ws.closed is not None
            assert ws.closed.code == 1009


class Wsproto:
    """wsproto over a blocking socket, in either role."""

    def __init__(self, sock: socket.socket, kind: wsproto.ConnectionType) -> None:
        sock.settimeout(TIMEOUT)
        self._sock = sock
        self._ws = wsproto.WSConnection(kind)
        self._events: list[Any] = []
        self._parts: list[str | bytes] = []

    def send(self, event: Any) -> None:
        self._sock.sendall(self._ws.send(event))

    def event(self) -> Any:
        """Return the next event, messages as their payload; Pings are answered."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, Ping):
                    self.send(event.response())
                elif isinstance(event, Message):
                    self._parts.append(event.data)
                    if event.message_finished:
                        parts, self._parts = self._parts, []
                        return type(parts[0])().join(parts)  # type: ignore[arg-type]
                else:
                    return event
            data = self._sock.recv(65536)
            self._ws.receive_data(data or None)
            self._events += self._ws.events()

    def at_end(self) -> bool:
        return self._sock.recv(1) == b""


def as_event(message: str | bytes, **options: bool) -> TextMessage | BytesMessage:
    return TextMessage(message, **options) if isinstance(message, str) else BytesMessage(message, **options)


class TestWsprotoClient:
    @contextlib.contextmanager
    def open(self, handler: Callable[..., None], compressed: bool = False) -> Iterator[Wsproto]:
        with (
            running(handler, compression=deflate(compressed)) as server,
            socket.create_connection(server.address, TIMEOUT) as sock,
        ):
            peer = Wsproto(sock, wsproto.ConnectionType.CLIENT)
            offer = [WsprotoDeflate()] if compressed else []
            peer.send(WsprotoRequest(host=HOST, target="/", extensions=offer))
            accepted = peer.event()
            assert isinstance(accepted, AcceptConnection)
            assert bool(accepted.extensions) is compressed
            yield peer

    @COMPRESSION
    def test_echo(self, compressed: bool) -> None:
        with self.open(echo, compressed) as peer:
            for message in MESSAGES:
                peer.send(as_event(message))
                assert peer.event() == message

    @COMPRESSION
    def test_fragments(self, compressed: bool) -> None:
        with self.open(echo, compressed) as peer:
            peer.send(as_event("one ", message_finished=False))
            peer.send(Ping(b"between"))
            assert peer.event() == Pong(b"between")
            peer.send(as_event("two", message_finished=True))
            assert peer.event() == "one two"

    def test_client_closes(self) -> None:
        report = Report()
        with self.open(report) as peer:
            peer.send(CloseConnection(4000, "bye"))
            assert peer.event() == CloseConnection(4000, "")
            # The server ends its stream first: RFC 6455 §7.1.1.
            assert peer.at_end()
        assert report.wait().clean

    def test_server_closes(self) -> None:
        with self.open(lambda ws: ws.close(4001, "enough")) as peer:
            close = peer.event()
            assert close == CloseConnection(4001, "enough")
            peer.send(close.response())
            assert peer.at_end()


class TestWsprotoServer:
    @contextlib.contextmanager
    def serving(self, conversation: Callable[[Wsproto], None], compressed: bool = False) -> Iterator[str]:
        listening = socket.create_server((HOST, 0))

        def serve() -> None:
            sock, _ = listening.accept()
            with sock:
                peer = Wsproto(sock, wsproto.ConnectionType.SERVER)
                assert isinstance(peer.event(), WsprotoRequest)
                extensions: list[Extension] = [WsprotoDeflate()] if compressed else []
                peer.send(AcceptConnection(extensions=extensions))
                conversation(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://{HOST}:{listening.getsockname()[1]}/"
        finally:
            thread.join(TIMEOUT)
            listening.close()
        assert not thread.is_alive()

    @COMPRESSION
    def test_echo_until_the_client_closes(self, compressed: bool) -> None:
        def conversation(peer: Wsproto) -> None:
            while isinstance(event := peer.event(), str | bytes):
                peer.send(as_event(event))
            assert event == CloseConnection(4000, "bye")
            peer.send(event.response())

        with (
            self.serving(conversation, compressed) as address,
            connect(address, compression=deflate(compressed)) as ws,
        ):
            for message in MESSAGES:
                ws.send(message)
                assert ws.recv(TIMEOUT) == message
            ws.close(4000, "bye")
            assert ws.closed is not None
            assert ws.closed.clean

    def test_server_closes(self) -> None:
        def conversation(peer: Wsproto) -> None:
            peer.send(CloseConnection(4001, "enough"))
            assert peer.event() == CloseConnection(4001, "")

        with self.serving(conversation) as address, connect(address) as ws:
            assert list(ws) == []
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.reason) == (4001, "enough")


def test_certificate_that_websockets_does_not_trust() -> None:
    with running(echo, ssl=server_context()) as server, pytest.raises(ssl.SSLCertVerificationError):
        websockets.sync.client.connect(uri(server, scheme="wss"))
