"""Compression on each side for itself: what the origin is offered, and what the client is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import HandshakeError, Headers, PerMessageDeflate, Request, Response
from edgews.edge.forwarding.compression import agree, offer_own
from edgews.extensions import FIELD, choose, offer
from tests import wire

WISH = PerMessageDeflate()


def request(*offers: str) -> Request:
    fields = [*wire.REQUEST_FIELDS.items(), ("X-Other", "kept")]
    return Request("GET", "/chat?a=b", Headers([*fields, *((FIELD, offer) for offer in offers)]))


def switch(*answers: str) -> Response:
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", wire.ACCEPT),
        ("X-Back", "kept"),
    ]
    return Response(101, Headers([*fields, *((FIELD, answer) for answer in answers)]))


@pytest.mark.parametrize("offers", [(), ("permessage-deflate",), ("x-other", "permessage-deflate")])
@pytest.mark.parametrize("wish", [None, WISH])
def test_the_origin_gets_an_offer_of_ours(offers, wish):
    asked = offer_own(request(*offers), wish)
    assert asked.headers.get_all(FIELD) == ([] if wish is None else [offer([wish])])
    assert (asked.method, asked.target) == ("GET", "/chat?a=b")
    assert asked.headers.get("X-Other") == "kept"


wishes = st.none() | st.builds(
    PerMessageDeflate,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(8, 15),
    client_max_window_bits=st.integers(8, 15),
)


@given(wishes, wishes, wishes, wishes)
def test_each_side_agrees_for_itself(of_client, for_client, for_origin, of_origin):
    """What either side was told is what it would have been told by a server, or a client, alone."""
    asked_by_client = request(*([] if of_client is None else [offer([of_client])]))
    asked = offer_own(asked_by_client, for_origin)
    answer, with_origin = choose(asked.headers, of_origin)
    found = agree(
        asked_by_client,
        asked,
        switch(*([] if answer is None else [answer])),
        client=for_client,
        origin=for_origin,
    )
    told, with_client = choose(asked_by_client.headers, for_client)
    assert found.response.headers.get_all(FIELD) == ([] if told is None else [told])
    assert found.client == (None if with_client is None else (for_client, with_client))
    assert found.origin == (None if with_origin is None else (for_origin, with_origin))
    assert found.response.status == 101
    assert found.response.headers.get("X-Back") == "kept"


@pytest.mark.parametrize("origin", [None, WISH])
@pytest.mark.parametrize("answer", ["x-other", "permessage-deflate; server_max_window_bits=15", "a b"])
def test_an_answer_beyond_the_offer_opens_nothing(origin, answer):
    """It does not matter what the client has offered."""
    asked_by_client = request("permessage-deflate; client_max_window_bits")
    with pytest.raises(HandshakeError):
        agree(asked_by_client, offer_own(asked_by_client, origin), switch(answer), client=WISH, origin=origin)
