"""Actions: on what they may be, and which answers they may give."""

from __future__ import annotations

from typing import Any

import pytest

from edgews.edge.policy.actions import (
    ACTIONS,
    Block,
    Close,
    Drop,
    Log,
    RateLimit,
    RequireToken,
    Rule,
    Skip,
    Stage,
)

UPGRADE, MESSAGE = Stage.UPGRADE, Stage.MESSAGE
ON: list[tuple[Any, tuple[Stage, ...]]] = [
    (Block(), (UPGRADE,)),
    (RequireToken(), (UPGRADE,)),
    (Close(), (MESSAGE,)),
    (Drop(), (MESSAGE,)),
    (Log(), (UPGRADE, MESSAGE)),
    (RateLimit("few"), (UPGRADE, MESSAGE)),
    (Skip(), (UPGRADE, MESSAGE)),
]


@pytest.mark.parametrize(("action", "stages"), ON)
@pytest.mark.parametrize("stage", Stage)
def test_each_action_has_its_stages(action: Any, stages: tuple[Stage, ...], stage: Stage) -> None:
    if stage not in stages:
        with pytest.raises(ValueError, match=f"is no action for the stage {stage.value}"):
            Rule("r", "ssl", action, stage)
        return
    rule = Rule("r", "ssl", action, stage)
    assert ACTIONS[rule.word] is type(action)


@pytest.mark.parametrize(
    ("action", "stage", "problem"),
    [
        (Block(399), UPGRADE, "status from 400 to 599, not 399"),
        (Block(600), UPGRADE, "status from 400 to 599, not 600"),
        (Close(1006), MESSAGE, "close code 1006"),
        (RateLimit("few", 1005), MESSAGE, "close code 1005"),
        (Close(1000, "é" * 62), MESSAGE, "at most 123 bytes"),
        (RateLimit("few", reason="x" * 124), MESSAGE, "at most 123 bytes"),
    ],
)
def test_answers_that_may_not_be_given(action: Any, stage: Stage, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Rule("r", "ssl", action, stage)


def test_answers_that_may() -> None:
    assert Rule("r", "ssl", Block(400)).stage is UPGRADE
    assert Rule("r", "ssl", Close(4999, "x" * 123), MESSAGE).word == "close"
