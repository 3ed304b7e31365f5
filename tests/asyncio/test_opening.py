"""Opening a connection: what both sides agree on and know of each other, and every way to reach a server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from edgews import Headers, InvalidValueError, PerMessageDeflate, Request, Response, parse_uri
from edgews.asyncio import ConnectionClosed, WebSocket, connect, serve
from tests import wire
from tests.asyncio.harness import (
    HOST,
    LINKS,
    PLAIN,
    Held,
    Listener,
    Report,
    address,
    echo,
    raw_client,
    soon,
    until,
    uri,
)
from tests.raw import Raw
from tests.sync.harness import accept


async def works(ws: WebSocket) -> None:
    await ws.send("hello")
    assert await soon(ws.recv()) == "hello"


async def test_what_both_sides_know() -> None:
    held = Held()
    async with (
        PLAIN.serve(held, subprotocols=["chat", "log"]) as server,
        connect(
            uri(server, "/room?n=1"),
            subprotocols=["none", "log"],
            origin="https://example.com",
            headers={"X-Token": "secret"},
        ) as ws,
    ):
        theirs = await held.ws()
        assert ws.subprotocol == theirs.subprotocol == "log"
        assert ws.response is not None
        assert ws.response.status == 101
        assert ws.request.target == "/room?n=1"
        assert (theirs.request.path, theirs.request.query) == ("/room", "n=1")
        assert theirs.request.origin == "https://example.com"
        assert theirs.request.headers.get("x-token") == "secret"
        assert theirs.response is None
        assert theirs.remote_address == ws.local_address
        assert theirs.local_address == ws.remote_address == address(server)
        assert ws.closed is None
        assert ws.latency is None


class TestSubprotocols:
    @pytest.mark.parametrize(
        ("offered", "spoken", "agreed"),
        [
            ([], ["a"], None),
            (["a"], [], None),
            (["a", "b"], ["b", "a"], "a"),
            (["c"], ["a"], None),
        ],
    )
    async def test_the_clients_order_counts(
        self, offered: list[str], spoken: list[str], agreed: str | None
    ) -> None:
        """RFC 6455 §1.9."""
        held = Held()
        async with (
            PLAIN.serve(held, subprotocols=spoken) as server,
            connect(uri(server), subprotocols=offered) as ws,
        ):
            assert ws.subprotocol == agreed
            assert (await held.ws()).subprotocol == agreed

    async def test_a_choice_of_the_servers_own(self) -> None:
        async with (
            PLAIN.serve(echo, select_subprotocol=lambda request: request.subprotocols[-1]) as server,
            connect(uri(server), subprotocols=["a", "b"]) as ws,
        ):
            assert ws.subprotocol == "b"


async def test_compression_is_agreed_only_if_both_want_it() -> None:
    for client in (None, PerMessageDeflate()):
        for kind in ("plain", "deflate"):
            async with LINKS[kind].serve(echo) as server, connect(uri(server), compression=client) as ws:
                assert ws.response is not None
                agreed = "Sec-WebSocket-Extensions" in dict(ws.response.headers)
                assert agreed is (client is not None and kind == "deflate")
                await works(ws)


class TestProcessRequest:
    async def test_sees_the_request_and_lets_it_in(self) -> None:
        seen: list[Request] = []
        async with (
            PLAIN.serve(echo, process_request=seen.append) as server,
            connect(uri(server, "/here"), headers={"X-Id": "7"}) as ws,
        ):
            await works(ws)
        assert [(request.target, request.headers.get("X-Id")) for request in seen] == [("/here", "7")]

    async def test_may_wait(self) -> None:
        go = asyncio.Event()
        asked = asyncio.Event()

        async def process(request: Request) -> None:
            asked.set()
            await go.wait()

        async with PLAIN.serve(echo, process_request=process) as server:
            opening = asyncio.create_task(_opened(uri(server)))
            await soon(asked.wait())
            assert not opening.done()
            go.set()
            ws = await soon(opening)
            await works(ws)
            await ws.close()

    @pytest.mark.parametrize("waits", [False, True])
    async def test_answers_plain_http(self, waits: bool) -> None:
        page = Response(200, Headers({"Content-Type": "text/html"}), b"<p>hello</p>")

        def process(request: Request) -> Response | None:
            return page if request.path == "/page" else None

        async def process_later(request: Request) -> Response | None:
            await asyncio.sleep(0)
            return process(request)

        async with PLAIN.serve(echo, process_request=process_later if waits else process) as server:
            head, body = await _get(address(server), "/page")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"text/html" in head
            assert body == b"<p>hello</p>"
            # RFC 9110 §15.5.22: what this resource is for.
            head, _ = await _get(address(server), "/elsewhere")
            assert head.startswith(b"HTTP/1.1 426 ")
            assert b"Upgrade: websocket" in head
            async with connect(uri(server)) as ws:
                await works(ws)

    async def test_early_frames_wait_for_the_answer(self) -> None:
        go = asyncio.Event()

        async def process(request: Request) -> None:
            await go.wait()

        async with PLAIN.serve(echo, process_request=process) as server:
            raw = await asyncio.to_thread(Raw.connect, address(server))
            with raw:
                raw.send(wire.request() + wire.frame(wire.TEXT, b"early"))
                go.set()
                assert b" 101 " in await asyncio.to_thread(raw.read_head)
                assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"early")

    async def test_the_client_goes_while_it_waits(self) -> None:
        """The decision comes to nothing: the handler is not called, and nothing is logged or left."""
        go = asyncio.Event()
        asked = asyncio.Event()
        report = Report()

        async def process(request: Request) -> None:
            asked.set()
            await go.wait()

        async with PLAIN.serve(report, process_request=process) as server:
            raw = await asyncio.to_thread(Raw.connect, address(server))
            raw.send(wire.request())
            await soon(asked.wait())
            (ws,) = server._connections
            raw.reset()
            await until(lambda: ws.closed)
            go.set()
        assert report.ws is None


async def _opened(where: str) -> WebSocket:
    return await connect(where)


async def _get(where: object, path: str) -> tuple[bytes, bytes]:
    def get() -> tuple[bytes, bytes]:
        with Raw.connect(where) as raw:
            raw.send(f"GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())
            return raw.read_head(), raw.read_rest()

    return await asyncio.to_thread(get)


class TestCredentials:
    async def test_in_the_uri(self) -> None:
        """RFC 7617 §2; a field that says something else goes first."""
        seen: list[str | None] = []

        def process(request: Request) -> None:
            seen.append(request.headers.get("Authorization"))

        async with PLAIN.serve(echo, process_request=process) as server:
            port = address(server)[1]
            await (await connect(f"ws://user:p%40ss@{HOST}:{port}/")).close()
            await (await connect(f"ws://user@{HOST}:{port}/", headers={"Authorization": "Bearer x"})).close()
        assert seen == ["Basic dXNlcjpwQHNz", "Bearer x"]


class TestOrigins:
    @pytest.mark.parametrize("origin", ["https://good.example", None])
    async def test_let_in(self, origin: str | None) -> None:
        async with (
            PLAIN.serve(echo, origins=["https://good.example", None]) as server,
            connect(uri(server), origin=origin) as ws,
        ):
            await works(ws)

    async def test_every_origin_where_no_list_is(self) -> None:
        async with PLAIN.serve(echo) as server, connect(uri(server), origin="https://any.example") as ws:
            await works(ws)


class TestWaysToAServer:
    async def test_await_instead_of_async_with(self) -> None:
        server = await serve(echo, HOST, 0)
        ws = await connect(uri(server))
        await works(ws)
        await ws.close()
        assert ws.closed is not None
        await server.close()

    async def test_a_uri_that_was_parsed_before(self) -> None:
        async with PLAIN.serve(echo) as server, connect(parse_uri(uri(server))) as ws:
            await works(ws)

    async def test_sockets_of_the_callers(self) -> None:
        listening = socket.create_server((HOST, 0))
        async with serve(echo, sock=listening) as server:
            ours = socket.create_connection(address(server))
            async with connect("ws://example.com/", sock=ours) as ws:
                await works(ws)
                assert ws.request.headers.get("Host") == "example.com"

    async def test_one_of_a_pair_of_sockets(self) -> None:
        ours, theirs = socket.socketpair()
        with Raw(theirs) as raw:
            peer = asyncio.create_task(asyncio.to_thread(accept, raw))
            ws = await connect("ws://localhost/", sock=ours)
            await peer
            await ws.send("hello")
            assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"hello")
            raw.close()
            with pytest.raises(ConnectionClosed):
                await soon(ws.recv())
            await soon(ws.wait_closed())

    async def test_a_unix_socket(self, tmp_path: Path) -> None:
        path = str(tmp_path / "ws")
        held = Held()
        async with serve(held, path=path), connect("ws://example.com/x", path=path) as ws:
            theirs = await held.ws()
            assert theirs.request.target == "/x"
            assert theirs.request.headers.get("Host") == "example.com"
            assert ws.remote_address == theirs.local_address == path
        with pytest.raises(OSError):  # noqa: PT011
            await connect("ws://example.com/x", path=path)

    async def test_ipv6_or_whatever_localhost_is(self) -> None:
        async with (
            serve(echo, "localhost", 0) as server,
            connect(f"ws://localhost:{address(server)[1]}/") as ws,
        ):
            await works(ws)

    async def test_several_addresses_and_the_sockets_that_listen(self) -> None:
        async with serve(echo, [HOST, "127.0.0.2"], 0) as server:
            names = [sock.getsockname() for sock in server.sockets]
            assert sorted(name[0] for name in names) == [HOST, "127.0.0.2"]
            for host, port in names:
                async with connect(f"ws://{host}:{port}/") as ws:
                    await works(ws)

    async def test_two_servers_share_a_port(self) -> None:
        async with serve(echo, HOST, 0, reuse_port=True) as first:
            port = address(first)[1]
            async with serve(echo, HOST, port, reuse_port=True) as second:
                assert address(second)[1] == port

    async def test_a_port_that_is_taken(self) -> None:
        async with PLAIN.serve(echo) as server:
            with pytest.raises(OSError, match="address already in use"):
                await serve(echo, HOST, address(server)[1])

    async def test_a_socket_is_closed_when_the_request_may_not_be_sent(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.closing(ours), pytest.raises(InvalidValueError):
            await connect("ws://localhost/", sock=ours, headers={"Bad Name": "x"})

    async def test_the_answer_and_frames_in_one_read(self) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.send(wire.frame(wire.TEXT, b"early", key=None) + wire.close(4000, key=None))
            assert raw.read_frame() == (wire.CLOSE, b"\x0f\xa0")

        async with Listener(peer) as listener:
            ws = await connect(listener.uri)
            assert await soon(ws.recv()) == "early"
            with pytest.raises(ConnectionClosed):
                await soon(ws.recv())
            assert ws.closed is not None
            assert ws.closed.code == 4000


async def test_the_raw_handshake() -> None:
    """RFC 6455 §1.3: the answer to the key of the example."""
    async with PLAIN.serve(echo) as server, raw_client(server) as raw:
        assert raw.head.startswith(b"HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Accept: {wire.ACCEPT}".encode() in raw.head
