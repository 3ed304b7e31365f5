"""The tables that say who may come in: what they mean, and what contradicts itself."""

from __future__ import annotations

import math

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import parse_config
from edgews.edge.config.tables import Config
from edgews.edge.policy.actions import Block, Close, Drop, Log, RateLimit, RequireToken, Rule, Skip, Stage
from edgews.edge.policy.bearer import Places
from edgews.edge.policy.conngauge import ConnectionLimit
from edgews.edge.policy.connlimit import Kind
from edgews.edge.policy.ratelimit import RateLimit as Rate

HEAD = """\
max_connections = 1000000
[[listen]]
address = ":80"
[[route]]
name = "chat"
origins = ["ws://a"]
"""


def parse(text: str) -> Config:
    return parse_config(HEAD + text, "x.toml")


def faults(text: str) -> list[str]:
    """Return what is wrong with a text, its lines counted from 1."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    shift = HEAD.count("\n")
    return [f"{fault.line - shift}: {fault.key}: {fault.expected}" for fault in caught.value.faults]


RULES = [
    ("action = 'block'\nstatus = 451\nbody = 'no'", Block(451, "no")),
    ("action = 'block'", Block()),
    ("action = 'require_token'\nkeys = 'others'", RequireToken("others")),
    ("action = 'require_token'", RequireToken()),
    ("action = 'rate_limit'\nlimiter = 'few'", RateLimit("few")),
    ("action = 'log'", Log()),
    ("action = 'skip'", Skip()),
    ("on = 'message'\naction = 'rate_limit'\nlimiter = 'few'\ncode = 1013", RateLimit("few", 1013)),
    ("on = 'message'\naction = 'close'\ncode = 4000\nreason = 'r'", Close(4000, "r")),
    ("on = 'message'\naction = 'drop'", Drop()),
]
NAMED = """
[limiter.few]
requests_per_period = 5
period = 60
[[token_key]]
id = "k"
secret_env = "K"
[[token_key]]
id = "k"
set = "others"
secret_file = "K"
"""


def test_rules() -> None:
    text = "".join(
        f"[[rule]]\nname = 'r{number}'\nexpression = 'ssl'\n{keys}\n"
        for number, (keys, _) in enumerate(RULES)
    )
    config = parse(NAMED + text)
    for number, ((keys, action), table) in enumerate(zip(RULES, config.rule, strict=True)):
        stage = Stage.MESSAGE if "message" in keys else Stage.UPGRADE
        assert table.rule() == Rule(f"r{number}", "ssl", action, stage)


def test_limiters() -> None:
    config = parse(
        NAMED
        + """
[limiter.other]
characteristics = ["http.host", 'http.request.headers["x-key"]']
requests_per_period = 1
period = 0.5
mitigation_timeout = 2
max_keys = 7
"""
    )
    assert config.limiter["few"].rate() == Rate(5, 60.0)
    assert config.limiter["few"].characteristics == ["ip.src"]
    assert config.limiter["other"].rate() == Rate(1, 0.5, 2.0, 7)


def test_connections() -> None:
    config = parse(
        """
[connections]
plan = "business"
[connections.client]
soft = 10
burst = 5
allowance = 1
patience = "off"
retry_after = 7
[connections.routes.chat]
soft = 3
"""
    )
    assert config.connections.limits() == {
        Kind.ALL: ConnectionLimit(200_000, 20_000),
        Kind.CLIENT: ConnectionLimit(10, 5, 1.0, math.inf, 7),
    }
    assert config.connections.overrides() == {(Kind.ROUTE, "chat"): ConnectionLimit(3)}
    own = parse("[connections]\nplan = 'enterprise'\n[connections.all]\nsoft = 5")
    assert own.connections.limits() == {Kind.ALL: ConnectionLimit(5)}
    assert parse("").connections.limits() == {}


def test_tokens() -> None:
    assert parse("").tokens.places() == Places("token", None, None)
    config = parse("[tokens]\nquery = 'off'\ncookie = 'pass'\nsubprotocol = 'token.'\nmax_lifetime = 60")
    assert config.tokens.places() == Places(None, "pass", "token.")
    assert config.tokens.max_lifetime == 60.0


def test_proxies_and_lists() -> None:
    config = parse_config(
        f"trusted_proxies = ['10.0.0.0/8', '::1', 'unix']\n{HEAD}\n[list.x]\ntexts = ['a']\n"
    )
    assert config.trusted_proxies == ["10.0.0.0/8", "::1", "unix"]
    assert config.lists["x"].texts == ["a"]


def test_names_are_checked_against_each_other() -> None:
    assert faults(
        """\
