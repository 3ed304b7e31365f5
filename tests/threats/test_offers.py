"""Offers of permessage-deflate, taken or left exactly as RFC 7692 §5 and §7.1 say, in HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from itertools import count

import pytest

from edgews import Headers, PerMessageDeflate, Request, ServerConnection, parse_uri
from edgews.handshake import accept_response, build_request, check_request
from tests import wire
from tests.handshakes import fields, refused, serve

HELLO = wire.frame(wire.TEXT, b"hello")

DECLINED = None
# What a client offers, and what a server that wishes windows of 12 bits makes of it.
OFFERS = [
    ("permessage-deflate", "; server_max_window_bits=12"),
    ("Permessage-Deflate", DECLINED),
    ("permessage-deflate; client_max_window_bits", "; server_max_window_bits=12; client_max_window_bits=12"),
    (
        "permessage-deflate; client_max_window_bits=10",
        "; server_max_window_bits=12; client_max_window_bits=10",
    ),
    ("permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8"),
    ('permessage-deflate; server_max_window_bits="10"', "; server_max_window_bits=10"),
    (r'permessage-deflate; server_max_window_bits="1\0"', "; server_max_window_bits=10"),
    (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
    ),
    # Twice the same.
    ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", DECLINED),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", DECLINED),
    # A flag with a value, a value without one, unknown parameters.
    ("permessage-deflate; server_no_context_takeover=1", DECLINED),
    ('permessage-deflate; client_no_context_takeover="true"', DECLINED),
    ("permessage-deflate; server_max_window_bits", DECLINED),
    ("permessage-deflate; x", DECLINED),
    ("permessage-deflate; x=y", DECLINED),
    ("permessage-deflate; SERVER_NO_CONTEXT_TAKEOVER", DECLINED),
    # Numbers that only look like it.
    *(
        (f"permessage-deflate; {side}_max_window_bits={bits}", DECLINED)
        for side in ("server", "client")
        for bits in ("08", "+9", "abc", "0", "7", "16", "9.0", "-9", "1e1", "0x9", "99999999999999999999")
    ),
    # The first one that is acceptable counts.
    ("x-other, permessage-deflate", "; server_max_window_bits=12"),
    ("permessage-deflate; x, permessage-deflate", "; server_max_window_bits=12"),
    (
        "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9",
        "; server_max_window_bits=9",
    ),
    (
        "permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=9",
        "; server_max_window_bits=10",
    ),
    ("permessage-deflate; x, permessage-deflate; y, x-other", DECLINED),
]


@pytest.mark.parametrize(("offer", "answer"), OFFERS, ids=count())
def test_offers_are_taken_or_left(offer: str, answer: str | None) -> None:
    server = ServerConnection(compression=PerMessageDeflate())
    data = wire.request({"Sec-WebSocket-Extensions": offer}) + HELLO
    events, written = serve(server, [data])
    assert [type(event) for event in events] == [Request, str]
    expected = None if answer is DECLINED else ["permessage-deflate" + answer]
    assert fields(written).get("sec-websocket-extensions") == expected


@pytest.mark.parametrize("offer", [line for line, _ in OFFERS[:8]])
def test_offers_in_several_fields(offer: str) -> None:
    server = ServerConnection(compression=PerMessageDeflate())
    extra = ("Sec-WebSocket-Extensions: x-other", f"sec-websocket-extensions: {offer}")
    _, written = serve(server, [wire.request(extra=extra)])
    assert ("sec-websocket-extensions" in fields(written)) == offer.startswith("permessage")


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate;",
        "permessage-deflate; =9",
        "permessage deflate",
        'a; b="c',
        "a; b=c d",
        'a; b="c d"',
    ],
)
def test_offers_outside_the_grammar(offer: str) -> None:
    server = ServerConnection(compression=PerMessageDeflate())
    status, last, _ = refused(server, [wire.request({"Sec-WebSocket-Extensions": offer})])
    assert (status, last.cause.header) == (400, "Sec-WebSocket-Extensions")


@pytest.mark.parametrize(("offer", "answer"), OFFERS, ids=count())
def test_offers_over_http_2_get_the_same_answer(offer: str, answer: str | None) -> None:
    asked = build_request(parse_uri("wss://example.com/"), extended_connect=True)
    headers = Headers([*asked.headers, ("Sec-WebSocket-Extensions", offer)])
    request = Request("CONNECT", "/", headers, "2", "websocket")
    check_request(request)
    response, deflate = accept_response(request, compression=PerMessageDeflate())
    expected = None if answer is DECLINED else "permessage-deflate" + answer
    assert response.headers.get("Sec-WebSocket-Extensions") == expected
    assert (deflate is None) == (answer is DECLINED)
