"""A condition of a route: an expression that is true or false of a request.

Where it has no value, it is not true: the request takes another route.
"""

from __future__ import annotations

from .actions import Log, Rule
from .fields import UpgradeFacts
from .lists import NO_LISTS, Lists
from .rules import Ruleset


class Condition:
    """An expression that is ready to be asked about requests.

    Raises:
        RuleError: it is none; `line` and `column` count from 1.
    """

    __slots__ = ("_ruleset",)

    def __init__(self, expression: str, lists: Lists = NO_LISTS) -> None:
        # To be logged is what matches, and nothing else that an error could make match.
        self._ruleset = Ruleset([Rule("when", expression, Log())], lists)

    def __call__(self, facts: UpgradeFacts) -> bool:
        """Say whether it is true."""
        return bool(self._ruleset.judge(facts).matched)
