"""The end that comes behind messages which nobody has received yet."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgews import CauseKind, Delivery, Timeouts
from edgews.sync import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import (
    HOST,
    Listener,
    accept,
    client_context,
    edgews_threads,
    running,
    server_context,
    until,
)

MESSAGES = ["one", b"two", "three"]
FRAMES = b"".join(
    wire.frame(opcode, payload, key=None)
    for opcode, payload in ((wire.TEXT, b"one"), (wire.BINARY, b"two"), (wire.TEXT, b"three"))
)
# Each piece is a message of the inbox, and holds back what is behind it.
IN_PIECES = b"".join(
    wire.frame(opcode, payload, fin=fin, key=None)
    for opcode, payload, fin in (
        (wire.TEXT, b"o", False),
        (wire.CONTINUATION, b"n", False),
        (wire.CONTINUATION, b"e", True),
        (wire.BINARY, b"two", True),
        (wire.TEXT, b"thr", False),
        (wire.CONTINUATION, b"ee", True),
    )
)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold back what comes behind a message for longer than any test takes."""
    monkeypatch.setattr("edgews.session.ANSWER_TIME", 1000.0)


@contextlib.contextmanager
def reset_behind(frames: bytes, **options: Any) -> Iterator[WebSocket]:
    """Connect to a server that sends frames, and resets the connection once they have been read."""
    read = threading.Event()

    def peer(raw: Raw) -> None:
        accept(raw)
        # In a read of their own, and not with the head.
        raw.read_frame()
        raw.send(frames)
        if read.wait(TIMEOUT):
            raw.reset()

    with Listener(peer) as listener, connect(listener.uri, **options) as ws:
        ws.send("go")
        until(lambda: ws._session.waiting)
        read.set()
        yield ws


def rest(ws: WebSocket) -> list[str | bytes]:
    """Receive to the end, which is none in order."""
    messages: list[str | bytes] = []

    def receive() -> None:
        while True:
            messages.append(ws.recv(TIMEOUT))

    with pytest.raises(ConnectionClosed) as caught:
        receive()
    assert caught.value.disconnected is ws.closed
    assert ws.closed is not None
    assert ws.closed.cause.kind is CauseKind.PEER_VANISHED
    return messages


@pytest.mark.usefixtures("patient")
class TestReset:
    def test_ends_thread_and_descriptors_at_once(self) -> None:
        with reset_behind(FRAMES[:5]) as ws:
            until(lambda: not ws._thread.is_alive())
            assert ws._stream.sock.fileno() == -1
            assert ws.closed is None
            assert rest(ws) == MESSAGES[:1]
            with pytest.raises(ConnectionClosed):
                ws.recv(TIMEOUT)

    @pytest.mark.parametrize("delivery", Delivery)
    @pytest.mark.parametrize("frames", [FRAMES, IN_PIECES], ids=["whole", "in pieces"])
    def test_loses_no_message(self, delivery: Delivery, frames: bytes) -> None:
        with reset_behind(frames, delivery=delivery) as ws:
            assert rest(ws) == MESSAGES

    @pytest.mark.parametrize(
        "call",
        [
            lambda ws: ws.send("x"),
            lambda ws: ws.send(["x", "y"]),
            lambda ws: ws.ping(None),
            lambda ws: ws.close(),
            lambda ws: ws.wait_closed(TIMEOUT),
        ],
        ids=["send", "send in pieces", "ping", "close", "wait_closed"],
    )
    def test_is_no_reason_to_wait_for_anybody(self, call: Callable[[WebSocket], object]) -> None:
        """A call that does not receive gives up what is held back; what is in the inbox stays there."""
        with reset_behind(FRAMES[:5]) as ws:
            until(lambda: not ws._thread.is_alive())
            with contextlib.suppress(ConnectionClosed):
                call(ws)
            assert ws.closed is not None
            assert rest(ws) == MESSAGES[:1]

    def test_wakes_a_ping(self) -> None:
        """The end stands behind a message, and the one who waits for the Pong is not asked for that."""

        def peer(raw: Raw) -> None:
            accept(raw)
            frame = raw.read_frame()
            assert frame is not None
            raw.send(FRAMES[:5])
            until(lambda: sockets[0]._session.waiting)
            raw.reset()

        sockets: list[WebSocket] = []
        with Listener(peer) as listener, connect(listener.uri) as ws:
            sockets.append(ws)
            with pytest.raises(ConnectionClosed):
                ws.ping(None)
            assert rest(ws) == MESSAGES[:1]

    def test_wakes_who_waits_behind_a_message_in_pieces(self) -> None:
        """Its pieces may never come, but the connection has an end."""
        begun, never = threading.Event(), threading.Event()
        told: list[ConnectionClosed] = []

        def pieces() -> Iterator[str]:
            yield "half"
            begun.set()
            never.wait(TIMEOUT)
            yield "never sent"

        def send(message: Any) -> None:
            try:
                ws.send(message)
            except ConnectionClosed as error:
                told.append(error)

        def peer(raw: Raw) -> None:
            accept(raw)
            raw.read_frame()
            reset.wait(TIMEOUT)
            raw.reset()

        reset = threading.Event()
        with Listener(peer) as listener, connect(listener.uri) as ws:
            first = threading.Thread(target=send, args=(pieces(),))
            first.start()
            assert begun.wait(TIMEOUT)
            others = [threading.Thread(target=send, args=(message,)) for message in ("x", ["y"])]
            for other in others:
                other.start()
            reset.set()
            for other in others:
                other.join(TIMEOUT)
            assert len(told) == 2
            never.set()
            first.join(TIMEOUT)
            assert len(told) == 3

    def test_in_tls_too(self) -> None:
        ended: list[list[str | bytes]] = []

        def keep(ws: WebSocket) -> None:
            sockets.append(ws)
            until(lambda: not ws._thread.is_alive())
            ended.append(rest(ws))

        sockets: list[WebSocket] = []
        with running(keep, ssl=server_context()) as server:
            tcp = socket.create_connection(server.address, TIMEOUT)
            raw = Raw(client_context().wrap_socket(tcp, server_hostname=HOST))
            raw.send(wire.request())
            raw.read_head()
            raw.send(wire.frame(wire.TEXT, b"one"))
            until(lambda: sockets and sockets[0]._session.waiting)
            raw.reset()
            until(lambda: ended)
        assert ended == [["one"]]


