"""Behind a proxy that says for whom it speaks: with and without TLS, on TCP and on a Unix socket."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from edgews.edge.config.faults import ConfigError
from tests import wire
from tests.edge.harness import Authority, Origin, eventually, running, switch
from tests.raw import TIMEOUT, Raw

loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])
LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n"
# The same, in binary, with an extension.
BINARY = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\xc3\x50\x01\xbb"
BINARY += b"\x04\0\x03xyz"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"


def listen(address: str = "127.0.0.1:0", peers: tuple[str, ...] = ("127.0.0.0/8",), **more) -> dict:
    return {"listen": [{"address": address, "proxy_protocol": list(peers), **more}]}


def is_served(client: Raw, origin: Origin, seen: str | None) -> None:
    """The origin, and the log, get to know the client of the header."""
    with origin.accept() as server:
        server.send(switch())
        assert client.read_head().startswith(b"HTTP/1.1 101")
        fields = server.head.decode().lower().split("\r\n")
        assert [field for field in fields if field.startswith("x-forwarded-for:")] == (
            [] if seen is None else [f"x-forwarded-for: {seen}"]
        )
        client.send(wire.frame(wire.TEXT, b"hello"))
        assert server.read_frame() == (wire.TEXT, b"hello")


@loops
@pytest.mark.parametrize(
    ("header", "seen"), [(LINE, "192.0.2.7"), (BINARY, "192.0.2.7"), (LOCAL, "127.0.0.1")]
)
def test_the_client_is_the_one_of_the_header(header, seen, uvloop):
    with Origin() as origin, running(origin.uri, top=listen(), uvloop=uvloop) as gateway:
        with Raw.connect(gateway.address) as client:
            # In pieces, and in one with the request.
            client.send(header[:10])
            client.send(header[10:] + wire.request())
            is_served(client, origin, seen)
        assert gateway.last("open")["client"] == seen


@loops
def test_tls_comes_behind_the_header(tmp_path: Path, uvloop):
    authority = Authority(tmp_path)
    with Origin() as origin:
        top = {"listen": [{**authority.listen(), "proxy_protocol": ["127.0.0.1"]}]}
        with running(origin.uri, top=top, uvloop=uvloop) as gateway:
            sock = socket.create_connection(gateway.address, TIMEOUT)
            sock.sendall(BINARY)
            context = ssl.create_default_context(cafile=authority.trust)
            with Raw(context.wrap_socket(sock, server_hostname="127.0.0.1")) as client:
                client.send(wire.request())
                is_served(client, origin, "192.0.2.7")


def test_a_unix_socket(tmp_path: Path):
    path = f"{tmp_path}/gateway"
    top = listen(f"unix:{path}", ("unix",))
    with Origin() as origin, running(origin.uri, top=top), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        client = Raw(sock)
        client.send(LINE + wire.request())
        is_served(client, origin, "192.0.2.7")
    assert not Path(path).exists()


def test_who_is_not_trusted_may_not_say_so():
    with Origin() as origin, running(origin.uri, top=listen(peers=("192.0.2.0/24",))) as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(LINE + wire.request())
            assert client.read_rest().startswith(b"HTTP/1.1 400")
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            is_served(client, origin, "127.0.0.1")


def ends(client: Raw) -> bool:
    """Say whether the gateway ends the connection without an answer."""
    try:
        return client.read_rest() == b""
    except ConnectionResetError:
        # What it did not read turns the end into this.
        return True


def test_who_is_trusted_has_to_say_so():
    with Origin() as origin, running(origin.uri, top=listen()) as gateway:
        for data in (wire.request(), b"PROXY TCP4 nobody\r\n"):
            with Raw.connect(gateway.address) as client:
                client.send(data)
                assert ends(client)
        with Raw.connect(gateway.address) as client:
            client.send(LINE[:20])
            client.sock.shutdown(socket.SHUT_WR)
            assert ends(client)
        assert gateway.records() == []


def test_a_header_that_does_not_come():
    with Origin() as origin, running(origin.uri, top={**listen(), "open_timeout": 0.2}) as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(LINE[:20])
            assert ends(client)
        with Raw.connect(gateway.address) as client:
            assert ends(client)


def test_a_drain_does_not_wait_for_a_header():
    with Origin() as origin, running(origin.uri, top=listen()) as gateway:
        listening = next(iter(gateway.gateway.listening.values()))
        with Raw.connect(gateway.address) as client:
            client.send(LINE[:20])
            eventually(lambda: listening._opening, "it is accepted")
            gateway.call(gateway.gateway.drain(0.1))
            assert ends(client)


def test_what_a_file_may_not_say():
    fault = r"proxy_protocol\[0\]: expected an address or a network"
    with pytest.raises(ConfigError, match=fault), running("ws://127.0.0.1:1", top=listen(peers=("all",))):
        pass
