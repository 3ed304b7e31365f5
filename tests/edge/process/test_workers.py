"""Several processes behind one address: how they start, end, follow a new file, and one another."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests import wire
from tests.cli.process import run
from tests.edge.process.commands import (
    TEXT,
    Crowd,
    Echo,
    Process,
    config,
    gateway,
    is_alive,
    is_served,
    wait_for,
)
from tests.raw import Raw


@pytest.fixture(scope="module")
def echo():
    with Echo() as origin:
        yield origin


def open_connection(address) -> Raw:
    client = Raw.open(address)
    client.send(TEXT)
    assert client.read_frame() == (wire.TEXT, b"hello")
    return client


def records(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_workers_share_an_address_and_drain_together(tmp_path, echo):
    log, unix = tmp_path / "access.log", tmp_path / "gateway.sock"
    file = config(
        tmp_path / "edgews.toml",
        echo.uri,
        access_log=str(log),
        listen=["127.0.0.1:0", f"unix:{unix}"],
    )
    with gateway("serve", "-c", str(file)) as process:
        assert "serves in 2 processes" in process.said[-1]
        workers = process.workers()
        assert len(workers) == 2
        assert unix.is_socket()
        assert oct((tmp_path / "control.sock").stat().st_mode & 0o777) == "0o600"
        clients = [open_connection(process.address) for _ in range(20)]
        # Whole lines, whoever wrote them; and where they go once the file has been moved away.
        assert [record["event"] for record in records(log)] == ["open"] * 20
        log.rename(tmp_path / "access.log.1")
        process.signal(signal.SIGUSR1)

        def is_reopened() -> bool:
            is_served(process.address)
            return len(records(log)) >= 8

        wait_for(is_reopened, "both have opened the log again")
        process.signal(signal.SIGTERM)
        for client in clients:
            frame = client.read_frame()
            assert frame is not None
            assert wire.close_code(frame[1]) == 1001
            client.send(wire.close(1001))
            assert client.read_rest() == b""
            client.close()
        assert process.wait() == 0
        assert process.said[-2:] == ["draining.", "stopped."]
        assert not any(map(is_alive, workers))
        assert not unix.exists()
        assert not (tmp_path / "control.sock").exists()
        ends = [record for record in records(log) if record["event"] == "end" and record["code"] == 1001]
        assert len(ends) == 20


def test_nobody_is_refused_by_a_reload_or_a_takeover(tmp_path, echo):
    file = config(tmp_path / "edgews.toml", echo.uri)
    with gateway("serve", "-c", str(file)) as first, Crowd(first.address) as crowd:
        crowd.wait_for(20)
        for workers in (3, 2):
            config(file, echo.uri, workers=workers, max_connections=5000)
            done = run("reload", "-c", str(file))
            assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f"reloaded {file}\n", b"")
            crowd.wait_for(20)
        old = first.workers()
        config(file, echo.uri, workers=3)
        with gateway("serve", "-c", str(file), "--takeover") as second:
            assert second.address == first.address
            second.wait_for(f"taken over from process {first.process.pid}")
            assert first.wait() == 0
            assert first.said[-2:] == ["another process has taken over, draining.", "stopped."]
            assert not any(map(is_alive, old))
            crowd.wait_for(20)
            # A third one, which does not get so far, changes nothing.
            config(tmp_path / "third.toml", echo.uri, listen=["127.0.0.1:0", "192.0.2.1:1"])
            done = run("serve", "-c", str(tmp_path / "third.toml"), "--takeover")
            assert done.returncode == 2
            assert b"cannot listen" in done.stderr
            crowd.wait_for(20)
            assert crowd.faults == []
            crowd.__exit__()
            second.signal(signal.SIGTERM)
            assert second.wait() == 0
    assert crowd.faults == []


def test_one_process_is_followed_by_another(tmp_path, echo):
    unix = tmp_path / "gateway.sock"
    file = config(tmp_path / "x.toml", echo.uri, workers=1, listen=["127.0.0.1:0", f"unix:{unix}"])
    with gateway("serve", "-c", str(file), "--takeover") as first, Crowd(first.address) as crowd:
        client = open_connection(first.address)
        config(file, echo.uri, listen=["127.0.0.1:0", f"unix:{unix}"])
        with gateway("serve", "-c", str(file), "--takeover") as second:
            frame = client.read_frame()
            assert frame is not None
            assert wire.close_code(frame[1]) == 1001
            client.send(wire.close(1001))
            assert client.read_rest() == b""
            client.close()
            assert first.wait() == 0
            crowd.wait_for(20)
            assert unix.is_socket()
            crowd.__exit__()
            second.signal(signal.SIGINT)
            assert second.wait() == 0
            assert not unix.exists()
    assert crowd.faults == []


def test_a_file_that_is_wrong_changes_nothing_anywhere(tmp_path, echo):
    file = config(tmp_path / "edgews.toml", echo.uri)
    with gateway("serve", "-c", str(file)) as process:
        workers = process.workers()
        # Only what a file names is wrong: it is read by the gateway, not by the one that asks.
        file.write_text(
            file.read_text().replace("[[route]]", "certificate = 'none'\nkey = 'none'\n[[route]]")
        )
        done = run("reload", "-c", str(file))
        assert done.returncode == 1
        assert f"{file}:6: listen[0].certificate: cannot be used" in done.stderr.decode()
        assert done.stderr.decode().endswith("not reloaded, nothing has changed.\n")
        for key, value in (("workers", 1), ("control", "/nowhere"), ("loop", "asyncio")):
            config(file, echo.uri, **{key: value})
            process.signal(signal.SIGHUP)
            process.wait_for(f"{key}: a restart")
        is_served(process.address)
        assert process.workers() == workers
        config(file, echo.uri)
        done = run("serve", "-c", str(file))
        assert done.returncode == 2
        assert b"a gateway runs already" in done.stderr
        # The second signal does not wait for anybody.
        client = open_connection(process.address)
        process.signal(signal.SIGTERM)
        process.wait_for("draining.")
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        client.close()
        assert not any(map(is_alive, workers))


def test_a_worker_that_dies_is_replaced_and_orphans_drain(tmp_path, echo):
    file = config(tmp_path / "edgews.toml", echo.uri)
    with gateway("serve", "-c", str(file)) as process:
        victim = process.workers()[0]
        os.kill(victim, signal.SIGKILL)
        # What comes meanwhile waits in the queue of its socket, if it comes there.
        for _ in range(10):
            is_served(process.address)
        process.wait_for(f"(process {victim}) has ended with -9.")
        process.wait_for("serves in its place.")
        workers = process.workers()
        assert len(workers) == 2
        client = open_connection(process.address)
        process.process.kill()
        frame = client.read_frame()
        assert frame is not None
        assert wire.close_code(frame[1]) == 1001
        client.send(wire.close(1001))
        assert client.read_rest() == b""
        client.close()
        wait_for(lambda: not any(map(is_alive, workers)), "the workers end")


def test_what_cannot_start(tmp_path, echo):
    file = config(tmp_path / "edgews.toml", echo.uri, control="off")
    done = run("serve", "-c", str(file), "--takeover")
    assert (done.returncode, b"names no control socket" in done.stderr) == (2, True)
    done = run("reload", "-c", str(file))
    assert (done.returncode, b"SIGHUP" in done.stderr) == (2, True)
    config(file, echo.uri)
    done = run("reload", "-c", str(file))
    assert (done.returncode, b"no gateway answers" in done.stderr) == (2, True)
    (tmp_path / "control.sock").write_text("a file of somebody's")
    process = Process("serve", "-c", str(file))
    assert process.wait() == 2
    assert "is there, and is no socket" in process.said[-1]
    config(file, echo.uri, control=f"{tmp_path}/none/control.sock")
    process = Process("serve", "-c", str(file))
    assert process.wait() == 2
    assert f"No such file or directory (control {tmp_path}/none/control.sock)" in process.said[-1]
    done = run("proxy", echo.uri, "--workers", "0")
    assert (done.returncode, b"workers: expected a whole number" in done.stderr) == (2, True)
