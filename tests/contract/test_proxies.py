"""Ways through proxies: real ones, and ones that do what they should not."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from edgews import InvalidValueError, Request
from edgews.outcomes import MissingExtraError, ProxyError
from tests.contract.drivers import PATIENCE, Driver
from tests.contract.peers import dripping, raw_server
from tests.contract.test_opening import SHORT
from tests.raw import Raw, deaf_port
from tests.sync.harness import HOST, client_context, server_context

CREDENTIALS = {"username": "me", "password": "secret"}
SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ws", "wss", "socks", "http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


async def nobody(d: Driver, uri: str, **options: Any) -> None:
    async with d.connecting(uri, **options):
        raise AssertionError("it is open")


@pytest.mark.peers
class TestRealOnes:
    @pytest.mark.parametrize("scheme", SCHEMES)
    @pytest.mark.parametrize("host", [HOST, "localhost"])
    async def test_lead_to_the_server(self, d: Driver, scheme: str, host: str) -> None:
        from tests.contract.proxies import proxy

        async with d.serving(d.echo) as server:
            with proxy(scheme) as way:
                uri = server.uri().replace(HOST, host)
                async with d.connecting(uri, proxy=way.uri) as ws:
                    await d.send(ws, "x" * 100_000)
                    assert await d.recv(ws, PATIENCE) == "x" * 100_000
                    assert ws.remote_address[:2] == (HOST, way.port)
                assert way.used == 1
        assert ws.closed.clean

    @pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
    async def test_want_to_know_who_asks(self, d: Driver, scheme: str) -> None:
        from tests.contract.proxies import proxy

        async with d.serving(d.echo) as server:
            with proxy(scheme, **CREDENTIALS) as way:
                async with d.connecting(server.uri(), proxy=way.uri) as ws:
                    await d.send(ws, "x")
                    assert await d.recv(ws, PATIENCE) == "x"
                for wrong in (way.uri.replace("secret", "wrong-one"), way.uri.replace("me:secret@", "")):
                    with pytest.raises(ProxyError) as caught:
                        await nobody(d, server.uri(), proxy=wrong)
                    assert "wrong-one" not in str(caught.value)

    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_see_nothing_of_tls(self, d: Driver, scheme: str) -> None:
        from tests.contract.proxies import proxy

        async with d.serving(d.echo, ssl=server_context()) as server:
            with proxy(scheme) as way:
                async with d.connecting(server.uri(scheme="wss"), proxy=way.uri, ssl=client_context()) as ws:
                    await d.send(ws, "x")
                    assert await d.recv(ws, PATIENCE) == "x"
                assert way.used == 1

    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_say_that_nobody_is_there(self, d: Driver, scheme: str) -> None:
        from tests.contract.proxies import proxy

        with deaf_port() as port, proxy(scheme) as way, pytest.raises(ProxyError) as caught:
            await nobody(d, f"ws://{HOST}:{port}/", proxy=way.uri)
        assert not caught.value.lasting

    async def test_are_found_in_the_environment(self, d: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        from tests.contract.proxies import proxy

        async with d.serving(d.echo) as server:
            with proxy("socks5h") as way:
                monkeypatch.setenv("ALL_PROXY", way.uri)
                async with d.connecting(server.uri()) as ws:
                    assert ws.remote_address[:2] == (HOST, way.port)
                for options in ({"proxy": None}, await d.over(server.address)):
                    async with d.connecting(server.uri(), **options) as ws:
                        assert ws.remote_address[:2] == tuple(server.address)
                monkeypatch.setenv("NO_PROXY", HOST)
                async with d.connecting(server.uri()) as ws:
                    assert ws.remote_address[:2] == tuple(server.address)
                assert way.used == 1

    async def test_see_no_field_that_is_for_the_server(self, d: Driver) -> None:
        from tests.contract.proxies import proxy

        seen: list[Request] = []
        async with d.serving(d.echo, process_request=seen.append) as server:
            with proxy("http", **CREDENTIALS) as way:
                async with d.connecting(server.uri(), proxy=way.uri):
                    pass
        assert not any("proxy" in name.lower() for name, _ in seen[0].headers)


class TestOthers:
    async def test_one_that_is_not_there(self, d: Driver) -> None:
        with deaf_port() as port, pytest.raises(ProxyError) as caught:
            await nobody(d, "ws://server.example/", proxy=f"http://me:secret@{HOST}:{port}")
        assert f"through the proxy {HOST}:{port}: " in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
    async def test_one_that_says_nothing(self, d: Driver, scheme: str) -> None:
        async with raw_server(d, Raw.read_until_gone) as uri:
            with pytest.raises(TimeoutError):
                await nobody(
                    d, "ws://server.example/", proxy=uri.replace("ws:", f"{scheme}:"), timeouts=SHORT
                )

    @pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
    async def test_one_that_talks_without_end(self, d: Driver, scheme: str) -> None:
        def peer(raw: Raw) -> None:
            try:
                while True:
                    raw.send(b"x" * 1000)
            except ConnectionError:
                pass

        async with raw_server(d, peer) as uri:
            with pytest.raises(ProxyError):
                await nobody(d, "ws://server.example/", proxy=uri.replace("ws:", f"{scheme}:"))

    @pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
    @pytest.mark.parametrize("way", ["end", "reset"])
    async def test_one_that_goes_away(self, d: Driver, scheme: str, way: str) -> None:
        def peer(raw: Raw) -> None:
            raw.sock.recv(1)
            if way == "reset":
                raw.reset()

        async with raw_server(d, peer) as uri:
            with pytest.raises(ProxyError) as caught:
                await nobody(d, "ws://server.example/", proxy=uri.replace("ws:", f"{scheme}:"))
        assert not caught.value.lasting

    @pytest.mark.parametrize(
        ("scheme", "start"),
        [("http", b"HTTP/1.1 200 OK\r\nA: b"), ("socks5h", b"\x05\x00\x05\x00\x00\x03\xff")],
    )
    async def test_one_that_drips(self, d: Driver, scheme: str, start: bytes) -> None:
        async with raw_server(d, dripping(start)) as uri:
            proxy = uri.replace("ws:", f"{scheme}:")
            with pytest.raises(TimeoutError):
                await nobody(d, "ws://server.example/", proxy=proxy, timeouts=SHORT)

    async def test_one_that_answers_in_pieces(self, d: Driver) -> None:
        """Each piece is sent once the one before was read: the client's next bytes are the request."""

        def peer(raw: Raw) -> None:
            raw.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert raw.read_head().startswith(b"CONNECT server.example:80 HTTP/1.1\r\n")
            for piece in (b"HTTP/1.1 2", b"00 OK\r\nA: b", b"\r\n", b"\r\n"):
                raw.send(piece)
            assert raw.read_head().startswith(b"GET /x HTTP/1.1\r\n")
            raw.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        async with raw_server(d, peer) as uri:
            with pytest.raises(Exception, match="404"):
                await nobody(d, "ws://server.example/x", proxy=uri.replace("ws:", "http:"))


async def test_what_is_no_proxy(d: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidValueError, match="must begin with"):
        await nobody(d, "ws://server.example/", proxy="ftp://proxy.example")
    monkeypatch.setenv("ws_proxy", "ftp://proxy.example")
    with pytest.raises(InvalidValueError, match="ws_proxy of the environment"):
        await nobody(d, "ws://server.example/")


async def test_without_the_extra(d: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "python_socks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "python_socks", None)
    monkeypatch.setenv("all_proxy", "socks5://proxy.example")
    with pytest.raises(MissingExtraError, match=r"pip install 'edgews\[proxy\]'"):
        await nobody(d, "ws://server.example/")
