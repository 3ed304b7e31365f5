"""What `script/demo` runs, once it has set itself up."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wire
from tests.cli.process import BACKGROUND
from tests.raw import TIMEOUT, Raw

pytestmark = pytest.mark.edge

PROGRAM = Path(__file__).parents[2] / "examples" / "gateway" / "run.py"


def get(place: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(place, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def upgrade(place: str, path: str = "/") -> bytes:
    host, _, port = place.rpartition(":")
    with Raw.connect((host, int(port))) as raw:
        raw.send(wire.request(line=f"GET {path} HTTP/1.1"))
        return raw.read_head().split(b"\r\n")[0]


def test_the_demo():
    with subprocess.Popen(
        [*BACKGROUND, sys.executable, str(PROGRAM), "--port", "0", "--admin-port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        while "Ask why" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        gateway = re.search(r"Try it +http://(\S+)/", said)[1]
        admin = re.search(r"See it live +http://(\S+)/", said)[1]
        assert Path(re.search(r"Trip a rule +(\S+)", said)[1]).exists()
        assert get(gateway, "/")[0] == 200
        assert get(admin, "/")[0] == 200
        assert upgrade(gateway, "/admin") == b"HTTP/1.1 403 Forbidden"
        answers = [upgrade(gateway) for _ in range(12)]
        assert answers[0] == b"HTTP/1.1 101 Switching Protocols"
        assert b"HTTP/1.1 429 Too Many Requests" in answers
        status, metrics = get(admin, "/metrics")
        assert status == 200
        assert b"edgews" in metrics
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(TIMEOUT) == 0
        assert rest.rstrip().endswith("stopped.")
