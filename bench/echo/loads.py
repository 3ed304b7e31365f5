"""What the servers are asked for, and what it costs them: each function returns its figures by name.

One client, the same for all, builds what it sends beforehand and only counts what comes back; so the server
is the one that is busy. Figures are the CPU time of its process, in the median of several rounds in turn.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from bench.traffic import binary, masked_frames

from .process import Server, opened

# The client reads at most so much at once (bytes), into memory that it keeps: fresh memory for each read
# costs the client pages, and the server beside it what was in the caches, up to a third of its time.
READ = 1 << 20
# A client that waits this long (seconds) waits for ever.
PATIENCE = 20.0
# The servers send Pings that often (seconds).
HEARTBEAT = 20.0

IDLE = 2000
FIRST = 100
HANDSHAKES = 200
AUDIENCE = 1000
BROADCASTS = 10
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


@dataclass(frozen=True)
class Pace:
    """How many rounds each contender has, and how long one is (seconds)."""

    rounds: int
    seconds: float


class Echoes:
    """Connections that keep so many messages of this size in flight."""

    def __init__(self, port: int, size: int, connections: int, flight: int) -> None:
        self._port = port
        self._frame = masked_frames([binary(size)]) * flight
        self._answer = flight * (size + (2 if size < 126 else 4 if size < 65536 else 10))
        self._flight = flight
        self._socks: list[socket.socket] = []
        self._connect(connections)

    def _connect(self, count: int) -> None:
        self._socks = [opened(self._port) for _ in range(count)]
        self._since = time.monotonic()

    def renew(self) -> None:
        """Connect anew in time before the servers' Pings, which would be taken for answers."""
        if time.monotonic() > self._since + HEARTBEAT / 2:
            self.end()
            self._connect(len(self._socks))

    def run(self, seconds: float) -> int:
        """Send and receive for so long; return how many messages came back."""
        missing = dict.fromkeys(self._socks, self._answer)
        buffer = bytearray(READ)
        rounds = 0
        end = time.monotonic() + seconds
        left = len(self._socks)
        with selectors.EpollSelector() as selector:
            for sock in self._socks:
                selector.register(sock, selectors.EVENT_READ)
                sock.sendall(self._frame)
            while left:
                for sock in readable(selector):
                    missing[sock] -= sock.recv_into(buffer)
                    if missing[sock] == 0:
                        rounds += 1
                        if time.monotonic() < end:
                            missing[sock] = self._answer
                            sock.sendall(self._frame)
                        else:
                            left -= 1
        return rounds * self._flight

    def end(self) -> None:
        for sock in self._socks:
            sock.close()


class Audience:
    """Connections that get a broadcast whenever one of them asks for it."""

    def __init__(self, port: int, compressed: bool) -> None:
        self._socks = [opened(port, OFFER if compressed else b"") for _ in range(AUDIENCE)]
        self._asking = masked_frames([b"more"])

    def run(self, times: int) -> None:
        """Ask so many times for a broadcast, each time when the one before has arrived everywhere."""
        buffer = bytearray(READ)
        with selectors.EpollSelector() as selector:
            for sock in self._socks:
                selector.register(sock, selectors.EVENT_READ)
            for _ in range(times):
                self._socks[0].sendall(self._asking)
                # What has come to those that miss something.
                missing = dict.fromkeys(self._socks, b"")
                while missing:
                    for sock in readable(selector):
                        missing[sock] += buffer[: sock.recv_into(buffer)]
                        if is_frame(missing[sock]):
                            del missing[sock]

    def end(self) -> None:
        for sock in self._socks:
            sock.close()


def readable(selector: selectors.EpollSelector) -> list[socket.socket]:
    """Return the sockets that have something to read, once there is one."""
    ready = [key.fileobj for key, _ in selector.select(PATIENCE)]
    if not ready:
        raise TimeoutError("nothing comes back any more")
    return [sock for sock in ready if isinstance(sock, socket.socket)]


def is_frame(data: bytes) -> bool:
    """Say whether one unmasked frame of less than 64 KiB is there; how long it is varies with compression."""
    if len(data) < 4:
        return False
    size = 2 + data[1] if data[1] < 126 else 4 + int.from_bytes(data[2:4], "big")
    assert len(data) <= size
    return len(data) == size


class Costly(Protocol):
    """A process whose CPU time is known, in seconds."""

    def cpu(self) -> float: ...


def in_turn(
    servers: Mapping[str, Costly],
    rounds: int,
    work: Callable[[str], int],
    prepare: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """Return the CPU seconds of a server for one piece of work, in the median of all rounds.

    Who comes right behind whom makes a difference of a tenth, so each round has its own order, the same in
    each run.

    Args:
        work: does something with the server of this name, and says how much.
        prepare: is called before, and does not count.
    """
    costs: dict[str, list[float]] = {name: [] for name in servers}
    # The first round warms up.
    for turn in range(rounds + 1):
        for name in Random(turn).sample(list(servers), len(servers)):
            if prepare is not None:
                prepare(name)
            before = servers[name].cpu()
            done = work(name)
            if turn:
                costs[name].append((servers[name].cpu() - before) / done)
    return {name: statistics.median(times) for name, times in costs.items()}


def echoes(names: Sequence[str], pace: Pace, size: int, connections: int, flight: int) -> dict[str, float]:
    """Return the CPU seconds of one message, there and back."""
    servers = {name: Server(name) for name in names}
    loads = {name: Echoes(server.port, size, connections, flight) for name, server in servers.items()}
    costs = in_turn(
        servers,
        pace.rounds,
        lambda name: loads[name].run(pace.seconds),
        lambda name: loads[name].renew(),
    )
    for name in names:
        loads[name].end()
        servers[name].end()
    return costs


def handshakes(names: Sequence[str], pace: Pace) -> dict[str, float]:
    """Return the CPU seconds of an opening handshake, its TCP connection and its end."""
    servers = {name: Server(name) for name in names}

    def work(name: str) -> int:
        for _ in range(HANDSHAKES):
            opened(servers[name].port).close()
        return HANDSHAKES

    costs = in_turn(servers, pace.rounds, work)
    for server in servers.values():
        server.end()
    return costs


def idle(names: Sequence[str], pace: Pace) -> dict[str, float]:
    """Return the resident bytes of one connection that does nothing; the pace does not matter."""
    sizes = {}
    for name in names:
        server = Server(name)
        # What the first ones need belongs to the process.
        first = [opened(server.port) for _ in range(FIRST)]
        before = server.resident()
        socks = [opened(server.port) for _ in range(IDLE)]
        sizes[name] = (server.resident() - before) / IDLE
        for sock in (*first, *socks):
            sock.close()
        server.end()
    return sizes


def broadcasts(names: Sequence[str], pace: Pace, compressed: bool) -> dict[str, float]:
    """Return the CPU seconds of one broadcast to all connections."""
    kind = "compressed" if compressed else "plain"
    servers = {name: Server(name, "bench.echo.broadcasting", [kind]) for name in names}
    audiences = {name: Audience(server.port, compressed) for name, server in servers.items()}

    def work(name: str) -> int:
        audiences[name].run(BROADCASTS)
        return BROADCASTS

    costs = in_turn(servers, pace.rounds, work)
    for name in names:
        audiences[name].end()
        servers[name].end()
    return costs
