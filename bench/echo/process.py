"""A server in a process of its own, its CPU time and memory, and connections to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.traffic import REQUEST

ROOT = Path(__file__).resolve().parent.parent.parent


class Server:
    """One server process: `python -m MODULE NAME ...`, which prints its port and ends with its input."""

    def __init__(self, name: str, module: str = "bench.echo.servers", arguments: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def cpu(self) -> float:
        """Return the CPU time that the process has used, in seconds, as its scheduler counts it."""
        total = 0
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def resident(self) -> int:
        """Return the resident memory of the process in bytes."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self._process.communicate()


def opened(port: int, fields: bytes = b"") -> socket.socket:
    """Return a socket behind the opening handshake; `fields` are further ones of the request."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(REQUEST[:-2] + fields + REQUEST[-2:])
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(4096)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock
