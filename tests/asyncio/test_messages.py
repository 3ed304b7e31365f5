"""Messages over every kind of byte stream: what comes back is what went."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgews import CauseKind, InvalidValueError, Limits, PerMessageDeflate, PreparedMessage
from edgews.asyncio import ConnectionClosed, WebSocket, connect
from tests import wire
from tests.asyncio.harness import (
    LINKS,
    PLAIN,
    Link,
    NewLoop,
    Report,
    code_in,
    echo,
    raw_client,
    run,
    soon,
    uri,
)

MIB = 1024 * 1024

# On both sides of the lengths at which a frame's header grows (RFC 6455 §5.2), and the default limit.
SIZES = [0, 1, 125, 126, 65535, 65536, MIB - 1, MIB]


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_comes_back(link: Link, size: int) -> None:
    async with link.open(echo) as ws:
        for message in ("x" * size, "é" * (size // 2), b"\xff" * size):
            await ws.send(message)
            answer = await soon(ws.recv())
            assert type(answer) is type(message)
            assert answer == message


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_is_sent_first_by_the_server(link: Link, size: int) -> None:
    async def talk(ws: WebSocket) -> None:
        await ws.send("y" * size)
        await ws.send(b"\x01" * size)

    async with link.open(talk) as ws:
        assert [message async for message in ws] == ["y" * size, b"\x01" * size]


@settings(max_examples=10)
@given(
    messages=st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=12),
    ahead=st.integers(1, 12),
    kind=st.sampled_from(list(LINKS)),
)
def test_any_messages_come_back_in_order(
    new_loop: NewLoop, messages: list[str | bytes], ahead: int, kind: str
) -> None:
    async def test() -> None:
        async with LINKS[kind].open(echo) as ws:
            for start in range(0, len(messages), ahead):
                sent = messages[start : start + ahead]
                for message in sent:
                    await ws.send(message)
                assert [await soon(ws.recv()) for _ in sent] == sent

    run(test(), new_loop)


@settings(max_examples=10)
@given(
    messages=st.lists(st.text(max_size=200) | st.binary(max_size=200), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
    pings=st.booleans(),
)
def test_a_stream_in_any_pieces_is_the_same_stream(
    new_loop: NewLoop, messages: list[str | bytes], cuts: list[int], pings: bool
) -> None:
    stream = b""
    for message in messages:
        if pings:
            stream += wire.frame(wire.PING, b"p")
        payload = message.encode() if isinstance(message, str) else message
        stream += wire.frame(wire.TEXT if isinstance(message, str) else wire.BINARY, payload)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    async def test() -> None:
        report = Report()
        async with PLAIN.serve(report) as server, raw_client(server) as raw:
            for start, stop in pairwise(edges):
                raw.send(stream[start:stop])
                await asyncio.sleep(0)
            answers = []
            while len(answers) < len(messages):
                frame = await asyncio.to_thread(raw.read_frame)
                assert frame is not None
                if frame != (wire.PONG, b"p"):
                    answers.append(frame)
            raw.close()
            await report.closed()
        assert report.received == messages
        assert [payload for _, payload in answers] == [
            message.encode() if isinstance(message, str) else message for message in messages
        ]

    run(test(), new_loop)


async def test_bytes_like_is_binary(link: Link) -> None:
    async with link.open(echo) as ws:
        for message in (bytearray(b"abc"), memoryview(b"def")):
            await ws.send(message)
            assert await soon(ws.recv()) == bytes(message)


async def test_many_both_ways_at_once(link: Link) -> None:
    messages = [f"{number} " + "x" * (number * 37 % 3000) for number in range(500)]
    async with link.open(echo) as ws:

        async def send_all() -> None:
            for message in messages:
                await ws.send(message)

        sender = asyncio.create_task(send_all())
        assert [await soon(ws.recv()) for _ in messages] == messages
        await sender


async def test_many_tasks_send_on_one_connection(link: Link) -> None:
    """Each message stays whole, and each task's messages stay in order."""
    report = Report()
    async with link.open(report) as ws:

        async def send(task: int) -> None:
            for number in range(20):
                await ws.send(f"{task} {number} " + "x" * 10_000)

        async with asyncio.TaskGroup() as group:
            for task in range(10):
                group.create_task(send(task))
            for _ in range(200):
                await soon(ws.recv())
    for task in range(10):
        mine = [m.split()[1] for m in map(str, report.received) if m.startswith(f"{task} ")]
        assert mine == [str(number) for number in range(20)]


async def test_a_prepared_message_goes_to_many() -> None:
    prepared = PreparedMessage("framed once")
    async with LINKS["deflate"].serve(echo) as server:
        for compression in (None, PerMessageDeflate()):
            async with connect(uri(server), compression=compression) as ws:
                await ws.send(prepared)
                assert await soon(ws.recv()) == "framed once"


async def test_compression_can_be_turned_off_for_a_message() -> None:
    async with LINKS["deflate"].open(echo) as ws:
        assert ws.response is not None
        assert "permessage-deflate" in (ws.response.headers.get("Sec-WebSocket-Extensions") or "")
        sizes = []
        for compress in (True, False, None):
            before = ws._conn.bytes_sent
            await ws.send("y" * 5000, compress=compress)
            sizes.append(ws._conn.bytes_sent - before)
            assert await soon(ws.recv()) == "y" * 5000
    assert sizes[0] < 100
    assert sizes[1] > 5000
    assert sizes[2] < 100


async def test_text_without_utf8_is_refused_and_harmless() -> None:
    async with PLAIN.open(echo) as ws:
        with pytest.raises(InvalidValueError):
            await ws.send("\ud800")
        await ws.send("fine")
        assert await soon(ws.recv()) == "fine"


async def test_frames_that_come_with_the_handshake() -> None:
    early = wire.frame(wire.TEXT, b"early") + wire.frame(wire.TEXT, b"too")
    async with PLAIN.serve(echo) as server, raw_client(server, behind=early) as raw:
        assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"early")
        assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"too")


class TestLimits:
    async def test_a_message_over_the_servers_limit(self, link: Link) -> None:
        report = Report()
        async with link.open(report) as ws:
            await ws.send(b"x" * (MIB + 1))
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.recv())
            assert caught.value.disconnected.code == 1009
        closed = await report.closed()
        assert closed.cause.kind is CauseKind.MESSAGE_TOO_BIG
        assert report.received == []

    async def test_a_message_over_the_clients_limit(self, link: Link) -> None:
        closed = []

        async def talk(ws: WebSocket) -> None:
            await ws.send("x" * 126)
            await ws.send("x" * 127)
            closed.append(await ws.wait_closed())

        async with link.open(talk, limits=Limits(max_message_size=126)) as ws:
            assert await soon(ws.recv()) == "x" * 126
            with pytest.raises(ConnectionClosed):
                await soon(ws.recv())
            assert ws.closed is not None
            assert ws.closed.cause.kind is CauseKind.MESSAGE_TOO_BIG
        assert closed[0].code == 1009

    async def test_no_limit(self) -> None:
        unlimited = Limits(max_message_size=None)
        message = "0123456789abcdef" * (3 * MIB // 16)
        async with (
            PLAIN.serve(echo, limits=unlimited) as server,
            connect(uri(server), limits=unlimited) as ws,
        ):
            await ws.send(message)
            assert await soon(ws.recv()) == message

    async def test_a_small_frame_that_inflates_over_the_limit(self) -> None:
        """RFC 7692 §7: what counts is what comes out."""
        async with (
            LINKS["deflate"].serve(echo, limits=Limits(max_message_size=1000)) as server,
            connect(uri(server), compression=PerMessageDeflate()) as ws,
        ):
            await ws.send("z" * 1000, compress=True)
            assert await soon(ws.recv()) == "z" * 1000
            await ws.send("z" * 1001, compress=True)
            with pytest.raises(ConnectionClosed) as caught:
                await soon(ws.recv())
        assert caught.value.disconnected.code == 1009


async def test_one_read_of_many_messages_is_answered_in_order() -> None:
    async with PLAIN.serve(echo) as server, raw_client(server) as raw:
        count = 500
        raw.send(
            b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(count)) + wire.close(4000)
        )
        for number in range(count):
            assert await asyncio.to_thread(raw.read_frame) == (wire.TEXT, b"%d" % number)
        assert code_in(await asyncio.to_thread(raw.read_frame)) == 4000
