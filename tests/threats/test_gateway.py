"""What clients and origins can do to a gateway between them before a connection is open."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests import wire
from tests.edge.harness import Origin, eventually, running, switch, tunnel
from tests.raw import TIMEOUT, Raw, deaf_port

TEXT = wire.frame(wire.TEXT, b"hello")
BACK = wire.frame(wire.TEXT, b"hello", key=None)
loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])


def ask(address, data: bytes) -> bytes:
    """Send a request, and return everything that comes back."""
    with Raw.connect(address) as client:
        client.send(data)
        return client.read_rest()


@loops
def test_bytes_before_the_101_are_held_back_and_then_delivered(uvloop):
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request() + TEXT)
        with origin.accept() as server:
            # More comes while the origin thinks; none of it may overtake its answer.
            client.send(TEXT * 2)
            server.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                server.sock.recv(1)
            server.sock.settimeout(TIMEOUT)
            server.send(switch() + BACK)
            assert client.read_head().startswith(b"HTTP/1.1 101")
            assert client.read_frame() == (wire.TEXT, b"hello")
            assert [server.read_frame() for _ in range(3)] == [(wire.TEXT, b"hello")] * 3
            client.send(wire.close(1000))
            assert server.read_frame() == (wire.CLOSE, b"\x03\xe8")
            server.send(wire.close(1000, key=None))
            assert client.read_frame() == (wire.CLOSE, b"\x03\xe8")
            assert client.read_rest() == b""
        assert gateway.last("end")["code"] == 1000
        assert gateway.last("end")["by"] == "client"
        assert gateway.last("end")["messages_up"] == 3


def test_a_request_and_an_answer_byte_by_byte():
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        for octet in wire.request() + TEXT:
            client.send(bytes([octet]))
        with origin.accept() as server:
            for octet in switch() + BACK:
                server.send(bytes([octet]))
            assert client.read_head().startswith(b"HTTP/1.1 101")
            assert client.read_frame() == (wire.TEXT, b"hello")
            assert server.read_frame() == (wire.TEXT, b"hello")


REFUSALS = {
    "200": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\nhi",
        b"200",
    ),
    "426": (
        b"HTTP/1.1 426 Upgrade Required\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"426",
    ),
    "403 to the end": (b"HTTP/1.0 403 Forbidden\r\nX-Kept: 1\r\n\r\nhi", b"403"),
}


@pytest.mark.parametrize(("answer", "status"), REFUSALS.values(), ids=REFUSALS)
def test_the_origins_refusal_is_passed_on(answer, status):
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request())
        with origin.accept() as server:
            server.send(answer)
            server.sock.shutdown(socket.SHUT_WR)
            got = client.read_rest()
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        chunked = b"Transfer-Encoding: chunked" in head
        assert chunked is (b"Content-Length: 2" not in head)
        assert body == (b"2\r\nhi\r\n0\r\n\r\n" if chunked else b"hi")
        assert b"Connection: close" in head
        assert b"X-Hop" not in head
        assert gateway.last("refused")["cause"] == "refused by the origin"


@loops
def test_a_long_refusal_streams_and_waits_for_the_client(uvloop):
    size = 32 * 1024 * 1024
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % size
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request())
        with origin.accept() as server:
            server.send(head)
            server.sock.settimeout(0.5)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < size:
                    sent += server.sock.send(bytes(65536))
            assert sent < size
            server.sock.settimeout(TIMEOUT)
            thread = threading.Thread(target=server.send, args=(bytes(size - sent),))
            thread.start()
            client.read_head()
            assert len(client.read_rest()) == size
            thread.join(TIMEOUT)
        assert gateway.last("refused")["status"] == 403


CUT = {
    "a length": b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhi",
    "chunks": b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
    "broken chunks": b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nx\r\n",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_a_refusal_that_breaks_off_does_not_look_whole(answer):
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request())
        with origin.accept() as server:
            server.send(answer)
            server.sock.shutdown(socket.SHUT_WR)
            head, _, body = client.read_rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403")
        assert body in (b"hi", b"2\r\nhi\r\n")


def test_a_refusal_that_stalls():
    with (
        Origin() as origin,
        running(origin.uri, stream_timeout=0.2) as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request())
        with origin.accept() as server:
            server.send(CUT["a length"])
            assert client.read_rest().endswith(b"\r\n\r\nhi")
            # The origin is let go as well.
            assert server.read_rest() == b""


def test_a_refusal_whose_length_is_in_doubt():
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request())
        with origin.accept() as server:
            server.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi")
            assert client.read_rest().startswith(b"HTTP/1.1 502")


LIES = {
    "a wrong Accept": switch().replace(wire.ACCEPT.encode(), b"dGhlIHNhbXBsZSBub25jZQ=="),
    "no Accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no Upgrade": switch().replace(b"Upgrade: websocket\r\n", b""),
    "no Connection": switch().replace(b"Connection: Upgrade\r\n", b""),
    "an extension": switch("Sec-WebSocket-Extensions: permessage-deflate"),
    "a subprotocol": switch("Sec-WebSocket-Protocol: chat"),
    "a body": switch("Content-Length: 5"),
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "an end": b"",
    "a huge head": b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 20_000,
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES)
def test_a_lying_101_opens_no_tunnel(answer):
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request() + TEXT)
        with origin.accept() as server:
            server.send(answer + BACK if answer else b"")
            if not answer:
                server.sock.shutdown(socket.SHUT_WR)
            got = client.read_rest()
            assert got.startswith(b"HTTP/1.1 502")
            assert b"The origin's answer is not acceptable: " in got
            # Not a byte of the client's frame got there.
            assert server.read_rest() == b""
        assert gateway.last("refused")["status"] == 502


def test_an_extension_beyond_the_offer_opens_no_tunnel():
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(
            wire.request({"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=10"})
        )
        with origin.accept() as server:
            server.send(switch("Sec-WebSocket-Extensions: permessage-deflate"))
            assert client.read_rest().startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize("kind", ["refused", "silent", "missing socket", "unknown name"])
def test_an_origin_that_cannot_be_had(kind, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening, deaf_port() as port:
        uri = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        if kind == "refused":
            uri = f"ws://127.0.0.1:{port}"
        elif kind == "missing socket":
            uri = f"unix:{tmp_path}/none"
        elif kind == "unknown name":
            uri = "ws://nowhere.invalid:1"
        with running(uri, answer_timeout=0.2 if kind == "silent" else TIMEOUT) as gateway:
            got = ask(gateway.address, wire.request())
            expected = {
                "refused": (b"502", b"refused the connection"),
                "silent": (b"504", b"did not answer the request in time"),
                "missing socket": (b"502", b"socket does not exist"),
                "unknown name": (b"502", b"name is not known"),
            }[kind]
            assert got.startswith(b"HTTP/1.1 " + expected[0])
            assert expected[1] in got
            assert gateway.last("refused")["ray"].encode() in got


def test_the_next_origin_is_tried_while_connecting_and_never_after_an_answer():
    with Origin() as origin, Origin() as dead:
        dead.sock.close()
        with running(dead.uri, origin.uri) as gateway:
            for _ in range(4):
                with tunnel(gateway, origin):
                    pass
            eventually(gateway.is_empty, "all connections are gone")
    with Origin() as origin, Origin() as other, running(origin.uri, other.uri) as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            origin.sock.settimeout(TIMEOUT)
            with origin.accept() as server:
                server.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            assert client.read_rest().startswith(b"HTTP/1.1 503")
        other.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.sock.accept()


def test_fields_for_one_hop_and_identities_are_not_passed_on():
    fields = (
        "Connection: keep-alive, Upgrade, X-Hop, Cookie, X-Forwarded-For",
        "X-Hop: 1",
        "Keep-Alive: 5",
        "Proxy-Authorization: Basic c2VjcmV0",
        "TE: trailers",
        "X-Forwarded-For: 1.2.3.4",
        "X_Forwarded_For: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        "X-Edgews-Client-IP: 1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "Cookie: a=b",
        "Origin: https://example.com",
        "Sec-WebSocket-Protocol: chat, superchat",
        "X-Other: kept",
    )
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request({"Connection": None}, extra=fields))
        with origin.accept() as server:
            seen = server.head.decode().lower().split("\r\n")[1:]
            server.send(
                switch(
                    "Sec-WebSocket-Protocol: superchat", "Set-Cookie: c=d", "Connection: X-Back", "X-Back: 1"
                )
            )
            back = client.read_head().decode().lower()
    assert sorted(line for line in seen if "1.2.3.4" in line or "hop" in line or "secret" in line) == []
    names = [line.partition(":")[0] for line in seen]
    assert not {"te", "keep-alive", "proxy-authorization", "x_forwarded_for", "forwarded", "x-real-ip"} & set(
        names
    )
    for line in (
        "cookie: a=b",
        "origin: https://example.com",
        "sec-websocket-protocol: chat, superchat",
        "x-other: kept",
        "host: example.com",
        "x-forwarded-for: 127.0.0.1",
        "x-edgews-client-ip: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: example.com",
        "upgrade: websocket",
        "connection: upgrade",
    ):
        assert seen.count(line) == 1, line
    assert "set-cookie: c=d" in back
    assert "sec-websocket-protocol: superchat" in back
    assert "x-back" not in back


LEAVING = [
    "/chat/..;/admin",
    "/chat/%2f..%2fadmin",
    "/chat/%5c..%5cadmin",
    "/chat\\..\\admin",
    "/chat/%",
    "/chat/%00",
    "/chat/%252e%252e/admin",
    "/chat#/../admin",
    "http://example.com/chat",
    "*",
]


@pytest.mark.parametrize("target", LEAVING)
def test_no_path_leaves_its_route(target):
    with Origin() as origin, running(origin.uri, path="/chat") as gateway:
        assert ask(gateway.address, wire.request(line=f"GET {target} HTTP/1.1")).startswith(b"HTTP/1.1 400")
        origin.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            origin.sock.accept()


@pytest.mark.parametrize(
    ("target", "read"), [("//chat", "/chat"), ("/chat/.", "/chat/"), ("/chat//admin", "/chat/admin")]
)
def test_the_origin_gets_a_path_as_it_was_read(target, read):
    """There is nothing left that it could read in another way."""
    with (
        Origin() as origin,
        running(origin.uri, path="/chat") as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request(line=f"GET {target} HTTP/1.1"))
        with origin.accept() as server:
            assert server.head.startswith(f"GET {read} HTTP/1.1\r\n".encode())


OUTSIDE = ["/chat/../admin", "/chat/%2e%2e/admin", "/chat/%2E./admin", "/chat/.."]


@pytest.mark.parametrize("target", ["/", "/chatter", "/other", "/CHAT", *OUTSIDE])
def test_no_other_path_takes_the_route(target):
    with Origin() as origin, running(origin.uri, path="/chat") as gateway:
        assert ask(gateway.address, wire.request(line=f"GET {target} HTTP/1.1")).startswith(b"HTTP/1.1 404")


def test_a_pipelined_second_upgrade_is_refused():
    # Nobody answers a Close here.
    with Origin() as origin, running(origin.uri, close_timeout=0.5) as gateway:
        assert ask(gateway.address, wire.request() * 2).startswith(b"HTTP/1.1 400")
        # Later it is no frame.
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            with origin.accept() as server:
                client.send(wire.request())
                server.send(switch())
                assert client.read_head().startswith(b"HTTP/1.1 101")
                opcode, payload = client.read_frame()
                assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1002)
                opcode, payload = server.read_frame()
                assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
                assert server.read_rest() == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", b"426"),
        (b"GET / HTTP/1.1\nHost: example.com\n\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
        (wire.request({"Sec-WebSocket-Version": "8"}), b"426"),
        (wire.request({"Content-Length": "3"}), b"400"),
        (wire.request(line="POST / HTTP/1.1"), b"405"),
    ],
)
def test_a_request_that_opens_nothing(data, status):
    with Origin() as origin, running(origin.uri, http=False) as gateway:
        assert ask(gateway.address, data).startswith(b"HTTP/1.1 " + status)
        assert gateway.last("refused")["status"] == int(status)


def test_a_silent_client_is_dropped_and_does_not_stop_service():
    with Origin() as origin, running(origin.uri, top={"open_timeout": 0.3}) as gateway:
        silent = [Raw.connect(gateway.address) for _ in range(100)]
        silent[0].send(b"GET / HT")
        with tunnel(gateway, origin) as (client, server):
            client.send(TEXT)
            assert server.read_frame() == (wire.TEXT, b"hello")
        for client in silent:
            assert client.read_rest().startswith(b"HTTP/1.1 408")
            client.close()
        eventually(gateway.is_empty, "all connections are gone")
