"""Plain HTTP, many connections, and the end of a server."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest

from edgews import (
    Headers,
    InvalidValueError,
    Limits,
    Request,
    Response,
    Timeouts,
)
from edgews.sync import Server, WebSocket, connect, serve
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import (
    HOST,
    Report,
    client_context,
    descriptors,
    echo,
    edgews_threads,
    running,
    server_context,
    uri,
)


class TestPlainHttp:
    def fetch(self, server: Server, line: str) -> tuple[bytes, bytes]:
        with Raw.connect(server.address) as raw:
            raw.send(f"{line}\r\nHost: {HOST}\r\n\r\n".encode())
            head = raw.read_head()
            return head, raw.read_rest()

    def test_is_answered(self) -> None:
        def page(request: Request) -> Response | None:
            assert not request.is_upgrade
            return Response(200, Headers({"Content-Type": "text/html"}), b"<p>hello")

        with running(echo, process_request=page) as server:
            head, body = self.fetch(server, "GET / HTTP/1.1")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Type: text/html" in head
            assert body == b"<p>hello"
            head, body = self.fetch(server, "HEAD / HTTP/1.1")
            assert b"Content-Length: 8" in head
            assert body == b""

    def test_is_answered_with_426_by_default(self) -> None:
        with running(echo) as server:
            head, body = self.fetch(server, "GET / HTTP/1.1")
            assert head.startswith(b"HTTP/1.1 426 ")
            assert b"Upgrade" in body

    def test_nonsense_is_answered_with_400(self) -> None:
        with running(echo) as server:
            assert self.fetch(server, "GET  / nonsense")[0].startswith(b"HTTP/1.1 400 ")

    def test_over_tls(self) -> None:
        """No half-close of TCP is needed for the client to see the end: close_notify says it."""
        answer = Response(200, Headers(), b"x" * 1_000_000)
        with (
            running(echo, process_request=lambda request: answer, ssl=server_context()) as server,
            socket.create_connection(server.address, TIMEOUT) as tcp,
            client_context().wrap_socket(tcp, server_hostname=HOST, suppress_ragged_eofs=False) as tls,
        ):
            raw = Raw(tls)
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.read_head()
            assert raw.read_rest() == b"x" * 1_000_000

    def test_a_client_that_left_before_the_answer(self) -> None:
        gone = threading.Event()

        def slow(request: Request) -> Response | None:
            assert gone.wait(TIMEOUT)
            return None if request.target == "/accept" else Response(200, Headers(), b"late")

        # The request has to come in time, on any machine.
        with running(echo, process_request=slow, timeouts=Timeouts(open=1.0)) as server:
            for path in ("/accept", "/answer"):
                gone.clear()
                with Raw.connect(server.address) as raw:
                    raw.send(wire.request(line=f"GET {path} HTTP/1.1"))
                    assert raw.read_rest().startswith(b"HTTP/1.1 503 ")
                gone.set()


class TestServer:
    def test_silent_clients_do_not_stop_service(self) -> None:
        report = Report()
        with running(report, timeouts=Timeouts(open=2.0), max_connections=250) as server:
            silent = [Raw.connect(server.address)]
            # At once: its time is over before all the others are there, where that takes long.
            silent[0].send(b"GET / HTTP/1.1\r\n")
            silent += [Raw.connect(server.address) for _ in range(248)]
            with connect(uri(server)) as ws:
                ws.send("served")
                assert ws.recv(TIMEOUT) == "served"
                for raw in silent:
                    answer = raw.read_rest()
                    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
                    raw.close()
                ws.send("still served")
                assert ws.recv(TIMEOUT) == "still served"

    def test_more_connections_than_allowed_wait(self) -> None:
        # Each has that long; it is our client's, too, once the others have had theirs.
        with running(echo, timeouts=Timeouts(open=1.0), max_connections=2) as server:
            silent = [Raw.connect(server.address) for _ in range(4)]
            with connect(uri(server)) as ws:
                ws.send("served")
                assert ws.recv(TIMEOUT) == "served"
            for raw in silent:
                raw.close()

    @pytest.mark.parametrize("secure", [False, True])
    def test_200_connections_leave_nothing(self, secure: bool) -> None:
        serving = {"ssl": server_context()} if secure else {}
        context = client_context() if secure else None
        with running(echo, **serving) as server:
            before = descriptors()
            threads = threading.active_count()
            for number in range(200):
                ws = connect(uri(server, scheme="wss" if secure else "ws"), ssl=context)
                ws.send(str(number))
                assert ws.recv(TIMEOUT) == str(number)
                ws.close()
            for thread in edgews_threads():
                thread.join(TIMEOUT)
            assert threading.active_count() <= threads
            assert descriptors() == before

    def test_shutdown_closes_with_1001(self) -> None:
        with running(echo) as server:
            clients = [connect(uri(server)) for _ in range(5)]
            silent = Raw.connect(server.address)
            for ws in clients:
                ws.send("here")
                assert ws.recv(TIMEOUT) == "here"
            server.shutdown()
            for ws in clients:
                assert list(ws) == []
                assert ws.closed is not None
                assert (ws.closed.code, ws.closed.clean) == (1001, True)
                ws.close()
            assert silent.read_rest() == b""
            silent.close()
            with pytest.raises(ConnectionRefusedError):
                connect(uri(server))
            server.shutdown()
            with pytest.raises(RuntimeError):
                server.serve_forever()

    def test_shutdown_drops_what_does_not_close_in_time(self) -> None:
        with running(echo) as server, Raw.open(server.address) as raw:
            server.shutdown(0.1)
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe9")
            assert raw.read_frame() is None

    def test_shutdown_does_not_wait_for_ever_for_a_handler(self) -> None:
        release = threading.Event()
        with running(lambda ws: release.wait(TIMEOUT)) as server:
            ws = connect(uri(server))
            server.shutdown(0.1)
            release.set()
            assert list(ws) == []
            ws.close()

    def test_shutdown_from_a_handler(self) -> None:
        servers: list[Server] = []

        def stop(ws: WebSocket) -> None:
            ws.recv(TIMEOUT)
            servers[0].shutdown()

        with running(stop) as server:
            servers.append(server)
            with connect(uri(server)) as ws:
                ws.send("stop")
                assert list(ws) == []
                assert ws.closed is not None
                assert ws.closed.code == 1001

    def test_whoever_shuts_down_meanwhile_waits_as_well(self) -> None:
        held, release = threading.Event(), threading.Event()
        seen: list[bool] = []

        def hold(ws: WebSocket) -> None:
            held.set()
            release.wait(TIMEOUT)

        def stop(server: Server) -> None:
            server.shutdown()
            seen.append(release.is_set())

        with running(hold) as server, connect(uri(server)) as ws:
            assert held.wait(TIMEOUT)
            first = threading.Thread(target=stop, args=[server])
            first.start()
            # It has been told, so the first call is under way.
            assert list(ws) == []
            start = time.monotonic()
            server.shutdown(0.05)
            assert time.monotonic() - start >= 0.05
            second = threading.Thread(target=stop, args=[server])
            second.start()
            release.set()
            first.join(TIMEOUT)
            second.join(TIMEOUT)
        assert seen == [True, True]

    def test_two_handlers_that_shut_down_do_not_wait_for_each_other(self) -> None:
        servers: list[Server] = []
        both = threading.Barrier(2, timeout=TIMEOUT)

        def stop(ws: WebSocket) -> None:
            both.wait()
            servers[0].shutdown()

        with running(stop) as server:
            servers.append(server)
            with connect(uri(server)) as one, connect(uri(server)) as other:
                assert list(one) == list(other) == []

    def test_serves_once_at_a_time(self) -> None:
        with running(echo) as server:
            # Now it surely serves.
            connect(uri(server)).close()
            with pytest.raises(RuntimeError):
                server.serve_forever()

    def test_never_served(self) -> None:
        with serve(echo, HOST, 0) as server:
            assert server.address[1] > 0

    def test_address_in_use(self) -> None:
        with serve(echo, HOST, 0) as server, pytest.raises(OSError, match="in use"):
            serve(echo, HOST, server.address[1])

    def test_a_coroutine_function_is_no_handler(self) -> None:
        async def handler(ws: object) -> None:
            raise AssertionError

        with pytest.raises(TypeError, match="coroutine function"):
            serve(handler, HOST, 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def test_max_connections_is_checked(self) -> None:
        with pytest.raises(ValueError, match="max_connections"):
            serve(echo, HOST, 0, max_connections=0)

    def test_descriptors_run_out(self, caplog: pytest.LogCaptureFixture) -> None:
        """The server says so, goes on, and serves again when there are some."""
        resource = pytest.importorskip("resource")
        caplog.set_level(logging.ERROR, "edgews.sync")
        with running(echo) as server:
            first = connect(uri(server))
            first.send("open")
            assert first.recv(TIMEOUT) == "open"
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            waiting = socket.socket()
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(), limits[1]))
            try:
                waiting.settimeout(TIMEOUT)
                waiting.connect(server.address)
                while not caplog.records:
                    first.send("are you there?")
                    assert first.recv(TIMEOUT) == "are you there?"
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert "cannot" in caplog.text
            first.close()
            waiting.close()
            with connect(uri(server)) as ws:
                ws.send("again")
                assert ws.recv(TIMEOUT) == "again"

    def test_limits_hold(self) -> None:
        with running(echo, limits=Limits(max_message_size=10)) as server, connect(uri(server)) as ws:
            ws.send("x" * 10)
            assert ws.recv(TIMEOUT) == "x" * 10
            ws.send("x" * 11)
            # The server fails the connection; both Close frames were exchanged all the same.
            assert list(ws) == []
            assert ws.closed is not None
            assert ws.closed.code == 1009

    def test_shutdown_is_spread_and_says_why(self) -> None:
        with running(echo) as server:
            clients = [connect(uri(server)) for _ in range(5)]
            for ws in clients:
                ws.send("here")
                assert ws.recv(TIMEOUT) == "here"
            times: list[float] = []

            def watch(ws: WebSocket) -> None:
                closed = ws.wait_closed(TIMEOUT)
                assert (closed.code, closed.reason) == (1012, "restart")
                times.append(time.monotonic())

            watchers = [threading.Thread(target=watch, args=(ws,)) for ws in clients]
            for watcher in watchers:
                watcher.start()
            begin = time.monotonic()
            server.shutdown(spread=0.5, code=1012, reason="restart")
            for watcher in watchers:
                watcher.join(TIMEOUT)
        assert len(times) == 5
        # The last is told at 0.4 s.
        assert times[-1] - begin >= 0.4

    def test_a_shutdown_that_cannot_be_said_does_nothing(self) -> None:
        with running(echo) as server, connect(uri(server)) as ws:
            for code, reason in ((1005, ""), (1000, "x" * 124)):
                with pytest.raises(InvalidValueError):
                    server.shutdown(code=code, reason=reason)
            ws.send("still served")
            assert ws.recv(TIMEOUT) == "still served"

    def test_a_handler_that_is_told_the_end_of_another_connection(self) -> None:
        """As in a proxy: its own connection is closed as well."""
        with running(lambda ws: ws.close(4000)) as behind:

            def relay(ws: WebSocket) -> None:
                with connect(uri(behind)) as other:
                    ws.send(other.recv(TIMEOUT))

            with running(relay) as server, connect(uri(server)) as ws:
                assert list(ws) == []
                assert ws.closed is not None
                assert ws.closed.code == 1000
