"""Which origins are let in: those of the list and no other that looks like them. RFC 6455 §10.2."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.events import Request
from edgews.handshake import check_request

from .handshake_rows import request

ALLOWED: list[str | None] = ["https://example.com", "https://example.com:8443", "http://[::1]:3000"]


def fault(request: Request) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        check_request(request, ALLOWED)
    return caught.value


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "HTTPS://EXAMPLE.COM", "https://example.com:8443", "http://[::1]:3000"],
)
def test_origins_that_are_let_in(origin: str) -> None:
    check_request(request({"Origin": origin}), ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://example.com",
        "https://example.com.evil.example",
        "https://evil-example.com",
        "https://evilexample.com",
        "https://evil.example/https://example.com",
        "https://evil.example?https://example.com",
        "https://evil.example#https://example.com",
        "https://example.com@evil.example",
        "https://sub.example.com",
        "https://example.co",
        "https://example.com:443",
        "https://example.com:84430",
        "https://example.com/",
        "https://example.com\\.evil.example",
        "https://example.com https://evil.example",
        "https://evil.example, https://example.com",
        "https://example.com, https://example.com",
        "https://example.com\x00",
        "https://e\u0445ample.com",
        "https://example.com.",
        "example.com",
        "*",
        "ws://example.com",
    ],
)
def test_origins_that_are_not(origin: str | None) -> None:
    error = fault(request({"Origin": origin}))
    assert (error.status, error.header) == (403, "Origin")


def test_several_origins_are_refused_even_if_each_is_allowed() -> None:
    twice = request({}, ("Origin", "https://example.com"), ("origin", "https://example.com"))
    error = fault(twice)
    assert (error.status, error.header) == (400, "Origin")


@given(st.text(max_size=30))
def test_nothing_but_the_listed_origins_is_let_in(origin: str) -> None:
    assume(origin.lower() not in ALLOWED)
    assert fault(request({"Origin": origin})).status == 403
