"""What the origin is asked, what the client is told, and which requests go nowhere."""

from __future__ import annotations

import pytest

from edgews.edge.forwarding.handshake import (
    check_switch,
    check_upgrade,
    client_response,
    origin_request,
    own_response,
)
from edgews.edge.forwarding.headers import Identity, Peer, to_origin
from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.lists import Networks
from edgews.edge.policy.normalize import normalize
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.handshake import UPGRADE_FIELDS
from edgews.headers import Headers
from edgews.http1 import RequestReader
from edgews.limits import Limits
from tests import wire

FORWARDED = to_origin(
    Headers(wire.REQUEST_FIELDS), Peer("192.0.2.1", True, "abc"), trusted=Networks(), identity=Identity()
)


def parsed(data: bytes) -> Request:
    complete = RequestReader(Limits()).feed(data)
    assert complete is not None
    return complete[0]


def forwarded(*fields: tuple[str, str]) -> Headers:
    request = Request("GET", "/", Headers([*wire.REQUEST_FIELDS.items(), *fields]))
    told = to_origin(request.headers, Peer("192.0.2.1", True, "abc"), trusted=Networks(), identity=Identity())
    return origin_request(request, normalize("/"), told).headers


def test_the_origin_is_asked_for_a_websocket_at_the_normalised_target():
    request = Request(
        "GET", "/a/./b?c", Headers([*wire.REQUEST_FIELDS.items(), ("Connection", "X"), ("X", "y")])
    )
    asked = origin_request(request, normalize(request.target), FORWARDED)
    assert asked.target == "/a/b?c"
    assert asked.headers == (*FORWARDED.headers, *UPGRADE_FIELDS)


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


@pytest.mark.parametrize("host", ["good, evil", "good:80:90", "[::1]evil", "g\x9bod"])
def test_a_host_that_servers_read_differently(host):
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(parsed(wire.request({"Host": host})), b"")
    assert (caught.value.status, caught.value.header) == (400, "Host")


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
        101,
        Headers(
            [
                ("Connection", "X-Hop, Upgrade"),
                ("X-Hop", "1"),
                ("Upgrade", "websocket"),
                ("Content-Length", "0"),
                ("Set-Cookie", "a=b"),
            ]
        ),
    )
    opened = client_response(origin, "1", identity=Identity("X-"))
    assert sorted(opened.headers) == [
        ("Connection", "Upgrade"),
        ("Set-Cookie", "a=b"),
        ("Upgrade", "websocket"),
        ("X-Ray", "1"),
    ]


def test_an_answer_of_our_own():
    response = own_response(Failure(503, "busy", "Later", (("Retry-After", "1"),)), [("X-Ray", "1")])
    assert response.body == b"Later.\n"
    assert response.headers.get("Content-Length") == "7"
    assert response.headers.get("Retry-After") == "1"
    assert response.headers.get("X-Ray") == "1"
    assert own_response(Failure(403, "rule", "No", body='{"é": 1}')).body == '{"é": 1}'.encode()
