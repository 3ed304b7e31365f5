"""The end out of order: resets, streams that just end, peers that break rules or do nothing."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from edgews import CauseKind, Disconnected, Limits, MessageTooBigError, Side, Timeouts
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import PATIENCE, Driver
from tests.contract.peers import RawPeer, opened, raw_client, raw_server
from tests.contract.test_closing import Ends
from tests.raw import TIMEOUT, Raw
from tests.sync.harness import HOST, client_context, server_context

HALF = wire.frame(wire.TEXT, b"x" * 1000)[:500]
UNMASKED_HALF = wire.frame(wire.TEXT, b"x" * 1000, key=None)[:500]
VIOLATION = wire.frame(wire.TEXT, b"not masked", key=None)


async def settled(d: Driver, peer: RawPeer) -> None:
    """Make sure that the handler runs and that all before this has been read."""
    await peer.send(wire.frame(wire.TEXT, b"ready"))
    assert await peer.read_frame() == (wire.TEXT, b"ready")


class TestVanished:
    @pytest.mark.parametrize("how", ["reset", "close"])
    @pytest.mark.parametrize("where", [b"", HALF], ids=["between frames", "in mid frame"])
    async def test_the_client(self, d: Driver, how: str, where: bytes) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server:
            async with raw_client(d, server.address) as peer:
                await settled(d, peer)
                await peer.send(where)
                getattr(peer.raw, how)()
            closed = await ends.next()
            assert (closed.code, closed.reason, closed.clean) == (1006, "", False)
            assert closed.cause.kind is CauseKind.PEER_VANISHED
            assert closed.cause.initiator is Side.PEER

    @pytest.mark.parametrize("how", ["reset", "close"])
    @pytest.mark.parametrize("where", [b"", UNMASKED_HALF], ids=["between frames", "in mid frame"])
    async def test_the_server(self, d: Driver, how: str, where: bytes) -> None:
        def vanish(raw: Raw) -> None:
            raw.read_frame()
            raw.send(where)
            getattr(raw, how)()

        async with raw_server(d, opened(vanish)) as uri, d.connecting(uri) as ws:
            await d.send(ws, "go")
            with pytest.raises(ConnectionClosed) as caught:
                await d.iterate(ws, [])
            assert caught.value.disconnected is ws.closed
            assert (ws.closed.code, ws.closed.clean) == (1006, False)
            assert ws.closed.cause.kind is CauseKind.PEER_VANISHED
            for call in (d.recv(ws), d.ping(ws), d.send(ws, "x")):
                with pytest.raises(ConnectionClosed):
                    await call

    async def test_while_a_ping_waits(self, d: Driver) -> None:
        def vanish(raw: Raw) -> None:
            frame = raw.read_frame()
            assert frame is not None
            assert frame[0] == wire.PING
            raw.reset()

        async with raw_server(d, opened(vanish)) as uri, d.connecting(uri) as ws:
            with pytest.raises(ConnectionClosed):
                await d.ping(ws, PATIENCE)

    async def test_messages_in_front_of_it_are_received(self, d: Driver) -> None:
        def say(raw: Raw) -> None:
            raw.send(b"".join(wire.frame(wire.TEXT, b"%d" % n, key=None) for n in range(300)) + UNMASKED_HALF)

        async with raw_server(d, opened(say)) as uri, d.connecting(uri) as ws:
            received: list[Any] = []
            with pytest.raises(ConnectionClosed):
                await d.iterate(ws, received)
            assert received == [str(number) for number in range(300)]

    async def test_the_block_ends_as_usual(self, d: Driver) -> None:
        """Its end closes what is closed already; what it raised itself goes on."""
        async with raw_server(d, opened(Raw.reset)) as uri, d.connecting(uri) as ws:
            await d.end(ws)
        async with raw_server(d, opened(Raw.reset)) as uri:
            with pytest.raises(ConnectionClosed):
                async with d.connecting(uri) as ws:
                    await d.recv(ws, PATIENCE)

    async def test_a_handler_need_not_catch_it(self, d: Driver, caplog: pytest.LogCaptureFixture) -> None:
        async with d.serving(d.echo) as server, raw_client(d, server.address) as peer:
            await settled(d, peer)
            peer.raw.reset()
        assert not caplog.records

    async def test_over_tls_without_close_notify(self, d: Driver) -> None:
        """An end that TLS did not announce may be an attacker's, so it is none in order. RFC 8446 §6.1."""
        ends = Ends(d)

        def talk(address: Any) -> None:
            with (
                socket.create_connection(address, TIMEOUT) as tcp,
                client_context().wrap_socket(tcp, server_hostname=HOST) as tls,
            ):
                raw = Raw(tls)
                raw.send(wire.request())
                raw.read_head()
                # The end of the block says no close_notify.
                raw.send(HALF)

        async with d.serving(ends, ssl=server_context()) as server:
            await d.blocking(talk, server.address)
            closed = await ends.next()
        assert (closed.code, closed.cause.kind) == (1006, CauseKind.PEER_VANISHED)


