"""How relayed connections end, and what they may cost, whatever one side does to the other."""

from __future__ import annotations

import socket
import threading

import pytest

from tests import wire
from tests.edge.harness import Origin, eventually, running, switch, tunnel
from tests.raw import TIMEOUT, Raw

TEXT = wire.frame(wire.TEXT, b"hello")
BACK = wire.frame(wire.TEXT, b"hello", key=None)
loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])


# Violations, and what both sides are told


@loops
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"opcode": 3}, 1002),
        ({"opcode": wire.TEXT, "rsv": 4}, 1002),
        ({"opcode": wire.TEXT, "mask": False}, 1002),
        ({"opcode": wire.CONTINUATION}, 1002),
        ({"opcode": wire.CLOSE, "payload": b"\x03"}, 1002),
        ({"opcode": wire.CLOSE, "payload": b"\x03\xe8\xff"}, 1007),
        ({"opcode": wire.BINARY, "length": 1 << 40}, 1009),
    ],
)
def test_a_broken_rule_fails_both_sides_and_does_not_pass(from_client, wrong, code, uvloop):
    def frame(opcode, payload=b"hello", *, mask=True, **how):
        return wire.frame(opcode, payload, key=wire.KEY if mask is from_client else None, **how)

    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        bad, good = (client, server) if from_client else (server, client)
        bad.send(frame(wire.TEXT) + frame(**wrong))
        assert good.read_frame() == (wire.TEXT, b"hello")
        opcode, payload = good.read_frame()
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001 if from_client else 1014)
        opcode, payload = bad.read_frame()
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, code)
        good.send(wire.frame(wire.CLOSE, payload, key=None if from_client else wire.KEY))
        assert bad.read_rest() == b""
        bad.close()
        assert good.read_rest() == b""
        good.close()
        end = gateway.last("end")
        assert (end["code"], end["by"]) == (code, "client" if from_client else "origin")


# Ends without a Close


@loops
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_is_lost_ends_the_origins_stream(how, uvloop):
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        client.send(TEXT)
        assert server.read_frame() == (wire.TEXT, b"hello")
        getattr(client, how)()
        assert server.read_rest() == b""
        server.close()
        eventually(gateway.is_empty, "the connection is gone")
        assert gateway.last("end")["code"] == 1006
        assert gateway.last("end")["by"] == "client"


@loops
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_of_a_lost_origin_gets_1014(how, uvloop):
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        server.send(BACK)
        assert client.read_frame() == (wire.TEXT, b"hello")
        getattr(server, how)()
        opcode, payload = client.read_frame()
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1014)
        client.send(wire.close(1014))
        assert client.read_rest() == b""
        eventually(gateway.is_empty, "the connection is gone")
        assert gateway.last("end")["code"] == 1006
        assert gateway.last("end")["by"] == "origin"


def test_a_client_of_an_origin_that_is_lost_inside_a_frame_gets_no_close():
    with Origin() as origin, running(origin.uri) as gateway, tunnel(gateway, origin) as (client, server):
        server.send(wire.frame(wire.TEXT, b"hel", key=None, length=5))
        server.close()
        assert client.read_rest() == b"\x81\x05hel"


def test_a_close_that_the_origin_does_not_answer_is_answered_in_its_place():
    with Origin() as origin, running(origin.uri) as gateway, tunnel(gateway, origin) as (client, server):
        client.send(wire.close(3000))
        assert server.read_frame() == (wire.CLOSE, b"\x0b\xb8")
        server.close()
        assert client.read_frame() == (wire.CLOSE, b"\x0b\xb8")
        assert client.read_rest() == b""


def test_a_half_close_is_passed_on():
    with Origin() as origin, running(origin.uri) as gateway, tunnel(gateway, origin) as (client, server):
        client.sock.shutdown(socket.SHUT_WR)
        assert server.read_rest() == b""
        server.send(BACK + wire.close(1000, key=None))
        server.close()
        assert client.read_frame() == (wire.TEXT, b"hello")
        assert client.read_frame() == (wire.CLOSE, b"\x03\xe8")
        assert client.read_rest() == b""


@pytest.mark.parametrize("silent", ["client", "origin", "both"])
def test_who_never_ends_is_dropped_at_the_close_timeout(silent):
    with (
        Origin() as origin,
        running(origin.uri, close_timeout=0.3) as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        if silent == "client":
            server.send(wire.close(1000, key=None))
        else:
            client.send(wire.close(1000))
        if silent == "origin":
            assert server.read_frame()
        eventually(gateway.is_empty, "the connection is gone")


def test_a_client_that_hangs_up_early_costs_nothing():
    with Origin() as origin, running(origin.uri) as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            server = origin.accept()
        eventually(gateway.is_empty, "the connection is gone")
        assert server.read_rest() == b""
        server.close()


def test_an_early_flood_waits():
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        client.send(wire.request())
        with origin.accept() as server:
            frame = wire.frame(wire.BINARY, bytes(60_000))
            total = 500
            flood = threading.Thread(target=lambda: client.send(frame * total))
            flood.start()
            eventually(lambda: max(map(held, gateway.gateway.connections)) > 60_000, "early bytes are there")
            assert max(map(held, gateway.gateway.connections)) < 1 << 20
            server.send(switch())
            for _ in range(total):
                assert server.read_frame() == (wire.BINARY, bytes(60_000))
            flood.join(TIMEOUT)


def held(proxied) -> int:
    return len(proxied._early)


@loops
@pytest.mark.parametrize("slow", ["client", "origin"])
def test_who_does_not_read_makes_the_other_side_wait(slow, uvloop):
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop) as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        fast = server if slow == "client" else client
        frame = wire.frame(wire.BINARY, bytes(60_000), key=None if slow == "client" else wire.KEY)
        fast.sock.setblocking(False)
        sent = 0
        rest = b""
        # Until nothing more is taken for a while, which is when all buffers are full.
        while True:
            rest = rest or frame
            try:
                count = fast.sock.send(rest)
            except BlockingIOError:
                fast.sock.settimeout(1.0)
                try:
                    count = fast.sock.send(rest)
                except TimeoutError:
                    break
                fast.sock.setblocking(False)
            sent += count
            rest = rest[count:]
            assert sent < 64 << 20, "nobody has to wait"

        def waiting() -> int:
            (proxied,) = gateway.gateway.connections
            streams = (proxied.client, proxied.origin_stream)
            return sum(stream.transport.get_write_buffer_size() for stream in streams)

        assert waiting() < 1 << 20
        fast.sock.settimeout(TIMEOUT)
        slower = client if slow == "client" else server
        writer = threading.Thread(target=lambda: fast.send(rest))
        writer.start()
        for _ in range(-(-sent // len(frame))):
            assert slower.read_frame() == (wire.BINARY, bytes(60_000))
        writer.join(TIMEOUT)


@loops
def test_300_tunnels_leave_nothing(uvloop):
    with Origin() as origin, running(origin.uri, uvloop=uvloop) as gateway:
        for number in range(300):
            with tunnel(gateway, origin) as (client, server):
                client.send(TEXT)
                assert server.read_frame() == (wire.TEXT, b"hello")
                if number % 3 == 0:
                    client.send(wire.close(1000))
                elif number % 3 == 1:
                    client.reset()
                else:
                    server.reset()
        eventually(gateway.is_empty, "all connections are gone")
        eventually(lambda: len(gateway.records("end")) == 300, "all ends are logged")
