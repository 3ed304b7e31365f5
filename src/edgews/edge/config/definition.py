"""From tables to policies: what the tables name is read, and rules are compiled.

Files and variables of the environment are read by functions that the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgews.edge.policy.lists import ListError, NetworkList, Networks, TextList, read_networks, read_texts
from edgews.edge.policy.policies import Definition, Limiter
from edgews.edge.policy.tokens import MIN_SECRET, Key

from .faults import ConfigError, Fault
from .policies import ListTable, TokenKeyTable
from .positions import Path as KeyPath

if TYPE_CHECKING:
    from edgews.edge.policy.fields import UpgradeFacts
    from edgews.edge.policy.lists import List
    from edgews.edge.policy.rules import RuleError, Ruleset

    from .tables import Config


def define(config: Config, read: Callable[[str], bytes], environment: Mapping[str, str]) -> Definition:
    """Return the policies of a file that is right as far as it goes.

    Args:
        read: returns what a file holds, or raises OSError.
        environment: its variables.

    Raises:
        ConfigError: with everything that is wrong with what is named, and with expressions.
    """
    faults: list[Fault] = []
    lists: dict[str, List] = {}
    keys: dict[str, dict[str, Key]] = {}
    for name, table in config.lists.items():
        try:
            lists[name] = _list(name, table, read)
        except _WrongError as wrong:
            faults.append(config.fault(("list", name, wrong.key), wrong.expected))
            # Rules that ask for it are not wrong for that.
            lists[name] = TextList(frozenset())
    for at, key in enumerate(config.token_key):
        try:
            keys.setdefault(key.set, {})[key.id] = Key(key.id, _secret(key, read, environment))
        except _WrongError as wrong:
            faults.append(config.fault(("token_key", at, wrong.key), wrong.expected))
    rules = _rules(config, lists, faults)
    conditions = _conditions(config, lists, faults)
    if faults:
        raise ConfigError(config.file, faults)
    return Definition(
        rules=rules,
        limiters={
            name: Limiter(tuple(table.characteristics), table.rate())
            for name, table in config.limiter.items()
        },
        connections=config.connections.limits(),
        overrides=config.connections.overrides(),
        keys=keys,
        places=config.tokens.places() if keys else None,
        max_lifetime=config.tokens.max_lifetime,
        conditions=conditions,
    )


class _WrongError(Exception):
    """What a key names cannot be used."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(expected)
        self.key = key
        self.expected = expected


def _list(name: str, table: ListTable, read: Callable[[str], bytes]) -> List:
    if table.networks is not None:
        return NetworkList(Networks(table.networks))
    if table.texts is not None:
        return TextList(frozenset(table.texts))
    key, file = (
        ("networks_file", table.networks_file) if table.networks_file else ("texts_file", table.texts_file)
    )
    assert file is not None
    try:
        # Some editors mark what they write with a BOM.
        text = _content(key, file, read).decode("utf-8-sig")
        return read_networks(name, text) if key == "networks_file" else read_texts(name, text)
    except UnicodeDecodeError:
        raise _WrongError(key, "a file in UTF-8") from None
    except ListError as error:
        raise _WrongError(key, f"line {error.line} of that file is wrong: {error.problem}") from None


def _content(key: str, file: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(file)
    except OSError as error:
        raise _WrongError(key, f"a file that can be read: {error.strerror or error}") from None


def _secret(table: TokenKeyTable, read: Callable[[str], bytes], environment: Mapping[str, str]) -> bytes:
    """Return the secret; no text of an error has anything of it."""
    if table.secret_file is not None:
        key = "secret_file"
        secret = _content(key, table.secret_file, read)
    else:
        key = "secret_env"
        secret = environment.get(table.secret_env or "", "").encode("utf-8", "surrogateescape")
        if not secret:
            raise _WrongError(key, "a variable of the environment that is set")
    # As editors and `echo` leave it.
    secret = secret.rstrip(b"\r\n")
    if len(secret) < MIN_SECRET:
        raise _WrongError(key, f"a secret of {MIN_SECRET} bytes or more there")
    return secret


def _rules(config: Config, lists: Mapping[str, List], faults: list[Fault]) -> Ruleset | None:
    """Compile the rules, each for itself, so that all that are wrong are named."""
    if not config.rule or not _can_compile(config, ("rule", 0), faults):
        return None
    from edgews.edge.policy.rules import RuleError, Ruleset

    rules = [table.rule() for table in config.rule]
    wrong = False
    for at, rule in enumerate(rules):
        try:
            Ruleset([rule], lists)
        except RuleError as error:
            wrong = True
            faults.append(_wrong(config, ("rule", at, "expression"), error))
    return None if wrong else Ruleset(rules, lists)


def _conditions(
    config: Config, lists: Mapping[str, List], faults: list[Fault]
) -> list[Callable[[UpgradeFacts], bool] | None]:
    """Compile the conditions of routes."""
    found: list[Callable[[UpgradeFacts], bool] | None] = [None] * len(config.route)
    for at, route in enumerate(config.route):
        path: KeyPath = ("route", at, "when")
        if route.when is None:
            continue
        if not _can_compile(config, path, faults):
            break
        from edgews.edge.policy.conditions import Condition
        from edgews.edge.policy.rules import RuleError

        try:
            found[at] = Condition(route.when, lists)
        except RuleError as error:
            faults.append(_wrong(config, path, error))
    return found


def _can_compile(config: Config, path: KeyPath, faults: list[Fault]) -> bool:
    """Say whether what expressions need is installed."""
    try:
        import edgews.edge.policy.rules  # noqa: F401
    except ModuleNotFoundError as error:
        faults.append(config.fault(path, f"the package {error.name}: pip install 'edgews[edge]'"))
        return False
    return True


def _wrong(config: Config, path: KeyPath, error: RuleError) -> Fault:
    """Say where in its expression a rule or a condition is wrong."""
    place = f"line {error.line}, column" if "\n" in error.rule.expression.strip("\n") else "column"
    return config.fault(path, f"{place} {error.column}: {error.problem}")
