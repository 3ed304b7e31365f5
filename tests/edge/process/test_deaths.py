"""Workers that die or hang: somebody else takes their place, and what they have counted stays."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from tests import wire
from tests.edge.process.commands import (
    TEXT,
    Echo,
    Process,
    config,
    gateway,
    is_alive,
    is_served,
    wait_for,
)
from tests.raw import Raw

CONNECTIONS = 20


class Counts:
    """Looks at the report of a gateway, of which no count may ever go back."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._seen: dict[tuple[str, ...], int] = {}

    def look(self) -> dict[str, int]:
        """Return how many connections were opened, are open and have ended, and how many of them died."""
        report = self._process.report()
        found = {
            (name, *labels): number for name, rows in report["counters"].items() for labels, number in rows
        }
        for key, number in self._seen.items():
            assert found.get(key, 0) >= number, key
        self._seen = found
        ended: list[Any] = report["counters"]["connections_ended"]
        return {
            "opened": sum(number for _, number in report["counters"]["connections_opened"]),
            "open": sum(number for _, number in report["gauges"]["connections_open"]),
            "ended": sum(number for _, number in ended),
            "died": sum(number for labels, number in ended if labels[2] == "worker died"),
            "messages": sum(number for _, number in report["counters"]["messages"]),
        }


def _config(folder: Path, echo: Echo, **more: Any) -> str:
    return str(config(folder / "edgews.toml", echo.uri, admin=True, **more))


def _gateway(folder: Path, echo: Echo) -> AbstractContextManager[Process]:
    return gateway("serve", "-c", _config(folder, echo, worker_timeout=3))


def test_what_workers_have_counted_outlives_them(tmp_path):
    with (
        Echo() as echo,
        _gateway(tmp_path, echo) as process,
    ):
        counts = Counts(process)
        clients = [Raw.open(process.address) for _ in range(CONNECTIONS)]
        for client in clients:
            client.send(TEXT)
            assert client.read_frame() == (wire.TEXT, b"hello")
        seen = counts.look()
        assert (seen["opened"], seen["open"]) == (CONNECTIONS, CONNECTIONS)
        killed, stopped = process.workers()[:2]

        os.kill(killed, signal.SIGKILL)
        said = process.wait_for(f"(process {killed}) has ended with -9.")
        assert "Connections that ended with it: " in said
        wait_for(lambda: counts.look()["died"], "its connections are counted")

        with suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGSTOP)
        # Meanwhile its last report counts, and nobody waits for it twice.
        assert counts.look()["opened"] == CONNECTIONS
        assert counts.look()["opened"] == CONNECTIONS
        process.wait_for(f"(process {stopped}) has not answered for 3 s: it hangs, and is ended.")
        wait_for(lambda: counts.look()["died"] == CONNECTIONS, "all connections have died")
        wait_for(lambda: not is_alive(stopped), "it is gone")
        process.wait_for("serves in its place.", 2)
        for client in clients:
            client.close()

        # From here on nobody is ended for being slow.
        before = process.workers()
        _config(tmp_path, echo, worker_timeout="off")
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded")
        with Raw.open(process.address) as client:
            client.send(TEXT)
            assert client.read_frame() == (wire.TEXT, b"hello")
            seen = counts.look()
            assert seen == {
                "opened": CONNECTIONS + 1,
                "open": 1,
                "ended": CONNECTIONS,
                "died": CONNECTIONS,
                "messages": 2 * (CONNECTIONS + 1),
            }
            # A worker that ends in order hands in what it has counted at its very end.
            _config(tmp_path, echo, worker_timeout="off", workers=3)
            process.signal(signal.SIGHUP)
            process.wait_for("reloaded", 2)
            assert len(process.workers()) == 3
            for _ in range(CONNECTIONS):
                is_served(process.address)
            _config(tmp_path, echo, worker_timeout="off")
            process.signal(signal.SIGHUP)
            process.wait_for("reloaded", 3)
            wait_for(lambda: process.workers() == before, "the third is gone")
            assert counts.look()["opened"] == 2 * CONNECTIONS + 1
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
