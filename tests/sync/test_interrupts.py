"""Ctrl-C in every call that blocks: it comes through at once, and nothing is left behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from edgews import CauseKind, Timeouts
from edgews.sync import ConnectionClosed, WebSocket, connect, serve
from tests import wire
from tests.raw import TIMEOUT, Raw, check
from tests.sync.harness import HOST, Listener, accept, echo, edgews_threads, running, until, uri

# Where Ctrl-C did not come through, what is waited for comes, and the test fails.
PATIENT = Timeouts(open=TIMEOUT, close=TIMEOUT, ping_interval=None, ping_timeout=TIMEOUT)
BIG = bytes(16_000_000)
# Seconds until Ctrl-C is pressed again.
PAUSE = 0.5


def interrupt(call: Callable[[], object], when: Callable[[], object]) -> None:
    """Call something, and press Ctrl-C once a condition holds.

    CPython notices no signal that comes after a thread has given up the interpreter and before it waits in
    the kernel, until that wait ends; on a busy machine this happens. So Ctrl-C is pressed again, as people
    do. But only one comes through: a call that swallows that one gets no other.
    """
    through = False
    over = threading.Event()

    def come_through(*_: object) -> None:
        nonlocal through
        if not through:
            through = True
            raise KeyboardInterrupt

    def press() -> None:
        until(when)
        main = threading.main_thread().ident
        assert main is not None
        while not through:
            signal.pthread_kill(main, signal.SIGINT)
            over.wait(PAUSE)

    thread = threading.Thread(target=press)

    def press_in_it() -> None:
        thread.start()
        call()

    before = signal.signal(signal.SIGINT, come_through)
    try:
        with pytest.raises(KeyboardInterrupt):
            press_in_it()
    finally:
        # If it never came, nothing is pressed any more.
        through = True
        over.set()
        thread.join(TIMEOUT)
        signal.signal(signal.SIGINT, before)


def no_threads() -> bool:
    return not edgews_threads()


class Mute:
    """A raw server that opens the connection, and then does nothing until it is told; it keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.go = threading.Event()

    def __call__(self, raw: Raw) -> None:
        accept(raw)
        while not self.frames or self.frames[-1][0] != wire.CLOSE:
            frame = raw.read_frame()
            if frame is None:
                return
            self.frames.append(frame)
            if frame[0] == wire.BINARY and not self.go.wait(TIMEOUT):
                return
        check(self.go.wait(TIMEOUT), "the test has ended")
        raw.send(wire.close(1000, key=None))


class TestConnect:
    def test_while_the_server_says_nothing(self) -> None:
        asked, done = threading.Event(), threading.Event()

        def silent(raw: Raw) -> None:
            raw.read_head()
            asked.set()
            done.wait(TIMEOUT)

        with Listener(silent) as listener:
            interrupt(partial(connect, listener.uri, timeouts=PATIENT), asked.is_set)
            until(no_threads)
            done.set()


