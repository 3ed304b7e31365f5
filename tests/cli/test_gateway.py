"""`edgews proxy`, `edgews serve` and `edgews check` as a user runs them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from tests import wire
from tests.cli.process import BACKGROUND, command, run
from tests.edge.harness import Authority, Origin, switch
from tests.raw import TIMEOUT, Raw, check

TEXT = wire.frame(wire.TEXT, b"hello")


class Process:
    """A gateway as a command."""

    def __init__(self, *arguments: str, before: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*before, *command(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addresses: list[tuple[str, int]] = []
        while not (line := self.say()).endswith("Ctrl-C stops it."):
            check(line.startswith("gateway: "), f"printed {line!r}")
            host, _, port = line.partition("://")[2].rpartition(":")
            self.addresses.append((host, int(port)))

    def say(self) -> str:
        """Return the next line that it says."""
        if self.process.stderr is None:
            raise AssertionError("there is no pipe")
        line = self.process.stderr.readline()
        check(line, "it has ended")
        return line.rstrip()

    def end(self, number: int = signal.SIGINT) -> tuple[str, str, int]:
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=TIMEOUT)
        return output, errors, self.process.returncode


@contextlib.contextmanager
def gateway(*arguments: str, before: Sequence[str] = ()) -> Iterator[Process]:
    started = Process(*arguments, before=before)
    try:
        yield started
    finally:
        if started.process.returncode is None:
            started.process.kill()
            started.process.communicate()


@contextlib.contextmanager
def connection(address: tuple[str, int], origin: Origin) -> Iterator[tuple[Raw, Raw]]:
    with Raw.connect(address) as client:
        client.send(wire.request())
        with origin.accept() as server:
            server.send(switch())
            assert client.read_head().startswith(b"HTTP/1.1 101")
            yield client, server


def config(path: Path, origin: str, **more: str) -> Path:
    lines = [f"{key} = {value}" for key, value in more.items()]
    lines += ["[[listen]]", 'address = "127.0.0.1:0"', "[[route]]", f'origins = ["{origin}"]']
    path.write_text("\n".join(lines))
    return path


def drains(process, client, server):
    """Go through the end of a connection, which the gateway closes because it stops."""
    going_away = (wire.CLOSE, b"\x03\xe9the gateway is shutting down")
    assert process.say() == "draining."
    assert server.read_frame() == going_away
    server.send(wire.close(1001, key=None))
    assert client.read_frame() == going_away
    client.send(wire.close(1001))
    assert client.read_rest() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_proxy(number):
    with (
        Origin() as origin,
        gateway("proxy", origin.uri, "--listen", "127.0.0.1:0", "--access-log", "-") as process,
        connection(process.addresses[0], origin) as (client, server),
    ):
        client.send(TEXT)
        assert server.read_frame() == (wire.TEXT, b"hello")
        process.process.send_signal(number)
        drains(process, client, server)
        server.close()
        output, errors = process.process.communicate(timeout=TIMEOUT)
        assert (errors, process.process.returncode) == ("stopped.\n", 0)
        assert [json.loads(line)["event"] for line in output.splitlines()] == ["open", "end"]


def test_a_second_signal_does_not_wait():
    with (
        Origin() as origin,
        gateway("proxy", origin.uri, "--listen", "127.0.0.1:0") as process,
        connection(process.addresses[0], origin),
    ):
        process.process.send_signal(signal.SIGTERM)
        assert process.say() == "draining."
        assert process.end(signal.SIGINT) == ("", "stopped.\n", 0)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_in_the_background_only_sigterm_stops_it(workers):
    arguments = ("--listen", "127.0.0.1:0", "--workers", workers)
    with (
        Origin() as origin,
        gateway("proxy", origin.uri, *arguments, before=BACKGROUND) as process,
    ):
        process.process.send_signal(signal.SIGINT)
        with connection(process.addresses[0], origin) as (client, server):
            client.send(TEXT)
            assert server.read_frame() == (wire.TEXT, b"hello")
            process.process.send_signal(signal.SIGTERM)
            drains(process, client, server)
        _, errors = process.process.communicate(timeout=TIMEOUT)
        assert (errors, process.process.returncode) == ("stopped.\n", 0)


def test_serve_and_reload(tmp_path):
    log = tmp_path / "access.log"
    with Origin() as one, Origin() as two:
        file = config(tmp_path / "edgews.toml", one.uri, access_log=f'"{log}"')
        with gateway("serve", "-c", str(file)) as process:
            with connection(process.addresses[0], one):
                config(file, two.uri, access_log=f'"{log}"')
                process.process.send_signal(signal.SIGHUP)
                assert process.say() == f"reloaded {file}."
                with connection(process.addresses[0], two):
                    pass
                config(file, "http://wrong", drain_time="'soon'")
                process.process.send_signal(signal.SIGHUP)
                assert process.say().startswith(f"{file}:1: drain_time: expected a number")
                assert process.say().startswith(f"{file}:5: route[0].origins[0]: expected ws://")
                assert process.say() == "not reloaded, nothing has changed."
                with connection(process.addresses[0], two) as (client, server):
                    client.send(TEXT)
                    assert server.read_frame() == (wire.TEXT, b"hello")
            assert process.end(signal.SIGTERM) == ("", "draining.\nstopped.\n", 0)
        assert len(log.read_text().splitlines()) == 6


def test_certificates_that_change(tmp_path):
    authority = Authority(tmp_path)
    file = tmp_path / "edgews.toml"
    with Origin() as origin:
        lines = ["access_log = 'off'", "[[listen]]", "address = '127.0.0.1:0'"]
        lines += [f"certificate = '{authority.certificate}'", f"key = '{authority.key}'"]
        file.write_text("\n".join([*lines, "[[route]]", f"origins = ['{origin.uri}']"]))
        with gateway("serve", "-c", str(file)) as process:
            first = authority.connect(process.addresses[0])
            authority.certificate.write_text("broken")
            assert "listen[0].certificate: cannot be used" in process.say()
            assert process.say() == "the certificates from before stay."
            authority.issue()
            # Key and certificate change one after the other.
            while process.say() != "certificates read again.":
                pass
            second = authority.connect(process.addresses[0])
            assert second.sock.getpeercert(True) != first.sock.getpeercert(True)
            first.close()
            second.close()
            assert process.end()[2] == 0


def test_check(tmp_path):
    file = config(tmp_path / "x.toml", "ws://127.0.0.1:1")
    done = run("check", "-c", str(file))
    assert (done.returncode, done.stderr) == (0, b"")
    file.write_text("[[listen]]\naddress = 1\ncertificate = 'none.pem'\n[[route]]\n")
    done = run("check", "-c", str(file))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == [
        f"{file}:2: listen[0].address: expected a string",
        f"{file}:4: route[0].origins: this key is missing",
    ]
    file.write_text(
        "[[listen]]\naddress = ':0'\ncertificate = 'none.pem'\nkey='none'\n[[route]]\norigins=['ws://a']"
    )
    done = run("check", "-c", str(file))
    assert done.returncode == 1
    assert (
        done.stderr.decode()
        == f"{file}:3: listen[0].certificate: cannot be used: No such file or directory\n"
    )


def test_check_looks_at_all_that_is_named(tmp_path):
    authority, other = Authority(tmp_path), trustme.CA().issue_cert("127.0.0.1")
    (tmp_path / "other.pem").write_bytes(other.private_key_pem.bytes())
    (tmp_path / "text").write_text("no certificate")
    listens = [
        (authority.certificate, tmp_path / "none"),
        (authority.certificate, tmp_path / "other.pem"),
        (tmp_path / "text", tmp_path / "text"),
        (authority.certificate, authority.key),
    ]
    lines = [f"access_log = '{tmp_path / 'nowhere' / 'log'}'"]
    for certificate, key in listens:
        lines += ["[[listen]]", f"address = 'unix:/{len(lines)}'"]
        lines += [f"certificate = '{certificate}'", f"key = '{key}'"]
    lines += ["[admin]", "address = ':1'", f"token_file = '{tmp_path / 'token'}'"]
    lines += ["[[route]]", "origins = ['ws://a']"]
    file = tmp_path / "x.toml"
    file.write_text("\n".join(lines))
    done = run("check", "-c", str(file))
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        f"{file}:1: access_log: cannot write {tmp_path / 'nowhere' / 'log'}: No such file or directory",
        f"{file}:5: listen[0].key: cannot be used: No such file or directory",
        f"{file}:8: listen[1].certificate: cannot be used: the key belongs to another certificate",
        f"{file}:12: listen[2].certificate: cannot be used: there is no certificate, or no key, in PEM",
        f"{file}:20: admin.token_file: a file that can be read: No such file or directory",
    ]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("check", "-c", "nowhere.toml"), 1, "nowhere.toml: cannot be read: No such file or directory"),
        (("serve", "-c", "nowhere.toml"), 1, "`edgews serve --help` has an example"),
        (("proxy", "http://x"), 2, "edgews proxy: ORIGIN: expected ws://host:port"),
        (("proxy", "ws://x", "--listen", "nowhere"), 2, "edgews proxy: --listen: expected host:port"),
        (("proxy", "ws://x", "--listen", "192.0.2.1:1"), 2, "cannot listen"),
        (
            ("proxy", "ws://x", "--listen", "127.0.0.1:0", "--admin", "unix:/nowhere/x"),
            2,
            "cannot listen at the admin address unix:/nowhere/x: No such file or directory",
        ),
        (("proxy", "ws://x", "--access-log", "/nowhere/x"), 2, "cannot write /nowhere/x"),
    ],
)
def test_what_cannot_start(arguments, code, says):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert says in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_loop_that_is_missing(tmp_path):
    file = config(tmp_path / "x.toml", "ws://127.0.0.1:1", loop="'uvloop'")
    done = run("serve", "-c", str(file), hide=["uvloop"])
    assert (done.returncode, done.stderr) == (
        2,
        b"edgews serve: uvloop is not installed: pip install uvloop\n",
    )


@pytest.mark.parametrize("package", ["pydantic", "prometheus_client"])
@pytest.mark.parametrize("name", ["proxy", "serve", "check"])
def test_without_the_extra(name, package):
    done = run(name, *(["ws://x"] if name == "proxy" else []), hide=[package])
    assert done.returncode == 2
    assert done.stderr.decode() == f"edgews {name}: {package} is not installed: pip install 'edgews[edge]'\n"
