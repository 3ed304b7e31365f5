"""Messages in fragments that are cancelled, cut off, or too much for the peer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgews import Delivery, PerMessageDeflate, StateError, Timeouts
from edgews.asyncio import ConnectionClosed, WebSocket, broadcast, connect
from tests import wire
from tests.asyncio.harness import (
    PLAIN,
    Held,
    Listener,
    NewLoop,
    Report,
    code_in,
    raw_client,
    run,
    soon,
    turns,
    until,
    uri,
)
from tests.engines import squeeze
from tests.raw import Raw
from tests.sync.harness import accept

CHUNK = bytes(64 * 1024)


async def slowly(pieces: list[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
        await turns(2)


class TestSending:
    @pytest.mark.parametrize("count", range(10))
    async def test_cancelled_at_every_turn(self, count: int) -> None:
        """Whoever has begun a message and not ended it has failed the connection; others are told."""
        report = Report()
        async with PLAIN.serve(report) as server, connect(uri(server)) as ws:
            sending = asyncio.create_task(ws.send(slowly(["a", "b", "c"])))
            await turns(1)
            waiting = asyncio.create_task(ws.send("next"))
            await turns(count)
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled():
                await soon(waiting)
                await until(lambda: report.received == ["abc", "next"])
                return
            with pytest.raises(ConnectionClosed):
                await soon(waiting)
            assert (await report.closed()).code == 1011
            assert report.received == []

    async def test_cancelled_while_the_peer_is_slow(self) -> None:
        held = Held()
        async with PLAIN.serve(held, timeouts=Timeouts(close=0.2)) as server, raw_client(server) as raw:
            ws = await held.ws()
            sending = asyncio.create_task(ws.send(itertools.repeat(CHUNK)))
            await until(lambda: ws._drained is not None)
            before = ws.buffered_amount
            await turns(20)
            assert ws.buffered_amount == before, "it goes on although the peer takes nothing"
            sending.cancel()
            await asyncio.wait([sending])
            frames = await soon(asyncio.to_thread(lambda: list(iter(raw.read_frame, None))))
            assert code_in(frames[-1]) == 1011
            assert {payload for _, payload in frames[:-1]} == {CHUNK}

    async def test_to_a_peer_that_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The end may stand behind messages that nobody takes; even so, it ends what has no end."""
        monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.01)
        offer = {"Sec_WebSocket_Extensions": "permessage-deflate; client_no_context_takeover"}
        ends: list[ConnectionClosed] = []
        go = asyncio.Event()

        async def pour(ws: WebSocket) -> None:
            await go.wait()
            with pytest.raises(ConnectionClosed) as caught:
                await ws.send(itertools.repeat(b"drop"), compress=False)
            ends.append(caught.value)

        many = wire.frame(wire.BINARY, squeeze(bytes(30_000)), rsv=4) * 20
        async with (
            PLAIN.serve(pour, compression=PerMessageDeflate()) as server,
            raw_client(server, b"", **offer) as raw,
        ):
            raw.send(many)
            (ws,) = server.connections
            await until(lambda: ws._session.full)
            go.set()
            await asyncio.to_thread(raw.reset)
            await until(lambda: ends)
        assert ends[0].disconnected.code == 1006

    async def test_the_peer_closes_in_between(self) -> None:
        def leave(raw: Raw) -> None:
            accept(raw)
            assert raw.read_frame() == (wire.TEXT, b"a")
            raw.send(wire.close(4000, key=None))
            while (raw.read_frame() or (wire.CLOSE, b""))[0] != wire.CLOSE:
                pass

        async def without_end() -> AsyncIterator[str]:
            while True:
                yield "a"
                await turns()

        async with Listener(leave) as listener:
            ws = await connect(listener.uri)
            with pytest.raises(ConnectionClosed, match="4000"):
                await soon(ws.send(without_end()))

    async def test_an_error_of_the_engine_that_the_pieces_raise(self) -> None:
        """It is theirs, and no news of this connection."""

        async def fail() -> AsyncIterator[str]:
            yield "a"
            raise StateError("of another connection")

        report = Report()
        async with PLAIN.serve(report) as server, connect(uri(server)) as ws:
            with pytest.raises(StateError, match="of another"):
                await soon(ws.send(fail()))
            assert (await report.closed()).code == 1011


