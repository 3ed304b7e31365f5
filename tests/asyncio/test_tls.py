"""TLS: trust, the end of the byte stream, and peers that do not speak it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import pytest

from edgews import CauseKind, PerMessageDeflate
from edgews.asyncio import InvalidHandshake, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    BRIEF_CLOSE,
    BRIEF_OPEN,
    HOST,
    LINKS,
    PLAIN,
    Listener,
    Report,
    address,
    client_context,
    code_in,
    echo,
    frames_of,
    soon,
    turns,
    until,
    uri,
)
from tests.engines import squeeze
from tests.raw import TIMEOUT, Raw

TLS = LINKS["tls1.3"]
both_versions = pytest.mark.parametrize("kind", ["tls1.2", "tls1.3"])


def raw_tls(where: tuple[str, int], changes: dict[str, str | None] | None = None) -> Raw:
    """Open a WebSocket connection byte by byte over TLS."""
    sock = socket.create_connection(where, TIMEOUT)
    raw = Raw(client_context().wrap_socket(sock, server_hostname=HOST))
    raw.send(wire.request(changes))
    raw.read_head()
    return raw


class TestTrust:
    async def test_an_unknown_authority(self) -> None:
        async with TLS.serve(echo) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(uri(server, scheme="wss"))
            async with TLS.connect(server) as ws:
                await ws.send("trusted")
                assert await soon(ws.recv()) == "trusted"

    async def test_another_name(self) -> None:
        async with TLS.serve(echo) as server:
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                await TLS.connect(server, server_hostname="elsewhere.example")

    async def test_the_name_of_the_caller(self) -> None:
        async with TLS.serve(echo) as server:
            where = f"wss://localhost:{address(server)[1]}/"
            async with connect(where, ssl=client_context(), server_hostname=HOST) as ws:
                await ws.send("trusted")
                assert await soon(ws.recv()) == "trusted"

    async def test_a_socket_of_the_callers(self) -> None:
        async with TLS.serve(echo) as server:
            ours = socket.create_connection(address(server))
            async with connect(f"wss://{HOST}/", ssl=client_context(), sock=ours) as ws:
                await ws.send("hello")
                assert await soon(ws.recv()) == "hello"


class TestOneSideOnly:
    async def test_tls_to_a_server_without(self) -> None:
        async with PLAIN.serve(echo) as server:
            with pytest.raises(ssl.SSLError):
                await soon(_connect(uri(server, scheme="wss"), ssl=client_context()))

    async def test_no_tls_to_a_server_with(self) -> None:
        async with TLS.serve(echo) as server:
            with pytest.raises(InvalidHandshake) as caught:
                await soon(_connect(uri(server)))
        assert caught.value.response is None

    async def test_failed_handshakes_leave_no_trace(self, caplog: pytest.LogCaptureFixture) -> None:
        """They take up none of the server's places, keep it from nothing, and fill no log."""
        async with TLS.serve(echo, max_connections=2) as server:
            for _ in range(5):
                with await asyncio.to_thread(Raw.connect, address(server)) as raw:
                    raw.send(b"GET / HTTP/1.1\r\n\r\n")
                    await asyncio.to_thread(raw.read_until_gone)
                with await asyncio.to_thread(Raw.connect, address(server)) as raw:
                    raw.reset()
            await until(lambda: not server._connections)
            async with TLS.connect(server) as ws:
                await ws.send("in")
                assert await soon(ws.recv()) == "in"
            await soon(server.close())
        assert not [record for record in caplog.records if record.name.startswith("edgews")]

    async def test_silence_of_the_server(self) -> None:
        async with Listener(lambda raw: raw.read_until_gone()) as listener:
            where = listener.uri.replace("ws:", "wss:")
            with pytest.raises(TimeoutError):
                await soon(_connect(where, ssl=client_context(), timeouts=BRIEF_OPEN))

    @pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
    async def test_silence_of_the_client(self, said: bytes) -> None:
        """The opening handshake is everything from the first byte on, that of TLS included."""
        async with TLS.serve(echo, timeouts=BRIEF_OPEN) as server:

            def wait() -> bytes:
                with Raw.connect(address(server)) as raw:
                    raw.send(said)
                    return raw.read_rest()

            await soon(asyncio.to_thread(wait))
            await until(lambda: not server._connections)

    async def test_close_while_a_handshake_goes_on(self) -> None:
        async with TLS.serve(echo, timeouts=BRIEF_OPEN) as server:
            with await asyncio.to_thread(Raw.connect, address(server)) as raw:
                await turns()
                await soon(server.close())
                assert await asyncio.to_thread(raw.read_rest) == b""


