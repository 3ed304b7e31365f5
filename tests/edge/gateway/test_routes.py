"""Routes by header and by expression, through a gateway that runs."""

from __future__ import annotations

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import parse_config
from edgews.edge.gateway.prepare import prepare
from tests.edge.harness import Origin, running
from tests.raw import Raw

pytestmark = pytest.mark.edge


def test_routes_by_header_and_by_expression():
    with Origin() as everybody, Origin() as beta, Origin() as mobile:
        routes = [
            {"name": "all", "origins": [everybody.uri]},
            {"name": "beta", "origins": [beta.uri], "headers": {"X-Version": "2"}},
            {"name": "mobile", "origins": [mobile.uri], "when": "http.user_agent.contains('Mobile')"},
        ]
        with running(top={"route": routes}) as gateway:
            for origin, field in (
                (everybody, "X-Version: 1"),
                (beta, "x-version: 2"),
                (mobile, "User-Agent: Mobile"),
                (beta, "User-Agent: Mobile\r\nX-Version: 2"),
            ):
                with Raw.connect(gateway.address) as client:
                    client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode())
                    with origin.accept() as server:
                        server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                        assert client.read_head().startswith(b"HTTP/1.1 204")


def test_all_conditions_that_are_wrong_are_named():
    text = """\
[[listen]]
address = ":0"
[[route]]
origins = ["ws://a"]
when = "http.hots == 'a'"
[[route]]
origins = ["ws://a"]
name = "other"
when = "http.host"
[[rule]]
name = "x"
action = "block"
expression = "nothing"
"""
    with pytest.raises(ConfigError) as caught:
        prepare(parse_config(text, "x.toml"))
    assert [line.partition(": ")[2] for line in caught.value.lines()] == [
        "route[0].when: column 1: there is no field http.hots, is it http.host?",
        "route[1].when: column 1: this is a value of the type str, not true or false",
        "rule[0].expression: column 1: there is no field nothing",
    ]
    assert [fault.line for fault in caught.value.faults] == [5, 9, 13]
