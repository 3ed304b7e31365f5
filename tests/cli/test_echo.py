"""`edgews echo` in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

import edgews.cli
from edgews import PerMessageDeflate
from edgews.cli.echo import ADAPTERS, page
from edgews.cli.rules import RULES
from edgews.sync import connect
from tests.cli.process import EDGEWS, echo, run
from tests.raw import TIMEOUT, Raw

# What RFC 6455 says that the peer is told.
CODES = {
    "unmasked": 1002,
    "reserved-bit": 1002,
    "reserved-opcode": 1002,
    "continuation": 1002,
    "long-ping": 1002,
    "close-code": 1002,
    "not-utf8": 1007,
    "too-big": 1009,
}


def config_of(page: str) -> dict[str, object]:
    found = re.search(r'<script id="config" type="application/json">(.*?)</script>', page)
    assert found is not None
    config: dict[str, object] = json.loads(found[1])
    return config


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return f"--adapter={request.param}"


class TestMessages:
    def test_come_back(self, adapter: str) -> None:
        with echo(adapter) as server, connect(server.ws) as ws:
            for message in ("Hello", "wörld", b"\x00\xff", "x" * 1_048_576):
                ws.send(message)
                assert ws.recv(TIMEOUT) == message
            assert ws.response is not None
            assert not ws.response.headers.has("Sec-WebSocket-Extensions")

    def test_compressed(self, adapter: str) -> None:
        with echo(adapter, "--deflate") as server, connect(server.ws, compression=PerMessageDeflate()) as ws:
            assert ws.response is not None
            assert ws.response.headers.has("Sec-WebSocket-Extensions")
            ws.send("y" * 100_000)
            assert ws.recv(TIMEOUT) == "y" * 100_000

    def test_too_big(self, adapter: str) -> None:
        with echo(adapter, "--max-size", "1000") as server, connect(server.ws) as ws:
            ws.send("x" * 1000)
            assert ws.recv(TIMEOUT) == "x" * 1000
            ws.send("x" * 1001)
            assert list(ws) == []
            assert ws.closed is not None
            assert ws.closed.code == 1009


class TestHttp:
    def test_page(self, adapter: str) -> None:
        with echo(adapter, "--max-size", "1234", "--deflate") as server:
            with urllib.request.urlopen(server.http, timeout=TIMEOUT) as response:
                body = response.read().decode()
                assert response.headers["Content-Type"] == "text/html; charset=utf-8"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            config = config_of(body)
        assert (config["maxSize"], config["deflate"]) == (1234, True)

    def test_page_asks_for_nothing_else(self) -> None:
        """One file: no address of anything outside in it."""
        addresses = re.findall(r"""(?:src|href|url|@import)\s*[=(]\s*["']?([^"')\s>]+)""", page_text())
        assert all(address.startswith("data:") for address in addresses)
        assert re.findall(r"https?://[^\s'\"]+", page_text()) == ["http://www.w3.org/2000/svg"]

    def test_config_cannot_end_its_element(self) -> None:
        assert config_of(page_text())["maxSize"] == 5

    def test_head(self) -> None:
        with echo() as server, Raw.connect(server.address) as raw:
            raw.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.read_head().startswith(b"HTTP/1.1 200 ")
            assert raw.read_rest() == b""

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "favicon.ico", 404), ("POST", "", 405)])
    def test_anything_else(self, method: str, path: str, status: int) -> None:
        with echo() as server:
            asked = urllib.request.Request(server.http + path, method=method)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(asked, timeout=TIMEOUT)
            caught.value.close()
        assert caught.value.status == status


def page_text() -> str:
    return page(deflate=False, max_size=5).decode()


class TestWrongFrames:
    def test_each_rule(self, adapter: str) -> None:
        assert RULES.keys() == CODES.keys()
        with echo(adapter) as server, connect(server.ws + "break") as ws:
            for name, code in CODES.items():
                ws.send(name)
                report = json.loads(ws.recv(TIMEOUT))
                assert report["code"] == code, report
                assert report["rule"] == RULES[name].title
                assert f"failed with {code}" in report["cause"]
                assert report["reason"]
                assert report["meaning"]

    def test_no_such_rule(self, adapter: str) -> None:
        with echo(adapter) as server, connect(server.ws + "break") as ws:
            for name in ("nonsense", b"\xff"):
                ws.send(name)
                assert "no such rule" in json.loads(ws.recv(TIMEOUT))["error"]


