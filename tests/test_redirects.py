"""Redirects: where they lead, where they do not, and who gets to know what."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews import (
    ClientConnection,
    Delivery,
    Disconnected,
    Headers,
    Rejected,
    Request,
    Response,
    ServerConnection,
    Timeouts,
)
from edgews.outcomes import InvalidHandshake
from edgews.redirects import STATUSES, Course, Reach
from edgews.requests import ClientOptions
from edgews.uri import parse_uri

DEFAULTS: dict[str, Any] = {
    "redirects": 5,
    "origin": None,
    "subprotocols": (),
    "headers": (),
    "cookies": {},
    "compression": None,
    "delivery": Delivery.MESSAGES,
    "limits": ClientConnection("ws://x/").limits,
    "timeouts": Timeouts(),
}


def course(uri: str, reach: Reach = Reach.ANYWHERE, now: float = 0.0, **options: Any) -> Course:
    return Course(parse_uri(uri), ClientOptions(**{**DEFAULTS, **options}), now, reach)


def asked(course: Course) -> Request:
    """Return the request that goes out next, as a server reads it."""
    server = ServerConnection()
    (request,) = server.receive_data(course.connection().data_to_send())
    assert isinstance(request, Request)
    return request


def answer(course: Course, status: int, *locations: str) -> None:
    """Let the server answer, and go where it says."""
    conn = course.connection()
    fields = "".join(f"Location: {location}\r\n" for location in locations)
    data = f"HTTP/1.1 {status} Whatever\r\n{fields}Content-Length: 0\r\n\r\n".encode("latin-1")
    rejected, last = [*conn.receive_data(data), *conn.receive_eof()]
    assert isinstance(rejected, Rejected)
    assert isinstance(last, Disconnected)
    course.turn(last, rejected.response)


def refused(course: Course, status: int, *locations: str) -> str:
    """Return why a redirect is not followed."""
    before = course.uri
    with pytest.raises(InvalidHandshake) as caught:
        answer(course, status, *locations)
    error = caught.value
    assert course.uri == before
    assert error.response is not None
    assert error.response.status == status
    assert str(status) in str(error)
    if "cannot be followed" in str(error):
        assert error.cause.header == "Location"
    return str(error)


# Where they lead


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_every_kind_is_followed(status: int) -> None:
    it = course("ws://a.example/chat?x=1")
    answer(it, status, "http://a.example/other")
    assert it.uri == parse_uri("ws://a.example/other")
    assert asked(it).target == "/other"


hosts = st.sampled_from(["a.example", "A.example", "b.example", "[::1]", "127.0.0.1"])
ports = st.sampled_from(["", ":80", ":443", ":8080"])
segments = st.lists(st.sampled_from(["a", "b", "..", ".", "", "%2e%2e"]), max_size=4).map("/".join)
queries = st.sampled_from(["", "?", "?a=b", "?a=/../x"])
locations = st.builds(
    lambda scheme, host, port, path, query, fragment: (
        (f"{scheme}//{host}{port}/" if scheme is not None else "") + path + query + fragment
    ),
    st.sampled_from(["http:", "https:", "ws:", "wss:", "", None]),
    hosts,
    ports,
    segments,
    queries,
    st.sampled_from(["", "#top"]),
)
uris = st.builds(
    lambda scheme, host, port, path, query: f"{scheme}://{host}{port}/{path}{query}",
    st.sampled_from(["ws", "wss"]),
    hosts,
    ports,
    segments,
    queries,
)


def origin(url: str) -> tuple[bool, str | None, int]:
    parts = urlsplit(url)
    secure = parts.scheme in ("wss", "https")
    return secure, parts.hostname, parts.port or (443 if secure else 80)


def nowhere(url: str) -> bool:
    """Whether the host is a name that cannot be looked up."""
    try:
        (urlsplit(url).hostname or "").encode("idna")
    except UnicodeError:
        return True
    return False


@given(uris, locations)
@example("ws://a.example/", "//..")
def test_a_location_is_resolved_as_any_link_is(uri: str, location: str) -> None:
    """The oracle: `urljoin` on the names of HTTP. RFC 9110 §10.2.2."""
    it = course(uri)
    before = it.uri
    joined = urljoin(uri.replace("ws", "http", 1), location)
    try:
        answer(it, 302, location)
    except InvalidHandshake as error:
        assert "circle" in str(error) or (origin(uri)[0] and not origin(joined)[0]) or nowhere(joined)  # noqa: PT017
        assert it.uri == before
        return
    assert (it.uri.secure, it.uri.host.lower(), it.uri.port) == origin(joined)
    wanted = urlsplit(joined)
    assert it.uri.target == (wanted.path or "/") + (f"?{wanted.query}" if wanted.query else "")
    assert before.secure <= it.uri.secure
    assert it.moved == (origin(uri) != origin(joined))


# Who gets to know what

SECRETS = {"Authorization": "Bearer secret", "Cookie": "a=secret", "X-Api-Key": "secret"}


@given(st.lists(locations, min_size=1, max_size=4), st.booleans())
def test_no_secret_reaches_another_origin(hops: list[str], in_uri: bool) -> None:
    start = "ws://me:secret@a.example/x" if in_uri else "ws://a.example/x"
    secrets = {"X-Api-Key": "secret"} if in_uri else SECRETS
    it = course(start, headers={**secrets, "User-Agent": "harmless"}, subprotocols=["p"], origin="null")
    home = origin("ws://a.example/")
    left = False
    for hop in hops:
        request = asked(it)
        left = left or (it.uri.secure, it.uri.host.lower(), it.uri.port) != home
        values = [value for _, value in request.headers]
        assert it.moved == left
        if left:
            assert not any("secret" in value for value in values)
            assert not request.headers.has("Authorization")
            assert it.uri.username is None
            assert it.uri.password is None
        else:
            assert sum("secret" in value for value in values) >= len(secrets)
            assert request.headers.has("Authorization")
        assert request.headers.get("User-Agent") == "harmless"
        assert request.subprotocols == ["p"]
        assert request.origin == "null"
        try:
            answer(it, 307, hop)
        except InvalidHandshake:
            return


def test_back_home_they_are_not_told_again() -> None:
    it = course("ws://a.example/", headers=SECRETS)
    answer(it, 302, "http://b.example/")
    answer(it, 302, "http://a.example/back")
    assert it.moved
    assert not any("secret" in value for _, value in asked(it).headers)


def test_tls_on_the_same_host_is_another_origin() -> None:
    it = course("ws://a.example/", cookies={"a": "secret"})
    answer(it, 301, "https://a.example/")
    assert it.uri == parse_uri("wss://a.example/")
    assert not asked(it).headers.has("Cookie")


@pytest.mark.parametrize("host", ["a.example", "b.example"])
def test_who_we_are_is_not_for_the_server_to_say(host: str) -> None:
    it = course("ws://me:mine@a.example/")
    answer(it, 302, f"http://you:yours@{host}/x")
    assert (it.uri.username, it.uri.password) == (("me", "mine") if host == "a.example" else (None, None))


# Where they do not lead


def test_nothing_is_followed_that_was_not_asked_for() -> None:
    it = course("ws://a.example/", redirects=0)
    assert "cannot be followed" not in refused(it, 302, "http://a.example/x")


@pytest.mark.parametrize("status", [300, 304, 305, 200, 404])
def test_other_answers_are_final(status: int) -> None:
    assert "cannot be followed" not in refused(course("ws://a.example/"), status, "http://a.example/x")


def test_a_connection_that_ended_without_an_answer_is_no_redirect() -> None:
    it = course("ws://a.example/")
    (last,) = it.connection().receive_eof()
    assert isinstance(last, Disconnected)
    with pytest.raises(InvalidHandshake) as caught:
        it.turn(last, None)
    assert caught.value.response is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([], "missing"),
        (["/a", "/b"], "more than one"),
        (["/a b"], "space"),
        (["\\\\evil.example\\"], "backslash"),
        (["http://evil..example/"], "empty or too long"),
        (["ftp://a.example/"], "leads to ftp:"),
        (["javascript:alert(1)"], "leads to javascript:"),
        (["http://[::1/"], "malformed"),
        (["https:///x"], "no host"),
        (["http://a.example:0/"], "port 0"),
        (["http://a.example:99999/"], "malformed"),
        ([""], "circle"),
        (["http://a.example/chat"], "circle"),
    ],
)
def test_what_is_no_way(fields: list[str], why: str) -> None:
    assert why in refused(course("ws://a.example/chat"), 302, *fields)


@pytest.mark.parametrize("location", ["http://a.example/", "ws://b.example/", "http://a.example:443/chat"])
def test_never_from_tls_to_none(location: str) -> None:
    assert "from wss:// to ws://" in refused(course("wss://a.example/"), 301, location)


def test_a_circle_is_seen_at_once() -> None:
    it = course("ws://a.example/", redirects=1000)
    answer(it, 302, "/b")
    answer(it, 302, "/c")
    assert "circle" in refused(it, 302, "/b")


@given(st.integers(1, 8))
def test_so_many_and_no_more(number: int) -> None:
    it = course("ws://a.example/", redirects=number)
    for step in range(number):
        answer(it, 302, f"/{step}")
    assert "too many" in refused(it, 302, "/more")


def test_one_byte_stream_leads_nowhere() -> None:
    refused(course("ws://a.example/", Reach.NOWHERE), 302, "/b")


def test_behind_a_unix_socket_is_one_origin() -> None:
    it = course("ws://a.example/", Reach.ORIGIN)
    answer(it, 302, "/b")
    assert it.uri.target == "/b"
    assert "Unix socket" in refused(it, 302, "http://b.example/")


# The time that it takes


@given(st.floats(0, 1e6), st.floats(0.1, 100))
def test_the_time_runs_from_the_beginning_of_it_all(now: float, seconds: float) -> None:
    it = course("ws://a.example/", now=now, timeouts=Timeouts(open=seconds))
    assert it.deadline == now + seconds
    for hop in "bc":
        assert it.connection().next_timeout() == it.deadline
        answer(it, 302, f"/{hop}")
    late = it.connection()
    (last,) = late.handle_timeout(it.deadline)
    assert isinstance(last, Disconnected)
    with pytest.raises(TimeoutError):
        it.turn(last, None)


def test_there_need_be_no_limit() -> None:
    it = course("ws://a.example/", timeouts=Timeouts(open=None))
    assert it.deadline == math.inf
    assert it.connection().next_timeout() is None


def test_the_response_stays_with_the_error() -> None:
    it = course("ws://a.example/")
    with pytest.raises(InvalidHandshake) as caught:
        answer(it, 302)
    assert caught.value.response == Response(302, Headers({"Content-Length": "0"}))
