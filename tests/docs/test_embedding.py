"""The loops of the guide for those who embed the engine: with a client, and with peers that misbehave."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import trio
import trustme

from edgews import CauseKind, Disconnected, Event, Opcode, Request, ServerConnection, Timeouts
from edgews.sync import connect
from tests import wire
from tests.raw import TIMEOUT, Raw

from .http2_client import Http2Client

EXAMPLES = Path(__file__).parents[2] / "examples/embedding"
LOOPS = ["asyncio_streams", "blocking", "trio_streams"]


@contextmanager
def running(name: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """Run an example; give its address, and how to read its next line."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip(), server.stdout.readline
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            assert (errors, server.returncode) == ("", 0)
        finally:
            server.kill()


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"embedding_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What the timers are shown with; the loops come with the times by default.
HASTE = Timeouts(ping_interval=0.05, ping_timeout=0.2)
End = Callable[[Disconnected], None]


def reaction(conn: ServerConnection, end: End) -> Callable[[Event], bytes]:
    def react(event: Event) -> bytes:
        match event:
            case Request():
                return conn.accept()
            case Disconnected():
                end(event)
        return b""

    return react


def drive_blocking(module: ModuleType, sock: socket.socket, end: End) -> None:
    conn = ServerConnection(timeouts=HASTE)
    with sock:
        module.drive(sock, conn, reaction(conn, end))


def drive_asyncio(module: ModuleType, sock: socket.socket, end: End) -> None:
    async def main() -> None:
        conn = ServerConnection(timeouts=HASTE)
        reader, writer = await asyncio.open_connection(sock=sock)
        await module.drive(reader, writer, conn, reaction(conn, end))
        writer.close()
        await writer.wait_closed()

    asyncio.run(main())


def drive_trio(module: ModuleType, sock: socket.socket, end: End) -> None:
    async def main() -> None:
        conn = ServerConnection(timeouts=HASTE)
        sock.setblocking(False)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
            await module.drive(stream, conn, reaction(conn, end))

    trio.run(main)


DRIVERS = {"asyncio_streams": drive_asyncio, "blocking": drive_blocking, "trio_streams": drive_trio}


@pytest.mark.parametrize("name", LOOPS)
def test_a_client(name: str) -> None:
    with running(name) as (address, line):
        with connect(address) as ws:
            for message in ("hello", b"\x00\xff", "é" * 400_000):
                ws.send(message)
                assert ws.recv(TIMEOUT) == message
            assert ws.ping() > 0
            ws.close(4000, "done")
        assert line() == "closed with 4000, closed: the peer closed with 4000 (done)\n"


@pytest.mark.parametrize("name", LOOPS)
def test_a_client_that_reads_late(name: str) -> None:
    """Everything comes back, though far more is under way than fits into buffers."""
    count, message = 200, b"x" * 100_000
    with running(name) as (address, _), connect(address) as ws:
        sender = threading.Thread(target=lambda: list(map(ws.send, [message] * count)))
        sender.start()
        for _ in range(count):
            assert ws.recv(TIMEOUT) == message
        sender.join()


@pytest.mark.parametrize("name", LOOPS)
def test_a_client_that_vanishes(name: str) -> None:
    with running(name) as (address, line):
        host, port = address.removeprefix("ws://").strip("/").split(":")
        Raw.open((host, int(port))).sock.close()
        assert line().startswith("closed with 1006, peer vanished: ")


@pytest.mark.parametrize("name", LOOPS)
def test_a_client_that_breaks_a_rule(name: str) -> None:
    with running(name) as (address, line):
        host, port = address.removeprefix("ws://").strip("/").split(":")
        raw = Raw.open((host, int(port)))
        raw.send(wire.frame(Opcode.TEXT, b"no mask", key=None))
        frame = raw.read_frame()
        assert frame is not None
        assert (frame[0], frame[1][:2]) == (Opcode.CLOSE, (1002).to_bytes(2))
        assert raw.read_frame() is None
        raw.sock.close()
        assert line().startswith("closed with 1006, protocol error: ")


@pytest.mark.parametrize("name", LOOPS)
def test_the_timers(name: str) -> None:
    """A client that is silent gets a Ping, then a Close, then the end of the stream."""
    ends: list[Disconnected] = []
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=DRIVERS[name], args=(load(name), theirs, ends.append))
    server.start()
    with ours:
        raw = Raw(ours)
        raw.send(wire.request({}))
        raw.read_head()
        first = raw.read_frame()
        assert first is not None
        assert first[0] == Opcode.PING
        while (frame := raw.read_frame()) is not None and frame[0] == Opcode.PING:
            pass
        assert frame is not None
        assert (frame[0], frame[1][:2]) == (Opcode.CLOSE, (1011).to_bytes(2))
        assert raw.read_frame() is None
    server.join()
    assert [end.cause.kind for end in ends] == [CauseKind.PING_TIMEOUT]


