"""What the arguments of `connect` become, as a real server sees it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgews
from edgews import (
    ClientConnection,
    Delivery,
    Headers,
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
from edgews.requests import USER_AGENT, ClientOptions, check_lasting
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


def test_headers_that_are_an_iterator_serve_more_than_one_request() -> None:
    options = ClientOptions(**{**DEFAULTS, "headers": iter([("X-Mine", "1")])})
    for _ in range(2):
        _, request = as_served(options.connection(parse_uri("ws://example.com/")))
        assert request.headers.get("X-Mine") == "1"


def test_a_negative_number_of_redirects_is_none() -> None:
    with pytest.raises(ValueError, match="redirects"):
        asking(redirects=-1)


# Who asks


def test_a_client_says_what_it_is() -> None:
    assert as_served(asking())[1].headers.get_all("User-Agent") == [USER_AGENT]
    assert f"edgews/{edgews.__version__}" == USER_AGENT


def test_the_applications_word_takes_its_place() -> None:
    client = asking(headers={"user-agent": "mine/1"})
    assert as_served(client)[1].headers.get_all("User-Agent") == ["mine/1"]


# Cookies

# RFC 6265 §4.1.1, written in another way than in the code.
OCTETS = [chr(octet) for octet in range(0x21, 0x7F) if chr(octet) not in '",;\\']
values = st.text(st.sampled_from(OCTETS), max_size=12)
cookie_values = values | values.map('"{}"'.format)
cookie_names = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", fullmatch=True)


@given(st.dictionaries(cookie_names, cookie_values, max_size=4))
def test_cookies_become_one_field(cookies: dict[str, str]) -> None:
    """RFC 6265 §4.2.1: pairs with a semicolon and a space between them."""
    fields = as_served(asking(cookies=cookies))[1].headers.get_all("Cookie")
    pairs = [tuple(pair.split("=", 1)) for field in fields for pair in field.split("; ")]
    assert pairs == list(cookies.items())


@given(st.text(max_size=6), st.characters().filter(lambda c: c not in OCTETS), st.text(max_size=6))
def test_what_no_cookie_may_have_is_refused_and_not_shown(before: str, bad: str, behind: str) -> None:
    value = f"{before}{bad}{behind}"
    if value[:1] == value[-1:] == '"' and len(value) > 1 and set(value[1:-1]) <= set(OCTETS):
        return
    with pytest.raises(InvalidValueError, match="cookie a has a character") as caught:
        asking(cookies={"a": value})
    assert str(caught.value) == "cookie a has a character in its value that no cookie may have"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "ä", "a\r\nX: y", "a\0"])
def test_a_cookies_name_is_a_token(name: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a token"):
        asking(cookies={name: "x"})


def test_cookies_are_given_once() -> None:
    with pytest.raises(InvalidValueError, match="twice"):
        asking(cookies={"a": "b"}, headers={"cookie": "c=d"})


# What another origin may see


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "cookie2", "User-Agent"]
            )
            | cookie_names,
            values,
        ),
        max_size=6,
    )
)
def test_strangers_see_what_is_known_to_be_harmless(headers: list[tuple[str, str]]) -> None:
    options = ClientOptions(**{**DEFAULTS, "headers": headers, "cookies": {"a": "b"}, "origin": "x"})
    stranger = options.for_strangers()
    assert stranger.cookies == {}
    assert {name.lower() for name, _ in Headers(stranger.headers)} <= {
        "accept",
        "accept-language",
        "cache-control",
        "dnt",
        "origin",
        "pragma",
        "user-agent",
    }
    assert [field for field in headers if field[0] == "User-Agent"] == [
        field for field in Headers(stranger.headers) if field[0] == "User-Agent"
    ]
    assert stranger.origin == "x"


@pytest.mark.parametrize("name", ["sock", "stream"])
def test_a_byte_stream_is_good_for_one_connection(name: str) -> None:
    check_lasting({name: None, "path": "/socket"})
    with pytest.raises(TypeError, match=name):
        check_lasting({name: object()})
