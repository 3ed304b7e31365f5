"""docs/gateway.md: the example is a configuration, and the table has every key with its default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edgews.edge.config.admin import Admin
from edgews.edge.config.file import parse_config
from edgews.edge.config.health import Health
from edgews.edge.config.policies import (
    ConnectionLimitTable,
    ConnectionsTable,
    LimiterTable,
    ListTable,
    RuleTable,
    TokenKeyTable,
    TokensTable,
)
from edgews.edge.config.tables import Config, Listen, Route
from edgews.edge.policy.actions import Block, Close, RequireToken, Sender

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gateway.md").read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "": Config,
    "listen.": Listen,
    "route.": Route,
    "route.health.": Health,
    "admin.": Admin,
    "rule.": RuleTable,
    "list.": ListTable,
    "limiter.": LimiterTable,
    "connections.": ConnectionsTable,
    "connections.all.": ConnectionLimitTable,
    "tokens.": TokensTable,
    "token_key.": TokenKeyTable,
}
TABLES_OF_THE_FILE = {prefix.removesuffix(".") for prefix in TABLES} - {"connections.all"} | {"lists"}
# Not there is what they are by default, too.
OPTIONAL = (
    {"admin.token_file", "admin.token_env", "admin.certificate", "admin.key"}
    | {"listen.certificate", "listen.key"}
    | {
        f"{table}.{key}"
        for table, keys in (
            ("list", ("networks", "networks_file", "texts", "texts_file")),
            ("token_key", ("secret_file", "secret_env")),
            ("rule", ("body", "limiter", "reason")),
        )
        for key in keys
    }
)
# What a rule does not say, its action does.
OF_ACTIONS = {"rule.status": Block().status, "rule.code": Close().code, "rule.keys": RequireToken().keys}
OF_ACTIONS |= {"rule.sender": Sender.CLIENT.value}
# What the table says in words.
WORDS = {"": PydanticUndefined, "off": None, "the system's": None, "the same": None}
WORDS |= {"host and path": "", "every host": None, "no limit": None, "none": None}
WORDS |= {"yes": True}
# What a table stands for that has none of its keys.
NOTHING = ([], {}, None)


def rows() -> dict[str, str]:
    """Return what the table says of the default of each key."""
    found = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"(`[a-z_.]+`(, )?)+", cells[0]):
            for key in re.findall(r"`([a-z_.]+)`", cells[0]):
                found[key] = cells[1]
    return found


def test_the_examples_are_a_configuration() -> None:
    example, checks, rules, behind, page = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = parse_config(f"{example}\n{checks}\n{rules}\n{page}")
    assert config.admin is not None
    assert parse_config(behind).listen[0].proxy_protocol == ["10.0.0.0/8"]
    assert len(config.route) == 2
    assert config.inspects(config.route[0])
    assert config.route[1].health is not None


@pytest.mark.edge
def test_what_else_shows_a_configuration_shows_a_right_one() -> None:
    (readme,) = re.findall(
        r"```toml\n# edgews.toml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert parse_config(readme).rule
    parse_config((ROOT / "examples/gateway/edgews.toml").read_text("utf-8"))


def test_each_key_has_its_default() -> None:
    keys = {
        prefix + name: field
        for prefix, table in TABLES.items()
        for name, field in table.model_fields.items()
        if prefix + name not in TABLES_OF_THE_FILE
    }
    assert set(rows()) == set(keys)
    for key, says in rows().items():
        default = OF_ACTIONS.get(key, keys[key].get_default(call_default_factory=True))
        if says == "none":
            assert default in NOTHING, key
        elif says.startswith("`["):
            assert default == json.loads(says.strip("`")), key
        elif says.startswith("`"):
            assert default == says.strip('`"'), key
        elif says.replace(".", "").isdigit():
            assert default == float(says), key
        elif key not in OPTIONAL:
            assert default == WORDS[says], key
