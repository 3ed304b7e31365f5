"""What the arguments of `connect` become, as a real server sees it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    ClientConnection,
    Delivery,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    Request,
    Role,
    ServerConnection,
    State,
    Timeouts,
)
from edgews.headers import HeadersLike
from edgews.requests import USER_AGENT, ClientOptions
from edgews.uri import parse_uri

from .engines import NO_TIMERS

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DEFAULTS: dict[str, Any] = {
    "redirects": 0,
    "cookies": {},
    "origin": None,
    "subprotocols": (),
    "headers": (),
    "compression": None,
    "delivery": Delivery.MESSAGES,
    "limits": Limits(),
    "timeouts": NO_TIMERS,
}


def asking(uri: str = "ws://example.com/chat", **options: Any) -> ClientConnection:
    return ClientOptions(**{**DEFAULTS, **options}).connection(parse_uri(uri))


def as_served(client: ClientConnection, **options: Any) -> tuple[ServerConnection, Request]:
    """Return a server that has the client's request, and the request."""
    server = ServerConnection(timeouts=NO_TIMERS, **options)
    (request,) = server.receive_data(client.data_to_send())
    assert isinstance(request, Request)
    return server, request


def authorization(client: ClientConnection) -> list[str]:
    return as_served(client)[1].headers.get_all("Authorization")


# Credentials


@given(texts, st.none() | texts)
def test_user_and_password_become_basic_credentials(user: str, password: str | None) -> None:
    """RFC 7617 §2, in UTF-8."""
    userinfo = quote(user, safe="") + ("" if password is None else ":" + quote(password, safe=""))
    (value,) = authorization(asking(f"ws://{userinfo}@example.com/"))
    scheme, _, credentials = value.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credentials, validate=True).decode() == f"{user}:{password or ''}"


def test_the_example_of_the_rfc() -> None:
    """RFC 7617 §2."""
    assert authorization(asking("ws://Aladdin:open%20sesame@example.com/")) == [
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    ]


def test_nobody_is_named_without_a_user() -> None:
    assert authorization(asking()) == []


def test_the_credentials_stand_nowhere_else() -> None:
    client = asking("ws://Aladdin:sesame@example.com/cave")
    _, request = as_served(client)
    assert request.target == "/cave"
    assert request.headers.get("Host") == "example.com"
    assert not any("sesame" in value for _, value in request.headers)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("user", ["", "Aladdin:sesame@"])
def test_a_field_of_the_callers_own_comes_first(name: str, user: str) -> None:
    client = asking(f"ws://{user}example.com/", headers={name: "Bearer token"})
    assert authorization(client) == ["Bearer token"]


@pytest.mark.parametrize("as_type", [dict, list, iter])
def test_the_callers_fields_stay_in_order_in_front_of_it(as_type: Any) -> None:
    fields: HeadersLike = as_type([("X-First", "1"), ("Cookie", "a=b")])
    client = asking("ws://Aladdin@example.com/", headers=fields)
    _, request = as_served(client)
    names = [name for name, _ in request.headers if name in ("X-First", "Cookie", "Authorization")]
    assert names == ["X-First", "Cookie", "Authorization"]
    assert request.headers.get("X-First") == "1"
    assert request.headers.get("Cookie") == "a=b"


@pytest.mark.parametrize("field", [("Host", "other"), ("X", "a\r\nb"), ("", "x")])
def test_a_field_that_may_not_be_sent(field: tuple[str, str]) -> None:
    with pytest.raises(InvalidValueError):
        asking("ws://Aladdin@example.com/", headers=[field])


# Everything else


def test_nothing_is_asked_for_that_was_not_wished_for() -> None:
    _, request = as_served(asking())
    assert (request.method, request.target) == ("GET", "/chat")
    assert request.origin is None
    assert request.subprotocols == []
    assert not request.headers.has("Sec-WebSocket-Extensions")


def test_every_wish_reaches_the_server() -> None:
    client = asking(
        "wss://example.com:8443/chat?room=1",
        origin="https://example.com",
        subprotocols=["soap", "wamp"],
        compression=[PerMessageDeflate(server_max_window_bits=9), PerMessageDeflate()],
    )
    server, request = as_served(client, compression=PerMessageDeflate())
    assert request.target == "/chat?room=1"
    assert request.headers.get("Host") == "example.com:8443"
    assert request.origin == "https://example.com"
    assert request.subprotocols == ["soap", "wamp"]
    offers = request.headers.get("Sec-WebSocket-Extensions") or ""
    assert offers.count("permessage-deflate") == 2
    assert "server_max_window_bits=9" in offers
    list(client.receive_data(server.accept(subprotocol="wamp")))
    assert client.state is State.OPEN
    assert client.role is Role.CLIENT
    assert client.subprotocol == "wamp"
    assert list(client.receive_data(server.send("x" * 1000, compress=True))) == ["x" * 1000]


def test_limits_and_timeouts_are_those_of_the_connection() -> None:
    limits, timeouts = Limits(max_message_size=10), Timeouts(open=3.0)
    client = asking(limits=limits, timeouts=timeouts)
    assert client.limits is limits
    assert client.timeouts is timeouts
