"""hypercorn, trio-websocket and uvicorn on the facade, in processes of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edgews import PerMessageDeflate
from edgews.sync import connect
from tests import wire
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import HOST, echo, running, uri

pytestmark = pytest.mark.peers

SERVERS = ("hypercorn", "trio_websocket", "uvicorn")
COMPRESSION = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflate"])
MESSAGES: list[str | bytes] = ["", "w\xf6rld \U0001f30d", b"\x00\xff", "x" * 200_000, bytes(900_000)]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", f"{__package__}.frameworks", *arguments]


@contextlib.contextmanager
def server(name: str) -> Iterator[int]:
    """Run a server, yield its port, and make sure that it has nothing to say at its end."""
    with subprocess.Popen(
        command(name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, process.communicate(timeout=TIMEOUT)[1]
            yield int(first)
            _, errors = process.communicate(timeout=TIMEOUT)
            assert (errors, process.returncode) == ("", 0)
        finally:
            process.kill()


@COMPRESSION
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_with_our_client(name: str, compressed: bool) -> None:
    with server(name) as port:
        deflate = PerMessageDeflate(threshold=0) if compressed else None
        with connect(f"ws://{HOST}:{port}/", compression=deflate) as ws:
            # trio-websocket knows no compression.
            agreed = ws.response.headers.get("Sec-WebSocket-Extensions")
            assert (agreed is not None) is (compressed and name != "trio_websocket")
            for message in MESSAGES:
                ws.send(message)
                assert ws.recv(TIMEOUT) == message
            assert ws.ping(TIMEOUT) >= 0
        assert ws.closed is not None
        assert ws.closed.clean


@COMPRESSION
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_with_websockets(name: str, compressed: bool) -> None:
    import websockets.sync.client

    with (
        server(name) as port,
        websockets.sync.client.connect(
            f"ws://{HOST}:{port}/", compression="deflate" if compressed else None, max_size=None, proxy=None
        ) as ws,
    ):
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(TIMEOUT) == message
        assert ws.ping().wait(TIMEOUT)
        ws.close(3000, "bye")
        assert ws.protocol.close_code == 3000


@pytest.mark.parametrize(
    ("frame", "code"),
    [(wire.frame(3), 1002), (wire.frame(wire.TEXT, b"\xff"), 1007), (wire.frame(wire.TEXT, key=None), 1002)],
)
@pytest.mark.parametrize("name", SERVERS)
def test_a_violation_is_answered_with_its_code(name: str, frame: bytes, code: int) -> None:
    """With wsproto's own package, they end the byte stream without a word."""
    with server(name) as port, Raw.open((HOST, port)) as raw:
        raw.send(wire.frame(wire.TEXT, b"before"))
        assert raw.read_frame() == (wire.TEXT, b"before")
        raw.send(frame)
        closing = raw.read_frame()
        assert closing is not None
        assert (closing[0], wire.close_code(closing[1])) == (wire.CLOSE, code)


@COMPRESSION
def test_a_client_with_our_server(compressed: bool) -> None:
    with running(echo, compression=PerMessageDeflate() if compressed else None) as ours:
        done = subprocess.run(
            command("trio_websocket_client", uri(ours)), capture_output=True, text=True, timeout=100
        )
    assert (done.stdout.split(), done.stderr, done.returncode) == (["1000"], "", 0)
