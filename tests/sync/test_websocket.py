"""Messages, Pings and the end of a connection, over every kind of byte stream."""

from __future__ import annotations

import contextlib
import threading
from functools import partial

import pytest

from edgews import (
    CauseKind,
    Disconnected,
    InvalidValueError,
    Timeouts,
)
from edgews.sync import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import (
    BRIEF,
    LINKS,
    Link,
    Listener,
    Report,
    accept,
    echo,
    running,
    send_all,
    uri,
)


class TestMessages:
    @pytest.mark.parametrize(
        "message", ["", "Hello", "wörld \U0001f30d", b"", b"\x00\xff", "x" * 300_000, bytes(1_000_000)]
    )
    def test_comes_back_as_it_went(self, link: Link, message: str | bytes) -> None:
        with link.open(echo) as ws:
            ws.send(message)
            answer = ws.recv(TIMEOUT)
            assert type(answer) is type(message)
            assert answer == message

    def test_bytes_like_is_binary(self, link: Link) -> None:
        with link.open(echo) as ws:
            for message in (bytearray(b"abc"), memoryview(b"def")):
                ws.send(message)
                assert ws.recv(TIMEOUT) == bytes(message)

    def test_many_both_ways_at_once(self, link: Link) -> None:
        messages = [f"{number} " + "x" * (number * 37 % 3000) for number in range(3000)]
        with link.open(echo) as ws:
            sender = threading.Thread(target=lambda: send_all(ws, messages))
            sender.start()
            assert [ws.recv(TIMEOUT) for _ in messages] == messages
            sender.join(TIMEOUT)

    def test_compression_is_agreed_and_can_be_turned_off_for_a_message(self) -> None:
        with LINKS["deflate"]().open(echo) as ws:
            assert ws.response is not None
            assert "permessage-deflate" in (ws.response.headers.get("Sec-WebSocket-Extensions") or "")
            for compress in (True, False, None):
                ws.send("y" * 5000, compress=compress)
                assert ws.recv(TIMEOUT) == "y" * 5000

    def test_text_without_utf8_is_refused_and_harmless(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            with pytest.raises(InvalidValueError):
                ws.send("\ud800")
            ws.send("fine")
            assert ws.recv(TIMEOUT) == "fine"

    def test_frames_that_come_with_the_handshake(self) -> None:
        with running(echo) as server, Raw.open(server.address, behind=wire.frame(wire.TEXT, b"early")) as raw:
            assert raw.read_frame() == (wire.TEXT, b"early")

    def test_recv_times_out_and_the_connection_lives(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            with pytest.raises(TimeoutError, match="no message within"):
                ws.recv(timeout=0.01)
            with pytest.raises(TimeoutError):
                ws.recv(timeout=0)
            ws.send("still here")
            assert ws.recv(TIMEOUT) == "still here"

    def test_two_receivers_share_what_comes(self) -> None:
        go = threading.Barrier(3)

        def say_two(ws: WebSocket) -> None:
            go.wait(TIMEOUT)
            ws.send("a")
            ws.send("b")
            ws.recv(TIMEOUT)

        got: list[str | bytes] = []
        with LINKS["plain"]().open(say_two) as ws:

            def receive() -> None:
                go.wait(TIMEOUT)
                got.append(ws.recv(TIMEOUT))

            receivers = [threading.Thread(target=receive) for _ in range(2)]
            for receiver in receivers:
                receiver.start()
            for receiver in receivers:
                receiver.join(TIMEOUT)
        assert sorted(map(str, got)) == ["a", "b"]


class TestPing:
    def test_tells_the_time_there_and_back(self, link: Link) -> None:
        with link.open(echo) as ws:
            assert 0 < ws.ping(TIMEOUT) < TIMEOUT

    def test_messages_in_front_of_the_pong_are_kept(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            for number in range(10):
                ws.send(str(number))
            ws.ping(TIMEOUT)
            assert [ws.recv(TIMEOUT) for _ in range(10)] == [str(number) for number in range(10)]

    def test_without_an_answer(self) -> None:
        done = threading.Event()

        def mute(raw: Raw) -> None:
            accept(raw)
            assert raw.read_frame()
            done.wait(TIMEOUT)
            raw.reset()

        with Listener(mute) as listener:
            ws = connect(listener.uri)
            with pytest.raises(TimeoutError, match="no Pong within"):
                ws.ping(timeout=0.01)
            done.set()
            with pytest.raises(ConnectionClosed):
                ws.recv(TIMEOUT)
            with pytest.raises(ConnectionClosed):
                ws.ping(TIMEOUT)

    def test_the_connection_ends_instead_of_an_answer(self) -> None:
        def leave(raw: Raw) -> None:
            accept(raw)
            raw.read_frame()
            raw.reset()

        with Listener(leave) as listener:
            ws = connect(listener.uri)
            with pytest.raises(ConnectionClosed):
                ws.ping(TIMEOUT)

    def test_is_answered_while_the_application_is_busy(self) -> None:
        busy = threading.Event()

        def work(ws: WebSocket) -> None:
            ws.recv(TIMEOUT)
            assert busy.wait(TIMEOUT)

        with running(work) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"work") + wire.frame(wire.PING, b"there?"))
            assert raw.read_frame() == (wire.PONG, b"there?")
            busy.set()

    def test_keepalive_finds_a_dead_peer_while_the_application_is_busy(self) -> None:
        report = Report()

        def work(ws: WebSocket) -> None:
            assert ws.recv(TIMEOUT) == "work"
            assert raw_ended.wait(TIMEOUT)
            report(ws)

        raw_ended = threading.Event()
        with running(work, timeouts=BRIEF) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"work"))
            frames = list(iter(raw.read_frame, None))
            raw_ended.set()
            assert frames[0][0] == wire.PING
            assert frames[-1] == (wire.CLOSE, b"\x03\xf3ping timeout")
            assert report.wait().cause.kind is CauseKind.PING_TIMEOUT

    def test_keepalive_measures_latency(self) -> None:
        with running(echo) as server:
            timeouts = Timeouts(ping_interval=0.01)
            with connect(uri(server), timeouts=timeouts) as ws:
                with ws._lock:
                    assert ws._changed.wait_for(lambda: ws._conn.pongs_received >= 2, TIMEOUT)
                assert ws.latency is not None