class TestReceiving:
    @settings(max_examples=15)
    @given(
        patience=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=20),
        sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    )
    def test_cancelled_at_any_turn_nothing_is_lost(
        self, new_loop: NewLoop, patience: list[tuple[int, bool]], sizes: list[int]
    ) -> None:
        """Pieces of one message by calls that are cancelled, and whole messages by others."""
        numbers = itertools.count()
        messages = [[f"{next(numbers)};" for _ in range(size)] for size in sizes]

        async def talk(ws: WebSocket) -> None:
            for pieces in messages:
                await ws.send(slowly(pieces))

        async def test() -> None:
            got: list[str] = []
            async with PLAIN.open(talk, delivery=Delivery.FRAGMENTS) as ws:
                stream = ws.recv_streaming()
                over = False
                for count, whole in patience:
                    # In the midst of a message, `recv` would skip its rest.
                    fresh = stream._last is None or stream._last.final
                    if fresh:
                        stream = ws.recv_streaming()
                    call = ws.recv() if whole and fresh and not ws._session._parts else anext(stream)  # type: ignore[attr-defined]
                    task = asyncio.ensure_future(call)
                    await turns(count)
                    task.cancel()
                    await asyncio.wait([task])
                    if not task.cancelled():
                        over = task.exception() is not None
                        if over:
                            break
                        got.append(str(task.result()))
                while not over:
                    if stream._last is None or stream._last.final:
                        stream = ws.recv_streaming()
                    try:
                        got.append(str(await soon(anext(stream))))
                    except ConnectionClosed:
                        over = True
            assert "".join(got) == "".join(itertools.chain(*messages))

        run(test(), new_loop)

    async def test_a_message_that_is_cut_off(self) -> None:
        got: list[str | bytes] = []

        async def take(ws: WebSocket) -> None:
            async for piece in ws.recv_streaming():
                got.append(piece)  # noqa: PERF401 - it raises

        for end in (wire.close(4000), b""):
            got.clear()
            async with PLAIN.serve(take, delivery=Delivery.FRAGMENTS) as server, raw_client(server) as raw:
                raw.send(wire.frame(wire.TEXT, b"one", fin=False) + wire.frame(0, b"two", fin=False) + end)
                await until(lambda: len(got) == 2)
                raw.sock.shutdown(1)
                await until(lambda: not server._connections)
            assert got == ["one", "two"]


async def test_a_ping_of_a_connection_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end stands behind more messages than the inbox holds, and nobody takes them."""
    monkeypatch.setattr("edgews.session.ANSWER_TIME", 0.01)
    offer = {"Sec_WebSocket_Extensions": "permessage-deflate; client_no_context_takeover"}
    errors: list[ConnectionClosed] = []

    async def ask(ws: WebSocket) -> None:
        await until(lambda: ws._session.full)
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.ping())
            errors.append(caught.value)

    many = wire.frame(wire.BINARY, squeeze(bytes(30_000)), rsv=4) * 20
    async with (
        PLAIN.serve(ask, compression=PerMessageDeflate()) as server,
        raw_client(server, b"", **offer) as raw,
    ):
        raw.send(many)
        (ws,) = server.connections
        await until(lambda: ws._pings)
        await asyncio.to_thread(raw.reset)
        # Nothing is read as long as the inbox is full: the reset is noticed when something is written.
        while ws._transport is not None:
            ws._put(ws._conn.send("?"))
            await turns()
        assert server.connections == set()
        assert broadcast([ws], "to nobody") == 0
        await until(lambda: len(errors) == 2)
