"""Connections that are not open: how many there may be, and who has to go for others."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgews.edge.config.file import check_values
from edgews.edge.gateway.arrivals import places
from tests import wire
from tests.edge.harness import Authority, Origin, Running, eventually, running, switch, tunnel
from tests.raw import Raw

loops = pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.peers)])
HEAD = b"GET /slow HTTP/1.1\r\nHost: exa"


def speaker(address: str) -> bytes:
    """Return the header of a proxy in front of a client."""
    return f"PROXY TCP4 {address} 198.51.100.1 50000 80\r\n".encode()


def count(gateway: Running) -> int:
    return len(gateway.gateway.arrivals)


def connections(gateway: Running) -> list[Any]:
    """Return those that have come to where a request is read."""
    return list(gateway.gateway.connections)


@contextlib.contextmanager
def arriving(gateway: Running, number: int, data: bytes = b"") -> Iterator[list[Raw]]:
    """Connect some that go no further, one after the other."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            before = [one for one in connections(gateway) if one._reader]
            client = stack.enter_context(Raw.connect(gateway.address))
            found.append(client)
            client.send(data)
            eventually(lambda before=before: newer(gateway, before, data), "it has come")
        yield found


def newer(gateway: Running, before: list[Any], data: bytes) -> bool:
    """Say whether one has come since, and whether what it says has been read."""
    return any(
        one not in before and one._reader is not None and (one._reader.has_data or not data)
        for one in connections(gateway)
    )


def report(gateway: Running) -> Any:
    async def ask() -> Any:
        return gateway.gateway.observer.report()

    return gateway.call(ask())


def dropped(gateway: Running) -> dict[tuple[str, str], int]:
    return {tuple(labels): number for labels, number in report(gateway)["counters"]["connections_dropped"]}


def limit(gateway: Running, name: str = "max_opening") -> dict[str, Any] | None:
    rows = report(gateway)["limits"]
    return next((row for row in rows if row["kind"].startswith("opening") and row["name"] == name), None)


@loops
@pytest.mark.parametrize("data", [b"", HEAD])
def test_who_asks_is_served_however_many_are_silent(data, uvloop):
    top = {"max_opening_per_client": 4, "max_connections": 1}
    with Origin() as origin, running(origin.uri, top=top, uvloop=uvloop) as gateway:
        with arriving(gateway, 10, data) as silent, tunnel(gateway, origin):
            for client in silent[:6]:
                head, _, body = client.read_rest().partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503")
                assert b"Retry-After: 5" in head
                assert b"wait for their requests" in body
            # The last of the others has gone for who has asked, and is not silent.
            assert silent[6].read_rest().startswith(b"HTTP/1.1 503")
            assert count(gateway) == 3
            assert dropped(gateway) == {("request", "too many of the client"): 7}
            # Silence is not among the requests that were refused, nor in the log.
            assert gateway.records("refused") == []
        eventually(lambda: not connections(gateway), "all are gone")
        assert count(gateway) == 0


def test_there_is_no_room_for_more_than_max_connections():
    with Origin() as origin, running(origin.uri, top={"max_connections": 1}) as gateway:
        with tunnel(gateway, origin), Raw.connect(gateway.address) as client:
            client.send(wire.request())
            assert client.read_rest().startswith(b"HTTP/1.1 503")
            assert gateway.last("refused")["cause"] == "too many connections"
        with tunnel(gateway, origin):
            assert count(gateway) == 0


