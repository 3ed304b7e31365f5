from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.listing import KEYS, MAX_ROWS, View

words = st.sampled_from(["a", "b", "Chat", "192.0.2.1"])
numbers = st.integers(0, 5)
rows = st.lists(
    st.fixed_dictionaries(
        dict.fromkeys(("ray", "client", "host", "target", "route", "origin"), words)
        | dict.fromkeys(("messages_up", "messages_down", "bytes_up", "bytes_down", "age"), numbers)
        | {"ping": st.none() | numbers}
    ),
    max_size=20,
)


@given(rows, st.sampled_from(sorted(KEYS)), st.booleans(), st.integers(0, 10))
def test_rows_are_sorted_and_the_first_ones_shown(
    found: list[dict[str, Any]], sort: str, down: bool, limit: int
) -> None:
    view = View(sort=sort, down=down, limit=limit)
    expected = sorted(found, key=KEYS[sort], reverse=down)[:limit]
    assert [KEYS[sort](row) for row in view.arrange(found)] == [KEYS[sort](row) for row in expected]


@given(rows, st.text("abch ", max_size=6))
def test_all_words_have_to_be_found(found: list[dict[str, Any]], match: str) -> None:
    shown = View(match=match).arrange(found)
    for row in found:
        text = "\n".join(str(row[name]) for name in ("ray", "client", "host", "target", "route", "origin"))
        assert (row in shown) is all(word in text.lower() for word in match.split())


@given(rows, rows, st.sampled_from(sorted(KEYS)), st.integers(0, 10))
def test_the_first_of_parts_are_the_first_of_all(
    one: list[dict[str, Any]], other: list[dict[str, Any]], sort: str, limit: int
) -> None:
    view = View(sort=sort, limit=limit)
    joined = view.arrange([*view.arrange(one), *view.arrange(other)])
    assert [KEYS[sort](row) for row in joined] == [KEYS[sort](row) for row in view.arrange([*one, *other])]


def test_a_client_without_an_address_can_be_sorted() -> None:
    row = {"client": None, "host": "", "target": "", "route": "", "origin": "", "ray": "r"}
    assert View(sort="client").arrange([row, row | {"client": "::1"}])[0] is row


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"match": 3, "sort": "nothing", "down": 1, "limit": "many"},
        {"sort": ["age"], "limit": None},
        {"limit": True},
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(wish: dict[str, Any]) -> None:
    assert View.of(wish) == View()


def test_wishes_have_bounds() -> None:
    view = View.of({"match": "x" * 1000, "sort": "ping", "down": True, "limit": 10**9})
    assert view == View("x" * 200, "ping", True, MAX_ROWS)
    assert View.of({"limit": -1}).limit == 0
