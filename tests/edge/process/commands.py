"""Gateways as commands, an origin that answers them all, and clients that put up with nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import edgews
from edgews.asyncio import WebSocket, serve
from tests import wire
from tests.cli.process import command
from tests.raw import TIMEOUT, Raw, check

TEXT = wire.frame(wire.TEXT, b"hello")
# Processes start slowly where others compute.
PATIENCE = 3 * TIMEOUT


def wait_for(condition: Any, what: str) -> Any:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        check(time.monotonic() < end, f"it did not come about that {what}")
        time.sleep(0.01)
    return found


class Process:
    """A gateway as a command; what it says on its standard error is kept."""

    def __init__(self, *arguments: str) -> None:
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [*command(), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stderr is None:
            raise AssertionError("there is no pipe")
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until it has said something so often; return the last such line."""

        def found() -> list[str]:
            lines = [line for line in self.said if text in line]
            check(len(lines) >= count or self.process.poll() is None, f"it ended after {self.said}")
            return lines if len(lines) >= count else []

        return str(wait_for(found, f"it says {text}")[-1])

    @property
    def address(self) -> tuple[str, int]:
        line = next(line for line in self.said if line.startswith("gateway: ws://"))
        host, _, port = line.partition("://")[2].rpartition(":")
        return host, int(port)

    def report(self) -> dict[str, Any]:
        """Ask the admin address what was counted."""
        line = next(line for line in self.said if line.startswith("live page"))
        with urlopen(f"{line.partition(': ')[2]}report.json", timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(PATIENCE)
        self.close()
        return code

    def close(self) -> None:
        self._reader.join(PATIENCE)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def workers(self) -> list[int]:
        """Return its processes that live."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def gateway(*arguments: str) -> Iterator[Process]:
    """Start a gateway, and wait until it serves."""
    started = Process(*arguments)
    try:
        started.wait_for("Ctrl-C stops it.")
        yield started
    finally:
        if started.process.poll() is None:
            # Its workers notice that it is gone.
            started.process.kill()
            started.process.wait()
        started.close()


class Echo:
    """An origin that sends back what it gets."""

    def __enter__(self) -> Echo:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)))
        self._thread.start()
        check(ready.wait(TIMEOUT), "the origin does not start")
        return self

    async def _main(self, ready: threading.Event) -> None:
        async def echo(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send(message)

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        timeouts = edgews.Timeouts(ping_interval=None)
        async with serve(echo, "127.0.0.1", 0, timeouts=timeouts) as server:
            self.uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await self._stop.wait()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)


class Crowd:
    """Clients that open connections all the time, and complain about whatever goes wrong."""

    def __init__(self, address: tuple[str, int], count: int = 4) -> None:
        self.faults: list[str] = []
        self.served = 0
        self.sent_away = 0
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                visit(self._address, self)
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")

    def wait_for(self, more: int) -> None:
        """Wait until so many more have been served."""
        goal = self.served + more
        wait_for(lambda: self.served >= goal or self.faults, f"{more} more are served")

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def visit(address: tuple[str, int], crowd: Crowd) -> None:
    """Open a connection, say something, and close; a gateway that goes may close first, with 1001."""
    with Raw.connect(address) as client:
        client.sock.settimeout(PATIENCE)
        client.send(wire.request())
        head = client.read_head()
        check(head.startswith(b"HTTP/1.1 101"), f"answered with {head!r}")
        client.send(TEXT)
        frame = client.read_frame()
        if frame == (wire.TEXT, b"hello"):
            crowd.served += 1
            client.send(wire.close(1000))
            frame = client.read_frame()
            code = 1000
        else:
            crowd.sent_away += 1
            client.send(wire.close(1001))
            code = 1001
        check(frame is not None, "the stream ended without a Close")
        if frame is not None:
            check(frame[0] == wire.CLOSE, f"got {frame}")
            check(wire.close_code(frame[1]) in (code, 1001), f"closed with {frame[1]!r}")
        client.read_rest()


def is_served(address: tuple[str, int]) -> None:
    """Open a connection, say something, get it back, and close."""
    crowd = Crowd(address, 0)
    visit(address, crowd)
    check(crowd.served == 1, "the gateway sends its clients away")


def config(path: Path, origin: str, **more: Any) -> Path:
    """Write a file for two workers."""
    listen = more.pop("listen", ["127.0.0.1:0"])
    admin = ["[admin]", "address = '127.0.0.1:0'"] if more.pop("admin", False) else []
    values = {"workers": 2, "access_log": "off", "control": str(path.parent / "control.sock"), **more}
    lines = [f"{key} = {value!r}" for key, value in values.items()]
    for address in listen:
        lines += ["[[listen]]", f"address = '{address}'"]
    path.write_text("\n".join([*lines, *admin, "[[route]]", f"origins = ['{origin}']"]))
    return path
