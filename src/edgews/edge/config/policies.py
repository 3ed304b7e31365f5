"""The tables of `edgews.toml` that say who may come in: rules, lists, limits, tokens, trusted proxies."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from edgews.edge.forwarding.entrance import UNIX
from edgews.edge.policy.actions import ACTIONS, Action, Rule, Sender, Stage
from edgews.edge.policy.bearer import Places
from edgews.edge.policy.conngauge import PLAN_CONNECTIONS, ConnectionLimit, Plan
from edgews.edge.policy.connlimit import Kind, Scope
from edgews.edge.policy.fields import Characteristics
from edgews.edge.policy.ratelimit import RateLimit
from edgews.edge.policy.tokens import KEY_ID
from edgews.frames import MAX_REASON, may_be_sent
from edgews.headers import is_token

from .positions import Path as KeyPath
from .values import MaybeSeconds, Table, off

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name of letters, digits and _, which begins with none of the digits")
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("an address or a network such as 10.0.0.0/8, with no bit set behind it") from None
    return value


def _proxy(value: str) -> str:
    return value if value == UNIX else _network(value)


def _characteristic(value: str) -> str:
    try:
        Characteristics([value])
    except ValueError:
        raise ValueError(
            'a field of the request such as ip.src, or an entry of one: http.request.headers["x-api-key"]'
        ) from None
    return value


def _close_code(value: int) -> int:
    if not may_be_sent(value):
        raise ValueError("a close code that may be sent, such as 1008, 1013 or one from 3000 to 4999")
    return value


def _reason(value: str) -> str:
    if len(value.encode()) > MAX_REASON:
        raise ValueError(f"at most {MAX_REASON} bytes")
    return value


def _cookie(value: str | None) -> str | None:
    if value is not None and not is_token(value):
        raise ValueError("the name of a cookie, or off")
    return value


def _protocol(value: str | None) -> str | None:
    if value is not None and not is_token(value):
        raise ValueError("the beginning of a subprotocol, such as token., or off")
    return value


def _key_id(value: str) -> str:
    if not KEY_ID.fullmatch(value):
        raise ValueError("1 to 32 letters, digits, _ and -")
    return value


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]
Proxy: TypeAlias = Annotated[str, AfterValidator(_proxy)]
Characteristic: TypeAlias = Annotated[str, AfterValidator(_characteristic)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
CloseCode: TypeAlias = Annotated[int, AfterValidator(_close_code)]
Reason: TypeAlias = Annotated[str, AfterValidator(_reason)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
MaybeText: TypeAlias = Annotated[Text | None, BeforeValidator(off)]


class RuleTable(Table):
    """A rule: what it asks, and what it does."""

    name: Text
    expression: str
    action: Literal["block", "close", "drop", "log", "rate_limit", "require_token", "skip"]
    on: Literal["upgrade", "message"] = "upgrade"
    sender: Literal["client", "origin", "both"] | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    body: str | None = None
    limiter: Name | None = None
    keys: Name | None = None
    code: CloseCode | None = None
    reason: Reason | None = None

    @property
    def stage(self) -> Stage:
        """What it looks at."""
        return Stage(self.on)

    def rule(self) -> Rule:
        """Return the rule as a value."""
        action = ACTIONS[self.action]
        taken = {key: getattr(self, key) for key in _KEYS[self.action]}
        made: Action = action(**{key: value for key, value in taken.items() if value is not None})
        return Rule(self.name, self.expression, made, self.stage, _SENDERS[self.sender or "client"])


_SENDERS: Final[dict[str, tuple[Sender, ...]]] = {
    "client": (Sender.CLIENT,),
    "origin": (Sender.ORIGIN,),
    "both": tuple(Sender),
}
# What an action may say besides; the first one must be there where there is a limiter.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "block": ("status", "body"),
    "close": ("code", "reason"),
    "drop": (),
    "log": (),
    "rate_limit": ("limiter", "code", "reason"),
    "require_token": ("keys",),
    "skip": (),
}
_SPECIAL: Final = ("status", "body", "limiter", "keys", "code", "reason")
_UPGRADE_ONLY: Final = ("block", "require_token")
_MESSAGE_ONLY: Final = ("close", "drop")


class ListTable(Table):
    """A list that rules ask for by `in $NAME`: of networks or of texts, here or in a file."""

    networks: list[Network] | None = None
    networks_file: Text | None = None
    texts: list[Text] | None = None
    texts_file: Text | None = None


class LimiterTable(Table):
    """A rate limit: what it counts by, and how much it allows."""

    characteristics: list[Characteristic] = Field(default_factory=lambda: ["ip.src"])
    requests_per_period: Count
    period: Annotated[float, Field(ge=1e-3, le=1e9)]
    mitigation_timeout: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    max_keys: Count = 100_000

    def rate(self) -> RateLimit:
        """Return the limit as a value."""
        return RateLimit(self.requests_per_period, self.period, self.mitigation_timeout, self.max_keys)


class ConnectionLimitTable(Table):
    """What one scope may have open at the same time."""

    soft: Count
    burst: Annotated[int, Field(ge=0, le=10**9)] = 0
    allowance: Annotated[float, Field(ge=0, lt=1e9)] = 60.0
    patience: MaybeSeconds = 60.0
    retry_after: Annotated[int, Field(ge=0, le=10**6)] = 30

    def limit(self) -> ConnectionLimit:
        """Return the limit as a value."""
        patience = math.inf if self.patience is None else self.patience
        return ConnectionLimit(self.soft, self.burst, self.allowance, patience, self.retry_after)


class ConnectionsTable(Table):
    """Limits of connections that are open at the same time: of all, of each host, route and client."""

    plan: Literal["free", "pro", "business", "enterprise"] | None = None
    all: ConnectionLimitTable | None = None
    host: ConnectionLimitTable | None = None
    route: ConnectionLimitTable | None = None
    client: ConnectionLimitTable | None = None
    routes: dict[str, ConnectionLimitTable] = Field(default_factory=dict)

    def limits(self) -> dict[Kind, ConnectionLimit]:
        """Return what one scope of a kind may have."""
        own = {Kind(kind): getattr(self, kind) for kind in ("all", "host", "route", "client")}
        found = {kind: table.limit() for kind, table in own.items() if table is not None}
        if self.plan is not None and Plan(self.plan) in PLAN_CONNECTIONS:
            found[Kind.ALL] = ConnectionLimit.of_plan(Plan(self.plan))
        return found

    def overrides(self) -> dict[Scope, ConnectionLimit]:
        """Return what single routes may have."""
        return {(Kind.ROUTE, name): table.limit() for name, table in self.routes.items()}


class TokensTable(Table):
    """Where tokens stand in a request, and for how long they may be good."""

    query: MaybeText = "token"
    cookie: Annotated[MaybeText, AfterValidator(_cookie)] = None
    subprotocol: Annotated[MaybeText, AfterValidator(_protocol)] = None
    max_lifetime: MaybeSeconds = None

    def places(self) -> Places:
        """Return the places as a value."""
        return Places(self.query, self.cookie, self.subprotocol)


class TokenKeyTable(Table):
    """A key that tokens are signed with; its secret stands in a file or in the environment."""

    id: Annotated[str, AfterValidator(_key_id)]
    set: Name = "default"
    secret_file: Text | None = None
    secret_env: Text | None = None


class PolicyTables(Table):
    """The keys of the whole file that say who may come in."""

    trusted_proxies: list[Proxy] = Field(default_factory=list)
    country_database: Text | None = None
    asn_database: Text | None = None
    rule: list[RuleTable] = Field(default_factory=list)
    lists: dict[Name, ListTable] = Field(default_factory=dict, alias="list")
    limiter: dict[Name, LimiterTable] = Field(default_factory=dict)
    connections: ConnectionsTable = Field(default_factory=ConnectionsTable)
    tokens: TokensTable = Field(default_factory=TokensTable)
    token_key: list[TokenKeyTable] = Field(default_factory=list)


def contradictions(config: PolicyTables, routes: set[str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong although each value for itself is right.

    Args:
        routes: the names of all routes.
    """
    names: set[str] = set()
    sets = {key.set for key in config.token_key}
    for at, rule in enumerate(config.rule):
        path: KeyPath = ("rule", at)
        if rule.name in names:
            yield (*path, "name"), "another name: an earlier rule has the same"
        names.add(rule.name)
        for key, expected in _of_rule(rule, config, sets):
            yield (*path, key), expected
    for name, table in config.lists.items():
        if sum(getattr(table, key) is not None for key in ListTable.model_fields) != 1:
            yield ("list", name), f"one of {', '.join(ListTable.model_fields)}"
    known: set[tuple[str, str]] = set()
    for at, token in enumerate(config.token_key):
        path = ("token_key", at)
        if (token.set, token.id) in known:
            yield (*path, "id"), "another id: an earlier key of this set has the same"
        known.add((token.set, token.id))
        if (token.secret_file is None) is (token.secret_env is None):
            yield path, "one of secret_file, secret_env"
    yield from _of_connections(config.connections, routes)


