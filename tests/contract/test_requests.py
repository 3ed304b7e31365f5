"""What a client says about itself, and what it does not say at all."""

from __future__ import annotations

import pytest

from edgews import InvalidValueError, Request
from edgews.requests import USER_AGENT
from tests.contract.drivers import Driver
from tests.sync.harness import HOST


async def test_who_it_is_and_what_it_was_given(d: Driver) -> None:
    seen: list[Request] = []
    async with d.serving(d.echo, process_request=seen.append) as server:
        async with d.connecting(server.uri(), cookies={"a": "1", "b": '"2"'}):
            pass
        async with d.connecting(server.uri(), headers={"User-Agent": "mine/1", "Cookie": "c=3"}):
            pass
    assert [request.headers.get_all("User-Agent") for request in seen] == [[USER_AGENT], ["mine/1"]]
    assert [request.headers.get_all("Cookie") for request in seen] == [['a=1; b="2"'], ["c=3"]]


@pytest.mark.parametrize(
    "options",
    [
        {"cookies": {"a": "b; c=d"}},
        {"cookies": {"a": "b\r\nX: y"}},
        {"cookies": {"a b": "c"}},
        {"cookies": {"a": "b"}, "headers": {"Cookie": "c=d"}},
        {"headers": {"X": "y\r\nZ: "}},
        {"origin": "x\0"},
        {"subprotocols": ["a", "a"]},
        {"proxy": "proxy.example:3128"},
    ],
    ids=str,
)
async def test_a_request_that_may_not_be_sent_is_none(d: Driver, options: dict[str, object]) -> None:
    """Before a byte is written: nobody listens there, which would be another error."""
    with pytest.raises(InvalidValueError):
        async with d.connecting(f"ws://{HOST}:1/", **options):
            raise AssertionError("it is open")


async def test_no_number_of_redirects(d: Driver) -> None:
    with pytest.raises(ValueError, match="redirects"):
        async with d.connecting(f"ws://{HOST}:1/", redirects=-1):
            raise AssertionError("it is open")
