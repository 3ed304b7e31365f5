"""What a gateway in front of a WebSocket server costs: `python -m bench.gateway`.

The same echo server behind each, the same client in front, all on loopback and in one run, in turn. A
figure is the CPU time of the gateway's own process for one message, there and back, in the median of several
rounds; of the opening, for one connection that is opened and closed. HAProxy and nginx take part where they
are installed (Debian's packages haproxy and nginx-light), and the output says who is missing; `inspecting` is
ours on a route whose messages are inspected.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.echo.loads import Echoes, in_turn
from bench.echo.process import Server

# Payload (bytes), connections, messages in flight on each.
ROWS = {
    "small": (32, 100, 1),
    "large": (65536, 100, 1),
    "flight": (32, 100, 32),
}
TITLES = {"small": "32 B x 100", "large": "64 KiB x 100", "flight": "32 B x 100, 32 in flight"}
OPENING = "opening"
IDLE = 1000
# Connections of one round.
OPENED = 200
PEERS = ("haproxy", "nginx")

EDGEWS = """\
access_log = "off"
[[listen]]
address = "127.0.0.1:{port}"
[[route]]
origins = ["ws://127.0.0.1:{origin}"]
inspect = "{inspect}"
"""
HAPROXY = """\
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server origin 127.0.0.1:{origin}
"""

NGINX = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


class Gateway:
    """A gateway in a process of its own."""

    def __init__(self, name: str, origin: int, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if name == "haproxy":
            file = folder / "haproxy.cfg"
            file.write_text(HAPROXY.format(port=self.port, origin=origin))
            command = ["haproxy", "-db", "-f", str(file)]
        elif name == "nginx":
            file = folder / "nginx.conf"
            file.write_text(NGINX.format(port=self.port, origin=origin, folder=folder))
            command = ["nginx", "-e", f"{folder}/nginx.log", "-c", str(file)]
        else:
            file = folder / f"{name}.toml"
            inspect = "messages" if name == "inspecting" else "frames"
            file.write_text(EDGEWS.format(port=self.port, origin=origin, inspect=inspect))
            command = [sys.executable, "-m", "edgews", "serve", "-c", str(file)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        # Whatever becomes of the measurement.
        atexit.register(self.end)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def cpu(self) -> float:
        """Return the CPU time that the process has used, in seconds."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident(self) -> int:
        """Return the resident memory of the process in bytes."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def measure(names: list[str], rounds: int, seconds: float, rows: list[str]) -> None:
    origin = Server("edgews callbacks")
    with tempfile.TemporaryDirectory() as folder:
        gateways = {name: Gateway(name, origin.port, Path(folder)) for name in names}
        for title in rows:
            if title == OPENING:
                show("opening a connection", opening(gateways, rounds), "us", 1e6)
                continue
            loads = {name: Echoes(gateways[name].port, *ROWS[title]) for name in names}
            show(TITLES[title], in_turn(gateways, rounds, partial(run, loads, seconds)), "us", 1e6)
            for load in loads.values():
                load.end()
        sizes = {}
        for name, gateway in gateways.items():
            first = Echoes(gateway.port, 32, 50, 1)
            before = gateway.resident()
            idle = Echoes(gateway.port, 32, IDLE, 1)
            sizes[name] = (gateway.resident() - before) / IDLE
            first.end()
            idle.end()
        show("idle connection", sizes, "KiB", 1 / 1024)
        for gateway in gateways.values():
            gateway.end()
    origin.end()


def run(loads: dict[str, Echoes], seconds: float, name: str) -> int:
    return loads[name].run(seconds)


def opening(gateways: dict[str, Gateway], rounds: int) -> dict[str, float]:
    """Return the CPU seconds of each for a connection that is opened, used once and closed."""

    def work(name: str) -> int:
        for _ in range(OPENED // 50):
            Echoes(gateways[name].port, 32, 50, 1).end()
        # What is left of the connections is to be over.
        time.sleep(0.2)
        return OPENED

    return in_turn(gateways, rounds, work)


def show(title: str, figures: dict[str, float], unit: str, factor: float) -> None:
    reference = figures.get("haproxy")
    parts = [
        f"{name} {figure * factor:.2f} {unit}" + (f" ({figure / reference:.2f}x)" if reference else "")
        for name, figure in figures.items()
    ]
    print(f"{title:28}" + "   ".join(parts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round (default: %(default)s)")
    parser.add_argument("--row", choices=[*ROWS, OPENING], help="only this one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    for name in PEERS:
        if shutil.which(name) is None:
            print(f"without {name}: it is not installed", flush=True)
    names = ["edgews", "inspecting", *(name for name in PEERS if shutil.which(name))]
    measure(names, options.rounds, options.seconds, [options.row] if options.row else [*ROWS, OPENING])


if __name__ == "__main__":
    main()