def _of_rule(rule: RuleTable, config: PolicyTables, sets: set[str]) -> Iterator[tuple[str, str]]:
    other = {"upgrade": _MESSAGE_ONLY, "message": _UPGRADE_ONLY}[rule.on]
    if rule.action in other:
        fitting = ", ".join(action for action in ACTIONS if action not in other)
        yield "action", f"one of {fitting} on {rule.on}s"
    taken = _KEYS[rule.action]
    if rule.on == "upgrade" and rule.action == "rate_limit":
        taken = ("limiter",)
    if rule.on == "upgrade" and rule.sender is not None:
        yield "sender", "no such key on upgrades, which are the client's"
    for key in _SPECIAL:
        if getattr(rule, key) is not None and key not in taken:
            yield key, f"no such key with the action {rule.action} on {rule.on}s"
    if rule.action == "rate_limit" and rule.limiter not in config.limiter:
        yield "limiter", one_of("limiter", config.limiter)
    if rule.action == "require_token" and (rule.keys or "default") not in sets:
        yield "keys", one_of("set of token_key", sets)


def _of_connections(table: ConnectionsTable, routes: set[str]) -> Iterator[tuple[KeyPath, str]]:
    if table.plan == Plan.ENTERPRISE.value and table.all is None:
        yield ("connections", "plan"), "connections.all beside it: this plan has a number of its own"
    elif table.plan not in (None, Plan.ENTERPRISE.value) and table.all is not None:
        yield ("connections", "all"), "no such table beside this plan, which has a fixed number"
    for name in table.routes:
        if name not in routes:
            yield ("connections", "routes", name), one_of("route", routes)


def one_of(what: str, names: Iterable[str]) -> str:
    """Say that the name of one of a kind is expected."""
    known = ", ".join(sorted(names))
    return f"the name of a {what}: {known}" if known else f"the name of a {what}, and there is none"