[[rule]]
name = "a"
expression = "ssl"
action = "rate_limit"
limiter = "fwe"
[[rule]]
name = "a"
expression = "ssl"
action = "rate_limit"
[[rule]]
name = "c"
expression = "ssl"
action = "require_token"
keys = "none"
[connections.routes.nowhere]
soft = 1
"""
        + NAMED
    ) == [
        "5: rule[0].limiter: the name of a limiter: few",
        "6: rule[1].limiter: the name of a limiter: few",
        "7: rule[1].name: another name: an earlier rule has the same",
        "14: rule[2].keys: the name of a set of token_key: default, others",
        "15: connections.routes.nowhere: the name of a route: chat",
    ]
    assert faults('[[rule]]\nname = "a"\nexpression = "ssl"\naction = "require_token"') == [
        "1: rule[0].keys: the name of a set of token_key, and there is none"
    ]


def test_keys_that_are_for_another_action() -> None:
    assert faults(
        """\
[[rule]]
name = "a"
expression = "ssl"
action = "log"
status = 403
[[rule]]
name = "b"
expression = "ssl"
action = "rate_limit"
limiter = "few"
code = 1013
[[rule]]
name = "c"
expression = "ssl"
action = "close"
[[rule]]
name = "d"
expression = "ssl"
on = "message"
action = "block"
[[rule]]
name = "e"
expression = "ssl"
action = "log"
sender = "both"
"""
        + NAMED
    ) == [
        "5: rule[0].status: no such key with the action log on upgrades",
        "11: rule[1].code: no such key with the action rate_limit on upgrades",
        "15: rule[2].action: one of block, log, rate_limit, require_token, skip on upgrades",
        "20: rule[3].action: one of close, drop, log, rate_limit, skip on messages",
        "25: rule[4].sender: no such key on upgrades, which are the client's",
    ]


def test_what_is_to_be_there_once() -> None:
    assert faults(
        """\
[list.none]
[list.two]
texts = ["a"]
networks = ["::1"]
[[token_key]]
id = "k"
[[token_key]]
id = "k"
secret_file = "x"
secret_env = "x"
[connections]
plan = "free"
[connections.all]
soft = 1
"""
    ) == [
        "1: list.none: one of networks, networks_file, texts, texts_file",
        "2: list.two: one of networks, networks_file, texts, texts_file",
        "5: token_key[0]: one of secret_file, secret_env",
        "7: token_key[1]: one of secret_file, secret_env",
        "8: token_key[1].id: another id: an earlier key of this set has the same",
        "13: connections.all: no such table beside this plan, which has a fixed number",
    ]
    assert faults("[connections]\nplan = 'enterprise'") == [
        "2: connections.plan: connections.all beside it: this plan has a number of its own"
    ]


def test_the_hard_limit_is_not_below_the_soft_one() -> None:
    text = (
        HEAD.replace("max_connections = 1000000", "max_connections = 109999")
        + "[connections]\nplan = 'pro'\n"
    )
    with pytest.raises(
        ConfigError, match=r"x.toml:1: max_connections: 110000 or more: connections lets so many in"
    ):
        parse_config(text, "x.toml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[list.'a b']", "list.a b: expected a name of letters, digits and _"),
        ("[list.a]\nnetworks = ['10.0.0.1/8']", "list.a.networks[0]: expected an address or a network"),
        ("[list.a]\ntext = []", "list.a.text: no such key here; did you mean texts? Known are"),
        ("[limiter.a]\nrequests = 1", "limiter.a.requests: no such key here; known are characteristics"),
        ("[limiter.a]\nperiod = 0", "limiter.a.period: expected 0.001 or more"),
        ("[limiter.a]\ncharacteristics = ['ip']", "limiter.a.characteristics[0]: expected a field of"),
        ("[[rule]]\nname = ''", "rule[0].name: expected a text that is not empty"),
        ("[[rule]]\naction = 'allow'", "rule[0].action: expected one of 'block', 'close'"),
        ("[[rule]]\ncode = 1006", "rule[0].code: expected a close code that may be sent"),
        (f"[[rule]]\nreason = '{'x' * 124}'", "rule[0].reason: expected at most 123 bytes"),
        ("[[token_key]]\nid = 'a.b'", "token_key[0].id: expected 1 to 32 letters, digits, _ and -"),
        ("[[token_key]]\nsecret = 'hush'", "token_key[0].secret: no such key here; did you mean secret_env?"),
        ("[tokens]\ncookie = 'a b'", "tokens.cookie: expected the name of a cookie, or off"),
        ("[tokens]\nsubprotocol = 'a b'", "tokens.subprotocol: expected the beginning of a subprotocol"),
        ("[connections.all]\nsoft = 0", "connections.all.soft: expected 1 or more"),
        ("[connections.rout]\nsoft = 1", "connections.rout: no such key here; did you mean route?"),
        ("[connections.routes.chat]\nhard = 1", "connections.routes.chat.hard: no such key here"),
        ("limiter = 1", "route[0].limiter: no such key here"),
    ],
)  # fmt: skip
def test_one_fault(text: str, fault: str) -> None:
    found = faults(text)
    assert any(line.partition(": ")[2].startswith(fault) for line in found), found
    assert "hush" not in "".join(found)


@pytest.mark.parametrize("proxy", ["localhost", "10.0.0.1/8", "", "unix:/run/x"])
def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies\[0\]: expected an address or a network"):
        parse_config(f"trusted_proxies = ['{proxy}']\n{HEAD}")
