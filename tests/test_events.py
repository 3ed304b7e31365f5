from __future__ import annotations

import dataclasses
import inspect
import re
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import events
from edgews.errors import FrameHeaderError
from edgews.events import (
    Accepted,
    Cause,
    CauseKind,
    Close,
    Delivery,
    Disconnected,
    Event,
    Fragment,
    Ping,
    Pong,
    Rejected,
    Request,
    Response,
    Side,
)
from edgews.headers import Headers

CAUSE = Cause(CauseKind.CLOSED, Side.PEER, "the closing handshake is complete")
SAMPLES = [
    Fragment("a", True),
    Request("GET", "/", Headers()),
    Response(101, Headers()),
    Accepted(None, Response(101, Headers())),
    Rejected(Response(403, Headers(), b"no")),
    Ping(b""),
    Pong(b""),
    Close(1000, ""),
    CAUSE,
    Disconnected(1000, "", True, CAUSE),
]


def test_the_union_names_every_event():
    named = set(typing.get_args(Event))
    carried = {Response, Cause}
    classes = {
        value for value in vars(events).values()
        if dataclasses.is_dataclass(value) and value.__module__ == events.__name__
    }  # fmt: skip
    assert named == (classes - carried) | {str, bytes}
    # The same list stands at the head of the module, in order.
    listed = re.search(r"Event = (.+)", inspect.getdoc(events) or "")
    assert listed is not None
    assert listed[1].split(" | ") == [kind.__name__ for kind in typing.get_args(Event)]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_events_are_plain_values_for_match(event):
    # Made by the million: no dictionary each, and no frozen __setattr__ (three times as slow).
    assert not hasattr(event, "__dict__")
    assert type(event).__match_args__ == tuple(
        field.name for field in dataclasses.fields(event) if not field.kw_only
    )
    twin = dataclasses.replace(event)
    assert twin == event
    assert twin is not event
    name = dataclasses.fields(event)[0].name
    setattr(twin, name, object())
    assert twin != event


@given(
    st.sampled_from(["/", "/chat", "*", "", "//a", "/%2e", "a?b", "["]) | st.text(),
    st.none() | st.text(),
)
def test_a_target_is_path_and_query(start, query):
    path = start.replace("?", "")
    request = Request("GET", path if query is None else f"{path}?{query}", Headers())
    assert request.path == path
    assert request.query == (query or "")


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        ([], False),
        ([("Upgrade", "websocket")], True),
        ([("upgrade", "WebSocket")], True),
        ([("Upgrade", "websocket, h2c")], True),
        ([("Upgrade", "h2c"), ("Upgrade", "\twebsocket ,")], True),
        ([("Upgrade", "h2c")], False),
        ([("Upgrade", "websocket2")], False),
        ([("X-Upgrade", "websocket")], False),
    ],
)
def test_a_request_knows_whether_it_is_an_upgrade(fields, upgrade):
    assert Request("GET", "/", Headers(fields)).is_upgrade is upgrade
    # The caller has no say in it.
    assert Request("GET", "/", Headers(fields), is_upgrade=not upgrade).is_upgrade is upgrade


def test_an_extended_connect_is_an_upgrade():
    # RFC 8441 §4: there is no Upgrade field in HTTP/2.
    request = Request("CONNECT", "/chat?a=b", Headers(), "2", "websocket")
    assert request.is_upgrade
    assert (request.path, request.query, request.http_version) == ("/chat", "a=b", "2")


def test_offered_subprotocols_in_order():
    headers = Headers(
        [("Sec-WebSocket-Protocol", "soap, wamp"), ("sec-websocket-protocol", " v2.chat,, "), ("Other", "x")]
    )
    assert Request("GET", "/", headers).subprotocols == ["soap", "wamp", "v2.chat"]
    assert Request("GET", "/", Headers()).subprotocols == []


def test_the_origin():
    assert Request("GET", "/", Headers()).origin is None
    assert Request("GET", "/", Headers([("origin", "null")])).origin == "null"
    # Two of them are no origin that an allow-list could have.
    twice = Headers([("Origin", "https://a.example"), ("Origin", "https://b.example")])
    assert twice.get("Origin") == Request("GET", "/", twice).origin == "https://a.example, https://b.example"


def test_a_cause_reads_as_a_sentence():
    error = FrameHeaderError("opcode 0x3 is reserved")
    cause = Cause(CauseKind.PROTOCOL_ERROR, Side.PEER, str(error), error=error)
    assert str(cause) == "protocol error: opcode 0x3 is reserved"
    assert cause.header is None
    assert Cause(CauseKind.HANDSHAKE_FAILED, Side.PEER, "no Host", "Host").header == "Host"


@pytest.mark.parametrize("kinds", [CauseKind, Delivery, Side], ids=lambda kinds: kinds.__name__)
def test_kinds_are_words_for_people_and_for_counting(kinds):
    for kind in kinds:
        assert kind.value == kind.name.lower().replace("_", " ")
        assert kinds(kind.value) is kind