@loops
def test_each_client_of_a_proxy_has_its_share(uvloop):
    listen = [{"address": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]}]
    top = {"listen": listen, "max_opening_per_client": 2, "max_opening": 4}
    with (
        Origin() as origin,
        running(origin.uri, top=top, uvloop=uvloop) as gateway,
        arriving(gateway, 1, speaker("192.0.2.1") + HEAD) as (other,),
        arriving(gateway, 3, speaker("192.0.2.2") + HEAD) as many,
    ):
        assert many[0].read_rest().startswith(b"HTTP/1.1 503")
        assert dropped(gateway) == {("request", "too many of the client"): 1}
        row = limit(gateway, "192.0.2.2")
        assert row is not None
        assert (row["state"], row["count"], row["soft"]) == ("over", 2, 2)
        assert limit(gateway, "192.0.2.1") is None
        # Who brings the most makes room, of whatever age the others are.
        with arriving(gateway, 2, speaker("192.0.2.3") + HEAD):
            assert many[1].read_rest().startswith(b"HTTP/1.1 503")
            row = limit(gateway)
            assert row is not None
            assert (row["state"], row["count"], row["soft"]) == ("over", 4, 4)
            other.send(b"mple.com\r\n\r\n")
            assert dropped(gateway)["request", "too many of all"] == 1
            with origin.accept() as server:
                server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert other.read_head().startswith(b"HTTP/1.1 204")


@loops
def test_who_speaks_for_a_client_and_does_not_say_for_whom(uvloop):
    listen = [{"address": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]}]
    top = {"listen": listen, "max_opening_per_client": 1, "max_opening": 2}
    with Origin() as origin, running(origin.uri, top=top, uvloop=uvloop) as gateway:
        with contextlib.ExitStack() as stack:
            silent = []
            for number in range(1, 4):
                silent.append(stack.enter_context(Raw.connect(gateway.address)))
                eventually(lambda number=number: count(gateway) == min(number, 2), "it has come")
                if number == 3:
                    # The proxy has no share, but a place all the same.
                    assert silent[0].read_until_gone() == b""
            assert dropped(gateway) == {("PROXY header", "too many of all"): 1}
            silent[1].send(b"PROXY TCP4 nobody\r\n")
            assert silent[1].read_until_gone() == b""
            silent[2].sock.shutdown(socket.SHUT_WR)
            assert silent[2].read_until_gone() == b""
        eventually(lambda: count(gateway) == 0, "all are gone")
        assert dropped(gateway) == {
            ("PROXY header", "too many of all"): 1,
            ("PROXY header", "malformed"): 1,
            ("PROXY header", "lost"): 1,
        }


def test_a_proxy_that_is_trusted_has_no_share():
    top = {"trusted_proxies": ["127.0.0.1"], "max_opening_per_client": 1, "max_opening": 3}
    with Origin() as origin, running(origin.uri, top=top) as gateway, arriving(gateway, 4) as silent:
        assert silent[0].read_rest().startswith(b"HTTP/1.1 503")
        assert count(gateway) == 3
        assert dropped(gateway) == {("request", "too many of all"): 1}


@loops
def test_tls_under_way(tmp_path: Path, uvloop):
    authority = Authority(tmp_path)
    top = {"listen": [authority.listen()], "max_opening_per_client": 2}
    with Origin() as origin, running(origin.uri, top=top, uvloop=uvloop) as gateway:
        with contextlib.ExitStack() as stack:
            silent = []
            for number in range(1, 4):
                silent.append(stack.enter_context(Raw.connect(gateway.address)))
                # The beginning of a ClientHello.
                silent[-1].send(b"\x16\x03\x01")
                eventually(lambda number=number: count(gateway) == min(number, 2), "it has come")
                if number == 3:
                    assert silent[0].read_until_gone() == b""
            assert dropped(gateway) == {("TLS", "too many of the client"): 1}
            with authority.connect(gateway.address) as client:
                assert silent[1].read_until_gone() == b""
                client.send(wire.request())
                with origin.accept() as server:
                    server.send(switch())
                    assert client.read_head().startswith(b"HTTP/1.1 101")
                    assert count(gateway) == 1
            silent[2].send(b"nonsense" * 100)
            silent[2].read_until_gone()
        eventually(lambda: count(gateway) == 0, "all are gone")
        assert dropped(gateway)["TLS", "malformed"] == 1
        with Raw.connect(gateway.address) as silent_one:
            eventually(lambda: count(gateway) == 1, "it has come")
            silent_one.close()
            eventually(lambda: dropped(gateway).get(("TLS", "lost")), "it is counted")


