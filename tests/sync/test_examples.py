"""The examples do what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.raw import TIMEOUT

EXAMPLES = Path(__file__).parents[2] / "examples"


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
