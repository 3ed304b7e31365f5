"""The tables, and what they mean to the engine."""

from __future__ import annotations

import pytest

from edgews.edge.config.faults import Fault
from edgews.edge.config.tables import Config, Route


def test_what_a_route_means_to_the_engine():
    route = Route.model_validate(
        {
            "host": "Example.com",
            "origins": ["ws://127.0.0.1:9000", "unix:/run/chat.sock"],
            "max_message_size": 65536,
            "idle_timeout": 60,
            "ping_interval": "off",
        }
    )
    assert route.host == "example.com"
    assert [origin.path for origin in route.parsed_origins()] == [None, "/run/chat.sock"]
    assert route.limits().max_message_size == 65536
    assert route.timeouts().idle == 60.0
    assert route.timeouts().ping_interval is None


def test_what_a_route_is_called():
    titles = [
        Route.model_validate({"origins": ["ws://a"], **keys}).title
        for keys in ({}, {"name": "chat"}, {"host": "*.a", "path": "/b"})
    ]
    assert titles == ["*/", "chat", "*.a/b"]


@pytest.mark.parametrize(
    ("inspect", "rule", "inspects"),
    [
        ("auto", None, False),
        ("auto", "upgrade", False),
        ("auto", "message", True),
        ("frames", None, False),
        ("messages", None, True),
    ],
)
def test_rules_for_messages_have_routes_inspected(inspect, rule, inspects):
    rules = [{"name": "r", "expression": "true", "action": "log", "on": rule}] if rule else []
    config = Config.model_validate(
        {
            "listen": [{"address": ":80"}],
            "route": [{"origins": ["ws://a"], "inspect": inspect}],
            "rule": rules,
        }
    )
    assert config.inspects(config.route[0]) is inspects


def test_a_configuration_knows_where_it_comes_from():
    config = Config.model_validate({"listen": [{"address": ":80"}], "route": [{"origins": ["ws://a"]}]})
    config.come_from("\n[[listen]]\naddress = 'x'", "x.toml")
    assert config.file == "x.toml"
    assert config.fault(("listen", 0, "address"), "y") == Fault(3, "listen[0].address", "y")
