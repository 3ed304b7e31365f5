"""`edgews connect --proxy`, through a proxy that relays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.cli.doctor.servers import Scripted
from tests.cli.process import run
from tests.raw import Raw, deaf_port
from tests.sync.harness import HOST, echo, running, uri


@pytest.fixture
def asked() -> list[bytes]:
    """The first lines of what the proxy was asked."""
    return []


@pytest.fixture
def proxy(asked: list[bytes]) -> Iterator[str]:
    """The URI of a proxy that takes CONNECT. RFC 9110 §9.3.6."""

    def peer(front: Raw) -> None:
        line = front.read_head().split(b"\r\n")[0]
        asked.append(line)
        with Raw.connect((HOST, int(line.split()[1].rpartition(b":")[2]))) as back:
            front.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            thread = threading.Thread(target=relay, args=(front.sock, back.sock))
            thread.start()
            relay(back.sock, front.sock)
            thread.join()

    with Scripted(peer) as server:
        yield server.uri("http")


def relay(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def test_through_the_proxy(proxy: str, asked: list[bytes]) -> None:
    with running(echo) as server:
        done = run("connect", "--proxy", proxy, uri(server), input=b"hi\n")
        assert asked == [f"CONNECT {HOST}:{server.address[1]} HTTP/1.1".encode()]
    assert done.stdout.endswith(b"text    2 bytes: hi\n")
    assert done.returncode == 0


def test_proxy_that_is_not_there() -> None:
    with deaf_port() as port:
        done = run("connect", "--proxy", f"http://{HOST}:{port}", f"ws://{HOST}:{port}/")
    assert done.returncode == 1
    assert b"through the proxy" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("hide", "proxy_uri"), [((), "nonsense"), (("python_socks",), "http://127.0.0.1:1")])
def test_no_way_to_start(hide: tuple[str, ...], proxy_uri: str) -> None:
    done = run("connect", "--proxy", proxy_uri, "ws://127.0.0.1:1/", hide=hide)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