class TestProcess:
    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
    def test_stops_cleanly_and_tells_its_clients(self, stop: signal.Signals, adapter: str) -> None:
        with echo(adapter) as server:
            with connect(server.ws) as ws, Raw.connect(server.address):
                ws.send("here")
                assert ws.recv(TIMEOUT) == "here"
                server.process.send_signal(stop)
                assert list(ws) == []
                assert ws.closed is not None
                assert (ws.closed.code, ws.closed.clean) == (1001, True)
            assert server.process.wait(TIMEOUT) == 0

    def test_in_the_background_only_sigterm_stops_it(self, adapter: str) -> None:
        with echo(adapter, background=True) as server, connect(server.ws) as ws:
            server.process.send_signal(signal.SIGINT)
            ws.send("here")
            assert ws.recv(TIMEOUT) == "here"
            server.process.send_signal(signal.SIGTERM)
            assert list(ws) == []
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.clean) == (1001, True)
            assert server.process.wait(TIMEOUT) == 0

    def test_a_second_ctrl_c_ends_it_quietly(self, adapter: str) -> None:
        with echo(adapter) as server, Raw.open(server.address) as raw:
            server.process.send_signal(signal.SIGINT)
            # Its Close has come, ours never goes.
            assert raw.read_frame() == (0x8, (1001).to_bytes(2, "big"))
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(TIMEOUT) == 0

    def test_uvloop_where_it_is_installed(self) -> None:
        with echo() as server:
            assert server.name == ("asyncio on uvloop" if find_spec("uvloop") else "asyncio")
        with echo(hide=["uvloop"]) as server, connect(server.ws) as ws:
            assert server.name == "asyncio"
            ws.send("here")
            assert ws.recv(TIMEOUT) == "here"

    def test_trio_that_is_not_installed(self) -> None:
        done = run("echo", "--port", "0", "--adapter", "trio", hide=["trio"])
        assert done.returncode == 2
        assert b"pip install 'edgews[trio]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            done = run("echo", "--port", str(sock.getsockname()[1]))
        assert done.returncode == 2
        assert b"Address already in use" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_host_that_is_not_ours(self) -> None:
        done = run("echo", "--host", "192.0.2.1")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert run("echo", "--host", "host.invalid").returncode == 2

    def test_every_address(self) -> None:
        with (
            echo("--host", "0.0.0.0") as server,
            connect(server.ws.replace("0.0.0.0", "127.0.0.1") + "break") as ws,
        ):
            ws.send("unmasked")
            assert json.loads(ws.recv(TIMEOUT))["code"] == 1002


class TestArguments:
    def test_version(self) -> None:
        done = run("--version")
        assert done.stdout.decode() == f"edgews {edgews.__version__} (backend: {edgews.BACKEND})\n"

    @pytest.mark.parametrize("arguments", [[], ["echo"], ["connect"]])
    def test_help(self, arguments: list[str]) -> None:
        done = run(*arguments, "--help")
        assert done.returncode == 0
        assert b"usage: edgews" in done.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["nonsense"],
            ["echo", "--port", "65536"],
            ["echo", "--port", "x"],
            ["echo", "--adapter", "twisted"],
            ["echo", "--max-size", "-1"],
            ["connect"],
            ["connect", "--timeout", "0", "ws://x/"],
            ["connect", "--timeout", "nan", "ws://x/"],
            ["connect", "--timeout", "soon", "ws://x/"],
            ["echo", "--max-size", "1k"],
            ["proxy", "--workers", "many", "ws://x/"],
            ["connect", "--wait", "-1", "ws://x/"],
            ["connect", "--header", "nonsense", "ws://x/"],
        ],
    )
    def test_wrong_ones(self, arguments: list[str]) -> None:
        done = run(*arguments)
        assert done.returncode == 2
        assert b"usage: edgews" in done.stderr
        assert b"Traceback" not in done.stderr
        # What argparse says by itself names a function.
        assert b"invalid _" not in done.stderr

    def test_the_installed_command_is_the_same(self) -> None:
        (command,) = entry_points(group="console_scripts", name="edgews")
        assert command.load() is edgews.cli.main
        assert subprocess.run([*EDGEWS, "--version"], capture_output=True).returncode == 0
