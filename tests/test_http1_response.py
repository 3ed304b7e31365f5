"""HTTP/1.1 responses: interim answers and bodies as a client reads them, and what a server writes."""

from __future__ import annotations

import tracemalloc

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import RequestReader, ResponseReader, encode_response
from edgews.limits import Limits

from . import wire
from .handshakes import CUTS, LIMITS, fastest, octets, pieces, read_response, response_reader

# Reading


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


def test_a_refusal_is_known_before_its_body_is_complete() -> None:
    reader = response_reader()
    for piece in octets(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n"):
        assert not reader.refused
        assert reader.feed(piece, False) is None
    assert reader.refused
    assert reader.feed(b"hello", False) == (Response(403, Headers([("Content-Length", "5")]), b"hello"), b"")


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
