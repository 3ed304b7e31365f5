from __future__ import annotations

from array import array

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.deflate import Deflater, Inflater
from edgews.errors import InvalidValueError
from edgews.messages import PreparedMessage, as_bytes, check_utf8, encode_text
from tests.wire import BINARY, TEXT, frame

bytes_likes = st.sampled_from([bytes, bytearray, memoryview])
repeated = st.builds(lambda piece, times: piece * times, st.text(), st.integers(0, 200))
contents = st.text() | st.binary() | repeated
deflaters = st.builds(Deflater, st.integers(8, 15), st.booleans(), st.integers(-1, 9), st.integers(1, 9))


@given(st.binary(), bytes_likes)
def test_anything_bytes_like_becomes_bytes(octets, kind):
    data = kind(octets)
    converted = as_bytes(data)
    assert type(converted) is bytes
    assert converted == octets
    assert (converted is data) is (kind is bytes)


def test_wider_items_and_gaps_are_octets_too():
    wide = array("I", [1, 2])
    assert as_bytes(memoryview(wide)) == wide.tobytes()
    assert as_bytes(memoryview(b"abcdef")[::2]) == b"ace"


@pytest.mark.parametrize("value", [5, 0, "text", None, [1, 2], 1.5])
def test_what_is_not_bytes_like_is_a_type_error(value):
    # `bytes(5)` would be five zeros.
    with pytest.raises(
        TypeError, match=f"^data must be bytes-like, not {'None' if value is None else type(value).__name__}$"
    ):
        as_bytes(value)
    with pytest.raises(TypeError):
        check_utf8(value)
    if not isinstance(value, str):
        with pytest.raises(TypeError, match="text must be a str"):
            encode_text(value)
        with pytest.raises(TypeError):
            PreparedMessage(value)


@given(st.text())
def test_text_is_utf8(text):
    assert encode_text(text) == text.encode("utf-8")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ude00\ud83d"])
def test_a_lone_surrogate_has_no_utf8(text):
    with pytest.raises(InvalidValueError, match="surrogates not allowed"):
        encode_text(text)
    with pytest.raises(InvalidValueError):
        PreparedMessage(text)


@given(st.binary() | st.text().map(str.encode), bytes_likes)
@example(b"\xed\xa0\x80", bytes)
@example(b"abc\xff", bytes)
def test_only_utf8_passes(octets, kind):
    try:
        octets.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(InvalidValueError, match=f"data is not UTF-8: .* at {error.start}$"):
            check_utf8(kind(octets))
    else:
        assert check_utf8(kind(octets)) == octets


def octets_of(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


@given(contents)
@example("a" * 125)
@example("a" * 126)
@example(b"a" * 65535)
@example(b"a" * 65536)
def test_a_prepared_message_is_one_frame(message):
    prepared = PreparedMessage(message)
    opcode = TEXT if isinstance(message, str) else BINARY
    framed = prepared.frame(None)
    assert framed == frame(opcode, octets_of(message), key=None)
    assert prepared.payload == octets_of(message)
    assert prepared.first == framed[0]
    # It is framed once.
    assert prepared.frame(None) is framed


@given(contents, deflaters, deflaters)
def test_a_prepared_message_is_compressed_once_for_each_kind(message, one, other):
    prepared = PreparedMessage(message)
    one.compress(b"what the first peer was sent", True)
    payloads = {}
    for deflater in (one, other, one):
        payload = prepared.deflated(deflater)
        assert payloads.setdefault(deflater.kind, payload) is payload
        assert Inflater(15, True).decompress(payload, True, 1 << 30) == octets_of(message)
        opcode = TEXT if isinstance(message, str) else BINARY
        framed = prepared.frame(deflater)
        assert framed == frame(opcode, payload, rsv=4, key=None)
        assert prepared.frame(deflater) is framed
    # The plain frame is another.
    assert prepared.frame(None)[0] & 0x40 == 0


def test_what_is_prepared_does_not_follow_its_source():
    source = bytearray(b"abc")
    prepared = PreparedMessage(source)
    source[0] = 0x7A
    source.clear()
    assert prepared.frame(None) == frame(BINARY, b"abc", key=None)