class TestEndOfStream:
    def test_leaves_time_for_the_answer(self) -> None:
        """A peer that has ended its half can still read ours."""

        def answer(ws: WebSocket) -> None:
            for message in ws:
                ws.send(message)

        with running(answer) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"last words"))
            raw.sock.shutdown(socket.SHUT_WR)
            assert raw.read_frame() == (wire.TEXT, b"last words")
            assert raw.read_frame() is None

    @pytest.mark.usefixtures("patient")
    def test_then_a_write_that_fails(self) -> None:
        """Now nothing is left of the stream, and what is held back does not keep it."""
        go = threading.Event()
        ended: list[list[str | bytes]] = []

        def keep(ws: WebSocket) -> None:
            until(lambda: ws._eof)
            go.set()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    ws.send("nobody takes it")
            until(lambda: not ws._thread.is_alive())
            ended.append(rest(ws))

        with running(keep, timeouts=Timeouts(close=TIMEOUT)) as server:
            raw = Raw.open(server.address)
            raw.send(wire.frame(wire.TEXT, b"one"))
            until(lambda: any(ws and ws._session.waiting for ws in server._threads.values()))
            raw.sock.shutdown(socket.SHUT_WR)
            assert go.wait(TIMEOUT)
            raw.close()
            until(lambda: ended)
        assert ended == [["one"]]
        assert not edgews_threads()


def test_closing_in_the_middle_of_a_message_in_pieces() -> None:
    """Close may stand between fragments, and is the last frame."""
    begun, go = threading.Event(), threading.Event()
    frames: list[Any] = []

    def pieces() -> Iterator[str]:
        yield "half"
        begun.set()
        go.wait(TIMEOUT)
        yield "too late"

    def peer(raw: Raw) -> None:
        accept(raw)
        frames.extend([raw.read_frame(), raw.read_frame()])
        raw.send(wire.close(1000, key=None))

    with Listener(peer) as listener, connect(listener.uri) as ws:
        told: list[bool] = []

        def send() -> None:
            with pytest.raises(ConnectionClosed):
                ws.send(pieces())
            told.append(True)

        sender = threading.Thread(target=send)
        sender.start()
        assert begun.wait(TIMEOUT)
        ws.close()
        go.set()
        sender.join(TIMEOUT)
    assert frames == [(wire.TEXT, b"half"), (wire.CLOSE, b"\x03\xe8")]
    assert told == [True]
    assert ws.closed is not None
    assert ws.closed.clean


def test_a_slow_peer_in_the_middle_of_a_message_in_pieces() -> None:
    """It is given up like any other, and the pieces are asked for no longer."""
    asked = 0

    def pieces() -> Iterator[bytes]:
        nonlocal asked
        for asked in range(1000):  # noqa: B007 - it counts
            yield bytes(1_000_000)

    def peer(raw: Raw) -> None:
        accept(raw)
        done.wait(TIMEOUT)

    done = threading.Event()
    impatient = Timeouts(close=0.3, ping_interval=None, ping_timeout=0.3)
    with Listener(peer) as listener:
        with connect(listener.uri, timeouts=impatient) as ws, pytest.raises(ConnectionClosed) as caught:
            ws.send(pieces())
        done.set()
    assert "too slow" in caught.value.disconnected.cause.detail
    assert asked < 32


def test_what_tls_has_taken_from_the_socket_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two records come at once; the second is read when there is room again, for which no socket calls."""
    monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.0)
    answered = threading.Event()

    def busy(ws: WebSocket) -> None:
        # The peer has less patience.
        assert answered.wait(2 * TIMEOUT)

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)

    def exchange(step: Callable[[], bytes | None]) -> bytes | None:
        """Do something, and what TLS needs for it."""
        while True:
            try:
                found = step()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
            else:
                sock.sendall(outgoing.read())
                return found

    quiet = Timeouts(ping_interval=None)
    with (
        running(busy, ssl=server_context(), timeouts=quiet) as server,
        socket.create_connection(server.address, TIMEOUT) as sock,
    ):
        exchange(tls.do_handshake)
        tls.write(wire.request())
        head = exchange(lambda: tls.read(65536))
        assert head is not None
        assert head.startswith(b"HTTP/1.1 101 ")
        tls.write(wire.frame(wire.TEXT, b"work") + wire.frame(wire.PING, b"first"))
        tls.write(wire.frame(wire.PING, b"second"))
        sock.sendall(outgoing.read())
        pongs = b""
        while not pongs.endswith(wire.frame(wire.PONG, b"second", key=None)):
            pongs += exchange(lambda: tls.read(65536)) or b""
        answered.set()
