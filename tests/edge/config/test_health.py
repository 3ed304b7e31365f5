from __future__ import annotations

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import parse_config
from edgews.edge.config.health import Health
from edgews.edge.forwarding.health import Kind, Plan

FILE = """\
[[listen]]
address = ":0"
[[route]]
origins = ["ws://a"]
[route.health]
"""


def test_the_defaults_are_those_of_a_plan():
    assert Health().plan() == Plan()
    assert parse_config(FILE).route[0].health == Health()


def test_a_table():
    text = 'kind = "http"\npath = "/up?x=1"\ninterval = 1\ntimeout = 2\nrise = 3\nfall = 4\njitter = 0.5\n'
    health = parse_config(FILE + text).route[0].health
    assert health is not None
    assert health.plan() == Plan(
        kind=Kind.HTTP, path="/up?x=1", interval=1.0, timeout=2.0, rise=3, fall=4, jitter=0.5
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('kind = "ping"', "kind: expected one of 'tcp', 'http' or 'websocket'"),
        ('path = "up"', "path: expected a path such as /health, maybe with a query"),
        ('path = "/a b"', "path: expected a path such as /health, maybe with a query"),
        ("interval = 0.01", "interval: expected 0.1 or more"),
        ("rise = 0", "rise: expected 1 or more"),
        ("fall = 1001", "fall: expected at most 1000"),
        ("jitter = 1.5", "jitter: expected at most 1"),
        ("often = 1", "often: no such key here; known are kind, path,"),
    ],
)
def test_what_is_wrong(line, expected):
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE + line, "x.toml")
    assert str(caught.value).startswith(f"x.toml:6: route[0].health.{expected}")
