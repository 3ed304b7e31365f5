"""Who comes in and who does not: each action and each limit, through a gateway that runs."""

from __future__ import annotations

import pytest

from tests import wire
from tests.edge.harness import Origin, running, switch
from tests.raw import Raw

pytestmark = pytest.mark.edge


def ask(gateway, line: str = "GET / HTTP/1.1", **fields) -> bytes:
    """Ask for a WebSocket; return the answer of a gateway that refuses."""
    with Raw.connect(gateway.address) as client:
        client.send(wire.request(fields, line=line))
        return client.read_rest()


def rule(name: str, expression: str, action: str, **more) -> dict:
    return {"name": name, "expression": expression, "action": action, **more}


def test_rules_in_their_order():
    rules = [
        rule("friends", "http.user_agent == 'friend'", "skip"),
        rule("seen", "true", "log"),
        rule("no tools", "http.user_agent.contains('curl')", "block"),
        rule("own words", "http.user_agent == 'x'", "block", status=451, body="Not here."),
    ]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        answer = ask(gateway, **{"User-Agent": "curl/8"})
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert answer.endswith(b"\r\n\r\nThe rule 'no tools' does not allow this request.\n")
        assert gateway.last("refused")["cause"] == "rule no tools"
        answer = ask(gateway, **{"User-Agent": "x"})
        assert answer.startswith(b"HTTP/1.1 451 ")
        assert answer.endswith(b"\r\n\r\nNot here.")
        with Raw.connect(gateway.address) as client:
            client.send(wire.request({"User-Agent": "friend"}))
            with origin.accept() as server:
                server.send(switch())
                assert client.read_head().startswith(b"HTTP/1.1 101")
        policies = gateway.gateway.admission.policies
        assert policies.matches == {"friends": 1, "seen": 2, "no tools": 1, "own words": 1}


def test_a_rate_limit():
    top = {
        "rule": [rule("slowly", "true", "rate_limit", limiter="few")],
        "limiter": {"few": {"requests_per_period": 1, "period": 1000.0}},
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            origin.accept().close()
            assert client.read_rest().startswith(b"HTTP/1.1 502 ")
        answer = ask(gateway)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nRetry-After: 1000\r\n" in answer or b"\r\nRetry-After: 999\r\n" in answer
        assert gateway.last("refused")["cause"] == "rate limit few"
