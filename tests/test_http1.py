"""HTTP/1.1: requests, the rules for the raw head, limits, responses with their bodies, what is written."""

from __future__ import annotations

from collections.abc import Callable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import RequestReader, ResponseReader, encode_chunk, encode_request, encode_response
from edgews.limits import Limits

from . import wire
from .handshakes import CUTS, LIMITS, octets, pieces, read_request, read_response, response_reader


def refusal(data: bytes, limits: Limits = LIMITS) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        RequestReader(limits).feed(data)
    return caught.value


# Requests


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


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (b"\r\n\r\n\r\n", 400, None),
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


@given(
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\r\r\n", b" \r\n"]),
    st.sampled_from([wire.request(), b"GET / HTTP/1.0\r\nA: b\r\n\r\n", b"nonsense\r\n\r\n"]),
    st.lists(st.integers(0, 60)),
)
def test_one_empty_line_in_front_of_a_request_is_no_part_of_it(
    front: bytes, data: bytes, cuts: list[int]
) -> None:
    """RFC 9112 §2.2."""
    sent = front + data + b"early"
    seen = outcome(pieces(sent, cuts))
    assert seen == outcome([sent])
    if front in (b"", b"\r\n"):
        assert seen == outcome([data + b"early"])
    else:
        assert seen == 400


def outcome(parts: list[bytes]) -> object:
    """Return the request and what follows it, or the status of the refusal."""
    reader = RequestReader(LIMITS)
    try:
        for at, part in enumerate(parts):
            complete = reader.feed(part)
            if complete is not None:
                request, rest = complete
                return request.method, request.target, list(request.headers), rest + b"".join(parts[at + 1 :])
    except HandshakeError as error:
        return error.status
    return None


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


# Limits


def head_of(size: int) -> bytes:
    start, end = b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    return start + b"v" * (size - len(start) - len(end)) + end


# Framing that RFC 9112 §6.3 and §11.2 warn of, and what is said about it.
DOUBTFUL = [
    (b"1.1", b"Content-Length: 3\r\nTransfer-Encoding: chunked", "Transfer-Encoding"),
    (b"1.1", b"Transfer-Encoding: chunked\r\ncontent-length: 3", "Transfer-Encoding"),
    (b"1.1", b"Content-Length: 3\r\nContent-Length: 3", "Content-Length"),
    (b"1.1", b"Content-Length: 3, 3", "Content-Length"),
    (b"1.1", b"Content-Length: 3\r\nContent-Length: 4", None),
    (b"1.1", b"Content-Length: +3", None),
    (b"1.1", b"Content-Length: 0x3", None),
    (b"1.1", b"Content-Length:", None),
    (b"1.1", b"Transfer-Encoding: gzip", None),
    (b"1.1", b"Transfer-Encoding: gzip, chunked", None),
    (b"1.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", None),
    (b"1.1", b"Transfer-Encoding: xchunked", None),
    (b"1.1", b"Transfer-Encoding : chunked", None),
    (b"1.0", b"Transfer-Encoding: chunked", "Transfer-Encoding"),
]


@pytest.mark.parametrize(("version", "fields", "header"), DOUBTFUL)
@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_a_body_whose_length_is_in_doubt(
    version: bytes, fields: bytes, header: str | None, cut: Callable[[bytes], list[bytes]]
) -> None:
    data = b"POST / HTTP/" + version + b"\r\nHost: x\r\n" + fields + b"\r\n\r\n"
    *before, last = cut(data)
    reader = RequestReader(LIMITS, bodies=True)
    assert all(reader.feed(piece) is None for piece in before)
    with pytest.raises(HandshakeError) as caught:
        reader.feed(last + b"0\r\n\r\n")
    assert caught.value.status in (400, 501)
    assert caught.value.header == header


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"X: y"]
)
@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_a_body_is_left_to_who_wants_one(fields: bytes, cut: Callable[[bytes], list[bytes]]) -> None:
    reader = RequestReader(LIMITS, bodies=True)
    *before, last = cut(b"POST / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n")
    assert all(reader.feed(piece) is None for piece in before)
    complete = reader.feed(last + b"abc")
    assert complete is not None
    assert complete[1] == b"abc"
    name, _, value = fields.decode().partition(": ")
    found = complete[0].headers.get(name)
    assert found is not None
    assert found.lower() == value.lower()


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


