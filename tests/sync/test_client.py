"""Opening a connection, and all the ways in which it is refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from time import monotonic

import pytest

from edgews import (
    CauseKind,
    Headers,
    InvalidValueError,
    Request,
    Response,
    Timeouts,
)
from edgews.sync import ConnectionClosed, InvalidHandshake, WebSocket, connect, serve
from tests import wire
from tests.raw import TIMEOUT, Raw, deaf_port
from tests.sync.harness import (
    BRIEF,
    HOST,
    Listener,
    accept,
    client_context,
    echo,
    running,
    server_context,
    uri,
)

# So long (seconds) that no test waits for it.
LONG = 1000.0


class TestOpening:
    def test_what_both_sides_know(self) -> None:
        seen: list[WebSocket] = []
        with (
            running(seen.append, subprotocols=["chat", "log"]) as server,
            connect(
                uri(server, "/room?n=1"),
                subprotocols=["none", "log"],
                origin="https://example.com",
                headers={"X-Token": "secret"},
            ) as ws,
        ):
            assert ws.subprotocol == "log"
            assert ws.response is not None
            assert ws.response.status == 101
            assert ws.request is not None
            assert ws.request.target == "/room?n=1"
            assert list(ws) == []
            client = ws.local_address
        (theirs,) = seen
        assert theirs.request is not None
        assert (theirs.request.path, theirs.request.query) == ("/room", "n=1")
        assert theirs.request.origin == "https://example.com"
        assert theirs.request.headers.get("x-token") == "secret"
        assert (theirs.subprotocol, theirs.remote_address) == ("log", client)
        assert theirs.local_address == server.address

    def test_subprotocol_of_the_servers_choice(self) -> None:
        with (
            running(echo, select_subprotocol=lambda request: request.subprotocols[-1]) as server,
            connect(uri(server), subprotocols=["a", "b"]) as ws,
        ):
            assert ws.subprotocol == "b"

    def test_subprotocol_that_was_not_offered_is_the_servers_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with running(echo, select_subprotocol=lambda request: "other") as server:
            with pytest.raises(InvalidHandshake) as caught:
                connect(uri(server))
            assert caught.value.response is not None
            assert caught.value.response.status == 500
        assert "was not offered" in caplog.text

    def test_credentials_in_the_uri(self) -> None:
        seen: list[str | None] = []

        def process(request: Request) -> None:
            seen.append(request.headers.get("Authorization"))

        with running(echo, process_request=process) as server:
            port = server.address[1]
            connect(f"ws://user:p%40ss@{HOST}:{port}/").close()
            connect(f"ws://user@{HOST}:{port}/", headers={"Authorization": "Bearer x"}).close()
        assert seen == ["Basic dXNlcjpwQHNz", "Bearer x"]

    def test_over_a_socket_of_the_callers(self) -> None:
        listening = socket.create_server((HOST, 0))
        server = serve(echo, sock=listening)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with server, connect("ws://example.com/", sock=socket.create_connection(server.address)) as ws:
            ws.send("hello")
            assert ws.recv(TIMEOUT) == "hello"
        thread.join(TIMEOUT)

    def test_unix_sockets(self) -> None:
        ours, theirs = socket.socketpair()
        with Raw(theirs) as raw:
            peer = threading.Thread(target=accept, args=(raw,))
            peer.start()
            ws = connect("ws://localhost/", sock=ours)
            peer.join(TIMEOUT)
            ws.send("hello")
            assert raw.read_frame() == (wire.TEXT, b"hello")
            raw.close()
            with pytest.raises(ConnectionClosed):
                ws.recv(TIMEOUT)

    def test_ipv6_or_whatever_localhost_is(self) -> None:
        with contextlib.closing(socket.create_server(("localhost", 0))) as probe:
            assert probe.getsockname()
        server = serve(echo, "localhost", 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with server, connect(f"ws://localhost:{server.address[1]}/") as ws:
            ws.send("hello")
            assert ws.recv(TIMEOUT) == "hello"
        thread.join(TIMEOUT)


class TestRefusals:
    def test_by_process_request(self) -> None:
        def refuse(request: Request) -> Response:
            return Response(403, Headers({"X-Reason": "full"}), b"come back tomorrow")

        with (
            running(echo, process_request=refuse) as server,
            pytest.raises(InvalidHandshake, match="403") as caught,
        ):
            connect(uri(server))
        response = caught.value.response
        assert response is not None
        assert (response.status, response.headers.get("X-Reason"), response.body) == (
            403,
            "full",
            b"come back tomorrow",
        )
        assert caught.value.cause.kind is CauseKind.HANDSHAKE_REFUSED

    def test_by_origin(self) -> None:
        with running(echo, origins=["https://good.example"]) as server:
            with pytest.raises(InvalidHandshake, match="403"):
                connect(uri(server), origin="https://evil.example")
            connect(uri(server), origin="https://good.example").close()

    def test_by_a_defect_of_process_request(self, caplog: pytest.LogCaptureFixture) -> None:
        def fail(request: Request) -> None:
            raise RuntimeError("a defect of process_request")

        with (
            running(echo, process_request=fail) as server,
            pytest.raises(InvalidHandshake, match="500"),
        ):
            connect(uri(server))
        assert "a defect of process_request" in caplog.text

    def test_no_server(self) -> None:
        with deaf_port() as port, pytest.raises(ConnectionRefusedError):
            connect(f"ws://{HOST}:{port}/")

    def test_bad_uri(self) -> None:
        with pytest.raises(InvalidValueError):
            connect("http://example.com/")

    @pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 101 OK\r\n\r\n"])
    def test_answer_that_is_none(self, answer: bytes) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(answer)

        with Listener(peer) as listener, pytest.raises(InvalidHandshake) as caught:
            connect(listener.uri)
        assert caught.value.response is None
        assert caught.value.cause.kind in (CauseKind.PEER_VANISHED, CauseKind.HANDSHAKE_FAILED)

    def test_silence(self) -> None:
        with Listener(lambda raw: raw.read_until_gone()) as listener, pytest.raises(TimeoutError):
            connect(listener.uri, timeouts=BRIEF)

    def test_silence_in_the_tls_handshake(self) -> None:
        with Listener(lambda raw: raw.read_until_gone()) as listener, pytest.raises(TimeoutError):
            connect(listener.uri.replace("ws:", "wss:"), ssl=client_context(), timeouts=BRIEF)

    def test_certificate_of_an_unknown_authority(self, caplog: pytest.LogCaptureFixture) -> None:
        with running(echo, ssl=server_context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                connect(uri(server, scheme="wss"))
            connect(uri(server, scheme="wss"), ssl=client_context()).close()
        assert not caplog.records

    def test_certificate_of_another_name(self) -> None:
        with (
            running(echo, ssl=server_context()) as server,
            pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
        ):
            connect(uri(server, scheme="wss"), ssl=client_context(), server_hostname="elsewhere.example")

    def test_tls_to_a_server_without(self) -> None:
        with running(echo) as server, pytest.raises(ssl.SSLError):
            connect(uri(server, scheme="wss"), ssl=client_context())

    def test_no_tls_to_a_server_with(self) -> None:
        with running(echo, ssl=server_context()) as server, pytest.raises(InvalidHandshake):
            connect(uri(server))

    def test_user_interrupts_the_opening(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As Ctrl-C would: the wait ends with an exception, and nothing is left behind."""

        def interrupted(ws: WebSocket) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(WebSocket, "_wait_open", interrupted)
        with Listener(lambda raw: raw.read_until_gone()) as listener, pytest.raises(KeyboardInterrupt):
            connect(listener.uri)


