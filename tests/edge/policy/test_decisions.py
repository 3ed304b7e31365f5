"""What is answered to a request that goes nowhere."""

from __future__ import annotations

from edgews.edge.policy.decisions import Failure


def test_an_answer_without_further_fields():
    assert Failure(404, "no route", "No route") == Failure(404, "no route", "No route", (), None)
