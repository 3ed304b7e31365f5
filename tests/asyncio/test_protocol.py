"""The callback level: what is decided in callbacks, what they are told, and what becomes of their defects."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import pytest

from edgews import (
    CauseKind,
    ClientConnection,
    Delivery,
    Fragment,
    Headers,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    PreparedMessage,
    Request,
    Response,
    ServerConnection,
    StateError,
    Timeouts,
)
from edgews.asyncio import connect
from edgews.asyncio.link import LARGE
from tests import wire
from tests.asyncio.callbacks import Recorder, client, echo, listening
from tests.asyncio.harness import (
    HOST,
    LINKS,
    Listener,
    address,
    client_context,
    code_in,
    frames_of,
    raw_client,
    server_context,
    soon,
    turns,
    until,
    uri,
)
from tests.raw import Raw
from tests.sync.harness import accept


@pytest.mark.parametrize("size", [LARGE, LARGE + 1, 4 * LARGE])
async def test_a_large_message_is_not_copied_where_the_transport_takes_pieces(size: int) -> None:
    payload = bytes(size)
    gathers = type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    async with listening() as server, client(address(server)) as peer:
        sender = await server.protocol()
        await until(lambda: "opened" in peer.log)
        sender.send(b"before")
        sender.send(payload)
        sender.send("x" * size)
        peer.send(payload)
        await until(lambda: len(peer.messages) == 3 and len(sender.messages) == 1)
        assert sender.counted is not None
        assert peer.counted is not None
        apart = [parts[1] for parts in sender.counted.parts]
        assert apart == ([payload, b"x" * size] if gathers and size > LARGE else [])
        assert all(part is payload for part in apart[:1])
        # A client's payload is masked, and so a copy in any case.
        assert peer.counted.parts == []
        peer.close()
        assert peer.messages == [b"before", payload, "x" * size]
        assert sender.messages == [payload]


async def get(where: object, request: bytes) -> bytes:
    def ask() -> bytes:
        with Raw.connect(where) as raw:
            raw.send(request)
            return raw.read_rest()

    return await asyncio.to_thread(ask)


PLAIN_HTTP = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n"


class TestRequests:
    async def test_none_opens_the_connection(self) -> None:
        async with listening() as server, raw_client(server) as raw:
            assert raw.head.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Protocol" not in raw.head
            protocol = await server.protocol()
            assert protocol.log == ["request", "opened"]

    async def test_a_string_is_the_subprotocol(self) -> None:
        async with listening(answer=lambda request: request.subprotocols[1]) as server:
            async with connect(uri(server), subprotocols=["a", "b"]) as ws:
                assert ws.subprotocol == "b"
            assert server.protocols[0].conn.subprotocol == "b"

    @pytest.mark.parametrize("request_", [wire.request(), PLAIN_HTTP])
    async def test_a_response_is_sent(self, request_: bytes) -> None:
        answer = Response(403, Headers({"X-Reason": "full"}), b"come back tomorrow")
        async with listening(answer=lambda request: answer) as server:
            got = await get(address(server), request_)
            assert got.startswith(b"HTTP/1.1 403 ")
            assert b"X-Reason: full" in got
            assert got.endswith(b"come back tomorrow")
        assert server.protocols[0].log == ["request", "closed"]

    async def test_plain_http_that_gets_no_response(self) -> None:
        async with listening() as server:
            assert (await get(address(server), PLAIN_HTTP)).startswith(b"HTTP/1.1 426 ")
        assert server.protocols[0].log == ["request", "closed"]
        assert server.protocols[0].ends[0].cause.kind is CauseKind.HANDSHAKE_FAILED

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(lambda request: 1 // 0, id="a defect"),
            pytest.param(lambda request: "never offered", id="a subprotocol that was not offered"),
            pytest.param(lambda request: Response(99, Headers()), id="a status that is none"),
            pytest.param(lambda request: Response(200, Headers({"Bad Name": "x"})), id="a wrong field"),
        ],
    )
    async def test_what_cannot_be_sent(
        self, answer: Callable[[Request], Response], caplog: pytest.LogCaptureFixture
    ) -> None:
        """The client gets an answer all the same, and at once."""
        async with listening(answer=answer) as server:
            got = await soon(get(address(server), wire.request({"Sec-WebSocket-Protocol": "mine"})))
            assert got.startswith(b"HTTP/1.1 500 ")
        assert server.protocols[0].log == ["request", "closed"]
        assert [record.levelname for record in caplog.records if record.name == "edgews.asyncio"] == ["ERROR"]

    async def test_a_request_that_is_wrong_is_not_asked_about(self) -> None:
        async with listening() as server:
            assert (await get(address(server), b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert server.protocols[0].log == ["closed"]

    async def test_frames_that_come_with_the_request(self) -> None:
        early = wire.frame(wire.TEXT, b"early")
        async with listening(on_message=echo) as server, raw_client(server, behind=early) as raw:
            assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"early")
        assert server.protocols[0].log == ["request", "opened", "message", "closed"]

    async def test_the_first_word_is_the_servers(self) -> None:
        """It goes out behind the answer, and in the same write."""
        async with listening(on_open=lambda protocol: protocol.send("welcome")) as server:
            async with raw_client(server) as raw:
                assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"welcome")
            (written,) = server.protocols[0].writes
            assert written.startswith(b"HTTP/1.1 101 ")
            assert written.endswith(b"welcome")


class TestAClient:
    async def test_opens_talks_and_closes(self) -> None:
        async with (
            LINKS["plain"].serve(_echo) as server,
            client(address(server), on_message=lambda protocol, _: protocol.close(4000)) as protocol,
        ):
            await until(lambda: "opened" in protocol.log)
            protocol.send("hello")
            await until(lambda: protocol.lost)
        assert protocol.log == ["opened", "message", "closed"]
        assert (protocol.ends[0].code, protocol.ends[0].clean) == (4000, True)

    async def test_is_refused(self) -> None:
        async with (
            LINKS["plain"].serve(_echo, origins=["https://good.example"]) as server,
            client(address(server)) as protocol,
        ):
            await until(lambda: protocol.lost)
        assert protocol.log == ["closed"]
        assert protocol.ends[0].cause.kind is CauseKind.HANDSHAKE_REFUSED

    async def test_waits_in_vain(self) -> None:
        def conn(where: str) -> ClientConnection:
            return ClientConnection(where, timeouts=Timeouts(open=0.1))

        async with (
            Listener(lambda raw: raw.read_until_gone()) as listener,
            client(listener.address, conn) as protocol,
        ):
            await until(lambda: protocol.lost)
        assert protocol.ends[0].cause.kind is CauseKind.OPEN_TIMEOUT

    async def test_closes_before_it_is_open(self) -> None:
        async with (
            Listener(lambda raw: raw.read_until_gone()) as listener,
            client(listener.address) as protocol,
        ):
            with pytest.raises(StateError):
                protocol.send("too early")
            protocol.close()
            await until(lambda: protocol.lost)
        assert protocol.log == ["closed"]

    async def test_over_tls(self) -> None:
        async with (
            listening(on_message=echo, ssl=server_context()) as server,
            connect(uri(server, scheme="wss"), ssl=client_context()) as ws,
        ):
            for message in ("text", b"binary", "x" * 300_000):
                await ws.send(message)
                assert await soon(ws.recv()) == message
            await ws.close(4000)
        assert server.protocols[0].ends[0].code == 4000


async def _echo(ws: object) -> None:
    async for message in ws:  # type: ignore[attr-defined]
        await ws.send(message)  # type: ignore[attr-defined]


class TestMessages:
    async def test_both_types_and_every_size(self) -> None:
        async with (
            listening(partial(ServerConnection, compression=PerMessageDeflate()), on_message=echo) as server,
            connect(uri(server), compression=PerMessageDeflate()) as ws,
        ):
            for size in (0, 125, 126, 65535, 65536, 1048576):
                for message in ("x" * size, b"\xff" * size):
                    await ws.send(message)
                    assert await soon(ws.recv()) == message

    async def test_a_prepared_one(self) -> None:
        prepared = PreparedMessage("framed once")
        async with (
            listening(on_open=lambda protocol: protocol.send(prepared)) as server,
            connect(uri(server)) as ws,
        ):
            assert await soon(ws.recv()) == "framed once"

    async def test_fragments_are_sent(self) -> None:
        def talk(protocol: Recorder) -> None:
            protocol.send_fragment("one, ", final=False)
            protocol.send_ping(b"between")
            protocol.send_fragment("two", final=True)

        async with listening(on_open=talk) as server, raw_client(server) as raw:
            frames = [await asyncio.to_thread(raw.read_frame) for _ in range(3)]
            assert frames == [(wire.TEXT, b"one, "), (wire.PING, b"between"), (wire.CONTINUATION, b"two")]

    @pytest.mark.parametrize("delivery", [Delivery.FRAGMENTS, Delivery.STREAM])
    async def test_fragments_are_received(self, delivery: Delivery) -> None:
        async with (
            listening(partial(ServerConnection, delivery=delivery)) as server,
            raw_client(server) as raw,
        ):
            raw.send(wire.frame(wire.TEXT, b"one, ", fin=False) + wire.frame(wire.CONTINUATION, b"two"))
            protocol = await server.protocol()
            await until(lambda: protocol.fragments and protocol.fragments[-1].final)
        assert "".join(str(fragment.data) for fragment in protocol.fragments) == "one, two"
        assert all(isinstance(fragment, Fragment) for fragment in protocol.fragments)
        assert protocol.messages == []

    async def test_a_ping_and_its_latency(self) -> None:
        async with listening() as server, connect(uri(server)):
            protocol = await server.protocol()
            assert protocol.latency is None
            protocol.send_ping(b"there?")
            await until(lambda: protocol.latency is not None)
            assert protocol.buffered_amount == 0

    async def test_text_without_utf8_is_refused_and_harmless(self) -> None:
        async with listening(on_message=echo) as server, connect(uri(server)) as ws:
            protocol = await server.protocol()
            with pytest.raises(InvalidValueError):
                protocol.send("\ud800")
            await ws.send("fine")
            assert await soon(ws.recv()) == "fine"


def fail(*_: object) -> None:
    raise RuntimeError("a defect of a callback")


class TestDefects:
    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(wire.frame(wire.TEXT, b"x"), id="one message"),
            pytest.param(wire.frame(wire.TEXT, b"x") * 3, id="the first of several"),
            pytest.param(wire.frame(wire.TEXT, b"x") + wire.frame(wire.PING), id="in front of a Ping"),
            pytest.param(wire.frame(wire.TEXT, b"x") + wire.close(4000), id="in front of a Close"),
            pytest.param(
                wire.frame(wire.TEXT, b"x") + wire.frame(wire.TEXT, b"y", rsv=1), id="and a violation"
            ),
            pytest.param(
                wire.frame(wire.TEXT, b"x", fin=False) + wire.frame(wire.CONTINUATION, b"y"),
                id="in fragments",
            ),
        ],
    )
    async def test_in_message_received(self, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
        """RFC 6455 §7.4.1: 1011. Nothing comes after it but the end."""
        async with listening(on_message=fail) as server, raw_client(server) as raw:
            raw.send(data)
            frames = await frames_of(raw)
            assert code_in(frames[-1]) == 1011
            raw.send(wire.frame(wire.TEXT, b"late"))
        assert server.protocols[0].log == ["request", "opened", "message", "closed"]
        assert server.protocols[0].ends[0].cause.kind is CauseKind.FAILED
        assert caplog.text.count("RuntimeError: a defect of a callback") == 1

    async def test_what_was_sent_before_goes_out(self) -> None:
        def half(protocol: Recorder, message: str | bytes) -> None:
            protocol.send("before")
            fail()

        async with listening(on_message=half) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"x") * 2)
            answer, close = await frames_of(raw)
            assert answer == (wire.TEXT, b"before")
            assert code_in(close) == 1011

    async def test_in_connection_opened(self, caplog: pytest.LogCaptureFixture) -> None:
        async with listening(on_open=fail) as server, raw_client(server) as raw:
            (close,) = await frames_of(raw)
            assert code_in(close) == 1011
        assert server.protocols[0].log == ["request", "opened", "closed"]
        assert "a defect of a callback" in caplog.text

    async def test_in_fragment_received(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Recorder, "fragment_received", fail)
        conn = partial(ServerConnection, delivery=Delivery.FRAGMENTS)
        async with listening(conn) as server, raw_client(server) as raw:
            raw.send(wire.frame(wire.TEXT, b"x", fin=False))
            (close,) = await frames_of(raw)
            assert code_in(close) == 1011

    async def test_in_connection_closed(self, caplog: pytest.LogCaptureFixture) -> None:
        async with listening(on_close=fail) as server, connect(uri(server)) as ws:
            await ws.close(4000)
            assert ws.closed is not None
            assert ws.closed.clean
        assert "a defect of a callback" in caplog.text

    async def test_of_a_client(self) -> None:
        ends = []

        async def talk(ws: object) -> None:
            await ws.send("x")  # type: ignore[attr-defined]
            ends.append(await ws.wait_closed())  # type: ignore[attr-defined]

        async with (
            LINKS["plain"].serve(talk) as server,
            client(address(server), on_message=fail) as protocol,
        ):
            await until(lambda: protocol.lost)
        assert ends[0].code == 1011
        assert protocol.ends[0].cause.kind is CauseKind.FAILED

    async def test_others_are_not_touched(self) -> None:
        def fail_some(protocol: Recorder, message: str | bytes) -> None:
            protocol.send(message) if message == "fine" else fail()

        async with listening(on_message=fail_some) as server, connect(uri(server)) as good:
            async with raw_client(server) as bad:
                bad.send(wire.frame(wire.TEXT, b"bad"))
                assert code_in(await asyncio.to_thread(bad.read_frame)) == 1011
            await good.send("fine")
            assert await soon(good.recv()) == "fine"


# A peer that says something has as long for that as the first.
BRIEF = Timeouts(open=1.0, close=0.2, ping_interval=0.1, ping_timeout=0.2)


class TestConnectionClosed:
    """`listening` and `client` check that it comes once, and last."""

    @pytest.mark.parametrize(
        ("last", "kind", "code"),
        [
            (wire.close(4000), CauseKind.CLOSED, 4000),
            (wire.close(), CauseKind.CLOSED, 1005),
            (b"", CauseKind.PEER_VANISHED, 1006),
            (wire.frame(wire.TEXT, b"x")[:-1], CauseKind.PEER_VANISHED, 1006),
            (wire.frame(wire.TEXT, b"x", rsv=1), CauseKind.PROTOCOL_ERROR, 1006),
            (wire.frame(wire.TEXT, b"xx"), CauseKind.MESSAGE_TOO_BIG, 1006),
            (wire.frame(wire.TEXT, b"m") + wire.close(4001), CauseKind.CLOSED, 4001),
        ],
    )
    @pytest.mark.parametrize("how", ["close", "reset"])
    async def test_by_the_peer(
        self, last: bytes, kind: CauseKind, code: int, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        conn = partial(ServerConnection, limits=Limits(max_message_size=1))
        async with listening(conn) as server, raw_client(server) as raw:
            protocol = await server.protocol()
            raw.send(last)
            await until(lambda: protocol.conn.bytes_received >= len(last))
            await turns()
            getattr(raw, how)()
        if last or how == "close":
            assert (protocol.ends[0].cause.kind, protocol.ends[0].code) == (kind, code)
        assert not [record for record in caplog.records if record.levelno > logging.DEBUG]

    async def test_by_ourselves(self) -> None:
        async with listening() as server, connect(uri(server)) as ws:
            protocol = await server.protocol()
            with pytest.raises(InvalidValueError):
                protocol.close(1006)
            protocol.close(4000, "enough")
            protocol.close(4001)
            closed = await soon(ws.wait_closed())
            assert (closed.code, closed.reason) == (4000, "enough")
        assert protocol.ends[0].clean
        with pytest.raises(StateError):
            protocol.send("too late")
        protocol.close()
        protocol.abort()

    async def test_by_abort(self) -> None:
        async with listening() as server, raw_client(server):
            protocol = await server.protocol()
            protocol.abort()
            protocol.abort()
            await until(lambda: protocol.lost)
        assert protocol.ends[0].code == 1006

    async def test_by_the_clock(self) -> None:
        async with listening(partial(ServerConnection, timeouts=BRIEF)) as server, raw_client(server):
            protocol = await server.protocol()
            await until(lambda: protocol.lost)
        assert protocol.ends[0].cause.kind is CauseKind.PING_TIMEOUT

    async def test_before_a_request_came(self) -> None:
        async with listening(partial(ServerConnection, timeouts=BRIEF)) as server:
            for said in (b"", b"GET "):
                await get(address(server), said)
        assert [protocol.log for protocol in server.protocols] == [["closed"], ["closed"]]

    async def test_sending_in_it_is_too_late(self) -> None:
        errors = []

        def late(protocol: Recorder) -> None:
            for call in (protocol.send, protocol.send_ping):
                with pytest.raises(StateError) as caught:
                    call(b"x")
                errors.append(caught.value)
            protocol.close()
            protocol.abort()

        async with listening(on_close=late) as server, raw_client(server) as raw:
            await server.protocol()
            raw.close()
        assert len(errors) == 2

    async def test_a_peer_that_never_answers_our_close(self) -> None:
        timeouts = Timeouts(close=0.2)
        async with listening(partial(ServerConnection, timeouts=timeouts)) as server, raw_client(server):
            protocol = await server.protocol()
            protocol.close()
            await until(lambda: protocol.lost)
        assert protocol.ends[0].cause.kind is CauseKind.CLOSE_TIMEOUT

    async def test_an_application_that_has_paused(self) -> None:
        """The peer's end is behind what is not read; ours is not."""
        timeouts = Timeouts(close=0.2)
        async with (
            listening(partial(ServerConnection, timeouts=timeouts)) as server,
            raw_client(server) as raw,
        ):
            protocol = await server.protocol()
            protocol.pause_reading()
            protocol.close(4000)
            assert code_in(await asyncio.to_thread(raw.read_frame)) == 4000
            await until(lambda: protocol.lost)


async def test_a_server_of_the_raw_kind() -> None:
    """A client of callbacks against frames that were built byte by byte."""

    def peer(raw: Raw) -> None:
        accept(raw)
        raw.send(wire.frame(wire.TEXT, b"one", key=None) + wire.frame(wire.PING, b"p", key=None))
        got.extend([raw.read_frame(), raw.read_frame()])
        raw.send(wire.close(4000, key=None))
        got.append(raw.read_frame())

    got: list[tuple[int, bytes] | None] = []
    async with Listener(peer) as listener:
        assert listener.address[0] == HOST
        async with client(listener.address, on_message=echo) as protocol:
            await until(lambda: protocol.lost)
    assert sorted(got[:2]) == [(wire.TEXT, b"one"), (wire.PONG, b"p")]  # type: ignore[type-var]
    assert code_in(got[2]) == 4000
    assert protocol.log == ["opened", "message", "closed"]
