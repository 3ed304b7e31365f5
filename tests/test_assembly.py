"""One message from its payloads to what is delivered."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.assembly import IncomingMessage
from edgews.deflate import Inflater
from edgews.errors import CompressionError, InvalidUtf8Error, MessageTooBigError
from edgews.events import Delivery, Fragment

from .engines import squeeze
from .wire import KEY, xor

Delivered = list[str | bytes | Fragment]


def assemble(
    message: IncomingMessage, fragments: list[bytes], reads: list[int] | None = None, key: bytes = KEY
) -> Delivered:
    """Give a message its fragments, each in reads of the given sizes; return what it delivers."""
    delivered: Delivered = []
    for number, fragment in enumerate(fragments):
        last = number == len(fragments) - 1
        wire = xor(fragment, key) if key else fragment
        cuts = [0]
        for size in reads or []:
            if cuts[-1] + size < len(wire):
                cuts.append(cuts[-1] + size)
        cuts.append(len(wire))
        for start, stop in pairwise(cuts):
            # Something stands in front of it in the buffer, and something behind it.
            data = b"\x81\x05" + wire[start:stop] + b"\x8a\x80"
            event = message.add(data, 2, 2 + stop - start, key, start & 3, len(wire) - stop, last)
            if event is not None:
                delivered.append(event)
    return delivered


def joined(delivered: Delivered, text: bool) -> str | bytes:
    """Put the pieces together again."""
    pieces = [piece for piece in delivered if isinstance(piece, Fragment)]
    assert pieces == delivered
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    if text:
        return "".join(piece.data for piece in pieces if isinstance(piece.data, str))
    return b"".join(piece.data for piece in pieces if isinstance(piece.data, bytes))


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@given(
    message=st.text(max_size=60) | st.binary(max_size=200),
    sizes=st.lists(st.integers(0, 40), max_size=6),
    reads=st.lists(st.integers(1, 9), max_size=40),
    compressed=st.booleans(),
    delivery=st.sampled_from(Delivery),
    masked=st.booleans(),
)
def test_a_message_comes_out_as_it_went_in(
    message: str | bytes,
    sizes: list[int],
    reads: list[int],
    compressed: bool,
    delivery: Delivery,
    masked: bool,
) -> None:
    text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    incoming = IncomingMessage(text, Inflater(15, True) if compressed else None, len(payload), delivery)
    wire = squeeze(payload) if compressed else payload
    fragments = cut(wire, sizes)
    delivered = assemble(incoming, fragments, reads, KEY if masked else b"")
    if delivery is Delivery.MESSAGES:
        assert delivered == [message]
        assert type(delivered[0]) is type(message)
        return
    assert joined(delivered, text) == message
    if delivery is Delivery.FRAGMENTS:
        assert len(delivered) == len(fragments)
        if not text and not compressed:
            assert [piece.data for piece in delivered if isinstance(piece, Fragment)] == fragments


def test_a_stream_delivers_what_has_arrived_and_skips_what_is_empty() -> None:
    message = IncomingMessage(True, None, None, Delivery.STREAM)
    payload = "aé€".encode()
    assert assemble(message, [payload, b""], [1, 1, 1, 1, 1]) == [
        Fragment("a", False),
        Fragment("é", False),
        Fragment("€", False),
        Fragment("", True),
    ]


def test_fragments_cut_a_character_at_its_end() -> None:
    message = IncomingMessage(True, None, None, Delivery.FRAGMENTS)
    assert assemble(message, [b"a\xe2", b"\x82", b"\xac", b"b"]) == [
        Fragment("a", False),
        Fragment("", False),
        Fragment("€", False),
        Fragment("b", True),
    ]


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize(
    ("payload", "fails_at"),
    [
        (b"ab\xff", 2),
        (b"ab\xc0\xaf", 2),
        (b"\xed\xa0\x80", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xe2\x82a", 2),
        (b"\xf5", 0),
    ],
)
def test_text_fails_at_the_offending_octet(payload: bytes, fails_at: int, delivery: Delivery) -> None:
    """RFC 6455 §8.1, with each octet in a read of its own and many more announced."""
    message = IncomingMessage(True, None, None, delivery)
    for at in range(fails_at):
        message.add(payload, at, at + 1, b"", 0, 1000, True)
    with pytest.raises(InvalidUtf8Error) as info:
        message.add(payload, fails_at, fails_at + 1, b"", 0, 1000, True)
    assert info.value.code == 1007


@pytest.mark.parametrize("delivery", Delivery)
def test_text_that_ends_inside_a_character_fails(delivery: Delivery) -> None:
    message = IncomingMessage(True, None, None, delivery)
    message.add(b"\xe2\x82", 0, 2, b"", 0, 0, False)
    with pytest.raises(InvalidUtf8Error):
        message.add(b"", 0, 0, b"", 0, 0, True)


def test_compressed_text_fails_as_it_inflates() -> None:
    """The end of the message, and its last block, have not come yet."""
    message = IncomingMessage(True, Inflater(15, True), None, Delivery.MESSAGES)
    stored = b"\x00\x05\x00\xfa\xffab\xffcd"
    with pytest.raises(InvalidUtf8Error):
        message.add(stored, 0, len(stored), b"", 0, 0, False)


# Limits


def test_a_header_over_the_limit_is_refused_before_its_payload() -> None:
    message = IncomingMessage(False, None, 100, Delivery.MESSAGES)
    with pytest.raises(MessageTooBigError) as info:
        message.expect(101)
    assert info.value.code == 1009
    message.expect(60)
    message.add(bytes(60), 0, 60, KEY, 0, 0, False)
    with pytest.raises(MessageTooBigError):
        message.expect(41)
    # Where it goes on in place, too.
    message.expect(30)
    message.add(bytes(20), 0, 20, KEY, 0, 10, False)
    message.collect(bytes(9), 0, 9, KEY, 0, 10)
    message.add(bytes(1), 0, 1, KEY, 1, 0, False)
    with pytest.raises(MessageTooBigError):
        message.expect(11)
    message.expect(10)


def test_no_limit_has_room_for_everything() -> None:
    IncomingMessage(False, None, None, Delivery.MESSAGES).expect((1 << 63) - 1)
    message = IncomingMessage(False, Inflater(15, True), None, Delivery.MESSAGES)
    assert assemble(message, [squeeze(bytes(1 << 20))]) == [bytes(1 << 20)]


def test_the_length_of_a_compressed_frame_says_nothing() -> None:
    message = IncomingMessage(False, Inflater(15, True), 10, Delivery.MESSAGES)
    assert message.compressed
    message.expect(11)
    assert not IncomingMessage(False, None, 10, Delivery.MESSAGES).compressed


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("text", [False, True])
def test_what_inflates_is_limited_exactly(text: bool, delivery: Delivery) -> None:
    for size, fits in ((1000, True), (1001, False)):
        message = IncomingMessage(text, Inflater(15, True), 1000, delivery)
        fragments = cut(squeeze(b"x" * size), [2, 3])
        if fits:
            assert assemble(message, fragments)
        else:
            with pytest.raises(MessageTooBigError, match="more than 1000 bytes"):
                assemble(message, fragments)


def test_corrupt_compression_fails() -> None:
    message = IncomingMessage(False, Inflater(15, True), None, Delivery.MESSAGES)
    with pytest.raises(CompressionError) as info:
        message.add(b"\x07", 0, 1, b"", 0, 5, False)
    assert info.value.code == 1007


# Cost


@pytest.mark.parametrize("text", [False, True])
def test_many_fragments_cost_one_buffer(text: bool) -> None:
    message = IncomingMessage(text, None, None, Delivery.MESSAGES)
    tracemalloc.start()
    try:
        for _ in range(8_191):
            message.add(b"x", 0, 1, b"", 0, 0, False)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * 8_192
    assert message.add(b"x", 0, 1, b"", 0, 0, True) in ("x" * 8_192, b"x" * 8_192)


def test_empty_fragments_cost_nothing() -> None:
    message = IncomingMessage(True, None, None, Delivery.MESSAGES)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            message.add(b"", 0, 0, KEY, 0, 0, False)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1024
