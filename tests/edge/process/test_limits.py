"""Limits of a gateway of several workers: they count once, however connections are spread."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from tests import wire
from tests.cli.process import run
from tests.edge.process.commands import Echo, Process, config, gateway, wait_for
from tests.raw import Raw, check

LIMITER = """
[limiter.few]
requests_per_period = {requests}
period = 1e6
[[rule]]
name = "few"
expression = "true"
action = "rate_limit"
limiter = "few"
"""
CLIENTS = """
[connections.client]
soft = {soft}
burst = {burst}
allowance = 1e6
"""


@pytest.fixture(scope="module")
def echo():
    with Echo() as origin:
        yield origin


def write(folder: Path, echo: Echo, more: str, **values: object) -> Path:
    file = config(folder / "edgews.toml", echo.uri, **values)
    file.write_text(f"{file.read_text()}\n{more}")
    return file


def ask(process: Process) -> tuple[Raw, bytes]:
    """Ask for a connection; return it, and the status that came."""
    client = Raw.connect(process.address)
    client.send(wire.request())
    return client, client.read_head().split()[1]


def knock(process: Process) -> bytes:
    client, status = ask(process)
    client.close()
    return status


def opened(process: Process, count: int) -> list[Raw]:
    found = []
    for _ in range(count):
        client, status = ask(process)
        check(status == b"101", f"answered with {status!r}")
        found.append(client)
    return found


def leave(clients: list[Raw]) -> None:
    for client in clients:
        client.send(wire.close(1000))
        client.read_rest()
        client.close()


def load(file: Path) -> None:
    done = run("reload", "-c", str(file))
    check(done.returncode == 0, done.stderr.decode())


def test_a_rate_is_that_of_the_whole_gateway(tmp_path, echo):
    file = write(tmp_path, echo, LIMITER.format(requests=20), workers=2)
    with gateway("serve", "-c", str(file)) as process:
        assert [knock(process) for _ in range(30)] == [b"101"] * 20 + [b"429"] * 10
        # It remembers when a worker dies, and so does the one in its place; one that is changed begins anew.
        victim = process.workers()[0]
        os.kill(victim, signal.SIGKILL)
        process.wait_for("serves in its place.")
        assert {knock(process) for _ in range(8)} == {b"429"}
        write(tmp_path, echo, LIMITER.format(requests=15), workers=3)
        load(file)
        assert [knock(process) for _ in range(20)] == [b"101"] * 15 + [b"429"] * 5


def test_a_client_has_as_many_connections_as_it_may(tmp_path, echo):
    file = write(tmp_path, echo, CLIENTS.format(soft=8, burst=4), workers=3)
    with gateway("serve", "-c", str(file)) as process:
        clients = opened(process, 12)
        assert {knock(process) for _ in range(6)} == {b"503"}
        leave(clients[:3])
        # The places are given back a moment after the end has been seen.
        clients = clients[3:]
        wait_for(lambda: take_one(process, clients), "there is room again")
        wait_for(lambda: take_one(process, clients), "there is room again")
        wait_for(lambda: take_one(process, clients), "there is room again")
        assert {knock(process) for _ in range(6)} == {b"503"}
        # Twice the connections, so the memory is another one; who is there is known in it.
        write(tmp_path, echo, CLIENTS.format(soft=10, burst=4), workers=3, max_connections=20_000)
        load(file)
        clients += opened(process, 2)
        assert {knock(process) for _ in range(6)} == {b"503"}
        # Those of a worker that dies count no more.
        before = len(clients)
        os.kill(process.workers()[0], signal.SIGKILL)
        process.wait_for("serves in its place.")
        clients = [client for client in clients if is_open(client)]
        while take_one(process, clients):
            pass
        assert len(clients) == before
        leave(clients)


def take_one(process: Process, clients: list[Raw]) -> bool:
    client, status = ask(process)
    if status == b"101":
        clients.append(client)
    else:
        client.close()
    return status == b"101"


def is_open(client: Raw) -> bool:
    """Say whether somebody answers."""
    try:
        client.send(wire.frame(wire.TEXT, b"hello"))
        if client.read_frame() == (wire.TEXT, b"hello"):
            return True
    except (OSError, EOFError):
        pass
    client.close()
    return False


def test_everybody_counts_once(tmp_path, echo):
    file = write(tmp_path, echo, "", workers=2, max_connections=10)
    with gateway("serve", "-c", str(file)) as process:
        clients = opened(process, 10)
        assert {knock(process) for _ in range(6)} == {b"503"}
        leave(clients)


def test_as_many_are_shed_as_are_too_many(tmp_path, echo):
    file = write(tmp_path, echo, "[connections.all]\nsoft = 9\n", workers=2)
    with gateway("serve", "-c", str(file)) as process:
        clients = opened(process, 9)
        write(tmp_path, echo, "[connections.all]\nsoft = 4\nallowance = 0\npatience = 0.01\n", workers=2)
        load(file)
        told: set[Raw] = set()

        def are_told() -> bool:
            ready, _, _ = select.select([one.sock for one in clients if one not in told], [], [], 0)
            for client in clients:
                if client.sock in ready:
                    frame = client.read_frame()
                    check(frame is not None and wire.close_code(frame[1]) == 1013, f"got {frame}")
                    told.add(client)
            return len(told) >= 5

        wait_for(are_told, "five are told to go")
        for client in told:
            client.send(wire.close(1013))
            client.read_rest()
            client.close()
        staying = [client for client in clients if client not in told]
        assert len([client for client in staying if is_open(client)]) == 4
        leave(staying)
