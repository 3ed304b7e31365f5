"""What an application adds to the opening handshake: fields, targets, subprotocols, rejections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import InvalidValueError
from edgews.events import Response
from edgews.extensions import Agreement, PerMessageDeflate
from edgews.handshake import accept_response, build_request, check_fields, reject_response
from edgews.http1 import RequestReader, encode_response
from edgews.limits import Limits
from edgews.uri import URI

from .handshake_rows import CHAT, EXTENSIONS, NONCE, PROTOCOL, VERSION, connect, request

# What an application supplies

CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), 127)]


@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_character_is_sent(control: str) -> None:
    bad = f"a{control}b"
    calls = [
        lambda: check_fields({"X": bad}),
        lambda: check_fields({bad: "x"}),
        lambda: build_request(CHAT, headers={"X": bad}),
        lambda: build_request(CHAT, origin=bad),
        lambda: build_request(CHAT, subprotocols=[bad]),
        lambda: build_request(CHAT, key=bad),
        lambda: build_request(URI(False, bad, 80, "/")),
        lambda: build_request(URI(False, "h", 80, f"/{bad}")),
        lambda: accept_response(request(), headers={"X": bad}),
        lambda: accept_response(request(), subprotocol=bad),
        lambda: reject_response(request(), 404, {"X": bad}),
        lambda: reject_response(request(), 404, {bad: "X"}),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError):
            call()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("X Y", "x"),
        ("X:", "x"),
        ("X\xe9", "x"),
        ("(X)", "x"),
        ("X", " x"),
        ("X", "x\t"),
        ("X", "\u20ac"),
        ("X", "\U0001f600"),
        ("X", "\ud800"),
    ],
)
def test_fields_that_may_not_stand_in_http(name: str, value: str) -> None:
    with pytest.raises(InvalidValueError, match="header"):
        check_fields([(name, value)])


RESERVED = [
    *("Connection", "Content-Length", "Host", "Sec-WebSocket-Accept", EXTENSIONS, NONCE, PROTOCOL, VERSION),
    *("Transfer-Encoding", "Upgrade"),
]


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_fields_of_the_handshake_itself(name: str, case: type[str]) -> None:
    with pytest.raises(InvalidValueError, match="written by the handshake itself"):
        check_fields({case(name): "x"})


def test_fields_that_may_be_sent() -> None:
    pairs = [
        ("Set-Cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("X", ""),
        ("Y", "caf\xe9 \t x"),
        ("!#$%&'*+-.^_`|~9", "~"),
    ]
    assert list(check_fields(pairs)) == pairs
    assert list(check_fields({"A": "b"})) == [("A", "b")]


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_field_that_passes_reads_back_as_it_is(name: str, value: str) -> None:
    try:
        passed = check_fields([(name, value)])
    except InvalidValueError:
        return
    data = encode_response(Response(200, passed))
    reader = RequestReader(Limits())
    complete = reader.feed(b"GET / HTTP/1.0\r\n" + data.partition(b"\r\n")[2])
    assert complete is not None
    assert complete[0].headers == passed


@pytest.mark.parametrize(
    "target", ["", "chat", "http://x/", "*", "/a b", "/\xe9", "/a\r\nX: y", "/a#b", "/\x7f", "/\u20ac"]
)
def test_targets_that_may_not_be_sent(target: str) -> None:
    with pytest.raises(InvalidValueError, match="target"):
        build_request(URI(False, "h", 80, target))


@pytest.mark.parametrize("offered", [["a", "a"], ["a b"], [""], ["a,b"], ["caf\xe9"], ["a", "b", "a"]])
def test_subprotocols_that_may_not_be_offered(offered: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="subprotocols"):
        build_request(CHAT, subprotocols=offered)


@pytest.mark.parametrize("chosen", ["", "c", "A", "a, b"])
def test_a_server_chooses_among_what_was_offered(chosen: str) -> None:
    with pytest.raises(InvalidValueError, match="was not offered"):
        accept_response(request({PROTOCOL: "a, b"}), subprotocol=chosen)


def test_compression_is_answered_only_where_it_was_offered() -> None:
    wish = PerMessageDeflate()
    assert accept_response(request(), compression=wish)[1] is None
    plain = {EXTENSIONS: "permessage-deflate; client_max_window_bits"}
    response, deflate = accept_response(request(plain), compression=wish)
    assert deflate == (wish, Agreement(False, False, 12, 12))
    assert response.headers.get(EXTENSIONS) == (
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    )
    assert accept_response(request(plain))[0].headers.get(EXTENSIONS) is None


# Rejections


def test_a_rejection_with_a_page() -> None:
    page = "<p>caf\xe9</p>"
    answer = reject_response(request(), 200, {"Content-Type": "text/html", "X": "y"}, page)
    assert answer.body == page.encode()
    assert list(answer.headers) == [
        ("Content-Type", "text/html"),
        ("X", "y"),
        ("Content-Length", str(len(page.encode()))),
        ("Connection", "close"),
    ]


@pytest.mark.parametrize(
    ("body", "octets"), [("text", b"text"), (b"\xff\x00", b"\xff\x00"), ("lone \ud800", b"lone ?")]
)
def test_bodies(body: str | bytes, octets: bytes) -> None:
    answer = reject_response(request(), 403, (), body)
    assert answer.body == octets
    assert answer.headers.get("Content-Type") == "text/plain; charset=utf-8"
    assert answer.headers.get("Content-Length") == str(len(octets))


def test_an_answer_without_a_body() -> None:
    assert list(reject_response(request(), 404).headers) == [("Content-Length", "0"), ("Connection", "close")]


def test_the_answer_to_head_has_the_fields_alone() -> None:
    answer = reject_response(request(method="HEAD"), 404, (), "gone")
    assert answer.headers.get("Content-Length") == "4"
    assert answer.body == b""


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    assert list(reject_response(request(), status).headers) == [("Connection", "close")]
    with pytest.raises(InvalidValueError, match="has no body"):
        reject_response(request(), status, (), "x")


@pytest.mark.parametrize("status", [-1, 0, 99, 100, 101, 199, 600, 1000])
def test_statuses_that_answer_nothing(status: int) -> None:
    with pytest.raises(InvalidValueError, match="200-599"):
        reject_response(request(), status)


def test_the_rejection_of_an_extended_connect() -> None:
    answer = reject_response(connect(), 403, (), "no")
    assert (answer.status, answer.headers.has("Connection")) == (403, False)
    # Any 2xx opens the stream: RFC 9110 §9.3.6.
    for status in (200, 204, 299):
        with pytest.raises(InvalidValueError, match="accepts an extended CONNECT"):
            reject_response(connect(), status)
