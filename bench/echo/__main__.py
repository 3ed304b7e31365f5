"""What an echo costs a server: `python -m bench.echo`.

One client, the same for all, keeps a number of messages in flight on each of its connections. It sends frames
that were built before and only counts the bytes that come back, so the server is the one that is busy. Shown
is the CPU time of the server's process for each message, in the median of several rounds in turn.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.traffic import REQUEST, binary, masked_frames

from .servers import SERVERS

ROOT = Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """One server process."""

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


class Load:
    """Connections that keep so many messages of this size in flight."""

    def __init__(self, port: int, size: int, connections: int, flight: int) -> None:
        self._frame = masked_frames([binary(size)]) * flight
        self._answer = flight * (size + (2 if size < 126 else 4 if size < 65536 else 10))
        self._flight = flight
        self._socks = [opened(port) for _ in range(connections)]

    def run(self, seconds: float) -> int:
        """Send and receive for so long; return how many messages came back."""
        selector = selectors.EpollSelector()
        missing = dict.fromkeys(self._socks, self._answer)
        for sock in self._socks:
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(self._frame)
        rounds = 0
        end = time.monotonic() + seconds
        left = len(self._socks)
        while left:
            for key, _ in selector.select(5):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                missing[sock] -= len(sock.recv(1 << 20))
                if missing[sock] == 0:
                    rounds += 1
                    if time.monotonic() < end:
                        missing[sock] = self._answer
                        sock.sendall(self._frame)
                    else:
                        left -= 1
        selector.close()
        return rounds * self._flight

    def end(self) -> None:
        for sock in self._socks:
            sock.close()


CASES = {
    "32 B, 100 connections": (32, 100, 1),
    "32 B, 10 connections, 32 in flight": (32, 10, 32),
    "64 KiB, 100 connections": (65536, 100, 1),
}
IDLE = 2000


def echoes(case: tuple[int, int, int], names: list[str], rounds: int, seconds: float) -> dict[str, float]:
    """Return the median CPU seconds of a message, by name."""
    servers = {name: Server(name) for name in names}
    loads = {name: Load(server.port, *case) for name, server in servers.items()}
    costs: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names:
            before = servers[name].cpu()
            messages = loads[name].run(seconds)
            if turn:
                costs[name].append((servers[name].cpu() - before) / messages)
    for name in names:
        loads[name].end()
        servers[name].end()
    return {name: statistics.median(times) for name, times in costs.items()}


def handshakes(names: list[str], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of an opening handshake, its TCP connection and its end, by name."""
    servers = {name: Server(name) for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name, server in servers.items():
            before = server.cpu()
            for _ in range(200):
                opened(server.port).close()
            if turn:
                costs[name].append((server.cpu() - before) / 200)
    for server in servers.values():
        server.end()
    return {name: statistics.median(times) for name, times in costs.items()}


def idle(names: list[str]) -> dict[str, float]:
    """Return the resident bytes of one connection that does nothing, by name."""
    sizes = {}
    for name in names:
        server = Server(name)
        # What the first ones need belongs to the process.
        first = [opened(server.port) for _ in range(100)]
        before = server.resident()
        socks = [opened(server.port) for _ in range(IDLE)]
        sizes[name] = (server.resident() - before) / IDLE
        for sock in (*first, *socks):
            sock.close()
        server.end()
    return sizes


def show(title: str, values: dict[str, float], scale: float, unit: str) -> None:
    print(title)
    for name, value in values.items():
        peers = [(peer, other) for peer, other in values.items() if peer != name]
        ratios = "  ".join(f"{value / other:5.2f}x {peer}" for peer, other in peers)
        print(f"  {name:18} {value * scale:8.2f} {unit}   {ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--servers", default=",".join(SERVERS))
    options = parser.parse_args()
    names = options.servers.split(",")
    for title, case in CASES.items():
        show(title, echoes(case, names, options.rounds, options.seconds), 1e6, "us")
    show("opening handshake", handshakes(names, options.rounds), 1e6, "us")
    show("idle connection, resident", idle(names), 1 / 1024, "KiB")


if __name__ == "__main__":
    main()
