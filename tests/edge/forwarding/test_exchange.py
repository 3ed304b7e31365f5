"""A plain request and its answer in pieces: h11 as a client is the oracle of what is written."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.exchange import (
    Exchange,
    check_bodiless,
    check_plain,
    is_plain,
    plain_request,
)
from edgews.edge.forwarding.headers import Forwarded
from edgews.edge.policy.normalize import Target
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import encode_chunk
from tests.handshakes import CUTS, pieces


def plain(method: str = "GET", *fields: tuple[str, str], version: str = "1.1") -> Request:
    return Request(method, "/a?b", Headers([("Host", "example.com"), *fields]), version)


def exchange(request: Request, max_body: int = 1000) -> Exchange:
    """Return an exchange that has begun, as a reader leaves it."""
    begun = Exchange(request, max_body=max_body)
    begun.receive(b"")
    return begun


LENGTH = ("Content-Length", "5")
CHUNKED = ("Transfer-Encoding", "chunked")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.booleans(), st.binary(max_size=20), CUTS)
def test_a_body_comes_in_pieces_and_what_is_behind_it_stays(parts, chunked, behind, cuts):
    whole = b"".join(parts)
    fields = [CHUNKED] if chunked else [("Content-Length", str(len(whole)))]
    begun = exchange(plain("POST", *fields))
    assert begun.has_body is (chunked or bool(whole))
    chunks = [encode_chunk(part, False) for part in parts] + [b"0\r\nTrailer: x\r\n\r\n"]
    data = (b"".join(chunks) if chunked else whole) + behind
    found = b""
    at = 0
    for piece in pieces(data, cuts):
        if begun.complete:
            break
        found += b"".join(begun.receive(piece))
        at += len(piece)
    assert begun.complete
    assert found == whole
    assert begun.received == len(whole)
    assert begun.behind + data[at:] == behind


def test_a_request_without_a_body_is_complete():
    begun = exchange(plain())
    assert begun.complete
    assert not begun.has_body
    assert begun.receive(b"GET") == []


@pytest.mark.parametrize(
    ("fields", "data"),
    [([LENGTH], b""), ([CHUNKED], b"5\r\nhello\r\n"), ([CHUNKED], b"4\r\nhell\r\n1\r\no\r\n")],
)
def test_the_limit_of_a_body_is_exact(fields, data):
    request = plain("POST", *fields)
    assert sum(map(len, exchange(request, 5).receive(data))) == (5 if data else 0)
    with pytest.raises(HandshakeError, match="larger than 4 bytes") as caught:
        exchange(request, 4).receive(data)
    assert caught.value.status == 413


@pytest.mark.parametrize("data", [b"x\r\n", b"5\r\nhelloworld\r\n", b"-1\r\n", b"1" * 100 + b"\r\n"])
def test_a_malformed_body(data):
    with pytest.raises(HandshakeError, match="malformed") as caught:
        exchange(plain("POST", CHUNKED)).receive(data)
    assert caught.value.status == 400


def test_who_waits_to_be_asked():
    begun = exchange(plain("PUT", LENGTH, ("Expect", "100-continue")))
    assert begun.go_on() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert begun.go_on() == b""
    assert exchange(plain("PUT", LENGTH)).go_on() == b""


# The answer


def written(begun: Exchange, response: Response, parts: list[bytes], keep: bool) -> bytes:
    data = begun.head(response, keep=keep)
    return data + b"".join(map(begun.data, parts)) + begun.end()


@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["1.0", "1.1"]),
    st.sampled_from([200, 204, 304, 404, 599]),
    st.booleans(),
    st.booleans(),
    st.lists(st.binary(min_size=1, max_size=30), max_size=4),
)
def test_h11_reads_the_answers_that_are_written(method, version, status, counted, keep, parts):
    fields = [LENGTH] if method == "POST" else []
    request = plain(method, *fields, version=version)
    begun = exchange(request)
    begun.receive(b"hello" if fields else b"")
    if status in (204, 304) or method == "HEAD":
        parts = []
    size = sum(map(len, parts))
    length = [("Content-Length", str(size or 7 if status in (204, 304) else size))] if counted else []
    data = written(begun, Response(status, Headers([("X", "y"), *length])), parts, keep)
    assert begun.answered
    assert begun.sent == size
    assert begun.keeps is (keep and version == "1.1")
    assert begun.by_end is (version == "1.0")

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x"), *fields]))
    client.send(h11.Data(data=b"hello" if fields else b""))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    if version == "1.0":
        client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status
    assert (b"x", b"y") in list(head.headers)
    assert ((b"connection", b"close") in list(head.headers)) is not begun.keeps
    assert any(name == b"content-length" for name, _ in head.headers) is (counted and status != 204)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert body == b"".join(parts)


def test_an_answer_in_front_of_the_rest_of_the_request_ends_the_connection():
    begun = exchange(plain("POST", LENGTH))
    assert b"Connection: close" in begun.head(Response(200, Headers([])), keep=True)
    begun.end()
    begun.receive(b"hello")
    assert not begun.keeps


def test_an_answer_that_is_not_what_it_says():
    length = Response(200, Headers([LENGTH]))
    begun = exchange(plain())
    begun.head(length, keep=True)
    with pytest.raises(HandshakeError, match="longer"):
        begun.data(b"hello!")
    begun = exchange(plain())
    begun.head(length, keep=True)
    begun.data(b"hi")
    with pytest.raises(HandshakeError, match="shorter"):
        begun.end()
    two = Response(200, Headers([LENGTH, ("Content-Length", "6")]))
    with pytest.raises(HandshakeError, match="not clear"):
        exchange(plain()).head(two, keep=True)


# Requests


def test_what_is_a_plain_request():
    assert is_plain(plain())
    assert is_plain(plain("GET", ("Upgrade", "h2c")))
    assert not is_plain(plain("GET", ("Upgrade", "WebSocket")))
    assert not is_plain(plain("GET", ("Sec-WebSocket-Key", "x")))


def test_methods_for_other_proxies():
    check_plain(plain("DELETE"))
    for method in ("CONNECT", "TRACE"):
        with pytest.raises(HandshakeError) as caught:
            check_plain(plain(method))
        assert caught.value.status == 405


@pytest.mark.parametrize("method", ["post", "Get", "gET"])
def test_a_method_that_would_arrive_as_another_one(method):
    with pytest.raises(HandshakeError) as caught:
        check_plain(plain(method))
    assert caught.value.status == 501


def test_a_host_that_servers_read_differently():
    check_plain(Request("GET", "/", Headers(), "1.0"))
    with pytest.raises(HandshakeError) as caught:
        check_plain(Request("GET", "/", Headers([("Host", "good:80@evil")])))
    assert (caught.value.status, caught.value.header) == (400, "Host")


def test_a_request_for_a_websocket_has_no_body():
    check_bodiless(plain("GET", ("Content-Length", "0")))
    for field in (LENGTH, CHUNKED):
        with pytest.raises(HandshakeError) as caught:
            check_bodiless(plain("GET", field))
        assert (caught.value.status, caught.value.header) == (400, field[0])


def test_what_the_origin_gets():
    headers = Headers([("Host", "a"), ("Expect", "100-continue"), ("X", "y")])
    forwarded = Forwarded(headers, None, False, "ray", False)
    asked = plain_request(plain("PUT"), Target("/b", "c"), forwarded)
    assert (asked.method, asked.target) == ("PUT", "/b?c")
    assert list(asked.headers) == [("Host", "a"), ("X", "y")]
