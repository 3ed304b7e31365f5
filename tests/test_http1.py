"""HTTP/1.1 heads: any split of the bytes, the rules for the raw head, the limits, bodies of refusals."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import HeadReader, RequestReader, ResponseReader, encode_response
from edgews.limits import Limits

from . import wire
from .handshakes import CUTS, fastest, octets, pieces

LIMITS = Limits()


def outcome(feed: Callable[[bytes], object], data: Iterable[bytes]) -> object:
    """Feed pieces until there is a result; bytes that come behind it are put behind those it has."""
    result: object = None
    for piece in data:
        if isinstance(result, tuple):
            result = (result[0], result[1] + piece)
            continue
        try:
            result = feed(piece)
        except HandshakeError as error:
            return (str(error), error.status, error.header)
    return result


def read_request(data: Iterable[bytes], limits: Limits = LIMITS) -> object:
    return outcome(RequestReader(limits).feed, data)


def response_reader(limits: Limits = LIMITS) -> ResponseReader:
    reader = ResponseReader(limits)
    reader.request(Request("GET", "/", Headers(wire.REQUEST_FIELDS)))
    return reader


def read_response(data: Iterable[bytes], limits: Limits = LIMITS) -> object:
    reader = response_reader(limits)
    return outcome(lambda piece: reader.feed(piece, False), data)


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


# Responses


def test_the_request_of_a_client_is_what_h11_would_read() -> None:
    sent = Request("GET", "/chat?x", Headers([*wire.REQUEST_FIELDS.items(), ("X", "\xe9")]))
    data = ResponseReader(LIMITS).request(sent)
    complete = RequestReader(LIMITS).feed(data)
    assert complete == (sent, b"")
    assert data.startswith(b"GET /chat?x HTTP/1.1\r\nHost: example.com\r\n")


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@given(st.integers(0, 3), st.binary(max_size=20), CUTS)
def test_interim_answers_and_early_frames(interim: int, early: bytes, cuts: list[int]) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * interim + SWITCH + early
    expected = Response(101, Headers([("Upgrade", "websocket"), ("Connection", "Upgrade")]))
    assert read_response([data]) == (expected, early)
    assert read_response(octets(data)) == (expected, early)
    assert read_response(pieces(data, cuts)) == (expected, early)


def test_interim_answers_share_the_limit_of_one_head() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    limits = Limits(max_header_size=3 * len(interim) + len(SWITCH))
    assert read_response([interim * 3 + SWITCH], limits) is not None
    for data in ([interim * 4 + SWITCH], [interim] * 100, octets(interim * 100)):
        message, status, _ = read_response(data, limits)  # type: ignore[misc]
        assert message == f"the head is larger than {limits.max_header_size} bytes"
        assert status == 0


def test_endless_interim_answers_take_linear_time() -> None:
    def work(count: int) -> None:
        with pytest.raises(HandshakeError):
            response_reader().feed(b"HTTP/1.1 100 C\r\n\r\n" * count, False)

    work(1000)
    assert fastest(lambda: work(40_000)) < 8 * fastest(lambda: work(10_000))


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


@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked", b"X: y"])
@pytest.mark.parametrize(("size", "kept"), [(49, 49), (50, 50), (51, 50), (5000, 50)])
def test_a_body_is_cut_at_its_limit(framing: bytes, size: int, kept: int) -> None:
    reader = response_reader(Limits(max_body_size=50))
    body = b"v" * size
    if framing.startswith(b"Transfer"):
        body = b"%x\r\n%b\r\n" % (size, body)
    assert reader.feed(b"HTTP/1.1 500 Oops\r\n" + framing + b"\r\n\r\n", False) is None
    complete = reader.feed(body, False) or reader.feed(b"", True)
    assert complete is not None
    assert complete[0].body == b"v" * kept


@pytest.mark.parametrize(
    ("start", "rest", "body"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n", b"half", b"half"),
        (b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nhalf\r\n", b"half"),
        (b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"nonsense\r\n", b""),
        (b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nhalf\r\nnonsense\r\n", b"half"),
    ],
)
def test_a_body_that_is_broken_leaves_the_status_and_what_came(
    start: bytes, rest: bytes, body: bytes
) -> None:
    complete = response_reader().feed(start + rest, True)
    assert complete is not None
    assert (complete[0].status, complete[0].body) == (500, body)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: y\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        b"HTTP/1.1 101 S\r\nX: y\x00\r\n\r\n",
    ],
)
def test_malformed_answers_have_no_status(data: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        response_reader().feed(data, False)
    assert caught.value.status == 0


@pytest.mark.parametrize("at", range(len(SWITCH)))
def test_the_stream_may_end_at_any_byte_of_the_head(at: int) -> None:
    reader = response_reader()
    assert reader.feed(SWITCH[:at], False) is None
    with pytest.raises(HandshakeError, match="ended the byte stream") as caught:
        reader.feed(b"", True)
    assert caught.value.status == 0


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


# Encoding

TOKENS = st.text("abcXYZ-_09", min_size=1, max_size=10)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20).map(
    lambda text: text.strip(" \t\x85\xa0")
)


@given(
    st.integers(200, 599),
    st.lists(st.tuples(TOKENS.map(lambda name: "X-" + name), VALUES), max_size=5),
    st.binary(max_size=50),
)
def test_h11_reads_the_responses_that_are_written(
    status: int, fields: list[tuple[str, str]], body: bytes
) -> None:
    body = b"" if status in (204, 304) else body
    data = encode_response(Response(status, Headers([*fields, ("Content-Length", str(len(body)))]), body))
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data)
    head = peer.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status
    assert [(n.decode(), v.decode("latin-1")) for n, v in head.headers.raw_items()][:-1] == fields
    received = b""
    while isinstance(event := peer.next_event(), h11.Data):
        received += event.data
    assert received == body
    assert isinstance(event, h11.EndOfMessage)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (101, b"HTTP/1.1 101 Switching Protocols"),
        (426, b"HTTP/1.1 426 Upgrade Required"),
        (599, b"HTTP/1.1 599 "),
    ],
)
def test_the_status_line(status: int, line: bytes) -> None:
    assert encode_response(Response(status, Headers())) == line + b"\r\n\r\n"
