"""TLS over a TCP connection, from both sides."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from edgews.sync.streams import TlsStream
from tests.raw import TIMEOUT
from tests.sync.harness import HOST, client_context, server_context


@pytest.fixture
def pair() -> Iterator[tuple[TlsStream, TlsStream]]:
    """A server's and a client's stream, behind the TLS handshake."""
    listener = socket.create_server((HOST, 0))
    with listener:
        near = socket.create_connection(listener.getsockname(), TIMEOUT)
        far, _ = listener.accept()
    server = TlsStream(far, server_context(), server_side=True, server_hostname=None)
    client = TlsStream(near, client_context(), server_side=False, server_hostname=HOST)
    while not (server.shaken and client.shaken):
        assert client.read() is None
        assert server.read() is None
        client.flush()
        server.flush()
    yield server, client
    server.close()
    client.close()


def arrived(stream: TlsStream) -> bytes | None:
    """Return what has come, once something has."""
    readable, _, _ = select.select([stream.sock], [], [], TIMEOUT)
    assert readable
    return stream.read()


def test_what_comes_behind_our_end_is_passed_over(pair: tuple[TlsStream, TlsStream]) -> None:
    server, client = pair
    server.put(b"the last")
    server.end()
    for _ in range(3):
        client.put(b"late")
        client.flush()
        assert arrived(server) is None
    assert server.error is None
    # No reset took it.
    assert arrived(client) == b"the last"
    client.end()
    while (data := arrived(server)) is None:
        pass
    assert data == b""
    assert client.read() == b""
    assert (server.error, client.error) == (None, None)
