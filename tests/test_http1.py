"""HTTP/1.1 heads: any split of the bytes, the rules for the raw head, the limits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Request
from edgews.headers import Headers
from edgews.http1 import HeadReader, RequestReader
from edgews.limits import Limits

from . import wire
from .handshakes import (
    CUTS,
    LIMITS,
    fastest,
    octets,
    outcome,
    pieces,
    read_request,
    read_response,
    response_reader,
)


def refusal(data: bytes, limits: Limits = LIMITS) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        RequestReader(limits).feed(data)
    return caught.value


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


@given(HEADS, SMALL, CUTS)
def test_any_split_of_a_request_gives_the_same_result(data: bytes, limits: Limits, cuts: list[int]) -> None:
    whole = read_request([data], limits)
    assert read_request(pieces(data, cuts), limits) == whole
    assert read_request(octets(data), limits) == whole


@given(HEADS, SMALL, CUTS)
def test_any_split_of_a_response_head_gives_the_same_result(
    data: bytes, limits: Limits, cuts: list[int]
) -> None:
    whole = outcome(HeadReader(limits).feed, [data])
    assert outcome(HeadReader(limits).feed, pieces(data, cuts)) == whole
    assert outcome(HeadReader(limits).feed, octets(data)) == whole


@given(st.binary(max_size=300), CUTS)
def test_arbitrary_bytes_are_an_answer_or_a_handshake_error(data: bytes, cuts: list[int]) -> None:
    for read in (read_request, read_response):
        assert read(octets(data)) == read([data]) == read(pieces(data, cuts))


def test_a_request_is_read_as_it_came() -> None:
    data = wire.request({"Cookie": "a=b; c=\xe9"}, line="GET /chat?x=%20y HTTP/1.1")
    reader = RequestReader(LIMITS)
    assert not reader.has_data
    assert reader.feed(data[:30]) is None
    assert reader.has_data
    complete = reader.feed(data[30:] + b"\x81\x80early")
    assert complete is not None
    request, rest = complete
    assert (request.method, request.target, request.http_version) == ("GET", "/chat?x=%20y", "1.1")
    assert list(request.headers) == [*wire.REQUEST_FIELDS.items(), ("Cookie", "a=b; c=\xe9")]
    assert rest == b"\x81\x80early"


def test_optional_white_space_around_values_is_no_part_of_them() -> None:
    complete = RequestReader(LIMITS).feed(b"GET / HTTP/1.1\r\nHost:\t example.com \t\r\nX:\r\n\r\n")
    assert complete is not None
    assert list(complete[0].headers) == [("Host", "example.com"), ("X", "")]


# The raw head


@pytest.mark.parametrize(
    "line",
    [
        b"X: a\n",
        b"X: a\nY: b",
        b"X: a\rY: b",
        b"X: a\r",
        b"X: a\x00b",
        *(b"X: a" + bytes([control]) for control in (1, 8, 11, 12, 14, 31, 127)),
        b"X: a\r\n folded",
        b"X: a\r\n\tfolded",
        b" X: a",
        b"X : a",
        b"X\t: a",
        b"X\xe9: a",
        b"\xc3\xa9: a",
        b": a",
        b"X",
        b"X Y: a",
        b"X(Y): a",
        b'"X": a',
    ],
)
@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_a_line_that_two_parsers_might_read_differently(
    line: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
    message, status, header = read_request(cut(data))  # type: ignore[misc]
    assert message.startswith("the head has a ")
    assert (status, header) == (400, None)


@pytest.mark.parametrize("fault", [b"\n", b"\rx", b"\x00", b"\x1b"])
def test_a_forbidden_byte_is_refused_before_the_head_is_complete(fault: bytes) -> None:
    reader = RequestReader(LIMITS)
    assert reader.feed(b"GET / HTTP/1.1\r") is None
    with pytest.raises(HandshakeError):
        reader.feed(b"\nX: y" + fault)


def test_a_carriage_return_may_be_the_last_byte_of_a_read() -> None:
    reader = RequestReader(LIMITS)
    assert reader.feed(b"GET / HTTP/1.1\r") is None
    assert reader.feed(b"\nHost: x\r\n\r") is None
    assert reader.feed(b"\n") is not None


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (b"\r\n\r\n", 400, None),
        (b"nonsense\r\n\r\n", 400, None),
        (b"GET /\r\nHost: x\r\n\r\n", 400, None),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
        (b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400, None),
        (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400, None),
        (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, None),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505, None),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nX-Host: x\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHOST: x\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 400, "Content-Length"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "Transfer-Encoding",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "Transfer-Encoding",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400, None),
    ],
)
def test_malformed_requests(data: bytes, status: int, header: str | None) -> None:
    error = refusal(data)
    assert (error.status, error.header) == (status, header)


def test_what_the_peer_sent_is_not_repeated() -> None:
    error = refusal(b"GET / HTTP/1.1 <script>" + b"x" * 9000 + b"\r\nHost: x\r\n\r\n")
    assert len(str(error)) < 100
    assert "script" not in str(error)
    with pytest.raises(HandshakeError, match="malformed response: illegal status line") as caught:
        response_reader().feed(b"HTTP/1.1 <script>\r\n\r\n", False)
    assert "script" not in str(caught.value)


def test_plain_http_1_0_needs_no_host() -> None:
    complete = RequestReader(LIMITS).feed(b"HEAD /x HTTP/1.0\r\n\r\n")
    assert complete is not None
    assert complete[0] == Request("HEAD", "/x", Headers(), "1.0")


def test_an_announced_body_of_nothing_is_none() -> None:
    complete = RequestReader(LIMITS).feed(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nnext")
    assert complete is not None
    assert complete[1] == b"next"


# Limits


def head_of(size: int) -> bytes:
    start, end = b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    return start + b"v" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_the_limit_of_bytes_is_exact(cut: Callable[[bytes], list[bytes]]) -> None:
    limits = Limits(max_header_size=300)
    assert isinstance(read_request(cut(head_of(300)), limits)[0], Request)  # type: ignore[index]
    assert read_request(cut(head_of(301)), limits) == ("the head is larger than 300 bytes", 431, None)
    # What comes behind the head does not count.
    assert read_request(cut(head_of(300) + b"x" * 500), limits)[1] == b"x" * 500  # type: ignore[index]


def test_a_head_that_does_not_end_is_refused_with_the_first_byte_too_many() -> None:
    reader = RequestReader(Limits(max_header_size=300))
    assert reader.feed(head_of(1000)[:300]) is None
    with pytest.raises(HandshakeError) as caught:
        reader.feed(b"v")
    assert caught.value.status == 431


def test_the_limit_of_fields_is_exact() -> None:
    limits = Limits(max_header_count=7)
    seven = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 6
    assert RequestReader(limits).feed(seven + b"\r\n") is not None
    error = refusal(seven + b"X: y\r\n\r\n", limits)
    assert (str(error), error.status) == ("the head has more than 7 fields", 431)


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
