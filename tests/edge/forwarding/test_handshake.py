"""What the origin is asked, what the client is told, and which requests go nowhere."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.handshake import (
    HOP_BY_HOP,
    check_path,
    check_switch,
    check_upgrade,
    client_response,
    origin_request,
    own_response,
)
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import RequestReader, encode_response
from edgews.limits import Limits
from tests import wire

FORWARDED = {"client": "192.0.2.1", "secure": True, "ray": "abc", "prefix": "X-Edgews-"}


def parsed(data: bytes) -> Request:
    complete = RequestReader(Limits()).feed(data)
    assert complete is not None
    return complete[0]


def forwarded(*fields: tuple[str, str], **how) -> Headers:
    request = Request("GET", "/", Headers([*wire.REQUEST_FIELDS.items(), *fields]))
    return origin_request(request, **{**FORWARDED, **how}).headers


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)
cases = st.sampled_from([str.lower, str.upper, str.title])


@given(st.sampled_from(sorted(HOP_BY_HOP - {"connection", "upgrade"})), cases)
def test_fields_for_one_hop_go(name, case):
    assert not forwarded((case(name), "x")).has(name)


@given(names, cases, cases)
def test_fields_that_connection_lists_go(name, case, other):
    listed = forwarded((case(name), "x"), ("Connection", f"keep-alive, {other(name)}"))
    free = forwarded((case(name), "x"))
    kept = name.lower().startswith("sec-") or name.lower() in ("authorization", "cookie", "host", "origin")
    assert listed.get_all(name) == (free.get_all(name) if kept else [])


@pytest.mark.parametrize("name", ["Origin", "Cookie", "Authorization", "Sec-WebSocket-Protocol", "Host"])
def test_what_the_origin_decides_by_stays(name):
    assert forwarded((name, "x"), ("Connection", name)).get_all(name)[-1] == "x"


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "x_forwarded_for", "X-Forwarded_Proto", "Forwarded", "X-Real-IP", "X-Edgews-Ray",
     "x_edgews_anything", "CF-Connecting-IP", "True-Client-IP"],
)  # fmt: skip
def test_nobody_else_says_who_the_client_is(name):
    assert "forged" not in [value for _, value in forwarded((name, "forged"))]


def test_the_gateway_says_who_the_client_is():
    headers = forwarded()
    assert headers.get_all("X-Forwarded-For") == headers.get_all("X-Edgews-Client-IP") == ["192.0.2.1"]
    assert headers.get_all("X-Forwarded-Proto") == ["https"]
    assert headers.get_all("X-Forwarded-Host") == headers.get_all("Host") == ["example.com"]
    assert headers.get_all("X-Edgews-Ray") == ["abc"]
    assert headers.get_all("Upgrade") == ["websocket"]
    assert headers.get_all("Connection") == ["Upgrade"]
    unix = forwarded(client="", secure=False)
    assert not unix.has("X-Forwarded-For")
    assert unix.get_all("X-Forwarded-Proto") == ["http"]


@pytest.mark.parametrize(
    ("offers", "passes"),
    [
        (["permessage-deflate"], "permessage-deflate"),
        (["x-webkit-deflate-frame, permessage-deflate; client_max_window_bits"],
         "permessage-deflate; client_max_window_bits"),
        (["permessage-deflate; server_max_window_bits=10", "permessage-deflate"],
         "permessage-deflate; server_max_window_bits=10, permessage-deflate"),
        (["foo"], None),
        ([], None),
    ],
)  # fmt: skip
def test_only_an_extension_that_the_scanner_knows_is_offered(offers, passes):
    headers = forwarded(*(("Sec-WebSocket-Extensions", offer) for offer in offers))
    assert headers.get("Sec-WebSocket-Extensions") == passes


# Which requests


def test_a_request_with_frames_behind_it():
    request = parsed(wire.request())
    check_upgrade(request, b"")
    check_upgrade(request, wire.frame(wire.TEXT, b"x"))
    check_upgrade(request, b"\x81")
    for behind in (wire.request(), wire.frame(wire.TEXT, b"x", key=None), wire.frame(3)):
        with pytest.raises(HandshakeError):
            check_upgrade(request, behind)
    with pytest.raises(HandshakeError):
        check_upgrade(parsed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), b"")
    with pytest.raises(HandshakeError):
        check_upgrade(parsed(wire.request(line="GET /a/../b HTTP/1.1")), b"")


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/a/b.c/...", "/a%20b/%C3%A4", "/a;b=c/d", "/.a", "/a..b"]
)
def test_paths_that_everyone_reads_alike(path):
    check_path(path)


@pytest.mark.parametrize(
    "path",
    ["/..", "/a/../b", "/a/./b", "/%2e%2E/b", "/.%2e", "/..;x/b", "/a//b", "//a", "/a%2fb", "/a%5Cb", "/a\\b",
     "/%", "/%2", "/%zz", "/%00", "/%252e", "/.;/a"],
)  # fmt: skip
def test_paths_that_somebody_reads_as_another(path):
    with pytest.raises(HandshakeError):
        check_path(path)


@given(
    st.lists(st.sampled_from(["/", "a", ".", "..", "%2e", "%2F", "%5c", ";", "%", "%25", "\\"]), max_size=8)
)
def test_what_is_let_through_does_not_climb(parts):
    path = "/chat/" + "".join(parts)
    try:
        check_path(path)
    except HandshakeError:
        return
    depth = 0
    for segment in unquote(unquote(path)).replace("\\", "/").split("/")[1:]:
        depth += -1 if segment.partition(";")[0] == ".." else 1
        assert depth > 0


# What comes back


def switch(*fields: tuple[str, str]) -> Response:
    own = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", wire.ACCEPT)]
    return Response(101, Headers([*own, *fields]))


def asked(offer: str | None) -> Request:
    fields = [("Sec-WebSocket-Extensions", offer)] if offer else []
    return Request("GET", "/", forwarded(*fields))


@pytest.mark.parametrize(
    ("offer", "answer", "deflate"),
    [
        (None, None, False),
        ("permessage-deflate", None, False),
        ("permessage-deflate", "permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=9", True),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=9",
            True,
        ),
    ],
)
def test_a_101_that_opens_the_connection(offer, answer, deflate):
    fields = [("Sec-WebSocket-Extensions", answer)] if answer else []
    assert check_switch(asked(offer), switch(*fields)) is deflate


@pytest.mark.parametrize(
    ("offer", "fields"),
    [
        (None, [("Sec-WebSocket-Extensions", "permessage-deflate")]),
        (
            "permessage-deflate",
            [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=9")],
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            [("Sec-WebSocket-Extensions", "permessage-deflate")],
        ),
        ("permessage-deflate; 08", [("Sec-WebSocket-Extensions", "permessage-deflate")]),
        (None, [("Sec-WebSocket-Protocol", "chat")]),
        (None, [("Sec-WebSocket-Accept", wire.ACCEPT)]),
        (None, [("Content-Length", "0")]),
    ],
)
def test_a_101_that_lies(offer, fields):
    with pytest.raises(HandshakeError):
        check_switch(asked(offer), switch(*fields))


def test_an_answer_on_its_way_back():
    origin = Response(
        403,
        Headers(
            [
                ("Connection", "X-Hop"),
                ("X-Hop", "1"),
                ("Transfer-Encoding", "chunked"),
                ("Content-Length", "9"),
                ("Set-Cookie", "a=b"),
            ]
        ),
        b"no",
    )
    assert encode_response(client_response(origin, [("X-Ray", "1")])) == (
        b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b\r\nX-Ray: 1\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\nno"
    )
    opened = client_response(switch(("Set-Cookie", "a=b")))
    assert opened.headers.get_all("Upgrade") == ["websocket"]
    assert opened.headers.get_all("Connection") == ["Upgrade"]
    assert not client_response(Response(204, Headers())).headers.has("Content-Length")


def test_an_answer_of_our_own():
    response = own_response(503, "Later", [("Retry-After", "1")])
    assert response.body == b"Later.\n"
    assert response.headers.get("Content-Length") == "7"
    assert response.headers.get("Retry-After") == "1"
