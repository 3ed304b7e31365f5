"""`edgews top`, `doctor --ray` and `completion` as a user runs them, at a gateway that runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgews.cli.arguments_admin import SORTS
from edgews.edge.analytics.listing import KEYS
from tests import wire
from tests.cli.process import Terminal, command, echo, output_of, run
from tests.edge.admin.serving import TOKEN, Admin, admin
from tests.edge.harness import Authority, Origin, Running, running, tunnel
from tests.raw import TIMEOUT, Raw

SHOWN = ("edgews gateway", "one process", "max_connections", "example.com/chat", "Sec-WebSocket-Version")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    """A gateway with an open connection, and a request that was refused."""
    with ExitStack() as stack:
        origin = stack.enter_context(Origin())
        gateway = stack.enter_context(running(origin.uri, ping_interval="off"))
        client, server = stack.enter_context(tunnel(gateway, origin))
        client.send(wire.frame(wire.TEXT, b"hello"))
        assert server.read_frame() is not None
        with Raw.connect(gateway.address) as raw:
            raw.send(wire.request({"Sec-WebSocket-Version": "8"}))
            raw.read_head()
            raw.read_rest()
        yield gateway


@pytest.fixture(scope="module")
def served(gateway: Running) -> Iterator[Admin]:
    with admin(gateway) as served:
        yield served


def test_it_is_shown_once(served: Admin) -> None:
    done = run("top", "--once", served.url)
    assert (done.returncode, done.stderr) == (0, b"")
    for text in SHOWN:
        assert text in done.stdout.decode()
    assert "example.com" not in run("top", "--once", "--match", "nothing", served.url).stdout.decode()


def test_json_is_for_programs(served: Admin) -> None:
    done = run("top", "--once", "--json", f"127.0.0.1:{served.port}")
    update = json.loads(done.stdout)
    assert [row["messages_up"] for row in update["connections"]] == [1]
    assert update["report"]["workers"] == 1


def test_a_pipe_gets_a_line_for_each_second_until_ctrl_c(served: Admin) -> None:
    process = subprocess.Popen(
        [*command(), "top", served.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = [output_of(process).readline().split() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")
    assert lines[0][:2] == ["time", "open"]
    assert [line[1] for line in lines[1:]] == ["1", "1"]


def test_ctrl_c_ends_it_before_a_gateway_has_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT)
        process = subprocess.Popen(
            [*command(), "top", f"127.0.0.1:{silent.getsockname()[1]}"], stderr=subprocess.PIPE, text=True
        )
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(TIMEOUT)
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("hide", [(), ("rich",)])
def test_a_terminal_shows_it_again_and_again(served: Admin, hide: tuple[str, ...]) -> None:
    terminal = Terminal("top", served.url, hide=hide)
    terminal.wait_for("opened/s" if hide else "max_connections")
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.wait() == 0


def test_sigterm_gives_the_terminal_its_screen_back(served: Admin) -> None:
    terminal = Terminal("top", served.url)
    terminal.wait_for("max_connections")
    os.kill(terminal.process.pid, signal.SIGTERM)
    terminal.wait_for("\x1b[?1049l")
    terminal.wait_for("\x1b[?25h")
    assert terminal.wait() == 128 + signal.SIGTERM


def test_the_token_comes_from_a_file_or_the_environment(
    gateway: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWS_TEST_TOKEN", TOKEN)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with admin(gateway, token_env="EDGEWS_TEST_TOKEN") as closed:
        refused = run("top", "--once", closed.url)
        assert refused.returncode == 2
        assert b"--token-file" in refused.stderr
        assert run("top", "--once", "--token-file", str(file), closed.url).returncode == 0
        assert run("top", "--once", closed.url, EDGEWS_ADMIN_TOKEN=TOKEN).returncode == 0
        assert run("doctor", "--ray", "x", "--admin", closed.url).returncode == 2
    gone = run("top", "--token-file", str(tmp_path / "none"), closed.url)
    assert gone.returncode == 2
    assert b"cannot be read" in gone.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/no/such/socket", "nowhere", ":80", "host:port"])
def test_addresses_that_lead_nowhere(address: str) -> None:
    done = run("top", "--once", address)
    assert done.returncode == 2
    assert done.stderr.startswith(b"edgews top: ")
    assert b"Traceback" not in done.stderr


def test_somebody_else_answers() -> None:
    """An echo server takes everybody, and sends back what nobody awaits."""
    with echo() as running:
        done = run("top", "--once", running.http)
    assert done.returncode == 2
    assert done.stderr.startswith(b"edgews top: ")
    assert b"no gateway" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_became_of_a_request(gateway: Running, served: Admin) -> None:
    refused, opened = gateway.last("refused")["ray"], gateway.last("open")["ray"]
    at = ("--admin", served.url)
    done = run("doctor", "--ray", refused, *at)
    assert done.returncode == 1
    assert "The header field at fault is Sec-WebSocket-Version." in done.stdout.decode()
    assert run("doctor", "--ray", opened, *at).returncode == 0
    found = json.loads(run("doctor", "--ray", opened, "--json", *at).stdout)
    assert (found["ray"], found["event"]) == (opened, "open")
    unknown = run("doctor", "--ray", "\x1b[2J", *at)
    assert unknown.returncode == 1
    assert b"knows no request" in unknown.stderr
    assert b"\x1b" not in unknown.stderr


def test_a_unix_socket_will_do(gateway: Running, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'admin.sock'}"
    with admin(gateway, address=address):
        assert run("top", "--once", address).returncode == 0
        ray = gateway.last("open")["ray"]
        assert run("doctor", "--ray", ray, "--admin", address).returncode == 0


def test_over_tls(gateway: Running, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    files = {name: path for name, path in authority.listen().items() if name != "address"}
    with admin(gateway, **files) as found:
        assert found.url.startswith("https://")
        trust = {"SSL_CERT_FILE": str(authority.trust)}
        assert run("top", "--once", found.url, **trust).returncode == 0
        ray = gateway.last("open")["ray"]
        assert run("doctor", "--ray", ray, "--admin", found.url, **trust).returncode == 0
        for strange in (("top", "--once", found.url), ("doctor", "--ray", ray, "--admin", found.url)):
            done = run(*strange, SSL_CERT_FILE=str(stranger.trust))
            assert done.returncode == 2
            assert b"is not trusted" in done.stderr
            assert b"SSL_CERT_FILE" in done.stderr
        # Without TLS there is no answer, and no traceback either.
        done = run("top", "--once", f"127.0.0.1:{found.port}")
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr


def test_the_doctor_has_to_be_told_what_to_look_at() -> None:
    done = run("doctor")
    assert done.returncode == 2
    assert b"--ray" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_commands(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    for text in ("edgews", "doctor", "token-file"):
        assert text in done.stdout.decode()
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, timeout=TIMEOUT).returncode == 0


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("edgews che", ["check"]),
        ("edgews check -c my", ["my.toml"]),
        ("edgews top --token-file my", ["my.toml"]),
        ("edgews rules test my", ["my.toml"]),
        ("edgews top --sort pi", ["ping"]),
    ],
)
def test_what_bash_completes(words: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "my.toml").touch()
    script = run("completion", "bash").stdout.decode()
    parts = words.split(" ")
    call = f"COMP_WORDS=({words}); COMP_CWORD={len(parts) - 1}; _shtab_edgews"
    done = subprocess.run(
        ["bash", "-c", f'{script}\n{call} edgews "{parts[-1]}" "{parts[-2]}"; echo "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=TIMEOUT,
    )
    assert done.stdout.split() == found


def test_completion_says_what_is_missing() -> None:
    done = run("completion", "bash", hide=("shtab",))
    assert done.returncode == 2
    assert b"edgews[cli]" in done.stderr


def test_connections_are_sorted_by_what_the_gateway_knows() -> None:
    assert list(SORTS) == sorted(KEYS)


def test_several_processes_show_as_one() -> None:
    with Origin() as origin:
        arguments = [
            "proxy",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "2",
            "--admin",
            "127.0.0.1:0",
            origin.uri,
        ]
        process = subprocess.Popen(
            [*command(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            said: dict[str, str] = {}
            while "Ctrl-C" not in (line := process.stderr.readline()):
                assert line, "it has ended"
                name, _, address = line.strip().partition(": ")
                said[name] = address
            host, _, port = said["gateway"].removeprefix("ws://").rpartition(":")
            with Raw.connect((host, int(port))) as raw:
                raw.send(wire.request({"Sec-WebSocket-Version": "8"}))
                raw.read_head()
                ray = raw.head.decode().partition("X-Edgews-Ray: ")[2].split()[0]
                raw.read_rest()
            url = said["live page and metrics"]
            update = json.loads(run("top", "--once", "--json", url).stdout)
            assert update["report"]["workers"] == 2
            assert [row["ray"] for row in update["report"]["refused"]] == [ray]
            assert run("doctor", "--ray", ray, "--admin", url).returncode == 1
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
                process.communicate()