class TestOpenTime:
    """`Timeouts.open` is one time for everything; these connections began when it was almost over."""

    @pytest.fixture(autouse=True)
    def _began_long_ago(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgews.sync.client.monotonic", lambda: monotonic() - LONG)

    @pytest.mark.parametrize("scheme", ["ws", "wss"])
    def test_for_the_handshakes(self, scheme: str) -> None:
        with (
            Listener(lambda raw: raw.read_until_gone()) as listener,
            socket.create_connection(listener.address) as sock,
            pytest.raises(TimeoutError),
        ):
            connect(f"{scheme}://x/", sock=sock, timeouts=Timeouts(open=LONG + 0.1))

    def test_for_the_connection(self) -> None:
        with running(echo) as server, pytest.raises(TimeoutError):
            connect(uri(server), timeouts=Timeouts(open=LONG - 1))

    @pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
    def test_for_the_proxy(self, scheme: str) -> None:
        with Listener(lambda raw: raw.read_until_gone()) as listener, pytest.raises(TimeoutError):
            connect(
                "ws://x/",
                proxy=listener.uri.replace("ws:", f"{scheme}:"),
                # Enough to be accepted, on any machine.
                timeouts=Timeouts(open=LONG + 1),
            )

    def test_there_need_be_no_limit(self) -> None:
        with running(echo) as server, connect(uri(server), timeouts=Timeouts(open=None)) as ws:
            assert ws.closed is None

    def test_an_address_that_does_not_answer_leaves_time_for_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(echo) as server, socket.create_server((HOST, 0), backlog=0) as full:
            # Who comes when the queue is full gets no answer at all.
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", s)
                for s in (full.getsockname(), *[server.address] * 5)
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            try:
                # The first one gets a sixth of it.
                with connect("ws://server.example/", timeouts=Timeouts(open=LONG + 9)) as ws:
                    assert ws.remote_address == server.address
            finally:
                for sock in waiting:
                    sock.close()
