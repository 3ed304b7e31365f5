"""Messages in fragments, in and out, on every adapter."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edgews import CauseKind, Delivery, InvalidValueError, Limits, PerMessageDeflate
from edgews.outcomes import ConnectionClosed
from tests import wire
from tests.contract.drivers import PATIENCE, Driver, SyncDriver
from tests.contract.peers import opened, raw_client, raw_server
from tests.raw import Raw, check

WORDS = ["Every ", "word ", "in ", "a ", "frame; ", "é€😀"]

pieces_only = pytest.mark.parametrize("delivery", [Delivery.FRAGMENTS, Delivery.STREAM])


async def _delayed(d: Driver, pieces: list[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        await d.pause()
        yield piece


@pieces_only
async def test_pieces_come_back_as_they_went(d: Driver, delivery: Delivery) -> None:
    async def handler(ws: Any) -> None:
        await d.send(ws, [piece async for piece in d.pieces(ws)])

    async with (
        d.serving(handler, delivery=delivery) as server,
        d.connecting(server.uri(), delivery=Delivery.FRAGMENTS) as ws,
    ):
        await d.send(ws, WORDS)
        found = [piece async for piece in d.pieces(ws)]
        assert "".join(found) == "".join(WORDS)  # type: ignore[arg-type]
        if delivery is Delivery.FRAGMENTS:
            # The end goes out as an empty fragment of its own, twice by now.
            assert found == [*WORDS, "", ""]


@pytest.mark.parametrize("delivery", Delivery)
async def test_a_whole_message_from_pieces(d: Driver, delivery: Delivery) -> None:
    parts = [b"%d;" % number for number in range(2000)]
    async with d.serving(d.echo, delivery=delivery) as server, d.connecting(server.uri()) as ws:
        await d.send(ws, parts)
        assert await d.recv(ws, PATIENCE) == b"".join(parts)
        await d.send(ws, iter(WORDS))
        assert await d.recv(ws, PATIENCE) == "".join(WORDS)


async def test_an_asynchronous_iterable(d: Driver) -> None:
    if isinstance(d, SyncDriver):
        async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
            with pytest.raises(TypeError):
                await d.send(ws, _delayed(d, WORDS))
        return
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        await d.send(ws, _delayed(d, WORDS))
        assert await d.recv(ws, PATIENCE) == "".join(WORDS)


async def test_without_a_piece_nothing_is_sent(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        await d.send(ws, [])
        await d.send(ws, "next")
        assert await d.recv(ws, PATIENCE) == "next"
        assert ws.stats.messages_sent == 1


async def test_compressed(d: Driver) -> None:
    wish = PerMessageDeflate(threshold=0)
    async with (
        d.serving(d.echo, compression=wish, delivery=Delivery.STREAM) as server,
        d.connecting(server.uri(), compression=wish) as ws,
    ):
        before = ws.stats.bytes_sent
        await d.send(ws, itertools.repeat("the same again", 500))
        assert await d.recv(ws, PATIENCE) == "the same again" * 500
        assert ws.stats.bytes_sent - before < 7000 + 500 * 8


async def test_longer_than_any_buffer(d: Driver) -> None:
    """Pieces are taken as they come, so the message never lies anywhere as a whole."""
    count = 300
    sizes = []

    async def handler(ws: Any) -> None:
        async for piece in d.pieces(ws):
            sizes.append(len(piece))  # noqa: PERF401 - a driver's iterator may be none of asyncio's

    unlimited = Limits(max_message_size=None)
    async with (
        d.serving(handler, delivery=Delivery.STREAM, limits=unlimited) as server,
        d.connecting(server.uri()) as ws,
    ):
        await d.send(ws, itertools.repeat(bytes(65536), count))
        assert await d.all(ws) == []
    assert sum(sizes) == 65536 * count


async def test_other_messages_wait_for_the_last_piece(d: Driver) -> None:
    begun, go_on = d.event(), d.event()
    received: list[Any] = []

    async def take(ws: Any) -> None:
        received.extend(await d.all(ws))

    async def send_in_pieces(ws: Any) -> None:
        if isinstance(d, SyncDriver):
            await d.send(ws, _blocking())
        else:
            await d.send(ws, _waiting())

    def _blocking() -> Any:
        yield "first, "
        begun.set()
        go_on._native.wait(PATIENCE)
        yield "last"

    async def _waiting() -> AsyncIterator[str]:
        yield "first, "
        begun.set()
        await go_on.wait()
        yield "last"

    async with d.serving(take) as server, d.connecting(server.uri()) as ws:
        sender = d.spawn(send_in_pieces, ws)
        await begun.wait()
        others = [d.spawn(d.send, ws, f"other {number}") for number in range(3)]
        more = d.spawn(d.send, ws, ["in ", "pieces"])
        # A Ping may go between them.
        await d.ping(ws, PATIENCE)
        go_on.set()
        for task in (sender, *others, more):
            await task.join()
        await d.close(ws)
    assert received[0] == "first, last"
    assert sorted(received[1:]) == ["in pieces", "other 0", "other 1", "other 2"]


async def test_what_fails_in_between_fails_the_connection(d: Driver) -> None:
    def broken() -> Any:
        yield "half"
        raise ZeroDivisionError

    def peer(raw: Raw) -> None:
        check(raw.read_frame() == (wire.TEXT, b"half"), "the first piece")
        frame = raw.read_frame()
        check(frame is not None and frame[0] == wire.CLOSE, "our Close")
        check(frame is not None and wire.close_code(frame[1]) == 1011, "and its code")

    async with raw_server(d, opened(peer)) as uri, d.connecting(uri) as ws:
        with pytest.raises(ZeroDivisionError):
            await d.send(ws, broken())
        with pytest.raises(ConnectionClosed):
            await d.send(ws, "another")
        assert (await d.end(ws)).cause.kind is CauseKind.FAILED


async def test_what_fails_before_the_first_piece_does_no_harm(d: Driver) -> None:
    def broken() -> Any:
        raise ZeroDivisionError
        yield

    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        with pytest.raises(ZeroDivisionError):
            await d.send(ws, broken())
        for wrong in ({"a": 1}, 5, None, [{"a": 1}]):
            with pytest.raises(TypeError, match=r"(data|message) must be a str, or bytes-like, not"):
                await d.send(ws, wrong)
        await d.send(ws, "fine")
        assert await d.recv(ws, PATIENCE) == "fine"


async def test_mixed_types_are_refused(d: Driver) -> None:
    async with d.serving(d.echo) as server, d.connecting(server.uri()) as ws:
        with pytest.raises(InvalidValueError):
            await d.send(ws, ["text", b"binary"])
        assert (await d.end(ws)).cause.kind is CauseKind.FAILED


@pieces_only
async def test_what_is_left_of_a_message_is_skipped(d: Driver, delivery: Delivery) -> None:
    found: list[Any] = []

    async def handler(ws: Any) -> None:
        async for piece in d.pieces(ws):
            found.append(piece)
            break
        found.append(await d.recv(ws, PATIENCE))
        found.extend([piece async for piece in d.pieces(ws)])

    async with d.serving(handler, delivery=delivery) as server, raw_client(d, server.address) as raw:
        await raw.send(wire.frame(wire.TEXT, b"one", fin=False))
        await d.until(lambda: found)
        await raw.send(wire.frame(wire.CONTINUATION, b"more") + wire.frame(wire.TEXT, b"two"))
        await raw.send(wire.frame(wire.TEXT, b"three"))
        frame = await raw.read_frame()
        assert frame is not None
        assert frame[0] == wire.CLOSE
    assert found == ["one", "two", "three"]


@pieces_only
async def test_a_message_that_is_cut_off(d: Driver, delivery: Delivery) -> None:
    found: list[Any] = []

    async def take_pieces(ws: Any) -> None:
        async for piece in d.pieces(ws):
            found.append(piece)  # noqa: PERF401 - it raises

    async def handler(ws: Any) -> None:
        with pytest.raises(ConnectionClosed):
            await take_pieces(ws)
        with pytest.raises(ConnectionClosed):
            await d.recv(ws)
        found.append(ws.closed.cause.kind)

    async with d.serving(handler, delivery=delivery) as server:
        async with raw_client(d, server.address) as raw:
            await raw.send(
                wire.frame(wire.TEXT, b"begun", fin=False) + wire.frame(wire.CONTINUATION, b"!", fin=False)
            )
            await d.until(lambda: len(found) == 2)
        await d.until(lambda: len(found) == 3)
    assert found == ["begun", "!", CauseKind.PEER_VANISHED]