class TestWebSocket:
    def test_recv(self) -> None:
        with running(echo) as server, connect(uri(server), timeouts=PATIENT) as ws:
            interrupt(ws.recv, lambda: ws._receivers)
            assert ws._receivers == 0
            ws.send("still here")
            assert ws.recv(TIMEOUT) == "still here"

    def test_iteration(self) -> None:
        with running(echo) as server, connect(uri(server), timeouts=PATIENT) as ws:
            interrupt(partial(list, ws), lambda: ws._receivers)
            ws.send("still here")
            assert ws.recv(TIMEOUT) == "still here"

    def test_send(self) -> None:
        """The message goes out whole, as in any case where the call does not see its end."""
        mute = Mute()
        with Listener(mute) as listener, connect(listener.uri, timeouts=PATIENT) as ws:
            ws.send(b"first")
            interrupt(partial(ws.send, BIG), lambda: ws._writers)
            assert ws._writers == 0
            mute.go.set()
            ws.close()
        assert [len(payload) for _, payload in mute.frames] == [5, len(BIG), 2]

    def test_send_in_pieces(self) -> None:
        mute = Mute()
        mute.go.set()
        waiting, never = threading.Event(), threading.Event()

        def pieces() -> Iterator[str]:
            yield "half"
            waiting.set()
            never.wait(TIMEOUT)

        with Listener(mute) as listener, connect(listener.uri, timeouts=PATIENT) as ws:
            interrupt(partial(ws.send, pieces()), waiting.is_set)
            with pytest.raises(ConnectionClosed):
                ws.send("another")
        assert [opcode for opcode, _ in mute.frames] == [wire.TEXT, wire.CLOSE]
        assert wire.close_code(mute.frames[1][1]) == 1011

    def test_ping(self) -> None:
        mute = Mute()
        with Listener(mute) as listener, connect(listener.uri, timeouts=PATIENT) as ws:
            interrupt(ws.ping, lambda: mute.frames)
            assert ws._session.pings == {}
            mute.go.set()

    def test_close(self) -> None:
        mute = Mute()
        with Listener(mute) as listener:
            ws = connect(listener.uri, timeouts=PATIENT)
            interrupt(partial(ws.close, 4000), lambda: mute.frames)
            assert ws.closed is None
            mute.go.set()
            ws.close(4001)
            assert ws.closed is not None
            assert ws.closed.clean
        assert mute.frames == [(wire.CLOSE, b"\x0f\xa0")]

    def test_close_that_nobody_calls_again(self) -> None:
        """It goes on by itself, and its timeout holds."""
        mute = Mute()
        with Listener(mute) as listener:
            # Long enough for Ctrl-C to come first.
            ws = connect(listener.uri, timeouts=Timeouts(close=2.0))
            interrupt(ws.close, lambda: mute.frames)
            until(no_threads)
            assert ws.closed is not None
            assert ws.closed.cause.kind is CauseKind.CLOSE_TIMEOUT
            mute.go.set()

    def test_wait_closed(self) -> None:
        with running(echo) as server, connect(uri(server), timeouts=PATIENT) as ws:
            waiting = threading.Event()

            def wait() -> None:
                waiting.set()
                ws.wait_closed()

            interrupt(wait, waiting.is_set)
            ws.send("still here")
            assert ws.recv(TIMEOUT) == "still here"

    def test_the_end_of_the_block(self) -> None:
        """What leaves the block with Ctrl-C closes the connection as any other error does."""
        codes: list[Any] = []

        def handler(ws: WebSocket) -> None:
            codes.append(ws.wait_closed(TIMEOUT).code)

        def block() -> None:
            with connect(uri(server), timeouts=PATIENT) as ws:
                inside.append(ws)
                ws.recv()

        inside: list[WebSocket] = []
        with running(handler) as server:
            interrupt(block, lambda: inside and inside[0]._receivers)
        assert codes == [1011]
        until(no_threads)


class TestServer:
    def test_serve_forever(self) -> None:
        with serve(echo, HOST, 0) as server:
            clients: list[WebSocket] = []

            def talk() -> bool:
                if not clients:
                    clients.append(connect(uri(server)))
                    clients[0].send("served")
                return clients[0].recv(TIMEOUT) == "served"

            interrupt(server.serve_forever, talk)
        (client,) = clients
        assert client.wait_closed(TIMEOUT).code == 1001
        until(no_threads)

    def test_shutdown(self) -> None:
        """Who has no more patience gets the connections dropped; the rest of their time is not waited for."""
        with running(echo, timeouts=PATIENT) as server, Raw.open(server.address) as raw:
            told: list[Any] = []
            reader = threading.Thread(target=lambda: told.append(raw.read_frame()))
            reader.start()
            interrupt(server.shutdown, lambda: told)
            reader.join(TIMEOUT)
            assert told == [(wire.CLOSE, b"\x03\xe9")]
            assert raw.read_frame() is None
            until(no_threads)

    def test_shutdown_that_is_spread(self) -> None:
        with running(echo, timeouts=PATIENT) as server, Raw.open(server.address) as raw:
            with connect(uri(server)) as ws:
                ws.send("open")
                assert ws.recv(TIMEOUT) == "open"
                told = threading.Event()

                def watch() -> None:
                    if raw.read_frame() == (wire.CLOSE, b"\x03\xe9"):
                        told.set()

                reader = threading.Thread(target=watch)
                reader.start()
                interrupt(partial(server.shutdown, spread=2 * TIMEOUT), told.is_set)
                reader.join(TIMEOUT)
                ws.wait_closed(TIMEOUT)
            until(no_threads)
