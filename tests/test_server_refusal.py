"""Requests that open no connection: refused by the engine, turned down by its owner, or too late."""

from __future__ import annotations

import pytest

from edgews import (
    CauseKind,
    Disconnected,
    HandshakeError,
    Headers,
    Limits,
    Request,
    ServerConnection,
    Side,
    State,
    StateError,
    Timeouts,
    Transport,
    Turn,
)

from . import wire
from .handshakes import GOOD, PLAIN, ask, end, fields, octets, opened_server, refused
from .handshakes import HELLO_TO_SERVER as HELLO

# Refusals by the engine


def test_a_refusal_in_full() -> None:
    server = ServerConnection()
    assert list(server.receive_data(wire.request({"Sec-WebSocket-Version": "8"}) + HELLO)) == []
    assert server.data_to_send() == (
        b"HTTP/1.1 426 Upgrade Required\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade, close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 34\r\n"
        b"\r\n"
        b"Sec-WebSocket-Version must be 13.\n"
    )
    assert server.transport is Transport.HALF_CLOSE
    assert server.turn is Turn.PEER
    assert list(server.receive_data(GOOD)) == []
    assert server.data_to_send() == b""
    cause = end(server)
    assert cause.kind is CauseKind.HANDSHAKE_FAILED
    assert cause.initiator is Side.PEER
    assert cause.detail == "Sec-WebSocket-Version must be 13; answered with 426"
    assert cause.header == "Sec-WebSocket-Version"
    assert isinstance(cause.error, HandshakeError)
    assert cause.error.status == 426


def test_a_head_that_is_too_large() -> None:
    status, last, _ = refused(ServerConnection(limits=Limits(max_header_size=100)), [b"GET /" + b"x" * 96])
    assert (status, last.cause.detail) == (431, "the head is larger than 100 bytes; answered with 431")


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "sec-websocket-VERSION", "Sec-WebSocket-Protocol"])
def test_a_request_that_meant_to_upgrade_is_told_what_is_missing(name: str) -> None:
    # A proxy that drops hop-by-hop fields leaves such a request.
    data = PLAIN[:-2] + name.encode() + b": x\r\n\r\n"
    status, last, written = refused(ServerConnection(), [data])
    assert (status, last.cause.header) == (426, "Upgrade")
    assert fields(written)["upgrade"] == ["websocket"]


