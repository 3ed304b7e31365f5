"""Conditions of routes: true or false of a request, and false where there is no answer."""

from __future__ import annotations

import pytest

from edgews.edge.policy.conditions import Condition
from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.lists import read_texts
from edgews.edge.policy.normalize import Target
from edgews.edge.policy.rules import RuleError
from edgews.headers import Headers

pytestmark = pytest.mark.edge


def facts(*fields: tuple[str, str]) -> UpgradeFacts:
    return UpgradeFacts("GET", Target("/"), Headers([("Host", "a"), *fields]), "192.0.2.1", True, "ray")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ssl", True),
        ("!ssl", False),
        ('http.request.headers["x"] == ["1"]', True),
        # There is no such field, and so no answer.
        ('http.request.headers["y"] != ["1"]', False),
        ("http.host in $hosts", True),
    ],
)
def test_conditions(expression, expected):
    condition = Condition(expression, {"hosts": read_texts("hosts", "a")})
    assert condition(facts(("X", "1"))) is expected


def test_what_is_none():
    with pytest.raises(RuleError) as caught:
        Condition("ssl &&\n http.hots == 'a'")
    assert (caught.value.line, caught.value.column) == (2, 2)
