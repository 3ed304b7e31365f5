"""Tens of thousands of idle connections through a gateway of several workers: `python -m bench.idle`.

No process has more than 20,000 descriptors, so there are several of each kind: origins, workers, clients.
All answer the gateway's Pings. While the connections are held, /metrics is asked every two seconds, and a
live page listens to its feed; at the end the gateway drains, with all of them there. Why a connection was
lost is told by both sides: what its client has seen, and what the access log says. Each client process has
a source address of its own on the loopback, because an address has only 28,000 ports.

It ends by itself: whatever a process waits for has a deadline, and all end when their standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from edgews.sync import ConnectionClosed, connect

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# Not in the module `socket` before Python 3.12.
IP_BIND_ADDRESS_NO_PORT = 24
# Connections that a client process has on their way at the same time, and its time for one (seconds).
OPENING = 64
PATIENCE = 120.0
# What fits into 20,000 descriptors, with room for an uneven spread over the workers.
EACH_CLIENT = 17_000
EACH_WORKER = 8_500


class Peer(asyncio.Protocol):
    """One end: it answers Pings, and counts them."""

    pings = lost = held = 0
    # How connections have ended, as this end has seen it.
    ends: ClassVar[Counter[str]] = Counter()

    def __init__(self, opened: asyncio.Future[str] | None) -> None:
        self._opened = opened
        self._buffer = b""
        self._head = True
        self._held = False
        self._close = ""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._opened is not None:
            transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._head:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._head, self._buffer = False, rest
            if self._opened is None:
                self._answer(head)
            else:
                status = head.split(b" ")[1].decode()
                self._opened.set_result(status)
                self._opened = None
                if status != "101":
                    return
            self._held = True
            Peer.held += 1
        # Control frames only: what is sent here is idle.
        while len(self._buffer) >= 2:
            opcode, length = self._buffer[0] & 15, self._buffer[1] & 127
            masked = self._buffer[1] & 128
            size = 2 + (4 if masked else 0) + length
            if len(self._buffer) < size:
                return
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            payload = frame[6:] if masked else frame[2:]
            if masked:
                payload = bytes(byte ^ frame[2 + at % 4] for at, byte in enumerate(payload))
            if opcode == 9:
                Peer.pings += 1
                self.transport.write(_frame(10, payload, mask=not masked))
            elif opcode == 8:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                self._close = f"Close {code} {payload[2:].decode(errors='replace')}".rstrip()
                # Both the client and the origin answer, and the server ends the stream: RFC 6455 §7.1.1.
                self.transport.write(_frame(8, payload, mask=not masked))
                if masked:
                    self.transport.close()

    def _answer(self, head: bytes) -> None:
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key.split(b":", 1)[1].strip() + GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._held:
            Peer.lost += 1
            why = "the end of the stream" if exc is None else f"{type(exc).__name__}: {exc}"
            Peer.ends[self._close or f"{why}, without a Close"] += 1
        if self._opened is not None and not self._opened.done():
            self._opened.set_result("lost")


def _frame(opcode: int, payload: bytes, *, mask: bool) -> bytes:
    # A client's mask may be any, and with zeros there is nothing to compute.
    return bytes([0x80 | opcode, mask << 7 | len(payload), *[0] * 4 * mask]) + payload


def counts() -> dict[str, Any]:
    return {"held": Peer.held, "lost": Peer.lost, "pings": Peer.pings, "ends": Peer.ends}


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def origin() -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Peer(None), "127.0.0.1", 0, backlog=4096)
    tell({"port": server.sockets[0].getsockname()[1]})
    reader = await lines()
    while await reader.readline():
        tell(counts())


async def client(source: str, port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    permits = asyncio.Semaphore(OPENING)
    outcomes: Counter[str] = Counter()

    async def one() -> None:
        async with permits:
            opened: asyncio.Future[str] = loop.create_future()
            try:
                async with asyncio.timeout(PATIENCE):
                    sock = socket.socket()
                    sock.setblocking(False)
                    # The port is chosen on connecting: one that is bound is taken for all addresses.
                    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                    sock.bind((source, 0))
                    await loop.sock_connect(sock, ("127.0.0.1", port))
                    await loop.create_connection(lambda: Peer(opened), sock=sock)
                    outcomes[await opened] += 1
            except (OSError, TimeoutError) as error:
                outcomes[type(error).__name__] += 1

    reader = await lines()
    await reader.readline()
    for begin in range(0, count, 1000):
        await asyncio.gather(*(one() for _ in range(begin, min(begin + 1000, count))))
    tell({"outcomes": outcomes, **counts()})
    while await reader.readline():
        tell(counts())


class Child:
    """A process of ours that is asked line by line."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.idle", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ask_all(children: list[Child]) -> list[dict[str, Any]]:
    for child in children:
        child.ask()
    return [child.hear() for child in children]


def total(parts: list[dict[str, Any]], name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part[name])
    return found


