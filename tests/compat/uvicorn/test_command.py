"""The class as uvicorn's command finds it, and what is said where uvicorn is missing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wire
from tests.compat.uvicorn.serving import LOOPS, OURS
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import HOST

pytestmark = pytest.mark.peers

APP = """
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

async def echo(ws):
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)

app = Starlette(routes=[WebSocketRoute("/chat", echo)])
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_runs_with_it(tmp_path: Path, loop: str, http: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    options = ["--host", HOST, "--port", "0", "--loop", loop, "--http", http]
    command = [sys.executable, "-m", "uvicorn", "--ws", OURS, *options, "--app-dir", str(tmp_path), "app:app"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = ""
        try:
            while (found := re.search(r"running on http://\S+:(\d+)", log)) is None:
                line = process.stderr.readline()
                assert line, f"uvicorn did not start: {log}"
                log += line
            with Raw.open((HOST, int(found[1]))) as raw:
                raw.send(wire.frame(wire.TEXT, b"hello"))
                assert raw.read_frame() == (wire.TEXT, b"hello")
                process.send_signal(signal.SIGTERM)
                assert raw.read_frame() == (wire.CLOSE, (1012).to_bytes(2, "big"))
                raw.send(wire.close(1012))
                assert raw.read_rest() == b""
            log += process.stderr.read()
            process.wait(TIMEOUT)
        finally:
            process.kill()
    assert '"WebSocket /chat" [accepted]' in log
    assert "Finished server process" in log
    assert "Traceback" not in log


def test_where_uvicorn_is_missing() -> None:
    program = "import sys; sys.modules['uvicorn'] = None; import edgews; import edgews.compat.uvicorn"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 1
    assert "ImportError: edgews.compat.uvicorn needs uvicorn" in result.stderr
    assert "pip install uvicorn" in result.stderr
