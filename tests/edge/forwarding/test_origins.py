from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.origins import Pool, parse_origin


def test_where_an_origin_is():
    origin = parse_origin("ws://example.com")
    assert (origin.host, origin.port, origin.path, origin.secure) == ("example.com", 80, None, False)
    origin = parse_origin("wss://[::1]:8443/")
    assert (origin.host, origin.port, origin.path, origin.secure) == ("::1", 8443, None, True)
    origin = parse_origin("unix:/run/chat.sock")
    assert (origin.path, origin.secure) == ("/run/chat.sock", False)


@pytest.mark.parametrize(
    "text",
    ["", "http://example.com", "example.com:80", "unix:chat.sock", "unix:", "ws://u:secret@example.com",
     "ws://example.com/path", "ws://example.com?q", "ws://", "ws://example.com:0", "ws://exa mple.com"],
)  # fmt: skip
def test_what_is_no_origin(text):
    with pytest.raises(ValueError, match=r"^(an? |ws://)") as caught:
        parse_origin(text)
    assert "secret" not in str(caught.value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5), st.integers(0, 9))
def test_the_least_busy_that_can_be_reached_comes_first(states, turns):
    pool = Pool([parse_origin(f"ws://host{number}") for number in range(len(states))])
    for origin, (active, failures) in zip(pool.origins, states, strict=True):
        origin.active, origin.failures = active, failures
    for _ in range(turns):
        pool.candidates()
    found = pool.candidates()
    assert sorted(found, key=id) == sorted(pool.origins, key=id)
    ranks = [(origin.failures > 0, origin.active) for origin in found]
    assert ranks == sorted(ranks)


def test_equals_take_turns():
    pool = Pool([parse_origin(f"ws://host{number}") for number in range(3)])
    assert [pool.candidates()[0].host for _ in range(6)] == ["host0", "host1", "host2"] * 2
