"""The examples do what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgews.sync import WebSocket, connect
from tests.raw import TIMEOUT

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_echo_client_and_server() -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "echo_server.py", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        client = subprocess.run(
            [sys.executable, EXAMPLES / "echo_client.py", address],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(TIMEOUT) == 0
    lines = client.stdout.splitlines()
    assert lines[:2] == ["received: 'Hello, wörld!'", "received: b'\\x00\\x01\\x02'"]
    assert lines[2].startswith("a Ping and its Pong took ")
    assert (client.stderr, client.returncode) == ("", 0)


@pytest.mark.parametrize("adapter", ["asyncio", "sync", "trio"])
def test_a_chat_room(adapter: str) -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / f"chat_{adapter}.py", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with connect(address) as anna, connect(address) as berta:
                # Whoever hears the own name is in the room, and has heard all that was said before.
                for name, ws in (("anna", anna), ("berta", berta)):
                    ws.send(name)
                    wait_for(ws, name)
                wait_for(anna, "berta")
                berta.send(b"how are you?")
                assert [anna.recv(TIMEOUT), berta.recv(TIMEOUT)] == [b"how are you?"] * 2
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            assert (errors, server.returncode) == ("", 0)
        finally:
            server.kill()


def wait_for(ws: WebSocket, message: str) -> None:
    while ws.recv(TIMEOUT) != message:
        pass
