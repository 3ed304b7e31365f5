"""The opening handshake: what is agreed, what is refused, and who does not answer."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trio

from edgews import CauseKind, Headers, Request, Response, Timeouts
from edgews.outcomes import InvalidHandshake
from tests import wire
from tests.contract.drivers import PATIENCE, Driver, Serving
from tests.contract.peers import opened, raw_client, raw_server
from tests.raw import Raw, deaf_port
from tests.sync.harness import HOST, client_context, server_context

# The second is for tests whose peer has to say something in time.
SHORT = Timeouts(open=0.2)
BRIEF = Timeouts(open=1.0)


async def fetch(d: Driver, server: Serving, request: bytes) -> tuple[bytes, bytes]:
    """Send raw bytes, and return head and body of the answer."""

    def talk() -> tuple[bytes, bytes]:
        with Raw.connect(server.address) as raw:
            raw.send(request)
            head = raw.read_head()
            return head, raw.read_rest()

    return await d.blocking(talk)


async def test_what_is_said_on_both_sides(d: Driver) -> None:
    seen: list[Request] = []

    async def handler(ws: Any) -> None:
        seen.append(ws.request)
        assert ws.subprotocol == "a"
        assert ws.remote_address[0] == HOST
        await d.echo(ws)

    async with (
        d.serving(handler, subprotocols=["b", "a"]) as server,
        d.connecting(
            server.uri("/chat?x=1").replace("//", "//me:secret@"),
            subprotocols=["a", "b"],
            headers=[("X-Mine", "1"), ("X-Mine", "2")],
            origin="https://example.com",
        ) as ws,
    ):
        assert ws.subprotocol == "a"
        assert ws.response.status == 101
        assert ws.response.headers.get("Sec-WebSocket-Protocol") == "a"
        assert ws.remote_address[:2] == tuple(server.address)
        await d.send(ws, "x")
        assert await d.recv(ws, PATIENCE) == "x"
        (request,) = seen
        assert request.target == ws.request.target == "/chat?x=1"
        assert request.headers == ws.request.headers
        assert request.headers.get_all("X-Mine") == ["1", "2"]
        assert request.origin == "https://example.com"
        assert request.subprotocols == ["a", "b"]
        assert request.headers.get("Authorization") == "Basic bWU6c2VjcmV0"
    assert ws.closed.clean


async def test_select_subprotocol_decides(d: Driver) -> None:
    async with (
        d.serving(d.echo, subprotocols=["a"], select_subprotocol=lambda request: request.path[1:]) as server,
        d.connecting(server.uri("/b"), subprotocols=["a", "b"]) as ws,
    ):
        assert ws.subprotocol == "b"


async def test_addresses_are_known_after_the_end(d: Driver) -> None:
    """A log is written when all is over."""
    addresses: list[Any] = []
    ended = d.event()

    async def handler(ws: Any) -> None:
        try:
            await d.all(ws)
        finally:
            addresses.append(ws.remote_address)
            ended.set()

    async with d.serving(handler) as server:
        async with d.connecting(server.uri()) as ws:
            pass
        assert ws.remote_address[:2] == tuple(server.address)
        await ended.wait()
    assert addresses[0][0] == HOST


class TestRefusal:
    async def test_carries_the_response(self, d: Driver) -> None:
        def refuse(request: Request) -> Response:
            return Response(403, Headers({"X-Why": "because"}), b"not you")

        async with d.serving(d.echo, process_request=refuse) as server:
            with pytest.raises(InvalidHandshake, match="403") as caught:
                async with d.connecting(server.uri()):
                    raise AssertionError("it was not refused")
        error = caught.value
        assert error.cause.kind is CauseKind.HANDSHAKE_REFUSED
        assert error.response is not None
        assert error.response.status == 403
        assert error.response.headers.get("X-Why") == "because"
        assert error.response.body == b"not you"

    async def test_for_the_origin(self, d: Driver) -> None:
        async with d.serving(d.echo, origins=["https://good.example"]) as server:
            with pytest.raises(InvalidHandshake) as caught:
                async with d.connecting(server.uri(), origin="https://bad.example"):
                    pass
            assert caught.value.response is not None
            assert caught.value.response.status == 403
            async with d.connecting(server.uri(), origin="https://good.example") as ws:
                assert ws.closed is None

    @pytest.mark.parametrize("option", ["process_request", "select_subprotocol"])
    async def test_when_what_decides_fails(
        self, d: Driver, option: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(request: Request) -> None:
            raise RuntimeError("a defect of the application")

        async with d.serving(d.echo, **{option: fail}) as server:
            with pytest.raises(InvalidHandshake) as caught:
                async with d.connecting(server.uri(), subprotocols=["a"]):
                    pass
        assert caught.value.response is not None
        assert caught.value.response.status == 500
        assert "a defect of the application" in caplog.text

    async def test_of_a_101_that_is_none(self, d: Driver) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            assert raw.read_rest() == b""

        async with raw_server(d, peer) as uri:
            with pytest.raises(InvalidHandshake) as caught:
                async with d.connecting(uri):
                    pass
        assert caught.value.cause.header == "Sec-WebSocket-Accept"
        assert caught.value.response is None

    async def test_of_a_server_that_ends_the_stream(self, d: Driver) -> None:
        async with raw_server(d, Raw.read_head) as uri:
            with pytest.raises(InvalidHandshake) as caught:
                async with d.connecting(uri):
                    pass
        assert caught.value.response is None


class TestPlainHttp:
    async def test_is_answered_by_process_request(self, d: Driver) -> None:
        def page(request: Request) -> Response | None:
            return None if request.is_upgrade else Response(200, Headers(), b"<p>hello")

        async with d.serving(d.echo, process_request=page) as server:
            head, body = await fetch(d, server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body == b"<p>hello"
            async with d.connecting(server.uri()) as ws:
                await d.send(ws, "x")
                assert await d.recv(ws, PATIENCE) == "x"

    async def test_gets_a_long_answer_whole(self, d: Driver) -> None:
        page = b"x" * 5_000_000

        async with d.serving(d.echo, process_request=lambda _: Response(200, Headers(), page)) as server:
            assert (await fetch(d, server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))[1] == page

    async def test_is_answered_with_426_else(self, d: Driver) -> None:
        async with d.serving(d.echo) as server:
            head, _ = await fetch(d, server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 426 ")
            assert b"Upgrade: websocket" in head

    async def test_that_is_none_is_answered_with_400(self, d: Driver) -> None:
        async with d.serving(d.echo) as server:
            head, _ = await fetch(d, server, b"nonsense\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")


class TestTooLate:
    async def test_a_server_that_says_nothing(self, d: Driver) -> None:
        ended: list[bytes] = []

        def silent(raw: Raw) -> None:
            ended.append(raw.read_rest())

        async with raw_server(d, silent) as uri:
            with pytest.raises(TimeoutError):
                async with d.connecting(uri, timeouts=SHORT):
                    pass
        # Empty where the time was over before the client had asked.
        assert ended[0][-4:] in (b"", b"\r\n\r\n")

    async def test_a_server_that_does_not_answer_tls(self, d: Driver) -> None:
        async with raw_server(d, Raw.read_until_gone) as uri:
            with pytest.raises(TimeoutError):
                async with d.connecting(uri.replace("ws:", "wss:"), ssl=client_context(), timeouts=SHORT):
                    pass

    async def test_a_client_that_says_nothing(self, d: Driver) -> None:
        async with d.serving(d.echo, timeouts=SHORT) as server:
            with await d.blocking(Raw.connect, server.address) as raw:
                assert await d.blocking(raw.read_rest) == b""

    async def test_a_client_that_says_half_of_it(self, d: Driver) -> None:
        async with d.serving(d.echo, timeouts=BRIEF) as server:
            head, _ = await fetch(d, server, b"GET / HTTP/1.1\r\nHost:")
            assert head.startswith(b"HTTP/1.1 408 ")


async def test_frames_that_come_with_the_request(d: Driver) -> None:
    async with d.serving(d.echo) as server:
        early = wire.frame(wire.TEXT, b"early") + wire.close(1000)
        async with raw_client(d, server.address, early) as peer:
            assert await peer.read_frames() == [(wire.TEXT, b"early"), (wire.CLOSE, b"\x03\xe8")]


async def test_frames_that_come_with_the_answer(d: Driver) -> None:
    def peer(raw: Raw) -> None:
        assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
        raw.send(wire.close(1000, key=None))

    early = wire.frame(wire.TEXT, b"early", key=None)
    async with raw_server(d, opened(peer, early)) as uri, d.connecting(uri) as ws:
        assert await d.recv(ws, PATIENCE) == "early"


class TestTls:
    async def test_nobody_trusts_a_stranger(self, d: Driver) -> None:
        async with d.serving(d.echo, ssl=server_context()) as server:
            with pytest.raises((ssl.SSLError, trio.BrokenResourceError)) as caught:
                async with d.connecting(server.uri(scheme="wss")):
                    pass
            error = caught.value
            reason = error if isinstance(error, ssl.SSLError) else error.__cause__
            assert isinstance(reason, ssl.SSLCertVerificationError)
            # The server is none the worse for it.
            async with d.connecting(server.uri(scheme="wss"), ssl=client_context()) as ws:
                await d.send(ws, "x")
                assert await d.recv(ws, PATIENCE) == "x"

    async def test_the_name_can_be_another(self, d: Driver) -> None:
        async with (
            d.serving(d.echo, ssl=server_context()) as server,
            d.connecting(
                server.uri(scheme="wss").replace(HOST, "localhost"),
                ssl=client_context(),
                server_hostname=HOST,
            ) as ws,
        ):
            assert ws.closed is None

    async def test_plain_text_is_refused_by_a_server_with_tls(self, d: Driver) -> None:
        async with d.serving(d.echo, ssl=server_context()) as server:
            with pytest.raises(InvalidHandshake):
                async with d.connecting(server.uri()):
                    pass


async def test_two_servers_share_a_port(d: Driver) -> None:
    """One takes over when the other is closed, and nobody is refused meanwhile."""

    async def name(ws: Any) -> None:
        await d.send(ws, "here")

    async with d.serving(name, reuse_port=True) as first:
        port = first.address[1]
        async with d.serving(name, reuse_port=True, port=port) as second:
            assert second.address == first.address
            await first.close()
            async with d.connecting(second.uri()) as ws:
                assert await d.recv(ws, PATIENCE) == "here"


async def test_a_port_that_is_taken(d: Driver) -> None:
    async with d.serving(d.echo) as server:
        for reuse_port in (False, True):
            with pytest.raises(OSError, match="in use"):
                async with d.serving(d.echo, port=server.address[1], reuse_port=reuse_port):
                    pass


async def test_nobody_listens(d: Driver) -> None:
    """The reason is told, and not only that there is one."""
    with deaf_port() as port, pytest.raises(ConnectionRefusedError):
        async with d.connecting(f"ws://{HOST}:{port}/"):
            raise AssertionError("it is open")


@pytest.mark.parametrize("port", [None, 0])
async def test_the_system_chooses_a_port(d: Driver, port: int | None) -> None:
    async with d.serving(d.echo, port=port) as server, d.connecting(server.uri()) as ws:
        assert ws.closed is None
