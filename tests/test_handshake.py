"""The rules of the opening handshake: requests, answers, that the two fit, what an application adds."""

from __future__ import annotations

import base64
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.errors import HandshakeError, InvalidValueError
from edgews.events import Request, Response
from edgews.extensions import Agreement, PerMessageDeflate
from edgews.handshake import (
    accept_key,
    accept_response,
    build_request,
    check_fields,
    check_request,
    check_response,
    choose_subprotocol,
    new_handshake_key,
    refusal,
    reject_response,
)
from edgews.headers import Headers
from edgews.http1 import RequestReader, encode_response
from edgews.limits import Limits
from edgews.uri import URI, parse_uri

from . import wire
from .handshake_rows import (
    ACCEPTABLE,
    BAD_ANSWERS,
    CHAT,
    EXTENSIONS,
    KEY,
    NONCE,
    PROTOCOL,
    UNACCEPTABLE,
    VERSION,
    answer,
    connect,
    request,
)
from .handshakes import accept_for, fields


def fault(request: Request, origins: list[str | None] | None = None) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        check_request(request, origins)
    return caught.value


# Requests, as a server


def test_the_example_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(min_size=16, max_size=16))
def test_accept_key(key: bytes) -> None:
    text = base64.b64encode(key).decode()
    assert accept_key(text) == accept_for(text)
    check_request(request({"Sec-WebSocket-Key": text}))


@pytest.mark.parametrize("good", ACCEPTABLE, ids=count())
def test_acceptable_requests(good: Request) -> None:
    assert good.is_upgrade
    check_request(good)


@pytest.mark.parametrize(("bad", "status", "header"), UNACCEPTABLE, ids=count())
def test_unacceptable_requests(bad: Request, status: int, header: str | None) -> None:
    error = fault(bad)
    assert (error.status, error.header) == (status, header)
    answer = refusal(bad, error)
    assert answer.status == status
    assert answer.headers.get("Content-Length") == str(len(f"{error}.\n"))
    assert answer.body == (b"" if bad.method == "HEAD" else f"{error}.\n".encode())


@pytest.mark.parametrize(("bad", "status", "header"), UNACCEPTABLE, ids=count())
def test_a_refusal_says_what_its_status_demands(bad: Request, status: int, header: str | None) -> None:
    answer = refusal(bad, fault(bad)).headers
    # RFC 9110 §15.5.6, §15.5.22; RFC 6455 §4.4. HTTP/2 has no Connection and no Upgrade.
    old = bad.protocol is None
    assert answer.get("Allow") == (("GET" if old else "CONNECT") if status == 405 else None)
    assert answer.get("Upgrade") == ("websocket" if status == 426 and old else None)
    assert answer.get_all("Connection") == (["Upgrade, close" if status == 426 else "close"] if old else [])
    assert answer.get(VERSION) == ("13" if header == VERSION and status == 426 else None)


@given(st.sampled_from(UNACCEPTABLE))
def test_a_refusal_can_be_written(row: tuple[Request, int, str | None]) -> None:
    data = encode_response(refusal(row[0], fault(row[0])))
    assert data.startswith(b"HTTP/1.1 %d " % row[1])
    assert all(value == value.strip() for values in fields(data).values() for value in values)


def test_requests_without_origin_are_let_in_where_the_list_says_so() -> None:
    check_request(request(), [None])
    check_request(request(), ["https://example.com", None])
    assert fault(request(), []).status == 403
    assert fault(request({"Origin": "null"}), [None]).status == 403
    check_request(request({"Origin": "null"}), ["null"])


@given(st.builds(Request, st.text(max_size=9), st.text(max_size=9), st.builds(Headers, st.just(()))))
def test_any_request_is_good_or_a_handshake_error(bare: Request) -> None:
    assert fault(bare).status in (400, 405, 505)


@given(
    st.dictionaries(
        st.sampled_from([*wire.REQUEST_FIELDS, PROTOCOL, EXTENSIONS, "Origin", "Content-Length"]),
        st.none() | st.text(max_size=20),
    )
)
def test_any_field_value_is_good_or_a_handshake_error(changes: dict[str, str | None]) -> None:
    try:
        check_request(request(changes))
        found: tuple[str | None, int] | None = None
    except HandshakeError as error:
        found = error.header, error.status
    assert found is None or (found[0] in changes and found[1] in (400, 426))


# Both sides together

TOKENS = st.text("abcdefghijkl-._~!#$%&'*+^`|0123456789ABC", min_size=1, max_size=12)
WISHES = st.builds(
    PerMessageDeflate,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(8, 15),
    client_max_window_bits=st.integers(8, 15),
)


@given(
    st.lists(TOKENS, unique=True, max_size=4),
    st.data(),
    st.lists(WISHES, max_size=3),
    st.none() | WISHES,
    st.booleans(),
    st.none() | st.just("https://example.com"),
)
def test_client_and_server_agree(
    offered: list[str],
    data: st.DataObject,
    wishes: list[PerMessageDeflate],
    wish: PerMessageDeflate | None,
    extended: bool,
    origin: str | None,
) -> None:
    asked = build_request(
        parse_uri("wss://example.com:8443/a?b"),
        subprotocols=offered,
        compression=wishes,
        origin=origin,
        extended_connect=extended,
        headers={"X-Token": "t"},
    )
    assert asked.is_upgrade
    assert asked.target == "/a?b"
    assert asked.subprotocols == offered
    assert asked.origin == origin
    check_request(asked, [origin])
    chosen = data.draw(st.sampled_from([None, *offered]))
    answer, agreed = accept_response(asked, subprotocol=chosen, compression=wish, headers=[("Server", "x")])
    assert answer.status == (200 if extended else 101)
    assert answer.headers.get("Server") == "x"
    subprotocol, ours = check_response(asked, answer, wishes)
    assert subprotocol == chosen
    if wish is None or not wishes:
        assert agreed is ours is None
    else:
        assert agreed is not None
        assert ours is not None
        assert agreed[0] is wish
        assert ours[0] in wishes
        assert agreed[1] == ours[1]


