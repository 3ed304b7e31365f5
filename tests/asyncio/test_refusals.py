"""Connections that do not come about, on both sides: each for its own reason, and none leaves anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import pytest

from edgews import CauseKind, Headers, InvalidValueError, Limits, Request, Response, Timeouts
from edgews.asyncio import InvalidHandshake, WebSocket, connect, serve
from tests import wire
from tests.asyncio.harness import (
    BRIEF_OPEN,
    HOST,
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
from tests.raw import Raw, deaf_port


async def refused(where: str, **options: object) -> InvalidHandshake:
    with pytest.raises(InvalidHandshake) as caught:
        await soon(_connect(where, **options))
    return caught.value


async def _connect(where: str, **options: object) -> WebSocket:
    return await connect(where, **options)  # type: ignore[arg-type]


class TestByTheServer:
    @pytest.mark.parametrize("waits", [False, True])
    async def test_process_request_answers(self, waits: bool) -> None:
        answer = Response(403, Headers({"X-Reason": "full"}), b"come back tomorrow")

        def process(request: Request) -> Response:
            return answer

        async def process_later(request: Request) -> Response:
            await asyncio.sleep(0)
            return answer

        report = Report()
        async with PLAIN.serve(report, process_request=process_later if waits else process) as server:
            error = await refused(uri(server))
        assert error.response is not None
        assert error.response.status == 403
        assert error.response.headers.get("X-Reason") == "full"
        assert error.response.body == b"come back tomorrow"
        assert error.cause.kind is CauseKind.HANDSHAKE_REFUSED
        assert "403" in str(error)
        assert report.ws is None

    @pytest.mark.parametrize("waits", [False, True])
    async def test_process_request_fails(self, waits: bool, caplog: pytest.LogCaptureFixture) -> None:
        def process(request: Request) -> None:
            raise RuntimeError("a defect of process_request")

        async def process_later(request: Request) -> None:
            await asyncio.sleep(0)
            process(request)

        async with PLAIN.serve(echo, process_request=process_later if waits else process) as server:
            error = await refused(uri(server))
        assert error.response is not None
        assert error.response.status == 500
        assert "a defect of process_request" in caplog.text

    @pytest.mark.parametrize(
        ("name", "option"),
        [
            ("select_subprotocol", lambda request: "other"),
            ("select_subprotocol", lambda request: 1 // 0),
            ("process_request", lambda request: Response(99, Headers())),
            ("process_request", lambda request: Response(200, Headers({"Bad Name": "x"}))),
        ],
    )
    async def test_an_answer_that_cannot_be_sent(
        self, name: str, option: Callable[[Request], object], caplog: pytest.LogCaptureFixture
    ) -> None:
        async with PLAIN.serve(echo, **{name: option}) as server:
            error = await refused(uri(server), subprotocols=["mine"])
        assert error.response is not None
        assert error.response.status == 500
        assert "cannot answer the request for /" in caplog.text

    @pytest.mark.parametrize("origin", ["https://evil.example", None])
    async def test_origin(self, origin: str | None) -> None:
        async with PLAIN.serve(echo, origins=["https://good.example"]) as server:
            error = await refused(uri(server), origin=origin)
        assert error.response is not None
        assert error.response.status == 403

    async def test_too_many_connections(self) -> None:
        """A place is free again as soon as its connection has ended."""
        held = Held()
        async with PLAIN.serve(echo, max_connections=2) as server:
            first = await connect(uri(server))
            async with connect(uri(server)) as second:
                error = await refused(uri(server))
                assert error.response is not None
                assert error.response.status == 503
                assert error.response.headers.get("Retry-After")
                await first.close()
                await until(lambda: len(server.connections) == 1)
                async with connect(uri(server)) as third:
                    for ws in (second, third):
                        await ws.send("in")
                        assert await soon(ws.recv()) == "in"
        assert not held.opened.done()

    async def test_refusals_take_up_no_place_for_long(self) -> None:
        async with PLAIN.serve(echo, max_connections=1) as server:
            for _ in range(5):
                async with connect(uri(server)) as ws:
                    assert (await refused(uri(server))).response is not None
                    await ws.send("in")
                    assert await soon(ws.recv()) == "in"
                await until(lambda: not server._connections)

    def test_no_connection_at_all_may_not_be_asked_for(self) -> None:
        with pytest.raises(ValueError, match="max_connections"):
            serve(echo, HOST, 0, max_connections=0)

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (wire.request({"Sec-WebSocket-Version": "12"}), b"426"),
            (wire.request({"Sec-WebSocket-Key": "short"}), b"400"),
            (wire.request(line="POST /chat HTTP/1.1"), b"405"),
            (b"nonsense\r\n\r\n", b"400"),
            (wire.request({"X-Long": "x" * 20_000}), b"431"),
        ],
    )
    async def test_a_request_that_is_wrong(self, request_: bytes, status: bytes) -> None:
        report = Report()
        async with PLAIN.serve(report) as server:

            def ask() -> bytes:
                with Raw.connect(address(server)) as raw:
                    raw.send(request_)
                    return raw.read_rest()

            answer = await asyncio.to_thread(ask)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert report.ws is None


class TestByTheClient:
    async def test_no_server(self) -> None:
        with deaf_port() as port, pytest.raises(ConnectionRefusedError):
            await connect(f"ws://{HOST}:{port}/")

    async def test_no_such_name(self) -> None:
        with pytest.raises(OSError):  # noqa: PT011
            await connect("ws://name.invalid/")

    @pytest.mark.parametrize(
        "bad",
        ["", "http://example.com/", "ws:///path", "ws://example.com/#part", "ws://a:99999/", "example.com"],
    )
    def test_bad_uri(self, bad: str) -> None:
        with pytest.raises(InvalidValueError):
            connect(bad)

    @pytest.mark.parametrize(
        "options", [{"subprotocols": ["a b"]}, {"headers": {"Host": "x"}}, {"origin": "a\r\nb"}]
    )
    async def test_a_request_that_may_not_be_sent(self, options: dict[str, object]) -> None:
        async with PLAIN.serve(echo) as server:
            with pytest.raises(InvalidValueError):
                await _connect(uri(server), **options)
            assert not server._connections

    @pytest.mark.parametrize(
        "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 101 OK\r\n\r\n", b"HTTP/1.1 200"]
    )
    async def test_an_answer_that_is_none(self, answer: bytes) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(answer)

        async with Listener(peer) as listener:
            error = await refused(listener.uri)
        assert error.response is None
        assert error.cause.kind in (CauseKind.PEER_VANISHED, CauseKind.HANDSHAKE_FAILED)

    async def test_a_wrong_accept(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
            )
            assert raw.read_rest() == b""

        async with Listener(peer) as listener:
            error = await refused(listener.uri)
        assert error.cause.header == "Sec-WebSocket-Accept"

    async def test_a_reset_instead_of_an_answer(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.reset()

        async with Listener(peer) as listener:
            error = await refused(listener.uri)
        assert error.response is None
        assert error.cause.kind is CauseKind.HANDSHAKE_FAILED

    async def test_a_refusal_whose_body_is_long(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
            raw.read_until_gone()

        async with Listener(peer) as listener:
            error = await refused(listener.uri, limits=Limits(max_body_size=100))
        assert error.response is not None
        assert error.response.status == 404
        assert error.response.body == b"x" * 100


class TestSilence:
    async def test_of_the_server(self) -> None:
        async with Listener(lambda raw: raw.read_until_gone()) as listener:
            with pytest.raises(TimeoutError, match=r"no connection within|took too long"):
                await soon(_connect(listener.uri, timeouts=BRIEF_OPEN))

    async def test_of_the_server_in_the_middle_of_its_answer(self) -> None:
        def peer(raw: Raw) -> None:
            # On a machine that is too slow the time is over before the client asks.
            with contextlib.suppress(EOFError):
                raw.read_head()
                raw.send(b"HTTP/1.1 101 Switching Protocols\r\n")
                raw.read_until_gone()

        async with Listener(peer) as listener:
            with pytest.raises(TimeoutError, match=r"no connection within|took too long"):
                await soon(_connect(listener.uri, timeouts=BRIEF_OPEN))

    @pytest.mark.parametrize(("said", "answer"), [(b"", b""), (b"GET / HT", b"HTTP/1.1 408 ")])
    async def test_of_the_client(self, said: bytes, answer: bytes) -> None:
        # What is said has to come in time, on any machine.
        async with PLAIN.serve(echo, timeouts=Timeouts(open=1.0)) as server:

            def wait() -> bytes:
                with Raw.connect(address(server)) as raw:
                    raw.send(said)
                    return raw.read_rest()

            got = await soon(asyncio.to_thread(wait))
            assert got[: len(answer)] == answer
            assert bool(got) is bool(answer)
            await until(lambda: not server._connections)

    async def test_of_what_decides(self) -> None:
        """The client gets an answer in time, and what decides too late decides nothing."""
        go = asyncio.Event()
        report = Report()

        async def process(request: Request) -> None:
            await go.wait()

        async with PLAIN.serve(report, process_request=process, timeouts=BRIEF_OPEN) as server:
            error = await refused(uri(server))
            assert error.response is not None
            assert error.response.status == 503
            go.set()
        assert report.ws is None


async def test_nothing_of_all_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client can do this as often as it likes, and would fill the log."""
    async with PLAIN.serve(echo, timeouts=BRIEF_OPEN, origins=["https://good.example"]) as server:
        for said in (b"", b"nonsense\r\n\r\n", wire.request(), wire.request()[:30]):

            def wait(said: bytes = said) -> None:
                with Raw.connect(address(server)) as raw:
                    raw.send(said)
                    raw.read_until_gone()

            await asyncio.to_thread(wait)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_connection_that_is_reset_before_the_server_sees_its_request() -> None:
    async with PLAIN.serve(echo) as server:
        raw = await asyncio.to_thread(Raw.connect, address(server))
        raw.send(wire.request())
        raw.reset()
        async with raw_client(server) as other:
            other.send(wire.frame(wire.TEXT, b"next"))
            assert await asyncio.to_thread(other.read_frame) == (wire.TEXT, b"next")
        await until(lambda: not server._connections)