@loops
def test_tls_that_does_not_come(tmp_path: Path, uvloop):
    authority = Authority(tmp_path)
    top = {"listen": [authority.listen()], "open_timeout": 0.2}
    with running("ws://127.0.0.1:1", top=top, uvloop=uvloop) as gateway, Raw.connect(gateway.address) as one:
        assert one.read_until_gone() == b""
        eventually(lambda: dropped(gateway) == {("TLS", "too late"): 1}, "it is counted")


@loops
def test_who_has_been_answered_and_asks_no_more(uvloop):
    top = {"max_opening_per_client": 1}
    with Origin() as origin, running(origin.uri, top=top, uvloop=uvloop) as gateway:
        with Raw.connect(gateway.address) as kept:
            kept.send(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
            with origin.accept() as server:
                assert count(gateway) == 0
                server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert kept.read_head().startswith(b"HTTP/1.1 204")
            eventually(lambda: count(gateway) == 1, "it waits for another request")
            with Raw.connect(gateway.address) as refused:
                # Who waits gets no answer to what it has not asked.
                assert kept.read_rest() == b""
                refused.send(wire.request({"Sec-WebSocket-Version": "8"}))
                assert refused.read_head().startswith(b"HTTP/1.1 426")
                # It goes before it has closed its side.
                with arriving(gateway, 1):
                    eventually(lambda: len(connections(gateway)) == 1, "it is gone")
        assert dropped(gateway) == {
            ("another request", "too many of the client"): 1,
            ("its end", "too many of the client"): 1,
        }


def test_a_reload_makes_room_at_once():
    values = {
        "listen": [{"address": "127.0.0.1:0"}],
        "route": [{"name": "test", "origins": ["ws://127.0.0.1:1"]}],
    }
    with running("ws://127.0.0.1:1") as gateway, arriving(gateway, 5) as silent:
        before = limit(gateway)
        assert before is not None
        assert (before["state"], before["count"]) == ("ok", 5)
        gateway.call(gateway.gateway.reload(check_values(values | {"max_opening": 2}, "", "test")))
        for client in silent[:3]:
            assert client.read_rest().startswith(b"HTTP/1.1 503")
        row = limit(gateway)
        assert row is not None
        assert (row["state"], row["count"], row["soft"]) == ("over", 2, 2)


def test_one_time_for_all_that_stands_in_front_of_a_request():
    top = {"listen": [{"address": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]}], "open_timeout": 50.0}
    with running("ws://127.0.0.1:1", top=top) as gateway, arriving(gateway, 1, speaker("192.0.2.1") + HEAD):
        (one,) = connections(gateway)
        (due,) = [due for due, _, timer in one.gateway.timers._heap if timer is one._timer]
        assert due == one.started + 50.0
        assert report(gateway)["gauges"]["connections_opening"] == [[[], 1]]


def test_a_drain_ends_all_of_them(tmp_path: Path):
    authority = Authority(tmp_path)
    top = {"listen": [{"address": "127.0.0.1:0"}, authority.listen("localhost:0")]}
    with running("ws://127.0.0.1:1", top=top) as gateway:
        _, port = gateway.gateway.addresses[1].rsplit(":", 1)
        with arriving(gateway, 1) as (one,), Raw.connect(("127.0.0.1", int(port))) as other:
            eventually(lambda: count(gateway) == 2, "both have come")
            gateway.call(gateway.gateway.drain(0.1))
            assert one.read_until_gone() == b""
            assert other.read_until_gone() == b""
            assert count(gateway) == 0


def test_not_all_descriptors_are_for_them():
    config = check_values(
        {"listen": [{"address": ":0"}], "route": [{"origins": ["ws://a"]}], "max_opening": 1000}, "", "x"
    )
    assert places(config, 1024) == 256
    assert places(config, 3) == 1
    assert places(config, 1 << 20) == 1000
    assert places(config, -1) == 1000
