"""Checks of origins: what each kind asks, what it takes for an answer, and when it is asked at all."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

from edgews.edge.config.file import check_values
from tests import wire
from tests.edge.harness import Authority, Origin, eventually, running, switch
from tests.handshakes import accept_for
from tests.raw import TIMEOUT, Raw

loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])


def often(kind: str, **health: Any) -> dict[str, Any]:
    return {"kind": kind, "interval": 0.1, "timeout": TIMEOUT, "jitter": 0.0, "rise": 1, "fall": 2, **health}


def state(gateway, at: int = 0) -> dict[str, Any]:
    return gateway.gateway.health()[at]


def is_up(gateway, up: bool) -> None:
    eventually(lambda: state(gateway)["up"] is up and state(gateway)["checks"], f"the origin is up: {up}")


@loops
def test_a_tcp_check(uvloop):
    with Origin() as origin, running(origin.uri, health=often("tcp"), uvloop=uvloop) as gateway:
        is_up(gateway, True)
        with contextlib.closing(origin.sock.accept()[0]) as knock:
            knock.settimeout(TIMEOUT)
            with contextlib.suppress(ConnectionResetError):
                assert knock.recv(1) == b""
        origin.sock.close()
        is_up(gateway, False)
        assert state(gateway)["cause"] == "origin refused"
        assert state(gateway)["for"] >= 0


def serve(listening: socket.socket, answer: bytes, context=None) -> bytes:
    """Answer the next check; return its request."""
    sock = listening.accept()[0]
    if context is not None:
        sock = context.wrap_socket(sock, server_side=True)
    with Raw(sock) as raw:
        head = raw.read_head()
        raw.send(answer)
        if answer.startswith(b"HTTP"):
            with contextlib.suppress(OSError):
                raw.read_rest()
    return head


@loops
def test_an_http_check(uvloop):
    with (
        Origin() as origin,
        running(origin.uri, health=often("http", path="/up?x"), uvloop=uvloop) as gateway,
    ):
        for status, up in (
            (b"503 Service Unavailable", None),
            (b"500 Oh No", False),
            (b"302 Found", True),
            (b"404 Not Found", None),
            (b"204 No Content", True),
        ):
            head = serve(origin.sock, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            assert head.startswith(b"GET /up?x HTTP/1.1\r\nHost: 127.0.0.1:")
            if up is not None:
                is_up(gateway, up)
            if up is False:
                assert state(gateway)["cause"] == "answered with 500"
        # The library asks once more if a connection ends without an answer.
        for answer in (b"SSH-2.0-OpenSSH\r\n", b"SSH-2.0-OpenSSH\r\n", b"", b""):
            serve(origin.sock, answer)
        is_up(gateway, False)
        assert state(gateway)["cause"] == "no HTTP answer"


def converse(listening: socket.socket, pong: bool) -> None:
    """Take a WebSocket check, and answer its Ping or not."""
    with Raw(listening.accept()[0]) as raw:
        head = raw.read_head().decode()
        assert head.startswith("GET /ws HTTP/1.1\r\n")
        key = head.partition("Sec-WebSocket-Key: ")[2].split("\r\n")[0]
        raw.send(switch().replace(wire.ACCEPT.encode(), accept_for(key).encode()))
        opcode, payload = raw.read_frame()
        assert opcode == wire.PING
        if pong:
            raw.send(wire.frame(wire.TEXT, b"hello", key=None) + wire.frame(wire.PONG, payload, key=None))
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
            raw.send(wire.close(1000, key=None))


@loops
def test_a_websocket_check(uvloop):
    health = often("websocket", path="/ws")
    with Origin() as origin, running(origin.uri, health=health, uvloop=uvloop) as gateway:
        converse(origin.sock, True)
        is_up(gateway, True)
        for _ in range(2):
            converse(origin.sock, False)
        is_up(gateway, False)
        assert state(gateway)["cause"] == "the connection ended before the Pong"
        serve(origin.sock, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        eventually(lambda: "no WebSocket" in state(gateway)["cause"], "the refusal is seen")
        converse(origin.sock, True)
        is_up(gateway, True)


def test_an_origin_that_says_nothing():
    with Origin() as origin, running(origin.uri, health=often("http", timeout=0.2)) as gateway:
        is_up(gateway, False)
        assert state(gateway)["cause"] == "no answer in time"


@pytest.mark.parametrize("kind", ["tcp", "http", "websocket"])
def test_checks_with_tls(kind, tmp_path: Path):
    authority = Authority(tmp_path)
    context = authority.server_context()
    with Origin() as origin:
        uri = f"wss://127.0.0.1:{origin.sock.getsockname()[1]}"
        with running(uri, ca=str(authority.trust), health=often(kind)) as gateway:
            sock = context.wrap_socket(origin.sock.accept()[0], server_side=True)
            with Raw(sock) as raw:
                if kind != "tcp":
                    raw.read_head()
                    raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                with contextlib.suppress(OSError):
                    raw.read_rest()
            eventually(lambda: state(gateway)["checks"], "the check is done")
            assert (
                state(gateway)["cause"] == ("no WebSocket: " * (kind == "websocket") or "")
                or kind == "websocket"
            )


def test_checks_of_a_certificate_that_nobody_trusts(tmp_path: Path):
    authority = Authority(tmp_path)
    context = authority.server_context()
    with Origin() as origin:
        uri = f"wss://127.0.0.1:{origin.sock.getsockname()[1]}"
        with running(uri, health=often("http", fall=1)) as gateway:
            with contextlib.suppress(OSError):
                context.wrap_socket(origin.sock.accept()[0], server_side=True).close()
            is_up(gateway, False)
            assert state(gateway)["cause"] == "origin certificate"


def test_checks_of_a_unix_socket(tmp_path: Path):
    path = str(tmp_path / "origin")
    for kind in ("tcp", "http", "websocket"):
        with running(f"unix:{path}", health=often(kind)) as gateway:
            is_up(gateway, False)
            assert state(gateway)["cause"] == "origin missing"


def test_an_origin_that_is_down_comes_last_and_is_tried_where_nobody_else_is():
    with Origin() as one, Origin() as other:
        with running(one.uri, other.uri, health=often("http", timeout=0.2)) as gateway:
            eventually(lambda: not state(gateway, 0)["up"] and not state(gateway, 1)["up"], "both are down")
        # Checks have come meanwhile; whoever asks for a WebSocket is a client.
        with running(one.uri, health=often("http", timeout=0.2)) as gateway:
            is_up(gateway, False)
            with Raw.connect(gateway.address) as client:
                client.send(wire.request())
                while not (server := one.accept()).head.startswith(b"GET /chat"):
                    server.close()
                with server:
                    server.send(switch())
                    assert client.read_head().startswith(b"HTTP/1.1 101")


def test_a_reload_keeps_what_is_known_and_does_not_begin_anew():
    with Origin() as origin:
        health = often("tcp", interval=1000)
        with running(origin.uri, health=health) as gateway:
            is_up(gateway, True)
            values = {
                "listen": [{"address": "127.0.0.1:0"}],
                "route": [{"name": "test", "origins": [origin.uri, "ws://127.0.0.1:1"], "health": health}],
            }
            gateway.call(gateway.gateway.reload(check_values(values, "", "x")))
            eventually(lambda: state(gateway, 1)["checks"], "the new one is checked")
            assert state(gateway, 0)["checks"] == 1
            assert state(gateway, 1)["cause"] == "origin refused"
            # Another rhythm begins at once; without checks nothing is left of them.
            values["route"][0]["health"] = often("tcp")
            gateway.call(gateway.gateway.reload(check_values(values, "", "x")))
            eventually(lambda: state(gateway, 0)["checks"] > 2, "it is checked more often")
            assert not state(gateway, 1)["up"]
            del values["route"][0]["health"]
            gateway.call(gateway.gateway.reload(check_values(values, "", "x")))


def test_a_drain_ends_checks_that_wait():
    health = often("http")
    with Origin() as origin, running(origin.uri, health=health) as gateway, origin.accept() as server:
        gateway.call(gateway.gateway.drain(0))
        assert server.read_rest() == b""