class TestViolation:
    async def test_is_told_and_answers_go_out_in_front(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends) as server, raw_client(d, server.address) as peer:
            messages = b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(5))
            await peer.send(messages + VIOLATION)
            *answers, close = await peer.read_frames()
            assert answers == [(wire.TEXT, b"%d" % number) for number in range(5)]
            assert (close[0], wire.close_code(close[1])) == (wire.CLOSE, 1002)
            peer.raw.close()
            closed = await ends.next()
        assert (closed.code, closed.clean) == (1006, False)
        assert closed.cause.kind is CauseKind.PROTOCOL_ERROR
        assert closed.cause.initiator is Side.PEER

    async def test_in_the_read_of_the_request(self, d: Driver) -> None:
        early = wire.frame(wire.TEXT, b"early") + VIOLATION
        async with d.serving(d.echo) as server, raw_client(d, server.address, early) as peer:
            answer, close = await peer.read_frames()
            assert answer == (wire.TEXT, b"early")
            assert wire.close_code(close[1]) == 1002

    async def test_of_a_server(self, d: Driver) -> None:
        codes: list[int | None] = []

        def break_a_rule(raw: Raw) -> None:
            raw.send(wire.frame(wire.TEXT, b"fine", key=None) + wire.frame(wire.TEXT, b"\xff", key=None))
            assert raw.read_frame() == (wire.TEXT, b"fine")
            close = raw.read_frame()
            assert close is not None
            codes.append(wire.close_code(close[1]))
            assert raw.read_frame() is None

        async with raw_server(d, opened(break_a_rule)) as uri, d.connecting(uri) as ws:
            with pytest.raises(ConnectionClosed):
                await d.echo(ws)
            assert ws.closed.cause.kind is CauseKind.PROTOCOL_ERROR
        assert codes == [1007]

    async def test_a_limit(self, d: Driver) -> None:
        async with (
            d.serving(d.echo, limits=Limits(max_message_size=10)) as server,
            d.connecting(server.uri()) as ws,
        ):
            await d.send(ws, "x" * 10)
            assert await d.recv(ws, PATIENCE) == "x" * 10
            await d.send(ws, "x" * 11)
            closed = await d.end(ws)
            assert (closed.code, closed.clean) == (1009, True)

    async def test_a_limit_of_the_client(self, d: Driver) -> None:
        async def handler(ws: Any) -> None:
            await d.send(ws, "x" * 11)
            await d.all(ws)

        async with (
            d.serving(handler) as server,
            d.connecting(server.uri(), limits=Limits(max_message_size=10)) as ws,
        ):
            closed = await d.end(ws)
            assert closed.cause.kind is CauseKind.MESSAGE_TOO_BIG
            assert isinstance(closed.cause.error, MessageTooBigError)

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_a_peer_that_goes_on_sending_reads_our_close(self, d: Driver, tls: bool) -> None:
        """The stream ends behind our Close, and in order: nothing that was sent is lost to a reset."""

        def talk(address: Any) -> tuple[int, bytes]:
            with contextlib.ExitStack() as stack:
                sock = stack.enter_context(socket.create_connection(address, TIMEOUT))
                if tls:
                    sock = stack.enter_context(client_context().wrap_socket(sock, server_hostname=HOST))
                raw = Raw(sock)
                raw.send(wire.request())
                raw.read_head()
                raw.send(VIOLATION + wire.frame(wire.BINARY, bytes(60_000)))
                frame = raw.read_frame()
                assert frame is not None
                # Sent before the peer knew.
                raw.send(wire.frame(wire.BINARY, bytes(60_000)) * 10 + wire.close(1002))
                assert raw.read_frame() is None
                return frame

        options: dict[str, Any] = {"ssl": server_context()} if tls else {}
        async with d.serving(d.echo, timeouts=Timeouts(close=TIMEOUT), **options) as server:
            opcode, payload = await d.blocking(talk, server.address)
        assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1002)

    async def test_of_a_peer_that_then_says_nothing(self, d: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        """With TLS there is no half-close that tells it of the end, so its silence has to do."""
        monkeypatch.setattr("edgews.timers.LINGER", 0.1)
        ends = Ends(d)

        def talk(address: Any) -> list[tuple[int, bytes]]:
            with (
                socket.create_connection(address, TIMEOUT) as tcp,
                client_context().wrap_socket(tcp, server_hostname=HOST) as tls,
            ):
                raw = Raw(tls)
                raw.send(wire.request())
                raw.read_head()
                raw.send(VIOLATION)
                return list(iter(raw.read_frame, None))

        async with d.serving(ends, ssl=server_context(), timeouts=Timeouts(close=None)) as server:
            (close,) = await d.blocking(talk, server.address)
            assert wire.close_code(close[1]) == 1002
            assert (await ends.next()).cause.kind is CauseKind.PROTOCOL_ERROR


class TestSilence:
    async def test_no_answer_to_our_close(self, d: Driver) -> None:
        ends: list[Disconnected] = []

        async def handler(ws: Any) -> None:
            await d.close(ws, 4000)
            ends.append(ws.closed)

        async with (
            d.serving(handler, timeouts=Timeouts(close=0.2)) as server,
            raw_client(d, server.address) as peer,
        ):
            # Its stream ends, although the peer's does not.
            assert await peer.read_frames() == [(wire.CLOSE, b"\x0f\xa0")]
            await d.until(lambda: ends)
            assert (ends[0].code, ends[0].clean) == (1006, False)
            assert ends[0].cause.kind is CauseKind.CLOSE_TIMEOUT
            assert ends[0].cause.initiator is Side.LOCAL

    async def test_no_answer_to_our_close_over_tls(self, d: Driver) -> None:
        """TLS has an end of its own, which waits for the peer as well."""
        ends = Ends(d)

        def open_and_wait(address: Any) -> Raw:
            tcp = socket.create_connection(address, TIMEOUT)
            raw = Raw(client_context().wrap_socket(tcp, server_hostname=HOST))
            raw.send(wire.request())
            raw.read_head()
            return raw

        async with d.serving(ends, ssl=server_context(), timeouts=Timeouts(close=0.2)) as server:
            with await d.blocking(open_and_wait, server.address):
                await server.close()
            assert (await ends.next()).cause.kind is CauseKind.CLOSE_TIMEOUT

    async def test_no_answer_to_the_clients_close(self, d: Driver) -> None:
        def mute(raw: Raw) -> None:
            assert raw.read_frame() == (wire.CLOSE, b"\x03\xe8")
            raw.read_until_gone()

        async with (
            raw_server(d, opened(mute)) as uri,
            d.connecting(uri, timeouts=Timeouts(close=0.2)) as ws,
        ):
            await d.close(ws)
            assert (ws.closed.code, ws.closed.cause.kind) == (1006, CauseKind.CLOSE_TIMEOUT)

    async def test_a_client_that_never_ends_its_stream(self, d: Driver) -> None:
        ends = Ends(d)
        async with (
            d.serving(ends, timeouts=Timeouts(close=0.2)) as server,
            raw_client(d, server.address) as peer,
        ):
            await peer.send(wire.close(1000))
            assert await peer.read_frames() == [(wire.CLOSE, b"\x03\xe8")]
            assert (await ends.next()).clean

    async def test_no_answer_to_pings(self, d: Driver) -> None:
        ends = Ends(d)
        timeouts = Timeouts(ping_interval=0.1, ping_timeout=0.2, close=0.2)
        async with d.serving(ends, timeouts=timeouts) as server, raw_client(d, server.address) as peer:
            frames = await peer.read_frames()
            assert frames[0][0] == wire.PING
            assert frames[-1] == (wire.CLOSE, b"\x03\xf3ping timeout")
            closed = await ends.next()
        assert (closed.code, closed.cause.kind) == (1006, CauseKind.PING_TIMEOUT)

    async def test_no_messages(self, d: Driver) -> None:
        ends = Ends(d)
        async with d.serving(ends, timeouts=Timeouts(idle=0.2)) as server, d.connecting(server.uri()) as ws:
            closed = await d.end(ws)
            assert (closed.code, closed.reason, closed.clean) == (1001, "idle timeout", True)
            assert (await ends.next()).cause.kind is CauseKind.IDLE_TIMEOUT

    async def test_keepalive_holds_a_quiet_connection(self, d: Driver) -> None:
        timeouts = Timeouts(ping_interval=0.02, ping_timeout=PATIENCE)
        async with d.serving(d.echo, timeouts=timeouts) as server, d.connecting(server.uri()) as ws:
            await d.until(lambda: ws.stats.pings_received >= 5)
            await d.send(ws, "still here")
            assert await d.recv(ws, PATIENCE) == "still here"