async def _connect(where: str, **options: object) -> WebSocket:
    return await connect(where, **options)  # type: ignore[arg-type]


class TestTheEnd:
    @both_versions
    async def test_a_close_of_the_client_comes_back_and_then_the_end(self, kind: str) -> None:
        report = Report()
        async with LINKS[kind].serve(report) as server:
            raw = await _raw(kind, server)
            with raw:
                raw.send(wire.frame(wire.TEXT, b"last") + wire.close(4001, b"bye"))
                assert await frames_of(raw) == [(wire.TEXT, b"last"), (wire.CLOSE, b"\x0f\xa1")]
            closed = await report.closed()
        assert (closed.code, closed.reason, closed.clean) == (4001, "bye", True)

    @both_versions
    async def test_a_violation_is_answered_before_the_end(self, kind: str) -> None:
        report = Report()
        async with LINKS[kind].serve(report) as server:
            raw = await _raw(kind, server)
            with raw:
                raw.send(wire.frame(wire.TEXT, b"fine") + wire.frame(wire.TEXT, b"wrong", key=None))
                first, last = await frames_of(raw)
            closed = await report.closed()
        assert first == (wire.TEXT, b"fine")
        assert code_in(last) == 1002
        assert closed.cause.kind is CauseKind.PROTOCOL_ERROR

    async def test_a_peer_that_goes_on_sending_gets_our_close_whole(self) -> None:
        """No reset: what is unread when a socket is closed makes the kernel drop what it has not sent."""

        async def leave(ws: WebSocket) -> None:
            await ws.recv()
            await ws.close(1000, "leaving")

        async with TLS.serve(leave) as server:
            raw = await _raw("tls1.3", server)
            with raw:

                def talk() -> tuple[int, bytes] | None:
                    raw.send(wire.frame(wire.TEXT, b"x" * 100_000) * 30)
                    got = raw.read_frame()
                    raw.send(wire.frame(wire.TEXT, b"x" * 100_000) + wire.close(1000))
                    return got

                assert await asyncio.to_thread(talk) == (wire.CLOSE, b"\x03\xe8leaving")
                assert await asyncio.to_thread(raw.read_frame) is None

    @both_versions
    @pytest.mark.parametrize("notify", [True, False])
    async def test_no_close_at_all(self, kind: str, notify: bool, caplog: pytest.LogCaptureFixture) -> None:
        report = Report()
        async with LINKS[kind].serve(report) as server:
            raw = await _raw(kind, server)
            with raw:
                raw.send(wire.frame(wire.TEXT, b"hello"))
                assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"hello")
                if notify:
                    assert isinstance(raw.sock, ssl.SSLSocket)
                    await asyncio.to_thread(raw.sock.unwrap)
            closed = await report.closed()
        assert (closed.code, closed.clean, closed.cause.kind) == (1006, False, CauseKind.PEER_VANISHED)
        assert not [record for record in caplog.records if record.levelno > logging.WARNING]

    async def test_messages_in_front_of_the_end_are_received(self) -> None:
        """What inflates to more than the inbox holds, with the end of the stream in the same read."""
        count, message = 20, b"m" * 30_000
        small = wire.frame(wire.BINARY, squeeze(message), rsv=4)
        got: list[str | bytes] = []

        async def take(ws: WebSocket) -> None:
            async for message in ws:
                got.append(message)
                await turns()

        async with TLS.serve(take, compression=PerMessageDeflate()) as server:
            offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover"}
            raw = await asyncio.to_thread(raw_tls, address(server), offer)
            with raw:
                # The loop does nothing meanwhile, so all of it is there when it reads.
                raw.send(small * count)
                assert isinstance(raw.sock, ssl.SSLSocket)
                raw.sock.settimeout(0)
                with pytest.raises(ssl.SSLWantReadError):
                    raw.sock.unwrap()
                await until(lambda: not server._connections)
        assert got == [message] * count

    async def test_a_peer_that_never_ends_its_stream_is_dropped(self) -> None:
        report = Report()
        async with TLS.serve(report, timeouts=BRIEF_CLOSE) as server:
            raw = await _raw("tls1.3", server)
            with raw:
                raw.send(wire.close(1000))
                assert await frames_of(raw) == [(wire.CLOSE, b"\x03\xe8")]
                closed = await report.closed()
        assert closed.clean


async def _raw(kind: str, server: object) -> Raw:
    return await asyncio.to_thread(raw_tls, address(server))  # type: ignore[arg-type]
