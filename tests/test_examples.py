"""The examples do what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgews.sync import WebSocket, connect
from tests import wire
from tests.raw import TIMEOUT, Raw

ADAPTERS = ["asyncio", "sync", "trio"]
EXAMPLES = Path(__file__).parents[1] / "examples"


def test_echo_client_and_server() -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "echo_server.py", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        client = subprocess.run(
            [sys.executable, EXAMPLES / "echo_client.py", address],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(TIMEOUT) == 0
    lines = client.stdout.splitlines()
    assert lines[:2] == ["received: 'Hello, wörld!'", "received: b'\\x00\\x01\\x02'"]
    assert lines[2].startswith("a Ping and its Pong took ")
    assert (client.stderr, client.returncode) == ("", 0)


@contextmanager
def chat_room(adapter: str) -> Iterator[str]:
    """Run a chat room, stop it with Ctrl-C, and see that it has no more to say."""
    with subprocess.Popen(
        [sys.executable, EXAMPLES / f"chat_{adapter}.py", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            assert (errors, server.returncode) == ("", 0)
        finally:
            server.kill()


def introduce(people: dict[str, WebSocket]) -> None:
    """Let everyone say their name; who hears it is in the room, and has heard all that was said before."""
    for name, ws in people.items():
        ws.send(name)
        wait_for(ws, name)
    *others, last = people
    for name in others:
        wait_for(people[name], last)


def wait_for(ws: WebSocket, message: str) -> None:
    while ws.recv(TIMEOUT) != message:
        pass


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_chat_room(adapter: str) -> None:
    with chat_room(adapter) as address, connect(address) as anna, connect(address) as berta:
        introduce({"anna": anna, "berta": berta})
        berta.send(b"how are you?")
        assert [anna.recv(TIMEOUT), berta.recv(TIMEOUT)] == [b"how are you?"] * 2


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_chat_room_goes_on_while_someone_leaves(adapter: str) -> None:
    with chat_room(adapter) as address, connect(address) as anna, connect(address) as berta:
        introduce({"anna": anna, "berta": berta})
        host, _, port = address.removeprefix("ws://").rstrip("/").rpartition(":")
        with Raw.open((host, int(port))) as carla:
            carla.send(wire.frame(wire.TEXT, b"carla", key=b"abcd"))
            for ws in (anna, berta):
                wait_for(ws, "carla")
            # Said goodbye, and not gone yet.
            carla.send(wire.frame(wire.CLOSE, b"\x03\xe8", key=b"abcd"))
            while (frame := carla.read_frame()) and frame[0] != wire.CLOSE:
                pass
            anna.send("one")
            if adapter != "sync":
                # With blocking calls one person may wait for another to be gone.
                wait_for(berta, "one")
        anna.send("two")
        for ws in (anna, berta):
            wait_for(ws, "two")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_chat_of_two_commands(adapter: str) -> None:
    """Two people at pipes, as they would sit at terminals: `edgews connect`."""
    with chat_room(adapter) as address, talking(address) as anna, talking(address) as berta:
        say(anna, "hello from anna")
        hear(anna, "hello from anna")
        say(berta, "hello from berta")
        for person in (anna, berta):
            hear(person, "hello from berta")


@contextmanager
def talking(address: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "edgews", "connect", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as person:
        try:
            yield person
            # The end of the pipe closes the connection.
            person.communicate(timeout=TIMEOUT)
            assert person.returncode == 0
        finally:
            person.kill()


def say(person: subprocess.Popen[str], message: str) -> None:
    assert person.stdin is not None
    print(message, file=person.stdin, flush=True)


def hear(person: subprocess.Popen[str], message: str) -> None:
    assert person.stdout is not None
    assert any(line.rstrip().endswith(message) for line in person.stdout)
