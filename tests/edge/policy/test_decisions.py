from __future__ import annotations

from edgews.edge.policy.decisions import ALLOW, Allow, Facts, Refuse, decide
from edgews.events import Request
from edgews.headers import Headers

FACTS = Facts(request=Request("GET", "/", Headers()), client="", secure=False, ray="", route="", now=0.0)


def test_the_first_that_refuses_decides():
    asked: list[int] = []

    def policy(number, decision):
        def ask(facts):
            assert facts is FACTS
            asked.append(number)
            return decision

        return ask

    no = Refuse(403, "No", "rule")
    assert decide((policy(1, Allow()), policy(2, no), policy(3, Refuse(429, "", ""))), FACTS) is no
    assert asked == [1, 2]
    assert decide((), FACTS) is decide((policy(4, ALLOW),), FACTS) is ALLOW
