"""The gateway as a whole: TLS, Unix sockets, reload, drain, and other people's code at both ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from pathlib import Path

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import check_values
from edgews.edge.gateway.server import Gateway
from tests import wire
from tests.edge.harness import Authority, Origin, Running, eventually, running, switch, tunnel
from tests.raw import TIMEOUT, Raw

loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])
TEXT = wire.frame(wire.TEXT, b"hello")
BACK = wire.frame(wire.TEXT, b"hello", key=None)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@loops
def test_tls_at_both_ends(authority, uvloop):
    with Origin() as origin:
        listening = origin.sock
        uri = f"wss://127.0.0.1:{listening.getsockname()[1]}"
        context = authority.server_context()
        top = {"listen": [authority.listen()]}
        with running(uri, ca=str(authority.trust), uvloop=uvloop, top=top) as gateway:
            client = authority.connect(gateway.address)
            assert client.sock.selected_alpn_protocol() == "http/1.1"
            client.send(wire.request())
            server = Raw(context.wrap_socket(listening.accept()[0], server_side=True))
            server.read_head()
            assert b"x-forwarded-proto: https" in server.head.lower()
            server.send(switch() + BACK)
            client.read_head()
            client.send(TEXT * 1000)
            assert client.read_frame() == (wire.TEXT, b"hello")
            assert [server.read_frame() for _ in range(1000)] == [(wire.TEXT, b"hello")] * 1000
            client.send(wire.close(1000))
            assert server.read_frame() == (wire.CLOSE, b"\x03\xe8")
            server.send(wire.close(1000, key=None))
            assert client.read_frame() == (wire.CLOSE, b"\x03\xe8")
            client.close()
            server.close()
            eventually(gateway.is_empty, "the connection is gone")
            assert gateway.last("end")["code"] == 1000


def test_an_origin_whose_certificate_nobody_trusts(authority):
    with Origin() as origin:
        uri = f"wss://127.0.0.1:{origin.sock.getsockname()[1]}"

        def serve() -> None:
            sock = origin.sock.accept()[0]
            sock.settimeout(TIMEOUT)
            with pytest.raises(ssl.SSLError):
                authority.server_context().wrap_socket(sock, server_side=True)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with running(uri) as gateway, Raw.connect(gateway.address) as client:
            client.send(wire.request())
            got = client.read_rest()
            assert got.startswith(b"HTTP/1.1 502")
            assert b"certificate" in got
        thread.join(TIMEOUT)


def test_a_certificate_is_swapped_under_traffic(authority):
    top = {"listen": [authority.listen()]}
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        first = authority.connect(gateway.address)
        first.send(wire.request())
        server = origin.accept()
        server.send(switch())
        first.read_head()
        old = first.sock.getpeercert(True)
        authority.issue()
        gateway.call(gateway.gateway.reload(gateway.gateway.config))
        second = authority.connect(gateway.address)
        assert second.sock.getpeercert(True) != old
        first.send(TEXT)
        assert server.read_frame() == (wire.TEXT, b"hello")
        # A broken file changes nothing.
        authority.certificate.write_text("nothing")
        with pytest.raises(ConfigError, match=r"listen\[0\].certificate: cannot be used"):
            gateway.call(gateway.gateway.reload(gateway.gateway.config))
        third = authority.connect(gateway.address)
        for raw in (first, second, third, server):
            raw.close()


def test_all_files_that_cannot_be_used_are_named(tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("no key")
    values = {
        "listen": [{"address": "127.0.0.1:0", "certificate": str(tmp_path / "none"), "key": str(key)}],
        "route": [{"origins": ["wss://127.0.0.1:1"], "ca": str(key)}],
    }

    async def start() -> None:
        Gateway(check_values(values, "", "x.toml"))

    with pytest.raises(ConfigError) as caught:
        asyncio.run(start())
    assert [fault.key for fault in caught.value.faults] == ["listen[0].certificate", "route[0].ca"]


@loops
def test_unix_sockets_at_both_ends(tmp_path, uvloop):
    path = str(tmp_path / "origin")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    listening.settimeout(TIMEOUT)
    top = {"listen": [{"address": f"unix:{tmp_path}/gateway"}]}
    with listening, running(f"unix:{path}", top=top, uvloop=uvloop) as gateway:
        assert gateway.gateway.addresses == [f"unix:{tmp_path}/gateway"]
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{tmp_path}/gateway")
        with Raw(sock) as client:
            client.send(wire.request())
            with Raw(listening.accept()[0]) as server:
                assert b"X-Forwarded-For" not in server.read_head()
                server.send(switch())
                client.read_head()
                client.send(TEXT)
                assert server.read_frame() == (wire.TEXT, b"hello")


def test_an_address_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        top = {"listen": [{"address": "127.0.0.1:0"}, {"address": address}]}
        with pytest.raises(OSError, match="address"), running("ws://127.0.0.1:1", top=top):
            pass


# Reload


def values(origin: Origin, address: str, **route) -> dict:
    return {
        "listen": [{"address": address}],
        "route": [{"name": "test", "origins": [origin.uri], **route}],
    }


def reload(gateway, values: dict) -> None:
    gateway.call(gateway.gateway.reload(check_values(values, "", "x.toml")))


@loops
def test_reload_under_traffic(uvloop):
    """Open connections keep their origin and their listener; new ones have what the new file says."""
    with Origin() as old, Origin() as new, running(old.uri, uvloop=uvloop) as gateway:
        stop = threading.Event()
        with tunnel(gateway, old) as (client, server):

            def chat() -> None:
                while not stop.is_set():
                    client.send(TEXT)
                    assert server.read_frame() == (wire.TEXT, b"hello")
                    server.send(BACK)
                    assert client.read_frame() == (wire.TEXT, b"hello")

            chatting = threading.Thread(target=chat)
            chatting.start()
            try:
                for _ in range(20):
                    reload(gateway, values(new, "127.0.0.1:0", path="/chat"))
                    with tunnel(gateway, new) as (other, other_server):
                        other.send(TEXT)
                        assert other_server.read_frame() == (wire.TEXT, b"hello")
                # A listener that goes takes no connection with it.
                reload(gateway, values(new, "localhost:0"))
                with tunnel(gateway, new):
                    pass
            finally:
                stop.set()
                chatting.join(TIMEOUT)
        assert len(gateway.records("refused")) == 0


def test_a_reload_that_fails_changes_nothing(authority):
    with Origin() as origin, running(origin.uri) as gateway:
        before = gateway.gateway.addresses
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(OSError, match="address"):
                reload(gateway, values(origin, address))
        authority.certificate.write_text("nothing")
        secure = {**values(origin, "127.0.0.1:0"), "listen": [authority.listen()]}
        with pytest.raises(ConfigError, match="cannot be used"):
            reload(gateway, secure)
        assert gateway.gateway.addresses == before
        with tunnel(gateway, origin):
            pass


def test_a_listener_begins_to_speak_tls(authority):
    with Origin() as origin, running(origin.uri) as gateway, tunnel(gateway, origin) as (client, server):
        port = gateway.address[1]
        reload(gateway, {**values(origin, "127.0.0.1:0"), "listen": [authority.listen()]})
        assert gateway.gateway.addresses == [f"wss://127.0.0.1:{port}"]
        authority.connect(gateway.address).close()
        client.send(TEXT)
        assert server.read_frame() == (wire.TEXT, b"hello")


# Drain


@loops
def test_drain_loses_no_message_that_was_accepted(uvloop):
    with Origin() as origin, running(origin.uri, uvloop=uvloop) as gateway:
        address = gateway.address
        with tunnel(gateway, origin) as (client, server):
            client.send(TEXT * 3)
            assert [server.read_frame() for _ in range(3)] == [(wire.TEXT, b"hello")] * 3
            draining = asyncio.run_coroutine_threadsafe(gateway.gateway.drain(10.0), gateway.loop)
            opcode, payload = server.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
            # What the origin says in front of its own Close still gets there.
            server.send(BACK * 1000 + wire.close(1001, key=None))
            assert [client.read_frame() for _ in range(1000)] == [(wire.TEXT, b"hello")] * 1000
            opcode, payload = client.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
            client.send(wire.close(1001))
            assert client.read_rest() == b""
            # The server ends the stream first.
            server.close()
            draining.result(TIMEOUT)
            with pytest.raises(ConnectionRefusedError):
                Raw.connect(address)
        assert gateway.last("end")["by"] == "gateway"


def test_drain_has_a_hard_end():
    with Origin() as origin, running(origin.uri) as gateway:
        silent = Raw.connect(gateway.address)
        with tunnel(gateway, origin) as (_, server):
            gateway.call(gateway.gateway.drain(0.2))
            assert gateway.is_empty()
            assert server.read_frame() is not None
            assert server.read_rest() == b""
        assert silent.read_rest() == b""
        silent.close()


def test_an_origin_that_answers_nothing_keeps_no_client_from_its_close():
    with Origin() as origin, running(origin.uri) as gateway, tunnel(gateway, origin) as (client, server):
        draining = asyncio.run_coroutine_threadsafe(gateway.gateway.drain(6.0), gateway.loop)
        opcode, payload = client.read_frame()
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
        client.send(wire.close(1001))
        assert client.read_rest() == b""
        draining.result(TIMEOUT)
        assert server.read_frame() is not None
        assert gateway.last("end")["why"] == "drain"


def test_who_waits_for_an_answer_is_told_of_the_drain():
    with Origin() as origin, running(origin.uri) as gateway:
        asking, waiting, silent = (Raw.connect(gateway.address) for _ in range(3))
        asking.send(wire.request()[:20])
        waiting.send(wire.request())
        with origin.accept() as server:
            known = gateway.gateway.connections
            eventually(lambda: len(known) == 3, "all are known")
            eventually(
                lambda: any(one._reader is not None and one._reader.has_data for one in list(known)),
                "the beginning of a request is read",
            )
            draining = asyncio.run_coroutine_threadsafe(gateway.gateway.drain(TIMEOUT), gateway.loop)
            for client in (asking, waiting):
                assert client.read_rest().startswith(b"HTTP/1.1 503 ")
                client.close()
            assert silent.read_rest() == b""
            silent.close()
            assert server.read_rest() == b""
            draining.result(TIMEOUT)
        refusal = next(record for record in gateway.records("refused") if record["target"] == "/chat")
        assert (refusal["status"], refusal["cause"]) == (503, "draining")


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
def test_a_plain_request_ends_with_a_drain(begun):
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: example.com\r\n\r\n")
        with origin.accept() as server:
            server.send(begun)
            if begun:
                client.read_head()
            gateway.call(gateway.gateway.drain(0.2))
        event, status = ("request", 200) if begun else ("refused", 503)
        record = gateway.last(event)
        assert (record["status"], record["cause"]) == (status, "draining")
        if not begun:
            assert client.read_rest().startswith(b"HTTP/1.1 503 ")


# Choosing an origin


def test_the_least_busy_origin_gets_the_next_connection():
    with Origin() as one, Origin() as two, running(one.uri, two.uri) as gateway:
        held = [Raw.connect(gateway.address) for _ in range(6)]
        for client in held:
            client.send(wire.request())
        servers = [origin.accept() for origin in (one, two) for _ in range(3)]
        for raw in (*held, *servers):
            raw.close()


# Other people's code


@pytest.mark.peers
@loops
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_websockets_at_both_ends(compression, uvloop):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosedOK

    messages = ["hello", "é" * 50_000, b"\x00" * 200_000, "", b"x"]

    async def echo(ws: ServerConnection) -> None:
        assert ws.request is not None
        if ws.request.path == "/close":
            await ws.close(4000, "enough")
        async for message in ws:
            await ws.send(message)

    async def talk(address: tuple[str, int]) -> None:
        uri = f"ws://{address[0]}:{address[1]}"
        async with connect(f"{uri}/chat", compression=compression, subprotocols=["b", "a"]) as ws:
            assert ws.subprotocol == "a"
            assert bool(ws.protocol.extensions) is (compression is not None)
            for message in messages:
                await ws.send(message)
            assert [await ws.recv() for _ in messages] == messages
            await ws.send(iter(["in ", "pieces"]))
            assert await ws.recv() == "in pieces"
            await (await ws.ping(b"x"))
        async with connect(f"{uri}/close", compression=compression, subprotocols=["a"]) as ws:
            with pytest.raises(Exception, match=r"4000.*enough") as caught:
                await ws.recv()
            assert not isinstance(caught.value, ConnectionClosedOK)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, compression=compression, subprotocols=["a"]) as server:
            port = server.sockets[0].getsockname()[1]

            def run() -> None:
                with running(f"ws://127.0.0.1:{port}", uvloop=uvloop) as gateway:
                    asyncio.run(talk(gateway.address))
                    eventually(gateway.is_empty, "all connections are gone")
                    assert [record["code"] for record in gateway.records("end")] == [1000, 4000]
                    assert gateway.records("end")[0]["messages_up"] == 6

            await asyncio.to_thread(run)

    asyncio.run(main())


@pytest.mark.peers
def test_drain_under_traffic_loses_nothing_that_passed():
    """What clients got is what the origin said, and what the origin got is what the log has."""
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    heard: list[str] = []
    got: list[str] = []
    codes: list[int] = []

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            heard.append(str(message))
            await ws.send(message)

    async def talk(uri: str, name: int, busy: asyncio.Event) -> None:
        async with connect(uri) as ws:
            try:
                for number in range(1_000_000):
                    await ws.send(f"{name} {number}")
                    assert await ws.recv() == f"{name} {number}"
                    got.append(f"{name} {number}")
                    if number == 20:
                        busy.set()
            except ConnectionClosed as closed:
                codes.append(0 if closed.rcvd is None else closed.rcvd.code)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            gateway = await asyncio.to_thread(start, f"ws://127.0.0.1:{port}")
            try:
                uri = f"ws://{gateway.address[0]}:{gateway.address[1]}"
                busy = [asyncio.Event() for _ in range(30)]
                tasks = [asyncio.create_task(talk(uri, name, event)) for name, event in enumerate(busy)]
                for event in busy:
                    await event.wait()
                draining = asyncio.run_coroutine_threadsafe(gateway.gateway.drain(TIMEOUT), gateway.loop)
                await asyncio.gather(*tasks)
                await asyncio.wrap_future(draining)
            finally:
                await asyncio.to_thread(gateway.stop)
            ends = gateway.records("end")
            assert len(ends) == len(codes) == 30
            assert set(codes) == {1001}
            assert sum(record["messages_down"] for record in ends) == len(got)
            assert sum(record["messages_up"] for record in ends) == len(heard)
            assert set(got) <= set(heard)

    def start(origin: str) -> Running:
        values = {"listen": [{"address": "127.0.0.1:0"}], "route": [{"origins": [origin]}]}
        return Running(values)

    asyncio.run(main())
