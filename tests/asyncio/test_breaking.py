"""Peers that break rules, or go without a word: the Close they get, and what the application is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from edgews import CauseKind, Disconnected, Limits, PerMessageDeflate
from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    PLAIN,
    Held,
    Listener,
    Report,
    code_in,
    echo,
    frames_of,
    raw_client,
    soon,
    turns,
    until,
    uri,
)
from tests.engines import squeeze
from tests.raw import Raw
from tests.sync.harness import accept

TEXT, BINARY, CLOSE, PING, CONTINUATION = wire.TEXT, wire.BINARY, wire.CLOSE, wire.PING, wire.CONTINUATION


def violations(key: bytes | None) -> dict[str, tuple[bytes, int]]:
    """Return frames of a peer that masks with `key`, or not, and the code that each deserves."""
    wrong_key = wire.KEY if key is None else None

    def frame(*parts: object, **how: object) -> bytes:
        return wire.frame(*parts, **{"key": key, **how})  # type: ignore[arg-type]

    return {
        "the wrong mask bit (§5.1)": (frame(TEXT, b"x", key=wrong_key), 1002),
        "a reserved bit (§5.2)": (frame(TEXT, b"x", rsv=2), 1002),
        "compressed without agreement (RFC 7692 §6)": (frame(TEXT, squeeze(b"x"), rsv=4), 1002),
        "a reserved opcode (§5.2)": (frame(0x3, b"x"), 1002),
        "a reserved control opcode (§5.2)": (frame(0xB), 1002),
        "a length not in its shortest form (§5.2)": (frame(TEXT, b"x", form=16), 1002),
        "a Ping in fragments (§5.5)": (frame(PING, b"x", fin=False), 1002),
        "a Ping of 126 bytes (§5.5)": (frame(PING, b"x" * 126), 1002),
        "a continuation of nothing (§5.4)": (frame(CONTINUATION, b"x"), 1002),
        "a message in a message (§5.4)": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        "a Close of one byte (§5.5.1)": (frame(CLOSE, b"\x03"), 1002),
        "a Close with 1005 (§7.4.1)": (wire.close(1005, key=key), 1002),
        "a Close with 999 (§7.4.2)": (wire.close(999, key=key), 1002),
        "a Close whose reason is no UTF-8 (§5.5.1)": (wire.close(1000, b"\xff", key=key), 1007),
        "text that is no UTF-8 (§8.1)": (frame(TEXT, b"\xc3\x28"), 1007),
        "text that is no UTF-8, and unfinished (§8.1)": (frame(TEXT, b"\xff", fin=False), 1007),
        "a frame over the limit (§10.4)": (frame(TEXT, b"", length=1001), 1009),
        "fragments over the limit (§10.4)": (
            frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600),
            1009,
        ),
    }


FROM_A_CLIENT, FROM_A_SERVER = violations(wire.KEY), violations(None)
LIMITS = Limits(max_message_size=1000)


def kind_for(code: int) -> CauseKind:
    return CauseKind.MESSAGE_TOO_BIG if code == 1009 else CauseKind.PROTOCOL_ERROR


class TestViolations:
    @pytest.mark.parametrize("name", FROM_A_CLIENT)
    async def test_of_a_client(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        data, code = FROM_A_CLIENT[name]
        report = Report()
        async with PLAIN.serve(report, limits=LIMITS) as server, raw_client(server) as raw:
            raw.send(data)
            (close,) = await frames_of(raw)
            assert code_in(close) == code
            raw.close()
            closed = await report.closed()
        assert (closed.code, closed.clean, closed.cause.kind) == (1006, False, kind_for(code))
        assert report.received == []
        assert not [record for record in caplog.records if record.levelno > logging.DEBUG]

    @pytest.mark.parametrize("name", FROM_A_CLIENT)
    async def test_messages_in_front_in_the_same_read_are_answered_before_the_close(self, name: str) -> None:
        data, code = FROM_A_CLIENT[name]
        report = Report()
        async with PLAIN.serve(report, limits=LIMITS) as server, raw_client(server) as raw:
            raw.send(
                wire.frame(TEXT, b"one") + wire.frame(BINARY, b"two") + wire.frame(TEXT, b"three") + data
            )
            *answers, close = await frames_of(raw)
            assert answers == [(TEXT, b"one"), (BINARY, b"two"), (TEXT, b"three")]
            assert code_in(close) == code
            raw.close()
            await report.closed()
        assert report.received == ["one", b"two", "three"]

    @pytest.mark.parametrize("name", FROM_A_SERVER)
    async def test_of_a_server(self, name: str) -> None:
        data, code = FROM_A_SERVER[name]
        got = []

        def peer(raw: Raw) -> None:
            accept(raw)
            raw.send(wire.frame(TEXT, b"fine", key=None) + data)
            got.extend(iter(raw.read_frame, None))

        async with Listener(peer) as listener:
            ws = await connect(listener.uri, limits=LIMITS)
            assert await soon(ws.recv()) == "fine"
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.recv())
            await soon(ws.wait_closed())
        (close,) = got
        assert code_in(close) == code
        assert caught.value.disconnected.cause.kind is kind_for(code)

    async def test_data_that_does_not_inflate(self) -> None:
        """RFC 7692 §7.2.2."""
        report = Report()
        offer = {"Sec_WebSocket_Extensions": "permessage-deflate"}
        async with (
            PLAIN.serve(report, compression=PerMessageDeflate()) as server,
            raw_client(server, b"", **offer) as raw,
        ):
            raw.send(wire.frame(TEXT, squeeze(b"fine"), rsv=4) + wire.frame(TEXT, b"\xff\xff\xff", rsv=4))
            answer, close = await frames_of(raw)
            raw.close()
            await report.closed()
        assert answer[0] == TEXT
        assert code_in(close) == 1007
        assert report.received == ["fine"]

    async def test_frames_that_come_before_the_answer_to_the_request(self) -> None:
        """What is wrong in them is answered after the opening handshake, and in its words."""
        wrong = wire.frame(TEXT, b"fine") + wire.frame(TEXT, b"x", rsv=1)
        async with PLAIN.serve(echo) as server, raw_client(server, behind=wrong) as raw:
            answer, close = await frames_of(raw)
            assert answer == (TEXT, b"fine")
            assert code_in(close) == 1002

    async def test_what_comes_behind_is_ignored(self) -> None:
        """RFC 6455 §7.1.7."""
        report = Report()
        async with PLAIN.serve(report) as server, raw_client(server) as raw:
            raw.send(wire.frame(TEXT, b"x", rsv=1) + wire.frame(TEXT, b"late"))
            raw.send(wire.frame(TEXT, b"later"))
            (close,) = await frames_of(raw)
            assert code_in(close) == 1002
            raw.close()
            await report.closed()
        assert report.received == []

    async def test_while_the_application_is_busy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has its time to answer, and no more: then the Close goes out in front of the answer."""
        monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.05)
        go = asyncio.Event()

        async def ponder(ws: WebSocket) -> None:
            await ws.recv()
            await go.wait()
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.send("too late"))
            ends.append(caught.value.disconnected)

        ends: list[Disconnected] = []
        async with PLAIN.serve(ponder) as server, raw_client(server) as raw:
            raw.send(wire.frame(TEXT, b"question") + wire.frame(TEXT, b"x", rsv=1))
            (close,) = await soon(frames_of(raw))
            assert code_in(close) == 1002
            go.set()
            raw.close()
            await until(lambda: ends)
        assert ends[0].cause.kind is CauseKind.PROTOCOL_ERROR


