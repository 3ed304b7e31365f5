"""HTTP/1.1 in any pieces and of any size: the same results, in linear time and bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Response
from edgews.headers import Headers
from edgews.http1 import RequestReader
from edgews.limits import Limits

from . import wire
from .handshakes import (
    CUTS,
    LIMITS,
    fastest,
    octets,
    pieces,
    read_request,
    read_response,
    response_reader,
)

# What heads are made of, and what they must not be made of.
LINES = st.sampled_from(
    [
        *(f"{name}: {value}".encode() for name, value in wire.REQUEST_FIELDS.items()),
        *(
            b"X-Empty:",
            b"X:\t tabs \t",
            b"Cookie: \xe9",
            b" folded",
            b"X : y",
            b"X\xe9: y",
            b": y",
            b"no colon",
        ),
        *(b"X: a\rb", b"X: a\nb", b"X: a\x00b", b"X: a\x0bb", b"X: a\x7fb", b"Content-Length: 0"),
        *(b"Transfer-Encoding: chunked", b"Content-Length: 5", b"X: " + b"v" * 60),
    ]
)
STARTS = st.sampled_from(
    [b"GET / HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET / HTTP/1.0", b"HTTP/1.1 200 OK", b"HTTP/1.1 101 S", b""]
)
ENDS = st.sampled_from([b"\r\n\r\n", b"\r\n\r\nrest", b"\r\n", b"\n\n", b"\r\r\n", b""])
HEADS = st.builds(
    lambda start, lines, end: b"\r\n".join([start, *lines]) + end, STARTS, st.lists(LINES, max_size=6), ENDS
)
SMALL = st.builds(
    lambda size, count: Limits(max_header_size=size, max_header_count=count),
    st.integers(1, 200),
    st.integers(1, 6),
)


# Heads in any pieces


@given(HEADS, SMALL, CUTS)
def test_any_split_of_a_request_gives_the_same_result(data: bytes, limits: Limits, cuts: list[int]) -> None:
    whole = read_request([data], limits)
    assert read_request(pieces(data, cuts), limits) == whole
    assert read_request(octets(data), limits) == whole


@given(st.binary(max_size=300), CUTS)
def test_arbitrary_bytes_are_an_answer_or_a_handshake_error(data: bytes, cuts: list[int]) -> None:
    for read in (read_request, read_response):
        assert read(octets(data)) == read([data]) == read(pieces(data, cuts))


# Bodies in any pieces

BODIES = [
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    (
        b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: r\r\n\r\n",
        b"hello",
    ),
    (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 3\r\n\r\n", b""),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 302\r\nLocation: /\r\nContent-Length: 1\r\n\r\nx", b"x"),
]


@pytest.mark.parametrize(("data", "body"), BODIES)
@given(cuts=CUTS)
def test_bodies_with_an_end(data: bytes, body: bytes, cuts: list[int]) -> None:
    whole = read_response([data])
    assert isinstance(whole, tuple)
    assert whole[0].body == body
    assert whole[1] == b""
    assert read_response(pieces(data, cuts)) == whole
    assert read_response(octets(data)) == whole


@given(CUTS)
def test_a_body_until_the_end_of_the_stream(cuts: list[int]) -> None:
    data = b"HTTP/1.1 404 Not Found\r\nX: y\r\n\r\nall of it"
    reader = response_reader()
    for piece in pieces(data, cuts):
        assert reader.feed(piece, False) is None
    expected = Response(404, Headers([("X", "y")]), b"all of it")
    assert reader.feed(b"", True) == (expected, b"")
    assert response_reader().feed(data, True) == (expected, b"")


# Time


def feed_endlessly(size: int) -> None:
    reader = RequestReader(Limits(max_header_size=size))
    reader.feed(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(size - 19):
        assert reader.feed(b"v") is None
    with pytest.raises(HandshakeError):
        reader.feed(b"v")


def test_a_head_byte_by_byte_takes_linear_time() -> None:
    feed_endlessly(1000)
    # Four times the bytes: quadratic would be sixteen times the time.
    assert fastest(lambda: feed_endlessly(20_000), 3) < 8 * fastest(lambda: feed_endlessly(5_000), 3)


@pytest.mark.parametrize(
    "line",
    [
        b"A:" + b" " * 16_000 + b"\x0b",
        b"A:" + b" \t" * 8_000 + b"\x0c",
        b"A: " + b"v " * 8_000 + b"\x1f",
        b"a" * 16_000,
        b"Host: " + b"\nhost: " * 2_000,
        b"A:" + b" " * 16_000,
        b"A: " + b"v" + b" " * 16_000 + b"v",
        b"A: " + b"v " * 8_000 + b"v",
        b"\r\n".join([b"A: b"] * 98),
    ],
)
def test_no_head_takes_long(line: bytes) -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
    limits = Limits(max_header_size=1 << 15)
    assert fastest(lambda: read_request([data], limits)) < 0.02


def test_endless_interim_answers_take_linear_time() -> None:
    def work(count: int) -> None:
        with pytest.raises(HandshakeError):
            response_reader().feed(b"HTTP/1.1 100 C\r\n\r\n" * count, False)

    work(1000)
    assert fastest(lambda: work(40_000)) < 8 * fastest(lambda: work(10_000))


# Memory


@pytest.mark.parametrize("size", [1 << 20, 1 << 23])
def test_a_head_takes_no_more_memory_than_its_limit(size: int) -> None:
    reader = RequestReader(LIMITS)
    data = b"GET / HTTP/1.1\r\nX: " + b"v" * size
    tracemalloc.start()
    try:
        with pytest.raises(HandshakeError):
            reader.feed(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * LIMITS.max_header_size


def test_an_endless_body_takes_bounded_memory() -> None:
    reader = response_reader(Limits(max_body_size=1 << 16))
    reader.feed(b"HTTP/1.1 500 Oops\r\n\r\n", False)
    piece = b"v" * 1000
    complete = None
    tracemalloc.start()
    try:
        count = 0
        while complete is None:
            complete = reader.feed(piece, False)
            count += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 66
    assert len(complete[0].body) == 1 << 16
    assert peak < 8 << 16