class Gateway:
    """The gateway, as a command."""

    def __init__(self, folder: Path, workers: int, ports: list[int], ping: float, most: int) -> None:
        file = folder / "edgews.toml"
        self._log = folder / "access.log"
        origins = ", ".join(f"'ws://127.0.0.1:{port}'" for port in ports)
        file.write_text(
            f"workers = {workers}\naccess_log = '{self._log}'\nmax_connections = {most}\ndrain_time = 20\n"
            "[admin]\naddress = '127.0.0.1:0'\n[[listen]]\naddress = '127.0.0.1:0'\n"
            f"[[route]]\norigins = [{origins}]\nping_interval = {ping}\nping_timeout = {ping}\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgews", "serve", "-c", str(file)], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        self.port, self.admin = 0, ""
        for line in self._process.stderr:
            if line.startswith("gateway: "):
                self.port = int(line.rpartition(":")[2])
            elif line.startswith("live page"):
                self.admin = line.split(": ", 1)[1].strip()
            elif line.startswith("warning"):
                print(line, end="")
            elif "Ctrl-C" in line:
                break
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.workers = [int(child) for child in children]

    def resident(self) -> int:
        return sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for pid in self.workers
        )

    def cpu(self) -> float:
        ticks = sum(
            sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
            for pid in self.workers
        )
        return ticks / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> list[int]:
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in self.workers]

    def causes(self) -> dict[str, int]:
        """Return why connections have ended or were refused, as the access log has it."""
        found: Counter[str] = Counter()
        with self._log.open() as lines:
            for line in lines:
                record = json.loads(line)
                if record["event"] != "open":
                    found[record["cause"]] += 1
        return dict(found)

    def metrics(self) -> float:
        """Return how long /metrics takes."""
        start = time.perf_counter()
        with urllib.request.urlopen(self.admin.rstrip("/") + "/metrics", timeout=30) as answer:
            answer.read()
        return time.perf_counter() - start

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.drain()

    def drain(self) -> None:
        """End it in order, and say how that went."""
        begin = time.monotonic()
        self._process.terminate()
        try:
            _, said = self._process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, said = self._process.communicate()
        took = time.monotonic() - begin
        code = self._process.returncode
        print(f"the gateway drained in {took:.1f} s, exit code {code}: {said.splitlines()}", flush=True)


class Feed:
    """A live page that listens: how often it is told something, and how much."""

    def __init__(self, admin: str) -> None:
        self.times: list[float] = []
        self.sizes: list[int] = []
        self._ws = connect(admin.replace("http", "ws", 1) + "live")
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = self._ws.recv()
                self.times.append(time.monotonic())
                self.sizes.append(len(message))

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self._ws.close()
        self._thread.join()

    def show(self) -> None:
        # The first one is the greeting, the second one has the whole series.
        pauses = [after - before for before, after in pairwise(self.times[1:])]
        if not pauses:
            print("the live page was told nothing")
            return
        print(
            f"the live page, {len(pauses)} updates: median {statistics.median(pauses):.2f} s from one to the "
            f"next, longest {max(pauses):.2f} s; the first {self.sizes[1] / 1024:.0f} KiB, then "
            f"{statistics.median(self.sizes[2:]) / 1024:.0f} KiB (median)",
            flush=True,
        )


def measure(count: int, seconds: float, ping: float) -> int:
    clients = -(-count // EACH_CLIENT)
    workers = max(-(-count // EACH_WORKER), 2)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        origins = [stack.enter_context(Child("--role", "origin")) for _ in range(clients)]
        ports = [one.hear()["port"] for one in origins]
        # The clients end first, the origins last.
        gateway = stack.enter_context(Gateway(Path(folder), workers, ports, ping, count + 5000))
        before = gateway.resident()
        shares = [count // clients + (at < count % clients) for at in range(clients)]
        crowd = [
            stack.enter_context(Child("--role", "client", str(gateway.port), f"127.0.1.{at + 1}", str(share)))
            for at, share in enumerate(shares)
        ]
        begin = time.monotonic()
        opened = ask_all(crowd)
        outcomes = total(opened, "outcomes")
        print(
            f"{sum(one['held'] for one in opened)} of {count} connections open after "
            f"{time.monotonic() - begin:.0f} s, answers {dict(outcomes)}; "
            f"{len(origins)} origins, {workers} workers, {clients} clients",
            flush=True,
        )
        size = gateway.resident() - before
        print(f"resident: {size / count / 1024:.1f} KiB a connection, both legs, in all workers together")
        print(f"descriptors of the workers: {gateway.descriptors()}", flush=True)
        times, end, cpu, start = [], time.monotonic() + seconds, gateway.cpu(), time.monotonic()
        feed = stack.enter_context(Feed(gateway.admin))
        while time.monotonic() < end:
            times.append(gateway.metrics())
            time.sleep(2)
        share = (gateway.cpu() - cpu) / (time.monotonic() - start)
        found, behind = ask_all(crowd), ask_all(origins)
        lost = sum(one["lost"] for one in found)
        print(f"held for {seconds:.0f} s: {lost} lost; CPU of all workers {share:.2f} cores")
        if lost:
            print(f"lost, as clients have seen it: {total(found, 'ends')}; origins: {total(behind, 'ends')}")
        print(f"ended or refused before the drain, as the access log has it: {gateway.causes()}")
        print(f"Pings answered: {sum(one['pings'] for one in found)} by clients, ", end="")
        print(f"{sum(one['pings'] for one in behind)} by origins (interval {ping:g} s)")
        print(f"resident then: {(gateway.resident() - before) / count / 1024:.1f} KiB a connection")
        print(
            f"/metrics, {len(times)} times: median {statistics.median(times) * 1e3:.0f} ms, "
            f"longest {max(times) * 1e3:.0f} ms",
            flush=True,
        )
        feed.show()
        gateway.drain()
        ends = total(ask_all(crowd), "ends") - total(found, "ends")
        print(f"in the drain clients have seen: {dict(ends)}; the access log: {gateway.causes()}")
        return 1 if lost or set(outcomes) != {"101"} else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=50_000)
    parser.add_argument(
        "--seconds", type=float, default=180, help="how long they are held (default: %(default)s)"
    )
    parser.add_argument("--ping", type=float, default=30, help="interval of Pings (default: %(default)s)")
    parser.add_argument("--role", choices=["origin", "client"], help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role is None:
        return measure(options.connections, options.seconds, options.ping)
    import uvloop

    if options.role == "origin":
        uvloop.run(origin())
    else:
        port, source, count = options.rest
        uvloop.run(client(source, int(port), int(count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