class TestGoingWithoutAWord:
    @pytest.mark.parametrize("sent", [b"", wire.frame(TEXT, b"whole"), wire.frame(TEXT, b"cut off")[:9]])
    @pytest.mark.parametrize("reset", [True, False])
    async def test_a_client(self, sent: bytes, reset: bool, caplog: pytest.LogCaptureFixture) -> None:
        held = Held()
        async with PLAIN.serve(held) as server, raw_client(server) as raw:
            ws = await held.ws()
            raw.send(sent)
            await until(lambda: ws._conn.bytes_received >= len(sent))
            raw.reset() if reset else raw.close()
            closed = await soon(ws.wait_closed())
            assert (closed.code, closed.clean) == (1006, False)
            assert closed.cause.kind is CauseKind.PEER_VANISHED
            if sent.endswith(wire.xor(b"whole", wire.KEY)):
                assert await soon(ws.recv()) == "whole"
            with pytest.raises(ConnectionClosed):
                await soon(ws.recv())
        assert not [record for record in caplog.records if record.levelno > logging.DEBUG]

    @pytest.mark.parametrize("sent", [b"", wire.frame(TEXT, b"cut off", key=None)[:5]])
    @pytest.mark.parametrize("reset", [True, False])
    async def test_a_server(self, sent: bytes, reset: bool) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.read_frame()
            raw.send(sent)
            if reset:
                raw.reset()

        async with Listener(peer) as listener:
            async with connect(listener.uri) as ws:
                receiver = asyncio.create_task(ws.recv())
                pinging = asyncio.create_task(ws.ping())
                for waiting in (receiver, pinging):
                    with pytest.raises(ConnectionClosed) as caught:
                        await soon(waiting)
                    assert caught.value.disconnected.code == 1006
            assert ws.closed is not None
            assert ws.closed.cause.kind is CauseKind.PEER_VANISHED

    async def test_half_a_close(self) -> None:
        """A stream that ends in the middle of a Close ended without one."""
        report = Report()
        async with PLAIN.serve(report) as server, raw_client(server) as raw:
            raw.send(wire.close(1000, b"bye")[:-1])
            raw.close()
            closed = await report.closed()
        assert (closed.code, closed.clean) == (1006, False)

    async def test_what_is_asked_before_the_end_of_a_stream_is_answered(self) -> None:
        """A peer that half-closes still reads."""
        report = Report()
        async with PLAIN.serve(report) as server, raw_client(server) as raw:
            raw.send(wire.frame(TEXT, b"a") + wire.frame(TEXT, b"b"))
            assert await asyncio.to_thread(raw.read_frame) == (TEXT, b"a")
            assert await asyncio.to_thread(raw.read_frame) == (TEXT, b"b")
            raw.sock.shutdown(1)
            closed = await report.closed()
            assert await asyncio.to_thread(raw.read_rest) == b""
        assert closed.cause.kind is CauseKind.PEER_VANISHED

    async def test_what_was_sent_before_a_reset_is_received(self) -> None:
        """The messages inflate to more than the inbox holds; the reset is noticed when something is sent."""
        count, message = 20, b"m" * 30_000
        small = wire.frame(BINARY, squeeze(message), rsv=4)
        offer = {"Sec_WebSocket_Extensions": "permessage-deflate; client_no_context_takeover"}
        got: list[str | bytes] = []
        gone = asyncio.Event()

        async def take(ws: WebSocket) -> None:
            got.append(await ws.recv())
            await gone.wait()
            with contextlib.suppress(ConnectionClosed):
                while ws._transport is not None:
                    await ws.send("answer")
                    await turns()
            async for message in ws:
                got.append(message)  # noqa: PERF401 - it may raise

        async with (
            PLAIN.serve(take, compression=PerMessageDeflate()) as server,
            raw_client(server, b"", **offer) as raw,
        ):
            raw.send(small * count)
            await until(lambda: got)
            raw.reset()
            gone.set()
            await until(lambda: not server._connections)
        assert got == [message] * count

    async def test_many_at_once(self) -> None:
        """Every connection of a server goes at the same moment, and it goes on."""
        async with PLAIN.serve(echo) as server:
            peers = [await connect(uri(server)) for _ in range(50)]
            for ws in peers:
                ws._abort()
            await until(lambda: not server._connections)
            async with connect(uri(server)) as ws:
                await ws.send("next")
                assert await soon(ws.recv()) == "next"
