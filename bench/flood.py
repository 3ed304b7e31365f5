"""What silent connections do to those who ask: `python -m bench.flood`.

A gateway of one worker with the default places for connections without a request. Attackers, each with a
source address of its own on the loopback, open connections that say nothing, so and so many a second;
meanwhile another address opens WebSocket connections one after the other, with a distance between its
connection and its request as a network would have. What is shown is how many of these opened, how long it
took beside the same without an attack, and what the gateway's process took for it.

It ends by itself: each step has its time, and the attackers end with their standard input.
"""

from __future__ import annotations

import argparse
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from bench.echo.process import Server
from bench.gateway import Gateway
from bench.traffic import REQUEST

# Seconds of one step, and of the distance between a connection and its request.
SECONDS = 6.0
DISTANCE = 0.05
# Connections that one attacker holds; the oldest is closed for a new one, if the gateway has not done so.
HELD = 5000
# Attackers, and the silent connections a second of all of them. Two cores for everybody do not manage more.
STEPS = ((0, 1.0), (1, 500.0), (4, 500.0), (4, 2000.0))
# A source address has this many ports at most, which have to last for a step.
PORTS = 25_000


def attack(source: str, port: int, rate: float) -> int:
    """Open silent connections until the standard input ends; say how many."""
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    held: deque[socket.socket] = deque()
    count = 0
    start = time.monotonic()
    while not over.is_set() and count < PORTS:
        ahead = start + count / rate - time.monotonic()
        if ahead > 0:
            over.wait(min(ahead, 0.1))
            continue
        try:
            held.append(socket.create_connection(("127.0.0.1", port), 5, (source, 0)))
        except OSError:
            continue
        count += 1
        if len(held) > HELD:
            held.popleft().close()
    print(count, flush=True)
    return 0


def ask(port: int) -> float | None:
    """Open one WebSocket connection from another address; return the seconds that it took, if it opened."""
    start = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), 5, ("127.9.9.9", 0)) as sock:
            time.sleep(DISTANCE)
            sock.sendall(REQUEST)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = sock.recv(4096)
                if not data:
                    return None
                head += data
    except OSError:
        return None
    return time.perf_counter() - start - DISTANCE if head.startswith(b"HTTP/1.1 101") else None


def step(gateway: Gateway, attackers: int, rate: float) -> None:
    """Attack for a while, and show how those fare who ask."""
    commands = [
        [
            sys.executable,
            "-m",
            "bench.flood",
            "--attack",
            f"127.0.1.{number + 1}",
            "--port",
            str(gateway.port),
        ]
        for number in range(attackers)
    ]
    children = [
        subprocess.Popen(
            [*command, "--rate", str(rate / attackers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    before = gateway.cpu()
    times: list[float | None] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        times.append(ask(gateway.port))
    resident = gateway.resident()
    cpu = (gateway.cpu() - before) / SECONDS
    silent = sum(int(child.communicate()[0]) for child in children)
    good = sorted(taken for taken in times if taken is not None)
    print(
        f"{silent / SECONDS:8.0f} silent connections a second from {attackers} addresses: "
        f"{len(good)} of {len(times)} opened, median {statistics.median(good) * 1e3:.1f} ms, "
        f"at worst {good[-1] * 1e3:.0f} ms; {cpu:.2f} cores, {resident >> 20} MiB resident",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--attack", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        return attack(options.attack, options.port, options.rate)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    origin = Server("edgews callbacks")
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway("edgews", origin.port, Path(folder))
        for attackers, rate in STEPS:
            step(gateway, attackers, rate)
        gateway.end()
    origin.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
