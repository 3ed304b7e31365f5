"""What servers are told, and what they make of it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    Delivery,
    Headers,
    InvalidValueError,
    Limits,
    PerMessageDeflate,
    Request,
    Response,
    Timeouts,
)
from edgews.serving import FAILED, TOO_MANY, ServerOptions, decided, spread

from .handshakes import GOOD


def options(**wishes: Any) -> ServerOptions:
    usual: dict[str, Any] = {
        "process_request": None,
        "subprotocols": (),
        "select_subprotocol": None,
        "origins": None,
        "compression": None,
        "delivery": Delivery.MESSAGES,
        "limits": Limits(),
        "timeouts": Timeouts(),
        "max_connections": 1,
    }
    return ServerOptions(**usual | wishes)


def asking_for(*subprotocols: str) -> Request:
    return Request("GET", "/", Headers([("Sec-WebSocket-Protocol", ", ".join(subprotocols))]))


@pytest.mark.parametrize("count", [0, -1])
def test_a_server_takes_at_least_one_connection(count: int) -> None:
    with pytest.raises(ValueError, match=f"max_connections is {count}; it must be 1 or more"):
        options(max_connections=count)


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        ({"origins": "https://example.com"}, "origins must be a list of str, not str"),
        ({"subprotocols": "chat"}, "subprotocols must be a list of str, not str"),
        ({"compression": "deflate"}, "compression must be a PerMessageDeflate or None, not str"),
    ],
)
def test_what_is_of_another_type_shows_before_anybody_comes(wish: dict[str, Any], fault: str) -> None:
    with pytest.raises(TypeError, match=fault):
        options(**wish)


@pytest.mark.parametrize("names", [["a b"], [""], ["chat", "chat"], ["chät"]])
def test_a_subprotocol_that_no_client_could_offer_shows_before_anybody_comes(names: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="subprotocols must be different tokens"):
        options(subprotocols=names)


def test_each_connection_is_made_as_the_options_say() -> None:
    limits, timeouts = Limits(max_message_size=7), Timeouts(open=3)
    wish = options(
        limits=limits, timeouts=timeouts, origins=["https://example.com"], compression=PerMessageDeflate()
    )
    first, second = wish.connection(), wish.connection()
    assert first is not second
    assert (first.limits, first.timeouts) == (limits, timeouts)
    # A request without an Origin is not on the list.
    assert list(first.receive_data(GOOD)) == []
    assert first.data_to_send().startswith(b"HTTP/1.1 403 ")


def test_compression_is_agreed_where_it_is_wished() -> None:
    request = GOOD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    for compression, agreed in ((None, False), (PerMessageDeflate(), True)):
        conn = options(compression=compression).connection()
        assert [type(event) for event in conn.receive_data(request)] == [Request]
        assert (b"permessage-deflate" in conn.accept()) is agreed


def test_the_client_chooses_among_the_subprotocols_of_the_server() -> None:
    wish = options(subprotocols=["a", "b"])
    assert wish.choose(asking_for("c", "b", "a")) == "b"
    assert wish.choose(asking_for("c")) is None


def test_the_application_chooses_instead() -> None:
    wish = options(subprotocols=["a"], select_subprotocol=lambda request: request.subprotocols[-1])
    assert wish.choose(asking_for("a", "z")) == "z"


def test_what_a_server_answers_by_itself() -> None:
    assert (TOO_MANY.status, TOO_MANY.headers.get("Retry-After")) == (503, "5")
    assert FAILED.status == 500


@given(st.integers(1, 100), st.just(0.0) | st.floats(0.001, 1e6))
def test_a_spread_is_even_and_over_in_time(count: int, seconds: float) -> None:
    offsets = list(spread(count, seconds))
    assert len(offsets) == count
    assert offsets[0] == 0.0
    assert all(offset < seconds or offset == seconds == 0.0 for offset in offsets[1:])
    assert offsets == sorted(offsets)
    step = seconds / count
    for before, after in pairwise(offsets):
        assert after - before == pytest.approx(step, abs=1e-9 * seconds)


def test_nobody_to_be_closed() -> None:
    assert list(spread(0, 5.0)) == []


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_spread_that_is_no_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="spread is"):
        spread(3, seconds)


def test_what_process_request_may_return():
    response = Response(204, Headers())
    assert decided(response) is response
    assert decided(None) is None
    with pytest.raises(TypeError, match="what process_request returns must be a Response or None, not int"):
        decided(204)
