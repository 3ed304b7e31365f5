"""What tables name is read, and what is wrong with it is told with its place and without its content."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

import pytest

from edgews.edge.config.definition import define
from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import parse_config
from edgews.edge.policy.bearer import Places
from edgews.edge.policy.conngauge import ConnectionLimit
from edgews.edge.policy.connlimit import Kind
from edgews.edge.policy.fields import UpgradeFacts
from edgews.edge.policy.normalize import Target
from edgews.edge.policy.policies import Definition, Limiter
from edgews.edge.policy.ratelimit import RateLimit
from edgews.headers import Headers

pytestmark = pytest.mark.edge

HEAD = "listen = [{ address = ':80' }]\nroute = [{ name = 'chat', origins = ['ws://a'] }]\n"
SECRET = b"0123456789abcdef0123456789abcdef"
FILES: dict[str, bytes] = {
    # As an editor of Windows has it.
    "networks": b"\xef\xbb\xbf10.0.0.0/8\r\n# more\r\n::1\r\n",
    "texts": "a\né\n".encode(),
    "latin": b"\xe9",
    "secret": SECRET + b"\r\n",
    "short": b"x" * 31 + b"\n",
}


def read(file: str) -> bytes:
    if file not in FILES:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    return FILES[file]


def defined(text: str, environment: Mapping[str, str] | None = None) -> Definition:
    return define(parse_config(HEAD + text, "x.toml"), read, environment or {})


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        defined(text, {"SHORT": "s3cret"})
    assert caught.value.file == "x.toml"
    assert "s3cret" not in str(caught.value)
    return [f"{fault.line - 2}: {fault.key}: {fault.expected}" for fault in caught.value.faults]


def test_nothing() -> None:
    assert defined("") == Definition(conditions=[None])


def test_everything() -> None:
    found = defined(
        """
[list.a]
networks_file = "networks"
[list.b]
texts_file = "texts"
[list.c]
networks = ["192.0.2.0/24"]
[list.d]
texts = ["x"]
[limiter.few]
requests_per_period = 5
period = 60
[connections]
host = { soft = 3 }
routes = { chat = { soft = 2 } }
[tokens]
cookie = "pass"
max_lifetime = 60
[[token_key]]
id = "one"
secret_file = "secret"
[[token_key]]
id = "two"
secret_env = "TWO"
[[token_key]]
id = "one"
set = "other"
secret_env = "TWO"
[[rule]]
name = "r"
expression = "ip.src in $a || http.host in $b || ip.src in $c || http.host in $d"
action = "log"
""",
        {"TWO": SECRET.decode()},
    )
    assert found.limiters == {"few": Limiter(("ip.src",), RateLimit(5, 60.0))}
    assert found.connections == {Kind.HOST: ConnectionLimit(3)}
    assert found.overrides == {(Kind.ROUTE, "chat"): ConnectionLimit(2)}
    assert (found.places, found.max_lifetime) == (Places("token", "pass", None), 60.0)
    assert {name: sorted(keys) for name, keys in found.keys.items()} == {
        "default": ["one", "two"],
        "other": ["one"],
    }
    assert {key.secret for keys in found.keys.values() for key in keys.values()} == {SECRET}
    assert SECRET.decode() not in repr(found)
    assert found.rules is not None
    assert not found.rules.judges_messages


def test_lists_are_those_of_their_files() -> None:
    rules = "".join(
        f"[[rule]]\nname = '{name}'\nexpression = '{asks}'\naction = 'log'\n"
        for name, asks in (("a", "ip.src in $a"), ("b", "http.host in $b"), ("c", "ip.src in $c"))
    )
    found = defined(
        """
[list.a]
networks_file = "networks"
[list.b]
texts_file = "texts"
[list.c]
networks = ["192.0.2.0/24"]
"""
        + rules
    )
    assert found.rules is not None
    for client, host, matching in (
        ("10.1.1.1", "a", ["a", "b"]),
        ("::1", "x", ["a"]),
        ("192.0.2.1", "x", ["c"]),
        (None, "# more", []),
    ):
        facts = UpgradeFacts("GET", Target("/"), Headers([("Host", host)]), client, True, "ray")
        assert [rule.name for rule in found.rules.judge(facts).matched] == matching


def test_without_the_evaluator_rules_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cel", "edgews.edge.policy.cel", "edgews.edge.policy.rules"):
        monkeypatch.setitem(sys.modules, name, None)
    text = "[[rule]]\nname = 'a'\nexpression = 'ssl'\naction = 'log'"
    (fault,) = faults(text)
    assert fault.startswith("1: rule[0]: the package ")
    assert fault.endswith(": pip install 'edgews[edge]'")


def test_faults_of_what_is_named() -> None:
    assert faults(
        """\
[list.a]
networks_file = "none"
[list.b]
texts_file = "latin"
[list.c]
networks_file = "texts"
[[token_key]]
id = "a"
secret_file = "short"
[[token_key]]
id = "b"
secret_env = "SHORT"
[[token_key]]
id = "c"
secret_env = "UNSET"
[[token_key]]
id = "d"
secret_file = "none"
[[rule]]
name = "r"
expression = "ip.src in $a"
action = "log"
"""
    ) == [
        "2: list.a.networks_file: a file that can be read: No such file or directory",
        "4: list.b.texts_file: a file in UTF-8",
        "6: list.c.networks_file: line 1 of that file is wrong: 'a' does not appear to be an IPv4 or IPv6 "
        "network",
        "9: token_key[0].secret_file: a secret of 32 bytes or more there",
        "12: token_key[1].secret_env: a secret of 32 bytes or more there",
        "15: token_key[2].secret_env: a variable of the environment that is set",
        "18: token_key[3].secret_file: a file that can be read: No such file or directory",
    ]


def test_all_rules_that_do_not_compile_are_named_with_their_column() -> None:
    assert faults(
        '''\
[[rule]]
name = "a"
expression = "ssl && http.hots == 'a'"
action = "log"
[[rule]]
name = "good"
expression = "ssl"
action = "log"
[[rule]]
name = "b"
expression = """
ssl &&
  ip.src in $none
"""
action = "log"
[[rule]]
name = "c"
expression = "1 + 1"
action = "log"
[[rule]]
name = "d"
expression = "message.size > 1"
action = "log"
'''
    ) == [
        "3: rule[0].expression: column 8: there is no field http.hots, is it http.host?",
        "11: rule[2].expression: line 2, column 13: there is no list none",
        "18: rule[3].expression: column 1: this is a value of the type int, not true or false",
        "22: rule[4].expression: column 1: message.size is known of messages only",
    ]


ROUTES = """\
listen = [{ address = ":80" }]
[[route]]
when = "http.host == 'a'"
origins = ["ws://a"]
name = "a"
[[route]]
path = "/b"
when = "%s"
origins = ["ws://b"]
[[route]]
origins = ["ws://c"]
"""


def test_conditions_of_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = define(parse_config(ROUTES % "ssl", "x.toml"), read, {}).conditions
    assert [condition is None for condition in found] == [False, False, True]
    with pytest.raises(ConfigError, match=r"x.toml:8: route\[1\].when: column 1: there is no field shl"):
        define(parse_config(ROUTES % "shl", "x.toml"), read, {})
    for name in ("cel", "edgews.edge.policy.cel", "edgews.edge.policy.rules"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"x.toml:3: route\[0\].when: the package ") as caught:
        define(parse_config(ROUTES % "ssl", "x.toml"), read, {})
    assert len(caught.value.faults) == 1
