"""Connections that break, and peers and applications that do not keep up."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc

import pytest

from edgews import CauseKind, Timeouts
from edgews.sync import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import (
    BRIEF,
    HOST,
    Listener,
    Report,
    accept,
    client_context,
    running,
    send_all,
    server_context,
    uri,
)

# No Ping finds the peer out, so it has to be found out by what it does not take.
IMPATIENT = Timeouts(close=0.3, ping_interval=None, ping_timeout=0.3)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the inbox fill at once, instead of after the time that an application has to answer."""
    monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.0)


class TestBrokenConnections:
    def test_reset_in_the_middle_of_a_frame_as_the_server_sees_it(self) -> None:
        report = Report()
        with running(report) as server:
            raw = Raw.open(server.address)
            raw.send(wire.frame(wire.TEXT, b"whole") + wire.frame(wire.TEXT, b"x" * 100)[:50])
            assert raw.read_frame() == (wire.TEXT, b"whole")
            raw.reset()
            closed = report.wait()
        assert report.received == ["whole"]
        assert (closed.code, closed.clean, closed.cause.kind) == (1006, False, CauseKind.PEER_VANISHED)

    def test_reset_in_the_middle_of_a_frame_as_the_client_sees_it(self) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.send(
                wire.frame(wire.TEXT, b"whole", key=None) + wire.frame(wire.TEXT, b"x", key=None, length=9)
            )
            assert raw.read_frame() == (wire.TEXT, b"thanks")
            raw.reset()

        with Listener(peer) as listener, connect(listener.uri) as ws:
            messages = iter(ws)
            assert next(messages) == "whole"
            ws.send("thanks")
            with pytest.raises(ConnectionClosed) as caught:
                next(messages)
            assert caught.value.disconnected.cause.kind is CauseKind.PEER_VANISHED

    @pytest.mark.parametrize("how", ["half-closed", "closed"])
    def test_end_of_stream_without_close(self, how: str) -> None:
        report = Report()
        with running(report) as server, Raw.open(server.address) as raw:
            if how == "half-closed":
                raw.sock.shutdown(socket.SHUT_WR)
                assert raw.read_rest() == b""
            else:
                raw.close()
            closed = report.wait()
        assert (closed.code, closed.cause.kind) == (1006, CauseKind.PEER_VANISHED)

    def test_tls_that_ends_without_close_notify(self) -> None:
        report = Report()
        with running(report, ssl=server_context()) as server:
            with socket.create_connection(server.address, TIMEOUT) as tcp:
                tls = client_context().wrap_socket(tcp, server_hostname=HOST)
                raw = Raw(tls)
                raw.send(wire.request())
                raw.read_head()
                socket.socket.shutdown(tls, socket.SHUT_RDWR)
                tls.close()
            assert report.wait().cause.kind is CauseKind.PEER_VANISHED

    def test_send_notices(self) -> None:
        ended: list[ConnectionClosed] = []
        done = threading.Event()

        def flood(ws: WebSocket) -> None:
            try:
                while True:
                    ws.send("x" * 100_000)
            except ConnectionClosed as error:
                ended.append(error)
            finally:
                done.set()

        with running(flood) as server:
            raw = Raw.open(server.address)
            assert raw.read_frame()
            raw.reset()
            assert done.wait(TIMEOUT)
        assert ended[0].disconnected.cause.kind is CauseKind.PEER_VANISHED

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            (wire.frame(wire.TEXT, b"no mask", key=None), 1002),
            (wire.frame(0x3, b"reserved"), 1002),
            (wire.frame(wire.TEXT, b"caf\xe9 "), 1007),
            (wire.frame(wire.BINARY, b"", length=1 << 40), 1009),
        ],
    )
    def test_violations(self, frame: bytes, code: int) -> None:
        report = Report()
        with running(report) as server, Raw.open(server.address) as raw:
            raw.send(frame)
            close = raw.read_frame()
            assert close is not None
            assert (close[0], int.from_bytes(close[1][:2], "big")) == (wire.CLOSE, code)
            assert raw.read_rest() == b""
            raw.close()
            closed = report.wait()
        assert getattr(closed.cause.error, "code", None) == code

    def test_a_violator_that_goes_on_is_dropped_in_time(self) -> None:
        report = Report()
        with running(report, timeouts=BRIEF) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(0x3))
            with contextlib.suppress(ConnectionError):
                while not report.ended.is_set():
                    raw.send(wire.frame(wire.TEXT, b"x" * 10_000))
            assert report.wait().cause.kind is CauseKind.PROTOCOL_ERROR