@pytest.mark.parametrize(
    "target", ["*", "[", "?", "#", "http://example.com/", "http://[", "example.com:80", "/page#part"]
)
def test_a_plain_request_whose_target_is_no_path(target: str) -> None:
    server = ServerConnection()
    assert list(server.receive_data(f"GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())) == []
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_the_stream_may_end_at_any_byte_of_the_request(at: int) -> None:
    server = ServerConnection()
    assert list(server.receive_data(GOOD[:at])) == []
    cause = end(server)
    assert cause.kind is CauseKind.PEER_VANISHED
    assert cause.detail == "the byte stream ended in the opening handshake"
    assert server.data_to_send() == b""


def test_nothing_follows_the_end() -> None:
    server = ServerConnection()
    end(server)
    for data in (GOOD, PLAIN, b"nonsense\r\n\r\n"):
        assert list(server.receive_data(data)) == []
    assert list(server.receive_eof()) == []
    with pytest.raises(StateError):
        server.receive_request(Request("GET", "/", Headers()))
    assert server.data_to_send() == b""


# Plain requests and rejections


def test_a_page_of_ones_own() -> None:
    server, request = ask(PLAIN + b"GET /pipelined HTTP/1.1\r\n")
    assert not request.is_upgrade
    written = server.reject(200, headers={"Content-Type": "text/html"}, body="<p>hi")
    assert written == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<p>hi"
    )
    assert server.transport is Transport.HALF_CLOSE
    assert list(server.receive_data(GOOD)) == []
    cause = end(server)
    assert (cause.kind, cause.initiator, cause.header) == (CauseKind.NO_UPGRADE, Side.PEER, None)
    assert cause.detail == "a plain HTTP request, answered with 200"


def test_head_has_no_body() -> None:
    server, request = ask(PLAIN.replace(b"GET", b"HEAD"))
    assert request.method == "HEAD"
    written = server.reject(404, body=b"not found")
    assert written.endswith(b"Content-Length: 9\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_any_method_and_version_may_be_answered(method: str, version: str) -> None:
    server, request = ask(f"{method} /page HTTP/{version}\r\nHost: x\r\n\r\n".encode())
    assert (request.method, request.http_version, request.target) == (method, version, "/page")
    assert server.reject(501).startswith(b"HTTP/1.1 501 Not Implemented\r\n")


@pytest.mark.parametrize("target", ["//[/", "/a[b?c[d", "/?", "//http://[?"])
def test_any_target_may_be_looked_at(target: str) -> None:
    _, request = ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert request.target == target
    assert isinstance(request.path + request.query, str)


def test_a_plain_request_cannot_be_accepted() -> None:
    server, _ = ask(PLAIN)
    written = server.accept()
    assert written.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert fields(written)["upgrade"] == ["websocket"]
    assert fields(written)["connection"] == ["Upgrade, close"]
    assert server.transport is Transport.HALF_CLOSE
    cause = end(server)
    assert (cause.kind, cause.header) == (CauseKind.HANDSHAKE_FAILED, "Upgrade")


def test_a_rejected_upgrade() -> None:
    server, _ = ask()
    written = server.reject(401, headers={"WWW-Authenticate": "Basic"}, body="who?")
    assert written.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert fields(written)["www-authenticate"] == ["Basic"]
    cause = end(server)
    assert (cause.kind, cause.initiator) == (CauseKind.HANDSHAKE_REFUSED, Side.LOCAL)
    assert cause.detail == "the server answered 401"


def test_the_client_may_never_end_its_stream_after_a_rejection() -> None:
    server, _ = ask(timeouts=Timeouts(close=3))
    server.reject(403)
    assert server.next_timeout() == float("-inf")
    assert list(server.handle_timeout(100)) == []
    assert server.next_timeout() == 103
    (last,) = server.handle_timeout(103)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.HANDSHAKE_REFUSED
    assert server.transport is Transport.CLOSE


# Time


def test_silence_is_dropped_without_a_word() -> None:
    server = ServerConnection(timeouts=Timeouts(open=5))
    assert server.next_timeout() == float("-inf")
    assert list(server.handle_timeout(1000)) == []
    assert server.next_timeout() == 1005
    assert list(server.handle_timeout(1004.9)) == []
    (last,) = server.handle_timeout(1005)
    assert isinstance(last, Disconnected)
    assert (last.code, last.clean) == (1006, False)
    assert (last.cause.kind, last.cause.initiator) == (CauseKind.OPEN_TIMEOUT, Side.LOCAL)
    assert server.data_to_send() == b""
    assert server.transport is Transport.CLOSE
    assert server.next_timeout() is None


@pytest.mark.parametrize("data", [b"G", GOOD[:-1], b"GET / HTTP/1.1\r\nX: y\r\n"])
def test_a_slow_request_is_told_so(data: bytes) -> None:
    server = ServerConnection(timeouts=Timeouts(open=5))
    list(server.handle_timeout(0))
    for i, piece in enumerate(octets(data)):
        assert list(server.receive_data(piece)) == []
        assert list(server.handle_timeout(4.9 * i / len(data))) == []
    (last,) = server.handle_timeout(5)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.OPEN_TIMEOUT
    assert server.data_to_send().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert server.transport is Transport.CLOSE


@pytest.mark.parametrize(("data", "status"), [(GOOD, b"503"), (PLAIN, b"426")])
def test_a_request_that_nobody_answers(data: bytes, status: bytes) -> None:
    server, _ = ask(data)
    list(server.handle_timeout(0))
    (last,) = server.handle_timeout(10)
    assert isinstance(last, Disconnected)
    assert last.cause.kind is CauseKind.OPEN_TIMEOUT
    assert server.data_to_send().startswith(b"HTTP/1.1 " + status)
    with pytest.raises(StateError):
        server.accept()


@pytest.mark.parametrize("data", [GOOD, PLAIN, b"nonsense\r\n\r\n", HELLO])
def test_what_comes_after_the_open_timeout_does_not_count(data: bytes) -> None:
    server = ServerConnection()
    list(server.handle_timeout(0))
    assert len(list(server.handle_timeout(10))) == 1
    assert list(server.receive_data(data)) == list(server.receive_eof()) == []
    assert list(server.handle_timeout(100)) == []
    assert server.data_to_send() == b""


def test_the_open_timer_ends_with_the_handshake() -> None:
    server = opened_server(timeouts=Timeouts(open=5, ping_interval=None))
    assert server.next_timeout() is None
    assert list(server.handle_timeout(1000)) == []
    assert server.state is State.OPEN


def test_the_open_timer_can_be_off() -> None:
    server = ServerConnection(timeouts=Timeouts(open=None))
    assert server.next_timeout() is None
    assert list(server.handle_timeout(1e9)) == []
    assert server.state is State.CONNECTING
