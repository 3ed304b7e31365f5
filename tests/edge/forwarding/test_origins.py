from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.health import PASSIVE, Plan
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


def test_the_authority_of_an_origin():
    assert parse_origin("wss://[::1]:8443").authority == "[::1]:8443"
    assert parse_origin("ws://example.com").authority == "example.com:80"


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=5), st.integers(0, 9))
def test_the_least_busy_that_is_up_comes_first_and_nobody_is_left_out(states, turns):
    pool = Pool([parse_origin(f"ws://host{number}") for number in range(len(states))])
    for origin, (active, up) in zip(pool.origins, states, strict=True):
        origin.active, origin.health.up = active, up
    for _ in range(turns):
        pool.candidates()
    found = pool.candidates()
    assert sorted(found, key=id) == sorted(pool.origins, key=id)
    ranks = [(not origin.health.up, origin.active) for origin in found]
    assert ranks == sorted(ranks)


def test_an_origin_that_stays_keeps_what_is_known_of_it():
    before = Pool([parse_origin("ws://a"), parse_origin("ws://b")])
    before.origins[1].health.failed("origin refused", 1.0)
    plan = Plan(fall=2)
    after = Pool([parse_origin("ws://b"), parse_origin("ws://c")], before=before.origins, plan=plan)
    assert after.origins[0] is before.origins[1]
    assert not after.origins[0].health.up
    assert after.origins[1].health.up
    assert [origin.health.plan for origin in after.origins] == [plan, plan]
    assert before.origins[0].health.plan is PASSIVE


def test_equals_take_turns():
    pool = Pool([parse_origin(f"ws://host{number}") for number in range(3)])
    assert [pool.candidates()[0].host for _ in range(6)] == ["host0", "host1", "host2"] * 2
