"""Tokens in requests: found wherever they may stand, and gone from there."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.bearer import Places
from edgews.edge.policy.normalize import Target
from edgews.headers import Headers

TOKEN = "v1.main.e30.c2ln"
EVERYWHERE = Places("token", "pass", "token.")


def take(places: Places, *fields: tuple[str, str], query: str | None = None):
    carried = places.take(Target("/a", query), Headers([("Host", "h"), *fields]))
    assert carried.target.path == "/a"
    assert carried.headers[0] == ("Host", "h")
    return carried.token, carried.target.query, list(carried.headers[1:])


@pytest.mark.parametrize(
    ("field", "token", "left"),
    [
        (("Authorization", f"Bearer {TOKEN}"), TOKEN, None),
        (("authorization", f"bEARER {TOKEN}"), TOKEN, None),
        (("Authorization", f"Bearer   {TOKEN}"), TOKEN, None),
        (("Authorization", f"Bearer\t{TOKEN}"), TOKEN, None),
        # Other credentials are for the origin.
        (("Authorization", "Bearer eyJhbGciOi"), None, "Bearer eyJhbGciOi"),
        (("Authorization", "Basic djEuYTpi"), None, "Basic djEuYTpi"),
        (("Cookie", f"a=1; pass={TOKEN}; b=2"), TOKEN, "a=1; b=2"),
        (("Cookie", f"pass={TOKEN}"), TOKEN, None),
        (("Cookie", "passing=1; Pass=2; pass"), "", "passing=1; Pass=2"),
        (("Sec-WebSocket-Protocol", f"chat, token.{TOKEN}, b"), TOKEN, "chat, b"),
        (("sec-websocket-protocol", f"token.{TOKEN}"), TOKEN, None),
        (("Sec-WebSocket-Protocol", "chat"), None, "chat"),
        (("X-Token", TOKEN), None, TOKEN),
    ],
)
def test_a_field(field: tuple[str, str], token: str | None, left: str | None) -> None:
    assert take(EVERYWHERE, field) == (token, None, [] if left is None else [(field[0], left)])


@pytest.mark.parametrize(
    ("query", "token", "left"),
    [
        (None, None, None),
        ("", None, ""),
        ("a=1&b", None, "a=1&b"),
        (f"token={TOKEN}", TOKEN, None),
        (f"a=1&token={TOKEN}&b=%20", TOKEN, "a=1&b=%20"),
        (f"%74oken={TOKEN}", TOKEN, None),
        ("token=a%2Eb", "a.b", None),
        ("token", "", None),
        ("token=1&token=2", "1", None),
        ("Token=1", None, "Token=1"),
    ],
)
def test_the_query(query: str | None, token: str | None, left: str | None) -> None:
    assert take(EVERYWHERE, query=query) == (token, left, [])


def test_the_first_counts_and_all_go() -> None:
    fields = [("Cookie", "pass=cookie"), ("Authorization", f"Bearer {TOKEN}")]
    assert take(EVERYWHERE, *fields, query="token=query") == ("cookie", None, [])


def test_places_that_are_off() -> None:
    fields = [("Cookie", "pass=1"), ("Sec-WebSocket-Protocol", "token.1")]
    assert take(Places(None), *fields, query="token=1") == (None, "token=1", fields)


parameters = st.lists(
    st.tuples(st.sampled_from(["token", "a", "tok%65n", "%41"]), st.text("x%2B+", max_size=3))
)


@given(parameters)
def test_nothing_of_it_is_left_and_nothing_else_is_lost(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    token, left, _ = take(EVERYWHERE, query=query)
    said = parse_qsl(query, keep_blank_values=True)
    assert parse_qsl(left or "", keep_blank_values=True) == [pair for pair in said if pair[0] != "token"]
    tokens = [value for name, value in said if name == "token"]
    assert token == (tokens[0] if tokens else None)