# Responses

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def test_the_request_of_a_client_is_what_h11_would_read() -> None:
    sent = Request("GET", "/chat?x", Headers([*wire.REQUEST_FIELDS.items(), ("X", "\xe9")]))
    data = ResponseReader(LIMITS).request(sent)
    complete = RequestReader(LIMITS).feed(data)
    assert complete == (sent, b"")
    assert data.startswith(b"GET /chat?x HTTP/1.1\r\nHost: example.com\r\n")


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


def test_a_refusal_is_known_before_its_body_is_complete() -> None:
    reader = response_reader()
    for piece in octets(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n"):
        assert not reader.refused
        assert reader.feed(piece, False) is None
    assert reader.refused
    assert reader.feed(b"hello", False) == (Response(403, Headers([("Content-Length", "5")]), b"hello"), b"")


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from(["length", "chunks", "end"]),
    CUTS,
)
def test_a_body_in_pieces(body: list[bytes], framing: str, cuts: list[int]) -> None:
    """Whoever takes it piece by piece gets all of it, however long it is, and sees its end."""
    whole = b"".join(body)
    field = {
        "length": b"Content-Length: %d" % len(whole),
        "chunks": b"Transfer-Encoding: chunked",
        "end": b"X: y",
    }
    data = b"HTTP/1.1 403 No\r\n" + field[framing] + b"\r\n\r\n"
    data += (
        b"".join(encode_chunk(part, False) for part in body) + b"0\r\n\r\n" if framing == "chunks" else whole
    )
    reader = response_reader(Limits(max_body_size=1))
    response, found = None, b""
    for piece in [*pieces(data, cuts), b""]:
        eof = framing == "end" and not piece
        if response is None:
            complete = reader.feed_head(piece, eof)
            if complete is None:
                continue
            response, piece = complete
        found += b"".join(reader.feed_body(piece, eof))
    assert response is not None
    assert (response.status, response.body) == (403, b"")
    assert found == whole
    assert reader.complete


def test_what_is_sent_is_what_a_server_reads() -> None:
    request = Request("GET", "/a?b", Headers([("Host", "x"), ("Cookie", "a=\xe9"), ("X", "")]))
    complete = RequestReader(LIMITS).feed(encode_request(request))
    assert complete == (request, b"")


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_a_reader_needs_no_request(cut: Callable[[bytes], list[bytes]]) -> None:
    """Who has sent the request by other means reads the same answers."""
    for data, status, body in (
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: y \r\n\r\n", 101, b""),
        (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nhi", 403, b"hi"),
    ):
        reader = ResponseReader(LIMITS)
        *before, last = cut(data)
        assert all(reader.feed(piece, False) is None for piece in before)
        complete = reader.feed(last, False)
        assert complete is not None
        assert (complete[0].status, complete[0].body, complete[1]) == (status, body, b"")


def test_a_switch_behind_an_interim_answer_has_what_is_left_of_the_limit() -> None:
    interim = b"HTTP/1.1 103 Early\r\nLink: " + b"x" * 100 + b"\r\n\r\n"
    switch = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n"
    for room in (len(switch) - 1, len(switch)):
        reader = ResponseReader(Limits(max_header_size=len(interim) + room))
        assert reader.feed(interim, False) is None
        if room < len(switch):
            with pytest.raises(HandshakeError, match="larger than"):
                reader.feed(switch, False)
        else:
            assert reader.feed(switch, False) is not None


def test_a_body_that_ends_too_soon() -> None:
    reader = response_reader(LIMITS)
    complete = reader.feed_head(b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhi", False)
    assert complete is not None
    assert list(reader.feed_body(complete[1], False)) == [b"hi"]
    assert not reader.complete
    with pytest.raises(HandshakeError, match="malformed response"):
        list(reader.feed_body(b"", True))


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
        (402, b"HTTP/1.1 402 Payment Required"),
        (426, b"HTTP/1.1 426 Upgrade Required"),
        (599, b"HTTP/1.1 599 "),
    ],
)
def test_the_status_line(status: int, line: bytes) -> None:
    assert encode_response(Response(status, Headers())) == line + b"\r\n\r\n"


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_chunks_are_what_h11_reads(chunks: list[bytes]) -> None:
    head = encode_response(Response(200, Headers({"Transfer-Encoding": "chunked"})))
    parts = [encode_chunk(chunk, False) for chunk in chunks]
    for data in (
        b"".join([*parts, encode_chunk(b"", True)]),
        b"".join([*parts, encode_chunk(b"last", True)]),
    ):
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        parser.receive_data(head + data)
        body = b""
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
        assert body == b"".join([*chunks, b"last" if data.endswith(b"last\r\n0\r\n\r\n") else b""])
