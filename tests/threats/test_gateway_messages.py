"""What clients and origins can do to a gateway that looks into their messages."""

from __future__ import annotations

import threading
import zlib

import pytest

from tests import wire
from tests.edge.harness import Origin, Running, eventually, running, switch, tunnel
from tests.raw import TIMEOUT, Raw

pytestmark = pytest.mark.edge
loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])

DEFLATE = "permessage-deflate"


def deflated(message: bytes, level: int = -1) -> bytes:
    """Return the payload of a compressed message that refers to no other one."""
    deflater = zlib.compressobj(level, wbits=-15)
    return (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def drain(raw: Raw, count: int, size: int, masked: bool) -> None:
    """Read so many long frames as fast as they come; nobody looks into them."""
    left = count * (size + (4 if masked else 0) + (4 if size < 1 << 16 else 10))
    while left:
        data = raw.sock.recv(min(left, 1 << 20))
        assert data, f"the stream ended, {left} bytes early"
        left -= len(data)


def squeezing(gateway: Running, origin: Origin):
    """Open a connection on which both sides compress."""
    client = Raw.connect(gateway.address)
    client.send(wire.request({"Sec-WebSocket-Extensions": DEFLATE}))
    server = origin.accept()
    server.send(switch(f"Sec-WebSocket-Extensions: {DEFLATE}; server_max_window_bits=12"))
    assert DEFLATE.encode() in client.read_head()
    return client, server


@loops
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"opcode": wire.TEXT, "payload": b"\xff"}, 1007),
        ({"opcode": wire.TEXT, "payload": b"\xed\xa0\x80"}, 1007),
        ({"opcode": wire.BINARY, "payload": bytes(101)}, 1009),
        ({"opcode": wire.BINARY, "payload": b"", "length": 1 << 40}, 1009),
        ({"opcode": wire.TEXT, "mask": False}, 1002),
        ({"opcode": wire.CONTINUATION}, 1002),
        ({"opcode": wire.TEXT, "rsv": 4}, 1002),
    ],
)
def test_a_broken_rule_fails_both_sides_and_does_not_pass(from_client, wrong, code, uvloop):
    def frame(opcode, payload=b"hello", *, mask=True, **how):
        return wire.frame(opcode, payload, key=wire.KEY if mask is from_client else None, **how)

    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop, inspect="messages", max_message_size=100) as gateway,
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


@pytest.mark.parametrize("from_client", [True, False])
def test_a_message_that_inflates_beyond_the_limit(from_client):
    bomb = deflated(bytes(64 << 20), 9)
    assert len(bomb) < 80_000
    with Origin() as origin, running(origin.uri, inspect="messages") as gateway:
        client, server = squeezing(gateway, origin)
        with client, server:
            bad, good = (client, server) if from_client else (server, client)
            key = wire.KEY if from_client else None
            bad.send(wire.frame(wire.BINARY, bomb, rsv=4, key=key))
            opcode, payload = good.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001 if from_client else 1014)
            opcode, payload = bad.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1009)
            good.send(wire.close(1000, key=None if from_client else wire.KEY))
            assert bad.read_rest() == b""
            bad.close()
            assert good.read_rest() == b""
        assert gateway.last("end")["code"] == 1009


@loops
@pytest.mark.parametrize("slow", ["client", "origin"])
def test_small_reads_that_become_large_wait_for_who_takes_nothing(slow, uvloop):
    """Each frame of a kilobyte is a message of a megabyte; one read has many of them."""
    size, count = 1_000_000, 40
    with (
        Origin() as origin,
        running(origin.uri, inspect="messages", uvloop=uvloop, ping_interval="off") as gateway,
    ):
        client = Raw.connect(gateway.address)
        # Only one side compresses: what is small here is large there.
        offers = DEFLATE if slow == "origin" else None
        client.send(wire.request({"Sec-WebSocket-Extensions": offers}))
        server = origin.accept()
        agreed = [f"Sec-WebSocket-Extensions: {DEFLATE}; server_max_window_bits=12"]
        server.send(switch(*(agreed if slow == "client" else [])))
        client.read_head()
        with client, server:
            fast, slower = (server, client) if slow == "client" else (client, server)
            key = None if slow == "client" else wire.KEY
            fast.send(wire.frame(wire.BINARY, deflated(bytes(size)), rsv=4, key=key) * count)
            (proxied,) = gateway.gateway.connections
            eventually(lambda: proxied.tunnel, "the tunnel is open")
            legs = (proxied.tunnel.client, proxied.tunnel.origin)
            eventually(lambda: any(leg.holds and leg.paused for leg in legs), "the sender has to wait")

            def waiting() -> int:
                streams = (proxied.client, proxied.origin_stream)
                return sum(stream.transport.get_write_buffer_size() for stream in streams)

            assert waiting() < 3 * size
            drain(slower, count, size, slow == "origin")
            fast.send(wire.close(1000, key=key))
            assert slower.read_frame() == (wire.CLOSE, b"\x03\xe8")


@loops
@pytest.mark.parametrize("slow", ["client", "origin"])
def test_who_does_not_read_makes_the_other_side_wait(slow, uvloop):
    with (
        Origin() as origin,
        running(origin.uri, uvloop=uvloop, inspect="messages", ping_interval="off") as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        fast, slower = (server, client) if slow == "client" else (client, server)
        frame = wire.frame(wire.BINARY, bytes(60_000), key=None if slow == "client" else wire.KEY)
        count = 500
        writer = threading.Thread(target=lambda: fast.send(frame * count))
        writer.start()
        (proxied,) = gateway.gateway.connections
        eventually(lambda: proxied.tunnel, "the tunnel is open")
        legs = (proxied.tunnel.client, proxied.tunnel.origin)
        eventually(lambda: any(leg.paused for leg in legs), "the sender has to wait")
        streams = (proxied.client, proxied.origin_stream)
        assert sum(stream.transport.get_write_buffer_size() for stream in streams) < 1 << 20
        drain(slower, count, 60_000, slow == "origin")
        writer.join(TIMEOUT)
        assert not writer.is_alive()


def test_control_frames_do_not_wait_for_the_end_of_a_message():
    with (
        Origin() as origin,
        running(origin.uri, inspect="messages") as gateway,
        tunnel(gateway, origin) as (client, server),
    ):
        client.send(wire.frame(wire.TEXT, b"begun", fin=False) + wire.frame(wire.PING, b"there?"))
        assert client.read_frame() == (wire.PONG, b"there?")
        client.send(wire.close(1000))
        # The message is lost, as it is whenever its sender closes in the middle of it.
        assert server.read_frame() == (wire.CLOSE, b"\x03\xe8")


@loops
def test_100_tunnels_leave_nothing(uvloop):
    with Origin() as origin, running(origin.uri, uvloop=uvloop, inspect="messages") as gateway:
        for number in range(100):
            with tunnel(gateway, origin) as (client, server):
                client.send(wire.frame(wire.TEXT, b"hello"))
                assert server.read_frame() == (wire.TEXT, b"hello")
                if number % 3 == 0:
                    client.send(wire.close(1000))
                elif number % 3 == 1:
                    client.reset()
                else:
                    server.reset()
        eventually(gateway.is_empty, "all connections are gone")
        eventually(lambda: len(gateway.records("end")) == 100, "all ends are logged")