def test_the_loop_of_asyncio_over_tls() -> None:
    """TLS cannot be ended in one direction; everything still arrives, and both Close frames."""
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    module = load("asyncio_streams")

    def converse(port: int) -> Disconnected:
        with connect(f"wss://localhost:{port}/", ssl=ours) as ws:
            ws.send("in secret")
            assert ws.recv(TIMEOUT) == "in secret"
        return ws.wait_closed(TIMEOUT)

    async def main() -> Disconnected:
        server = await asyncio.start_server(module.serve, "localhost", 0, ssl=theirs)
        async with server:
            return await asyncio.to_thread(converse, server.sockets[0].getsockname()[1])

    end = asyncio.run(main())
    assert (end.code, end.clean) == (1000, True)


def http2(address: str) -> Http2Client:
    host, port = address.removeprefix("ws://").strip("/").split(":")
    return Http2Client((host, int(port)))


def test_two_connections_on_one_of_http2() -> None:
    with running("http2") as (address, line), closing(http2(address)) as client:
        one, two = client.open("/one"), client.open("/two")
        for number in (one, two, one):
            client.send(number, client.conns[number].send(f"hello {number}"))
        client.wait(lambda: len(client.events[one]) == 2 and len(client.events[two]) == 1)
        assert client.events[one] == [f"hello {one}"] * 2
        client.send(one, client.conns[one].send_close(4000, "done"))
        assert client.end(one).code == 4000
        client.http.end_stream(one)
        client.flush()
        assert line() == "closed with 4000, closed: the peer closed with 4000 (done)\n"
        # The other one goes on.
        client.send(two, client.conns[two].send(b"still there"))
        client.wait(lambda: b"still there" in client.events[two])


def test_flow_control_of_http2() -> None:
    """As long as a client takes nothing, it gets no room to send; then all of it comes back."""
    message = random.Random(1).randbytes(500_000)
    with running("http2") as (address, _), closing(http2(address)) as client:
        number = client.open("/")
        conn = client.conns[number]
        client.silent = True
        # Of the first message all is taken, for nothing is sent before it is there; of the second less.
        client.send(number, conn.send(message, compress=False))
        waiting = conn.send(message, compress=False)
        client.settle()
        while room := client.room(number):
            client.http.send_data(number, waiting[:room])
            waiting = waiting[room:]
            client.settle()
        assert len(waiting) > 400_000
        client.acknowledge()
        client.send(number, waiting)
        client.wait(lambda: client.events[number] == [message, message])


def test_a_violation_over_http2() -> None:
    with running("http2") as (address, line), closing(http2(address)) as client:
        number = client.open("/")
        client.send(number, wire.frame(Opcode.TEXT, b"no mask", key=None))
        assert client.end(number).code == 1002
        client.http.end_stream(number)
        client.flush()
        assert line().startswith("closed with 1006, protocol error: ")


def test_a_stream_of_http2_that_is_reset() -> None:
    with running("http2") as (address, line), closing(http2(address)) as client:
        number = client.open("/")
        client.http.reset_stream(number)
        client.flush()
        assert line().startswith("closed with 1006, peer vanished: ")


def test_a_request_of_http2_that_opens_nothing() -> None:
    with running("http2") as (address, _), closing(http2(address)) as client:
        plain = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.com")]
        number = client.request(plain, end=True)
        client.wait(lambda: number in client.ended)
        assert client.responses[number][0] == (":status", "404")
        assert client.bodies[number] == b"here are only WebSocket connections.\n"


# Another implementation of HTTP/2, with a frame that is written out: FIN, text, masked, five octets.
NODE = """
const client = require("node:http2").connect(process.argv[1]);
client.on("remoteSettings", (settings) => {
  if (!settings.enableConnectProtocol) return;
  const stream = client.request({
    ":method": "CONNECT", ":protocol": "websocket", ":path": "/", ":authority": "example.com",
    ":scheme": "http", "sec-websocket-version": "13",
  });
  stream.on("response", (headers) => {
    console.log(headers[":status"]);
    stream.write(Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from("hello")]));
  });
  stream.on("data", (data) => {
    console.log(data.toString("latin1"));
    if (data[0] === 0x81) stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
  });
  stream.on("end", () => { stream.end(); client.close(); });
});
"""


@pytest.mark.node
def test_node_speaks_http2() -> None:
    node = shutil.which("node")
    assert node is not None
    with running("http2") as (address, line):
        done = subprocess.run(
            [node, "-e", NODE, address.replace("ws:", "http:")],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert (done.stderr, done.returncode) == ("", 0)
        assert done.stdout == "200\n\x81\x05hello\n\x88\x02\x03\u00e8\n"
        assert line() == "closed with 1000, closed: the peer closed with 1000\n"
