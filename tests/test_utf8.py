from __future__ import annotations

from itertools import chain, pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.errors import InvalidUtf8Error
from edgews.utf8 import Utf8Decoder

# How an encoded character may begin: whatever the last octet, what stands before it is the same for 64
# neighbours. RFC 3629 §3 leaves the surrogates out.
SURROGATES = range(0xD800, 0xE000)
BEGINNINGS = {
    chr(first).encode()[:size]
    for first in range(0x80, 0x110000, 0x40)
    if first not in SURROGATES
    for size in range(1, len(chr(first).encode()))
}


def offence(octets: bytes) -> int | None:
    """Return the index of the first octet after which no continuation makes valid UTF-8."""
    at = 0
    while at < len(octets):
        for size in range(1, 5):
            character = octets[at : at + size]
            try:
                character.decode()
            except UnicodeDecodeError:
                if character not in BEGINNINGS:
                    return at + size - 1
                if at + size >= len(octets):
                    return None
            else:
                at += size
                break
    return None


# Octets at the edges of the grammar's ranges, RFC 3629 §4.
EDGES = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 f8 ff")
mostly_text = st.lists(st.text(max_size=3).map(str.encode) | st.sampled_from(EDGES).map(lambda o: bytes([o])))
streams = st.binary(max_size=12) | mostly_text.map(b"".join)
bytes_likes = st.sampled_from([bytes, bytearray, memoryview])


def cut(octets: bytes, positions: list[int]) -> list[bytes]:
    """Cut at the positions, which may be equal, so that pieces may be empty."""
    edges = [0, *sorted(min(at, len(octets)) for at in positions), len(octets)]
    return [octets[begin:end] for begin, end in pairwise(edges)]


def outcome(octets: bytes) -> str | int:
    """Feed octet by octet: the text, or the index of the octet that failed (their number: the end did)."""
    decoder = Utf8Decoder()
    texts = []
    for index, octet in enumerate(octets):
        try:
            texts.append(decoder.decode(bytes([octet]), False))
        except InvalidUtf8Error:
            return index
    try:
        return "".join([*texts, decoder.decode(b"", True)])
    except InvalidUtf8Error:
        return len(octets)


def expectation(octets: bytes) -> str | int:
    """Return the text, or the index of the octet that fails."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        bad = offence(octets)
        return len(octets) if bad is None else bad


@given(streams)
def test_it_fails_at_the_first_octet_that_cannot_be_continued(octets):
    assert outcome(octets) == expectation(octets)


def test_every_beginning_of_a_character():
    pairs = product(range(256), EDGES)
    threes = product(b"\xe0\xe1\xed\xef", EDGES, EDGES)
    fours = product(b"\xf0\xf1\xf4", EDGES, EDGES, b"\x7f\x80\xbf\xc0")
    for octets in map(bytes, chain(pairs, threes, fours)):
        assert outcome(octets) == expectation(octets), octets.hex()


@given(streams, st.lists(st.integers(0, 12), max_size=5), bytes_likes, st.booleans())
def test_any_split_gives_the_same(octets, positions, kind, checking):
    decoder = Utf8Decoder()
    bad = offence(octets)
    pieces = cut(octets, positions)
    texts: list[str | None] = []
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if bad is not None and seen > bad:
            with pytest.raises(InvalidUtf8Error):
                decoder.check(piece, False) if checking else decoder.decode(kind(piece), False)
            return
        texts.append(decoder.check(piece, False) if checking else decoder.decode(kind(piece), False))
    try:
        whole = octets.decode()
    except UnicodeDecodeError:
        with pytest.raises(InvalidUtf8Error):
            decoder.check(b"", True) if checking else decoder.decode(kind(b""), True)
    else:
        assert decoder.decode(b"", True) == ""
        if not checking:
            assert "".join(texts) == whole


@given(st.text(), st.lists(st.integers(0, 30), max_size=5), bytes_likes)
def test_text_in_pieces_with_the_last_one_marked(text, positions, kind):
    *pieces, last = cut(text.encode(), positions)
    decoder = Utf8Decoder()
    checker = Utf8Decoder()
    for piece in pieces:
        checker.check(piece, False)
    checker.check(last, True)
    decoded = [decoder.decode(kind(piece), False) for piece in pieces] + [decoder.decode(kind(last), True)]
    assert "".join(decoded) == text


@given(st.text(min_size=1), st.text())
@example("a", "b")
def test_a_decoder_serves_one_text_after_another(first, second):
    decoder = Utf8Decoder()
    assert decoder.decode(first.encode(), True) == first
    decoder.check(second.encode(), True)
    assert decoder.decode(second.encode(), True) == second


@given(st.text(alphabet="aä€😀", min_size=1))
def test_never_more_than_three_octets_are_held(text):
    decoder = Utf8Decoder()
    decoded = ""
    octets = text.encode()
    for index, octet in enumerate(octets):
        decoded += decoder.decode(bytes([octet]), False)
        assert index + 1 - len(decoded.encode()) == len(decoder._held) <= 3
        assert decoder.idle is (decoded.encode() == octets[: index + 1])


@pytest.mark.parametrize(
    ("octets", "named"),
    [
        (b"\x80", "0x80"),  # a continuation with nothing to continue
        (b"\xc0\xaf", "0xc0"),  # overlong
        (b"\xe0\x80", "0xe0"),  # overlong
        (b"\xed\xa0", "0xed"),  # surrogate
        (b"\xed\xa0\x80", "0xed"),  # surrogate
        (b"\xf4\x90", "0xf4"),  # above U+10FFFF
        (b"\xff", "0xff"),
        (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed", "0xed"),  # cut at the end
    ],
)
def test_the_error_names_the_octet_and_the_close_code(octets, named):
    for method in (Utf8Decoder().decode, Utf8Decoder().check):
        with pytest.raises(InvalidUtf8Error, match=f"invalid UTF-8: .* \\({named}\\)$") as caught:
            method(octets, True)
        assert caught.value.code == 1007


def test_a_surrogate_is_refused_before_its_last_octet():
    for second in range(0xA0, 0xC0):
        with pytest.raises(InvalidUtf8Error, match=r"surrogate \(0xed\)"):
            Utf8Decoder().decode(bytes((0xED, second)), False)