class TestClose:
    @pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
    def test_by_the_client(self, link: Link, code: int) -> None:
        report = Report()
        with link.open(report) as ws:
            ws.close(code, "bye")
            assert ws.closed is not None
            assert ws.closed.clean
            closed = report.wait()
        assert (closed.code, closed.reason, closed.clean) == (code, "bye", True)
        assert closed.cause.kind is CauseKind.CLOSED

    @pytest.mark.parametrize("code", [1000, 1013, 4000])
    def test_by_the_server(self, link: Link, code: int) -> None:
        with link.open(lambda ws: ws.close(code, "enough")) as ws:
            assert list(ws) == []
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.reason, ws.closed.clean) == (code, "enough", True)
            for call in (ws.recv, ws.ping, partial(ws.send, "x")):
                with pytest.raises(ConnectionClosed) as caught:
                    call()
                assert caught.value.disconnected is ws.closed
                assert str(code) in str(caught.value)

    def test_from_both_sides_at_once(self, link: Link) -> None:
        together = threading.Barrier(2)
        ends: list[Disconnected | None] = []

        def handler(ws: WebSocket) -> None:
            together.wait(TIMEOUT)
            ws.close(3001)
            ends.append(ws.closed)

        with link.open(handler) as ws:
            together.wait(TIMEOUT)
            ws.close(3002)
            ends.append(ws.closed)
        assert [end is not None and end.clean for end in ends] == [True, True]

    def test_when_the_handler_returns(self) -> None:
        with LINKS["plain"]().open(lambda ws: None) as ws:
            assert list(ws) == []
            assert ws.closed is not None
            assert ws.closed.code == 1000

    def test_when_the_handler_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        def fail(ws: WebSocket) -> None:
            raise RuntimeError("a defect of the handler")

        with LINKS["plain"]().open(fail) as ws:
            assert list(ws) == []
            assert ws.closed is not None
            assert ws.closed.code == 1011
        assert "a defect of the handler" in caplog.text

    def test_when_the_block_raises(self) -> None:
        report = Report()
        with pytest.raises(RuntimeError, match="mine"), LINKS["plain"]().open(report):
            raise RuntimeError("mine")
        assert report.wait().code == 1011

    def test_wrong_code_is_refused_and_harmless(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            with pytest.raises(InvalidValueError):
                ws.close(1006)
            ws.send("still here")
            assert ws.recv(TIMEOUT) == "still here"

    def test_twice(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            ws.close(4001)
            ws.close(4002)
            assert ws.closed is not None
            assert ws.closed.code == 4001

    def test_from_another_thread_ends_recv(self) -> None:
        with LINKS["plain"]().open(echo) as ws:
            closer = threading.Thread(target=ws.close)
            closer.start()
            assert list(ws) == []
            closer.join(TIMEOUT)

    def test_messages_that_came_before_can_still_be_received(self) -> None:
        def talk(ws: WebSocket) -> None:
            for number in range(100):
                ws.send(str(number))

        with LINKS["plain"]().open(talk) as ws:
            assert list(ws) == [str(number) for number in range(100)]

    def test_the_answer_goes_out_in_front_of_the_close_that_came_behind_the_question(self) -> None:
        with running(echo) as server, Raw.open(server.address) as raw:
            raw.send(b"".join(wire.frame(wire.TEXT, b"%d" % n) for n in range(5)) + wire.close(1000))
            frames = [raw.read_frame() for _ in range(6)]
            assert frames == [*((wire.TEXT, b"%d" % n) for n in range(5)), (wire.CLOSE, b"\x03\xe8")]

    def test_the_answer_goes_out_in_front_of_the_close_for_a_violation(self) -> None:
        report = Report()
        with running(report) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"fine") + wire.frame(wire.TEXT, b"wrong", key=None))
            assert raw.read_frame() == (wire.TEXT, b"fine")
            close = raw.read_frame()
            assert close is not None
            assert (close[0], close[1][:2]) == (wire.CLOSE, b"\x03\xea")
            assert raw.read_frame() is None
            raw.close()
            closed = report.wait()
        assert (closed.code, closed.clean, closed.cause.kind) == (1006, False, CauseKind.PROTOCOL_ERROR)

    def test_a_peer_that_goes_on_sending_gets_our_close_whole(self) -> None:
        """No reset: what is unread when a socket is closed makes the kernel drop what it has not sent."""

        def leave(ws: WebSocket) -> None:
            ws.recv(TIMEOUT)
            ws.close(1000, "leaving")

        with running(leave) as server, Raw.open(server.address) as raw:
            raw.send(wire.frame(wire.TEXT, b"x" * 100_000) * 30)
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8leaving")
            raw.send(wire.frame(wire.TEXT, b"x" * 100_000) + wire.close(1000))
            assert raw.read_frame() is None

    def test_a_peer_that_never_answers_is_dropped(self) -> None:
        def handler(ws: WebSocket) -> None:
            ws.close()
            ends.append(ws.closed)

        ends: list[Disconnected | None] = []
        with running(handler, timeouts=BRIEF) as server, Raw.open(server.address) as raw:
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
            assert raw.read_rest() == b""
        assert ends[0] is not None
        assert ends[0].cause.kind is CauseKind.CLOSE_TIMEOUT

    def test_a_peer_that_never_ends_its_stream_is_dropped(self) -> None:
        report = Report()
        with running(report, timeouts=BRIEF) as server, Raw.open(server.address) as raw:
            raw.send(wire.close(1000))
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
            assert raw.read_frame() is None
            assert report.wait().clean

    def test_an_unread_flood_does_not_keep_the_connection_open(self) -> None:
        """Closing gives up what was not received."""

        def flood(ws: WebSocket) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    ws.send("x" * 10_000)

        with LINKS["plain"]().open(flood) as ws:
            assert ws.recv(TIMEOUT) == "x" * 10_000
            ws.close()
            assert ws.closed is not None
            assert ws.closed.clean
