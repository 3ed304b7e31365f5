"""The programs of the tutorial: each client talks to each server."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.raw import TIMEOUT

from .blocks import PORT, free_port

PROGRAMS = Path(__file__).parents[2] / "examples/tutorial"
ADAPTERS = ["asyncio", "sync", "trio"]


def program(name: str, port: int) -> list[str]:
    """Return the command for a program of the tutorial on another port: a reader's may be taken here."""
    source = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    assert PORT in source
    return [sys.executable, "-W", "error", "-c", source.replace(PORT, str(port))]


@contextmanager
def serving(name: str) -> Iterator[int]:
    port = free_port()
    with subprocess.Popen(program(name, port), stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_until_it_listens(port)
            yield port
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            # Ctrl-C shows where the program was; nothing else is said.
            assert "KeyboardInterrupt" in errors
            assert "Warning" not in errors
        finally:
            server.kill()


def wait_until_it_listens(port: int) -> None:
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end
        else:
            return


@pytest.mark.parametrize("server", ADAPTERS)
def test_each_client_talks_to_each_server(server: str) -> None:
    with serving(f"server_{server}") as port:
        for client in ADAPTERS:
            done = subprocess.run(
                program(f"client_{client}", port), capture_output=True, text=True, timeout=TIMEOUT
            )
            assert (done.stderr, done.returncode) == ("", 0)
            assert re.fullmatch(r"hello\n\d+\.\d ms there and back\n", done.stdout)
