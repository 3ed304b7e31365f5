"""The page about rules has all fields and actions, and every expression on it compiles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgews.edge.config.definition import define
from edgews.edge.config.file import parse_config
from edgews.edge.config.trial import MessageTable, Trial
from edgews.edge.policy.actions import ACTIONS, Rule, Stage
from edgews.edge.policy.expressions import compile_expression
from edgews.edge.policy.fields import FIELDS
from edgews.edge.policy.lists import NetworkList, Networks, TextList

pytestmark = pytest.mark.edge

PAGE = (Path(__file__).parents[2] / "docs/rules.md").read_text(encoding="utf-8")
LISTS = {"office": NetworkList(Networks()), "hosts": TextList(frozenset())}


def rows(heading: str) -> list[list[str]]:
    section = re.split(r"^## ", PAGE, flags=re.M)
    (text,) = [one for one in section if one.startswith(f"{heading}\n")]
    lines = re.findall(r"^\| `.*", text, re.M)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_fields() -> None:
    assert rows("Fields") == [
        [f"`{field.name}`", field.kind.value, field.summary] for field in FIELDS.values()
    ]


@pytest.mark.parametrize("expression", [row[0].strip("`").replace("\\|", "|") for row in rows("What to ask")])
def test_expressions(expression: str) -> None:
    compile_expression(expression, of_message=True, lists=LISTS)


def test_actions() -> None:
    found = {}
    for name, on, _ in rows("What to do"):
        found[re.sub(r"\W.*", "", name.strip("`"))] = on
    assert set(found) == {action.__name__ for action in ACTIONS.values()}
    arguments = {"RateLimit": ["x"]}
    for action in ACTIONS.values():
        made = action(*arguments.get(action.__name__, []))
        stages = []
        for stage in Stage:
            try:
                Rule("r", "ssl", made, stage)
            except ValueError:
                continue
            stages.append(stage)
        wanted = {"upgrades": [Stage.UPGRADE], "messages": [Stage.MESSAGE], "both": list(Stage)}
        assert stages == wanted[found[action.__name__]]


def test_the_example_is_a_configuration() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    definition = define(
        parse_config(example), lambda file: Path(file).read_bytes(), {"EDGEWS_TOKEN_SECRET": "x" * 32}
    )
    assert definition.rules is not None
    assert definition.rules.judges_messages


def test_keys_of_a_request_to_try() -> None:
    (table,) = re.findall(r"^\| key \| default \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^\| (.*?) \| (.*?) \|", table, re.MULTILINE)[1:]
    keys = {key: default for cell, default in found for key in re.findall(r"`(\w+)`", cell)}
    assert set(keys) == set(Trial.model_fields)
    for key, default in keys.items():
        if default.startswith("`"):
            assert Trial.model_fields[key].default == default.strip('`"')
    (message,) = (line for line in table.splitlines() if line.startswith("| `message`"))
    assert set(re.findall(r"`(\w+)`", message)[1:]) == set(MessageTable.model_fields)
