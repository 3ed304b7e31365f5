from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.admin.access import COOKIE, SAFE_FIELDS, Access
from edgews.events import Request
from edgews.headers import Headers

TOKEN = b"0123456789abcdef"


def request(host: str = "127.0.0.1:9901", path: str = "/report.json", **fields: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Request("GET", path, Headers([("Host", host), *named]))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9901", "127.0.0.1", "[::1]:9901", "LOCALHOST:80", "192.0.2.1", "ops.example.com:1"]
)
def test_addresses_and_names_that_are_known_are_answered(host: str) -> None:
    assert Access(None, ["ops.example.com"]).check(request(host)) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example:9901", "127.0.0.1.evil.example", "", "localhost.evil", "[::1", "x; script-src *", "1.2.3"],
)
def test_a_name_that_leads_here_is_not_enough(host: str) -> None:
    refusal = Access(None, ["ops.example.com"]).check(request(host))
    assert refusal is not None
    assert refusal.status == 421


def test_at_a_unix_socket_any_host_will_do_that_is_one() -> None:
    access = Access(None, any_host=True)
    assert access.check(request("gateway")) is None
    assert access.check(request("x; script-src *")) is not None


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:9901", "https://127.0.0.1:9901", "HTTP://127.0.0.1:9901"]
)
def test_the_page_itself_may_ask(origin: str) -> None:
    assert Access(None).check(request(Origin=origin)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://127.0.0.1:9901.evil.example",
        "",
        "ftp://127.0.0.1:9901",
        "http://127.0.0.1",
    ],
)
def test_pages_from_elsewhere_may_not(origin: str) -> None:
    refusal = Access(None).check(request(Origin=origin))
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    ("site", "path", "allowed"),
    [
        ("same-origin", "/metrics", True),
        ("none", "/metrics", True),
        ("cross-site", "/metrics", False),
        ("same-site", "/report.json", False),
        ("cross-site", "/", True),
        ("nonsense", "/metrics", False),
    ],
)
def test_what_the_browser_says_of_the_site_counts(site: str, path: str, allowed: bool) -> None:
    assert (Access(None).check(request(path=path, Sec_Fetch_Site=site)) is None) is allowed


def test_a_feed_is_no_link() -> None:
    asked = request(path="/", Sec_Fetch_Site="cross-site", Upgrade="websocket")
    assert Access(None).check(asked) is not None


def test_without_a_token_everyone_is_let_in() -> None:
    access = Access(None)
    assert access.knows(request())
    assert access.cookie is None


def test_the_token_opens() -> None:
    access = Access(TOKEN)
    assert not access.knows(request())
    assert access.knows(request(Authorization="Bearer 0123456789abcdef"))
    assert access.knows(request(Authorization="bearer 0123456789abcdef"))
    for wrong in (
        "Bearer 0123456789abcdeg",
        "Bearer ",
        "Basic 0123456789abcdef",
        "Bearer \xff\u20ac",
        "Bearer",
    ):
        assert not access.knows(request(Authorization=wrong))


def test_the_cookie_opens_and_is_not_the_token() -> None:
    access = Access(TOKEN)
    assert access.cookie is not None
    cookie = access.cookie.partition(";")[0]
    assert TOKEN.decode() not in access.cookie
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in access.cookie.split(";")}
    assert access.knows(request(Cookie=f"a=b; {cookie}; c=d"))
    assert not access.knows(request(Cookie=f"{COOKIE}={TOKEN.decode()}"))
    assert not access.knows(request(Cookie="a=b"))
    assert not Access(TOKEN[::-1]).knows(request(Cookie=cookie))


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_nothing_else_opens(text: str) -> None:
    access = Access(TOKEN)
    assert not access.knows(request(Cookie=f"{COOKIE}={text}"))
    assert access.knows(request(Authorization=f"Bearer {text}")) is (text == TOKEN.decode())


def test_answers_stay_where_they_are_asked_for() -> None:
    refusal = Access(None).check(request("evil.example"))
    assert refusal is not None
    assert set(SAFE_FIELDS) <= set(refusal.headers)