class TestBackPressure:
    def test_a_peer_that_does_not_read_stops_the_sender_and_is_given_up(self) -> None:
        sent = 0
        done = threading.Event()
        ended: list[ConnectionClosed] = []

        def flood(ws: WebSocket) -> None:
            nonlocal sent
            try:
                while True:
                    ws.send(bytes(1_000_000))
                    sent += 1
            except ConnectionClosed as error:
                ended.append(error)
            finally:
                done.set()

        with running(flood, timeouts=IMPATIENT) as server, Raw.open(server.address):
            assert done.wait(TIMEOUT)
        # What the kernel's buffers on both sides hold, which is not ours to choose.
        assert sent < 32
        assert ended[0].disconnected.cause.kind is CauseKind.FAILED

    def test_a_peer_that_sends_but_does_not_read_is_given_up_too(self) -> None:
        """Its bytes are a sign of life, so no Ping would find it."""
        done = threading.Event()
        ended: list[ConnectionClosed] = []

        def flood(ws: WebSocket) -> None:
            try:
                while True:
                    ws.send(bytes(1_000_000))
            except ConnectionClosed as error:
                ended.append(error)
            finally:
                done.set()

        with (
            running(flood, timeouts=BRIEF) as server,
            Raw.open(server.address) as raw,
            contextlib.suppress(ConnectionError),
        ):
            while not done.wait(0.01):
                raw.send(wire.frame(wire.PING, b"alive"))
        cause = ended[0].disconnected.cause
        assert cause.kind is CauseKind.FAILED
        assert "too slow in taking what was sent" in cause.detail

    @pytest.mark.parametrize("secure", [False, True])
    def test_an_application_that_does_not_receive_stops_the_peer(self, secure: bool, eager: None) -> None:
        """The peer's send waits, until its patience ends; what it sent is still there to be received."""
        size = 1_000_000
        proceed = threading.Event()
        received: list[int] = []

        def wait(ws: WebSocket) -> None:
            assert proceed.wait(TIMEOUT)
            received.extend(len(message) for message in ws)

        sent = 0
        serving = {"ssl": server_context()} if secure else {}
        with running(wait, **serving) as server:
            scheme, context = ("wss", client_context()) if secure else ("ws", None)
            ws = connect(uri(server, scheme=scheme), ssl=context, timeouts=IMPATIENT)
            payload = bytes(size)
            tracemalloc.start()
            try:
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        ws.send(payload)
                        sent += 1
                assert tracemalloc.get_traced_memory()[1] < 6 * size
            finally:
                tracemalloc.stop()
                proceed.set()
            assert ws.closed is not None
            assert "too slow in taking what was sent" in ws.closed.cause.detail
            ws.close()
        # What the kernel's buffers on both sides hold, which is not ours to choose.
        assert sent < 32
        assert received
        assert set(received) == {size}

    def test_many_small_messages_are_bounded_too(self, eager: None) -> None:
        proceed = threading.Event()
        received: list[int] = []

        def wait(ws: WebSocket) -> None:
            assert proceed.wait(TIMEOUT)
            received.append(sum(1 for _ in ws))

        def fill(raw: Raw) -> int:
            """Send until the server takes nothing any more; return how many bytes that were."""
            raw.sock.settimeout(0.3)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while True:
                    sent += raw.sock.send(frames[sent % len(frames) :])
            raw.sock.settimeout(TIMEOUT)
            return sent

        frames = wire.frame(wire.TEXT, b"") * 10_000
        # Small buffers in the kernel, so that it is soon our turn.
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listening.bind((HOST, 0))
        listening.listen()
        with running(wait, sock=listening) as server, Raw.open(server.address) as raw:
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            tracemalloc.start()
            try:
                sent = fill(raw)
                assert tracemalloc.get_traced_memory()[1] < 4_000_000
            finally:
                tracemalloc.stop()
            proceed.set()
            raw.send(frames[sent % len(frames) :] + wire.close(1000))
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
        assert received == [(sent // len(frames) + 1) * 10_000]

    def test_a_blocked_sender_does_not_stop_receiving(self) -> None:
        blocked = threading.Event()

        def handler(ws: WebSocket) -> None:
            sender = threading.Thread(target=lambda: send_all(ws, [bytes(1_000_000)] * 32))
            sender.start()
            assert ws.recv(TIMEOUT) == "anyone there?"
            blocked.set()
            sender.join(TIMEOUT)

        with running(handler) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"anyone there?"))
            assert blocked.wait(TIMEOUT)
            for _ in range(32):
                assert raw.read_frame() == (wire.BINARY, bytes(1_000_000))

    def test_a_flood_of_pings_whose_pongs_nobody_reads(self) -> None:
        report = Report()
        with running(report) as server, Raw.open(server.address) as raw:
            tracemalloc.start()
            try:
                flood = wire.frame(wire.PING, b"x" * 125) * 500
                for _ in range(100):
                    raw.send(flood)
                assert tracemalloc.get_traced_memory()[1] < 4_000_000
            finally:
                tracemalloc.stop()
            raw.send(wire.close(1000))
            pongs = 0
            while (frame := raw.read_frame()) is not None and frame[0] == wire.PONG:
                pongs += 1
            assert frame == (wire.CLOSE, b"\x03\xe8")
            assert 0 < pongs <= 50_000
            raw.close()
            assert report.wait().clean
