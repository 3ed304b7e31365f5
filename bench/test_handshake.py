"""The opening handshake, and what comes with a new connection: `pytest bench`."""

from __future__ import annotations

from typing import Any

import pytest

import edgews

from .traffic import REQUEST

OFFER = REQUEST.replace(
    b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def open_server(request: bytes, compression: edgews.PerMessageDeflate | None) -> bytes:
    connection = edgews.ServerConnection(compression=compression)
    (event,) = connection.receive_data(request)
    assert isinstance(event, edgews.Request)
    return connection.accept()


@pytest.mark.benchmark(group="opening handshake")
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_server(benchmark: Any, deflate: bool) -> None:
    compression = edgews.PerMessageDeflate() if deflate else None
    answer = benchmark(open_server, OFFER if deflate else REQUEST, compression)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert (b"permessage-deflate" in answer) == deflate


@pytest.mark.benchmark(group="opening handshake")
def test_both_sides(benchmark: Any) -> None:
    def meet() -> edgews.Connection:
        client = edgews.ClientConnection("ws://example.com/chat")
        answer = open_server(client.data_to_send(), None)
        (accepted,) = client.receive_data(answer)
        assert isinstance(accepted, edgews.Accepted)
        return client

    assert benchmark(meet).state is edgews.State.OPEN


@pytest.mark.benchmark(group="opening handshake")
def test_bare_connection(benchmark: Any) -> None:
    """What a server pays that has done the handshake itself."""
    assert benchmark(edgews.Connection, edgews.Role.SERVER).state is edgews.State.OPEN
