"""Plain HTTP through the gateway: bodies that stream, answers of all kinds, and what goes wrong."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.edge.harness import Authority, Origin, Running, eventually, running, switch
from tests.raw import TIMEOUT, Raw

loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = 32 * 1024 * 1024


def request(line: str = "GET / HTTP/1.1", *fields: str) -> bytes:
    return "\r\n".join([line, "Host: example.com", *fields, "", ""]).encode()


def answer(body: bytes = b"hi", *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def body(raw: Raw) -> bytes:
    """Return a body whose head has been read, by its length or in chunks."""
    fields = raw.head.lower()
    if b"content-length: " in fields:
        return raw._take(int(fields.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    found = b""
    while True:
        size = b""
        while not size.endswith(b"\r\n"):
            size += raw._take(1)
        piece = raw._take(int(size, 16))
        raw._take(2)
        if not piece:
            return found
        found += piece


@contextlib.contextmanager
def asked(origin: Origin, data: bytes, **route: Any) -> Iterator[tuple[Running, Raw, Raw]]:
    """Send a request through a gateway; return it, the client's end and the origin's."""
    with running(origin.uri, **route) as gateway, Raw.connect(gateway.address) as client:
        client.send(data)
        with origin.accept() as server:
            yield gateway, client, server


@loops
def test_requests_stream_through_one_after_the_other(uvloop):
    post = request(
        "POST /form?a=%20b HTTP/1.1", "Content-Length: 5", "Cookie: c=d", "Connection: X-Hop, close"
    )
    post = post.replace(b", close", b"").replace(b"Cookie", b"X-Hop: 1\r\nCookie")
    with Origin() as origin, asked(origin, post + b"hello", uvloop=uvloop) as (gateway, client, server):
        head = server.head.decode()
        assert head.startswith("POST /form?a=%20b HTTP/1.1\r\n")
        assert "Host: example.com" in head
        assert "Cookie: c=d" in head
        assert "X-Hop" not in head
        assert "X-Forwarded-For: 127.0.0.1" in head
        assert "User-Agent" not in head
        assert "Accept" not in head
        assert body(server) == b"hello"
        server.send(answer(b"one", "X-Kept: 1", "Connection: X-Gone", "X-Gone: 1", "Keep-Alive: timeout=5"))
        head = client.read_head().decode()
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert "X-Kept: 1" in head
        assert "X-Edgews-Ray" in head
        assert "X-Gone" not in head
        assert "Keep-Alive" not in head
        assert "close" not in head
        assert body(client) == b"one"
        # Two at once: the answers come in order.
        client.send(request("GET /2 HTTP/1.1") + request("GET /3 HTTP/1.1", "Connection: close"))
        with origin.accept() as second:
            assert second.head.startswith(b"GET /2 HTTP/1.1\r\n")
            second.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nTrailer: x\r\n\r\n"
            )
            client.read_head()
            assert body(client) == b"two"
            # Nothing has a body here, so the connection to the origin is used again.
            assert second.read_head().startswith(b"GET /3 HTTP/1.1\r\n")
            second.send(answer(b"three"))
            assert client.read_rest().endswith(b"Connection: close\r\n\r\nthree")
            client.close()
        eventually(gateway.is_empty, "the connection is gone")
        records = gateway.records("request")
        assert [record["target"] for record in records] == ["/form", "/2", "/3"]
        assert (records[0]["bytes_up"], records[0]["bytes_down"], records[0]["status"]) == (5, 3, 200)
        assert len({record["ray"] for record in records}) == 3


def test_a_websocket_may_follow_a_plain_request():
    with Origin() as origin, asked(origin, request()) as (gateway, client, server):
        server.send(answer())
        client.read_head()
        assert body(client) == b"hi"
        client.send(wire.request())
        with origin.accept() as second:
            second.send(switch())
            assert client.read_head().startswith(b"HTTP/1.1 101")
            client.send(wire.close(1000))
            assert second.read_frame() == (wire.CLOSE, b"\x03\xe8")
            second.send(wire.close(1000, key=None))
            assert client.read_frame() == (wire.CLOSE, b"\x03\xe8")
        gateway.last("end")


ANSWERS = {
    "to the end": (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
    "chunks": (CHUNKED + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", b"hi"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n', b""),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", b""),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(), b"hi"),
    "compressed": (answer(b"\x1f\x8bhi", "Content-Encoding: gzip"), b"\x1f\x8bhi"),
    "500": (answer(status="500 Oh No"), b"hi"),
    "unknown": (answer(status="299 Mine"), b"hi"),
}


@pytest.mark.parametrize(("data", "expected"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_answers_of_all_kinds(data, expected, version):
    line = f"GET / HTTP/{version}"
    with Origin() as origin, asked(origin, request(line, "Connection: close")) as (gateway, client, server):
        server.send(data)
        server.sock.shutdown(socket.SHUT_WR)
        got = client.read_rest()
        head, _, rest = got.partition(b"\r\n\r\n")
        final = data.replace(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"")
        assert head.split(b" ")[1] == final.split(b" ")[1]
        assert (b"Transfer-Encoding" in head) <= (version == "1.1")
        if b"Transfer-Encoding" in head:
            assert rest.endswith(b"0\r\n\r\n")
            assert rest.startswith(b"2\r\nhi\r\n") or b"1\r\nh\r\n1\r\ni\r\n" in rest
        else:
            assert rest == expected
        assert gateway.last("request")["bytes_down"] == len(expected)


def test_a_head_has_no_body():
    with Origin() as origin, asked(origin, request("HEAD / HTTP/1.1")) as (_, client, server):
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        assert b"Content-Length: 1000" in client.read_head()
        client.send(request("HEAD /no HTTP/1.1", "Connection: close"))
        assert server.read_head().startswith(b"HEAD /no ")
        server.send(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.read_rest().endswith(b"\r\n\r\n")


def test_fields_with_other_characters_arrive_as_they_came():
    fields = request("GET / HTTP/1.1", "X-Name: Zoë ☃")
    with Origin() as origin, asked(origin, fields) as (_, client, server):
        assert "X-Name: Zoë ☃\r\n".encode() in server.head
        server.send(answer(b"hi", "X-Name: Zoë ☃"))
        assert "X-Name: Zoë ☃\r\n".encode() in client.read_head()


@pytest.mark.parametrize("line", ["post / HTTP/1.1", "Get / HTTP/1.1"])
def test_a_method_in_small_letters_is_not_made_another_one(line):
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(request(line, "Content-Length: 0"))
        assert client.read_head().startswith(b"HTTP/1.1 501 ")


def test_a_client_that_waits_to_be_asked_for_its_body():
    data = request("PUT / HTTP/1.1", "Transfer-Encoding: chunked", "Expect: 100-continue")
    with Origin() as origin, asked(origin, data) as (_, client, server):
        assert client.read_head() == b"HTTP/1.1 100 Continue"
        assert b"Expect" not in server.head
        client.send(b"5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n")
        assert body(server) == b"hello"
        server.send(answer())
        client.read_head()
        assert body(client) == b"hi"


def test_no_body_is_asked_for_that_nobody_takes():
    with running("ws://127.0.0.1:1") as gateway, Raw.connect(gateway.address) as client:
        client.send(request("PUT / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
        assert client.read_rest().startswith(b"HTTP/1.1 502")


# Streams


def flood(raw: Raw, size: int) -> int:
    """Send until nobody takes any more; return how much was taken."""
    raw.sock.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < size:
            sent += raw.sock.send(bytes(min(65536, size - sent)))
    raw.sock.settimeout(TIMEOUT)
    return sent


def drain(raw: Raw, size: int) -> None:
    while size:
        got = raw.sock.recv(min(size, 1 << 20))
        assert got
        size -= len(got)


@loops
def test_a_body_waits_for_an_origin_that_does_not_read(uvloop):
    data = request("POST / HTTP/1.1", f"Content-Length: {LARGE}")
    with Origin() as origin, asked(origin, data, uvloop=uvloop, max_body_size=LARGE) as (_, client, server):
        sent = flood(client, LARGE)
        # What the system holds on both ways, and little more.
        assert sent < LARGE
        thread = threading.Thread(target=client.send, args=(bytes(LARGE - sent),))
        thread.start()
        server._buffer, early = b"", server._buffer
        drain(server, LARGE - len(early))
        thread.join(TIMEOUT)
        server.send(answer())
        client.read_head()
        assert body(client) == b"hi"


@loops
def test_an_answer_waits_for_a_client_that_does_not_read(uvloop):
    with Origin() as origin, asked(origin, request(), uvloop=uvloop) as (_, client, server):
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        sent = flood(server, LARGE)
        assert sent < LARGE
        thread = threading.Thread(target=server.send, args=(bytes(LARGE - sent),))
        thread.start()
        client.read_head()
        early = len(client._buffer)
        client._buffer = b""
        drain(client, LARGE - early)
        thread.join(TIMEOUT)


def test_an_answer_comes_while_the_request_is_on_its_way():
    """Both directions at once, and what is flushed arrives before the end."""
    data = request("POST / HTTP/1.1", "Transfer-Encoding: chunked")
    with Origin() as origin, asked(origin, data) as (_, client, server):
        client.send(b"5\r\nhello\r\n")
        assert server._take(10) == b"5\r\nhello\r\n"
        server.send(CHUNKED + b"2\r\nhi\r\n")
        assert b"Connection: close" in client.read_head()
        assert client._take(7) == b"2\r\nhi\r\n"
        client.send(b"1\r\n!\r\n0\r\n\r\n")
        assert server._take(11) == b"1\r\n!\r\n0\r\n\r\n"
        server.send(b"0\r\n\r\n")
        assert client.read_rest() == b"0\r\n\r\n"


# What is refused


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"), b"400"),
        (request("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"), b"400"),
        (request("POST / HTTP/1.1", "Content-Length: 5, 5"), b"400"),
        (request("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), b"501"),
        (request("POST / HTTP/1.0", "Transfer-Encoding: chunked"), b"400"),
        (request("POST / HTTP/1.1", "Content-Length: 101"), b"413"),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"65\r\n" + b"x" * 101, b"413"),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"5\nhello\r\n", b"400"),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"-1\r\n", b"400"),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\nxyz\r\n", b"400"),
        (request("TRACE / HTTP/1.1"), b"405"),
        (request("CONNECT example.com:80 HTTP/1.1"), b"405"),
        (request("GET http://example.com/ HTTP/1.1"), b"400"),
        (request("OPTIONS * HTTP/1.1"), b"400"),
        (request("GET /..;/admin HTTP/1.1"), b"400"),
        (request("GET / HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"), b"400"),
        (request("GET / HTTP/1.1", "Sec-WebSocket-Key: x"), b"426"),
        (wire.request({"Content-Length": "3"}) + b"abc", b"400"),
        (wire.request({"Transfer-Encoding": "chunked"}), b"400"),
    ],
)
def test_what_is_refused(data, status):
    with (
        Origin() as origin,
        running(origin.uri, max_body_size=100) as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(data)
        assert client.read_rest().startswith(b"HTTP/1.1 " + status)
        assert gateway.last("refused")["status"] == int(status)


def test_another_upgrade_is_none():
    fields = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    with Origin() as origin, asked(origin, request("GET / HTTP/1.1", *fields)) as (_, client, server):
        assert b"upgrade" not in server.head.lower()
        assert b"http2" not in server.head.lower()
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        assert client.read_rest().startswith(b"HTTP/1.1 502")


def test_a_route_may_have_no_plain_http():
    with Origin() as origin, running(origin.uri, http=False) as gateway:
        for data, status in ((request(), b"426"), (request("POST / HTTP/1.1", "Content-Length: 3"), b"405")):
            with Raw.connect(gateway.address) as client:
                client.send(data)
                assert client.read_rest().startswith(b"HTTP/1.1 " + status)


def test_the_gateways_own_answer_to_a_head_has_no_body():
    with running("ws://127.0.0.1:1") as gateway, Raw.connect(gateway.address) as client:
        client.send(request("HEAD / HTTP/1.1"))
        got = client.read_rest()
        assert got.startswith(b"HTTP/1.1 502")
        assert got.endswith(b"\r\n\r\n")


# What goes wrong


@loops
def test_what_nobody_asked_for_is_not_the_next_answer(uvloop):
    """An origin says on an idle connection that it is about to close it, or has been made to say more."""

    def is_known(gateway: Running) -> bool:
        (session,) = gateway.gateway.routes[0].upstreams._sessions.values()
        return any(one.should_close for kept in session.connector._conns.values() for one, _ in kept)

    with Origin() as origin, asked(origin, request(), uvloop=uvloop) as (gateway, client, server):
        server.send(answer(b"one"))
        client.read_head()
        assert body(client) == b"one"
        server.send(answer(b"evil"))
        eventually(lambda: is_known(gateway), "more has come")
        with Raw.connect(gateway.address) as other:
            other.send(request())
            with origin.accept() as second:
                second.send(answer(b"two"))
                other.read_head()
                assert body(other) == b"two"


def test_an_origin_that_resets_is_no_fault_of_the_gateway():
    with Origin() as origin, asked(origin, request()) as (gateway, client, server):
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi")
        client.read_head()
        assert client._take(2) == b"hi"
        server.reset()
        assert client.read_rest() == b""
        eventually(gateway.is_empty, "the connection is gone")
        # What nobody has looked at is reported when it is thrown away; `stop` fails then.
        gc.collect()


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "an end": b"",
    "an end in the head": b"HTTP/1.1 200 OK\r\nContent-",
    "a huge head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "a wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_none(data):
    with Origin() as origin, asked(origin, request("POST / HTTP/1.1")) as (gateway, client, server):
        with contextlib.suppress(OSError):
            server.send(data)
            server.sock.shutdown(socket.SHUT_WR)
        got = client.read_rest()
        assert got.startswith(b"HTTP/1.1 502")
        assert gateway.last("refused")["cause"] == "origin answer"


def test_a_request_with_a_body_is_asked_once():
    data = request("PUT / HTTP/1.1", "Content-Length: 5") + b"hello"
    with Origin() as origin, asked(origin, data) as (gateway, client, server):
        assert body(server) == b"hello"
        server.close()
        assert client.read_rest().startswith(b"HTTP/1.1 502")
        assert gateway.last("refused")["cause"] == "origin answer"


CUT = {
    "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", b"hi"),
    "chunks": (CHUNKED + b"2\r\nhi\r\n", b"2\r\nhi\r\n"),
    "a broken chunk": (
        CHUNKED + b"2\r\nhi\r\nx\r\n",
        b"2\r\nhi\r\n",
    ),
}


@pytest.mark.parametrize(("data", "expected"), CUT.values(), ids=CUT)
def test_an_answer_that_breaks_off_does_not_look_whole(data, expected):
    with Origin() as origin, asked(origin, request()) as (gateway, client, server):
        head, _, rest = data.partition(b"hi")
        server.send(head + b"hi")
        client.read_head()
        server.send(rest)
        server.sock.shutdown(socket.SHUT_WR)
        got = client.read_rest()
        assert expected.startswith(got)
        assert not got.endswith(b"0\r\n\r\n")
        record = gateway.last("request")
        assert (record["status"], record["cause"]) == (200, "origin answer")


def test_an_answer_to_an_old_client_that_breaks_off_ends_with_a_reset():
    with Origin() as origin, asked(origin, request("GET / HTTP/1.0")) as (gateway, client, server):
        server.send(CHUNKED + b"2\r\nhi\r\n")
        assert b"Transfer-Encoding" not in client.read_head()
        server.close()
        assert gateway.last("request")["cause"] == "origin answer"
        eventually(gateway.is_empty, "the connection is gone")


def test_a_slow_origin_and_a_slow_client():
    with Origin() as origin, asked(origin, request(), answer_timeout=0.2) as (gateway, client, _):
        assert client.read_rest().startswith(b"HTTP/1.1 504")
        assert gateway.last("refused")["cause"] == "answer timeout"
    data = request("POST / HTTP/1.1", "Content-Length: 5")
    with Origin() as origin, asked(origin, data, stream_timeout=0.2) as (gateway, client, _):
        assert client.read_rest().startswith(b"HTTP/1.1 408")
        assert gateway.last("refused")["cause"] == "body timeout"
    with Origin() as origin, asked(origin, request(), stream_timeout=0.2) as (gateway, client, server):
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi")
        assert client.read_rest().endswith(b"hi")
        assert gateway.last("request")["cause"] == "answer stalled"


def test_a_client_that_hangs_up_takes_its_request_along():
    for data in (request(), request("POST / HTTP/1.1", "Content-Length: 5")):
        with Origin() as origin, asked(origin, data) as (gateway, client, server):
            client.close()
            assert server.read_rest() == b""
            eventually(gateway.is_empty, "the connection is gone")
            assert gateway.last("request")["cause"] == "the client hung up"


def test_an_origin_that_refuses_is_followed_by_the_next_one():
    with Origin() as origin, socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"ws://127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        with running(dead, origin.uri) as gateway:
            for _ in range(2):
                with Raw.connect(gateway.address) as client:
                    client.send(request("POST / HTTP/1.1", "Content-Length: 5") + b"hello")
                    with origin.accept() as server:
                        assert body(server) == b"hello"
                        server.send(answer())
                        client.read_head()
                        assert body(client) == b"hi"
            (first, second) = gateway.gateway.health()
            assert (first["up"], first["cause"]) == (False, "origin refused")
            assert second["up"]


@loops
def test_tls_and_unix_sockets(tmp_path: Path, uvloop):
    authority = Authority(tmp_path)
    context = authority.server_context()
    with Origin() as origin:
        uri = f"wss://127.0.0.1:{origin.sock.getsockname()[1]}"
        top = {"listen": [authority.listen()]}
        with (
            running(uri, ca=str(authority.trust), uvloop=uvloop, top=top) as gateway,
            authority.connect(gateway.address) as client,
        ):
            client.send(request("POST / HTTP/1.1", "Content-Length: 5") + b"hello")
            with Raw(context.wrap_socket(origin.sock.accept()[0], server_side=True)) as server:
                assert b"X-Forwarded-Proto: https" in server.read_head()
                assert body(server) == b"hello"
                server.send(answer())
                client.read_head()
                assert body(client) == b"hi"
    path = str(tmp_path / "origin")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.settimeout(TIMEOUT)
        with running(f"unix:{path}", uvloop=uvloop) as gateway, Raw.connect(gateway.address) as client:
            client.send(request())
            with Raw(listening.accept()[0]) as server:
                assert b"Host: example.com" in server.read_head()
                server.send(answer())
                client.read_head()
                assert body(client) == b"hi"


def test_a_connection_that_is_not_used_again_ends_quietly():
    top = {"open_timeout": 0.3}
    with Origin() as origin, asked(origin, request(), top=top) as (gateway, client, server):
        server.send(answer())
        client.read_head()
        assert client.read_rest() == b"hi"
        eventually(gateway.is_empty, "the connection is gone")
        assert gateway.records("refused") == []


def test_a_drain_lets_a_request_end():
    with Origin() as origin, asked(origin, request()) as (gateway, client, server):
        draining = threading.Thread(target=gateway.call, args=(gateway.gateway.drain(TIMEOUT),))
        draining.start()
        eventually(lambda: gateway.gateway.draining, "the gateway drains")
        server.send(answer())
        head, _, rest = client.read_rest().partition(b"\r\n\r\n")
        assert b"Connection: close" in head
        assert rest == b"hi"
        client.close()
        draining.join(TIMEOUT)


def test_a_reload_leaves_requests_their_connections():
    with Origin() as origin, asked(origin, request()) as (gateway, client, server):
        gateway.call(gateway.gateway.reload(gateway.gateway.config))
        server.send(answer())
        client.read_head()
        assert body(client) == b"hi"
        client.send(request())
        with origin.accept() as second:
            second.send(answer())
            client.read_head()
            assert body(client) == b"hi"
        # The old ones are closed once nobody uses them.
        assert server.read_rest() == b""


def test_a_reload_leaves_requests_the_next_origin():
    with Origin() as silent, Origin() as origin:
        tls = silent.uri.replace("ws:", "wss:")
        with running(tls, origin.uri) as gateway, Raw.connect(gateway.address) as client:
            client.send(request())
            with Raw(silent.sock.accept()[0]) as server:
                # In the middle of the TLS handshake.
                assert server._take(1) == b"\x16"
                gateway.call(gateway.gateway.reload(gateway.gateway.config))
                server.reset()
            with origin.accept() as second:
                second.send(answer())
                client.read_head()
                assert body(client) == b"hi"
                client.close()
                # The old connections are closed once nobody uses them.
                assert second.read_rest() == b""


def test_an_empty_line_in_front_of_a_request_is_passed_over() -> None:
    request = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        # In front of the first one, behind it, and a piece of it alone.
        for parts in ([b"\r\n" + request + b"\r\n"], [request + b"\r"], [b"\n" + request]):
            for part in parts:
                client.send(part)
            with origin.accept() as server:
                assert server.head.startswith(b"GET / HTTP/1.1\r\n")
                server.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                assert client.read_head().startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("host", [b"", b"Host: example.com\r\n"])
@pytest.mark.parametrize("keep", [b"", b"Connection: keep-alive\r\n"])
@pytest.mark.parametrize(
    "answer",
    [b"Content-Length: 2\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
)
def test_a_client_of_http_1_0_gets_its_answer_up_to_the_end_of_the_stream(
    host: bytes, keep: bytes, answer: bytes
) -> None:
    """RFC 9112 §3.2, §7, §9.3."""
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(b"GET /a HTTP/1.0\r\n" + host + keep + b"\r\n")
        with origin.accept() as server:
            lines = server.head.split(b"\r\n")
            assert lines[0] == b"GET /a HTTP/1.1"
            # The origin speaks HTTP/1.1, and so it is told a host in any case: its own, if there is no other.
            expected = host.strip() or f"Host: {origin.uri.removeprefix('ws://')}".encode()
            assert [line for line in lines if line.lower().startswith(b"host:")] == [expected]
            server.send(b"HTTP/1.1 200 OK\r\n" + answer)
            head, _, body = client.read_rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in head.split(b"\r\n")
        assert b"chunked" not in head
        assert body == b"hi"


@pytest.mark.parametrize("host", [None, "example.com"])
@pytest.mark.parametrize("http", [True, False])
def test_http_1_0_is_never_upgraded(host: str | None, http: bool) -> None:
    """RFC 6455 §4.2.1; RFC 9110 §7.8."""
    with running("ws://127.0.0.1:1", http=http) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request({"Host": host}, line="GET / HTTP/1.0"))
        assert client.read_rest().startswith(b"HTTP/1.1 505")


def test_a_request_without_host_finds_the_route_for_every_host_alone() -> None:
    with running("ws://127.0.0.1:1", host="example.com") as gateway, Raw.connect(gateway.address) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_rest().startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(("codings", "status"), [("gzip, chunked", b"502"), ("Chunked", b"200")])
def test_a_transfer_coding_that_nobody_asked_for_is_not_hidden(codings, status):
    with Origin() as origin, asked(origin, request()) as (_, client, server):
        server.send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {codings}\r\n\r\n0\r\n\r\n".encode())
        assert client.read_head().startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(("target", "sent"), [("/?", "/"), ("/a?", "/a"), ("/?a", "/?a"), ("/??", "/??")])
def test_a_question_mark_with_nothing_behind_it_is_no_fault(target, sent):
    with Origin() as origin, asked(origin, request(f"GET {target} HTTP/1.1")) as (_, client, server):
        assert server.head.decode().startswith(f"GET {sent} HTTP/1.1\r\n")
        server.send(answer())
        assert client.read_head().startswith(b"HTTP/1.1 200 OK")
        assert body(client) == b"hi"