@given(st.lists(TOKENS, unique=True, max_size=4), st.lists(TOKENS, unique=True, max_size=4))
def test_the_subprotocol_is_the_first_of_the_client_that_the_server_knows(
    offered: list[str], supported: list[str]
) -> None:
    asked = build_request(CHAT, subprotocols=offered)
    chosen = choose_subprotocol(asked, supported)
    common = [name for name in offered if name in supported]
    assert chosen == (common[0] if common else None)


def test_a_str_is_no_list_of_subprotocols() -> None:
    with pytest.raises(TypeError, match="subprotocols must be a list of str, not str"):
        build_request(CHAT, subprotocols="chat")


def test_fields_over_http_1_1_and_extended_connect() -> None:
    old, new = build_request(CHAT, key=KEY), build_request(CHAT, extended_connect=True)
    assert (old.method, old.target, old.http_version, old.protocol) == ("GET", "/chat", "1.1", None)
    assert list(old.headers) == list(wire.REQUEST_FIELDS.items())
    assert (new.method, new.target, new.http_version, new.protocol) == ("CONNECT", "/chat", "2", "websocket")
    assert list(new.headers) == [(VERSION, "13")]
    assert dict(accept_response(old)[0].headers) == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": wire.ACCEPT,
    }
    assert accept_response(new)[0] == Response(200, Headers())


def test_keys_are_fresh_and_16_bytes() -> None:
    keys = {new_handshake_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(base64.b64decode(key, validate=True)) == 16 for key in keys)
    sent = {build_request(CHAT).headers.get(NONCE) for _ in range(100)}
    assert len(sent) == 100


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("ws://example.com/", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("wss://example.com:80/", "example.com:80"),
        ("wss://example.com:443/", "example.com"),
        ("ws://[::1]:9000/", "[::1]:9000"),
    ],
)
def test_host(uri: str, host: str) -> None:
    assert build_request(parse_uri(uri)).headers.get("Host") == host


# Responses, as a client

ASKED = build_request(CHAT, key=KEY, subprotocols=["a", "b"], compression=[PerMessageDeflate()])
OFFER = (PerMessageDeflate(),)


@pytest.mark.parametrize(
    ("response", "subprotocol", "bits"),
    [
        (answer(), None, None),
        (answer({"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}), None, None),
        (answer({"Connection": None}, ("connection", "x"), ("CONNECTION", "upgrade")), None, None),
        (answer({PROTOCOL: "b"}), "b", None),
        (answer({EXTENSIONS: ""}), None, None),
        (answer({EXTENSIONS: "permessage-deflate; server_max_window_bits=10"}), None, 10),
        (answer({EXTENSIONS: 'permessage-deflate; server_max_window_bits="9"', PROTOCOL: "a"}), "a", 9),
    ],
)
def test_answers_that_open(response: Response, subprotocol: str | None, bits: int | None) -> None:
    chosen, deflate = check_response(ASKED, response, OFFER)
    assert chosen == subprotocol
    assert (deflate and deflate[1].server_max_window_bits) == bits


@pytest.mark.parametrize(("response", "header"), BAD_ANSWERS, ids=count())
def test_answers_that_do_not(response: Response, header: str | None) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_response(ASKED, response, OFFER)
    assert caught.value.header == header
    # As a client, the error repeats the status that came.
    assert caught.value.status == response.status


@pytest.mark.parametrize("field", [(PROTOCOL, "a"), (EXTENSIONS, "permessage-deflate")])
def test_an_answer_to_what_was_not_asked(field: tuple[str, str]) -> None:
    bare = build_request(CHAT, key=KEY)
    check_response(bare, answer())
    with pytest.raises(HandshakeError) as caught:
        check_response(bare, answer({}, field))
    assert (caught.value.header, caught.value.status) == (field[0], 101)


def test_a_request_without_a_key_has_no_answer() -> None:
    with pytest.raises(HandshakeError, match="does not match the key"):
        check_response(request({NONCE: None}), answer())


@pytest.mark.parametrize(("status", "good"), [(200, True), (101, False), (204, False), (403, False)])
def test_answers_to_an_extended_connect(status: int, good: bool) -> None:
    asked = build_request(CHAT, extended_connect=True, subprotocols=["a"])
    response = Response(status, Headers([(PROTOCOL, "a")]))
    if good:
        assert check_response(asked, response) == ("a", None)
    else:
        with pytest.raises(HandshakeError) as caught:
            check_response(asked, response)
        assert caught.value.status == status


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


def test_a_body_in_chunks_has_no_length() -> None:
    answer = reject_response(request(), 403, (), b"no", chunked=True)
    assert answer.body == b"no"
    assert list(answer.headers) == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ]
    # Of what type it is has to be said before it is known whether anything comes.
    assert reject_response(request(), 403, chunked=True).headers.has("Content-Type")


def test_where_there_are_no_chunks() -> None:
    for asked in (request(method="HEAD"), request(http_version="1.0"), connect()):
        with pytest.raises(InvalidValueError, match="chunks"):
            reject_response(asked, 403, chunked=True)
    with pytest.raises(InvalidValueError, match="no body"):
        reject_response(request(), 204, chunked=True)


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
