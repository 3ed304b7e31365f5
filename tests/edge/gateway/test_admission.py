"""Who comes in and who does not: each action and each limit, through a gateway that runs."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgews.edge.config.file import check_values
from edgews.edge.policy.conngauge import State
from edgews.edge.policy.connlimit import Kind
from edgews.edge.policy.tokens import Claims, Key, make
from tests import wire
from tests.edge.databases import countries, numbers
from tests.edge.harness import Origin, Running, eventually, running, switch
from tests.raw import Raw

pytestmark = pytest.mark.edge

SECRET = "0123456789abcdef0123456789abcdef"
# So long that nothing comes back while a test runs.
LONG = 1e6


def rule(name: str, expression: str, action: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "expression": expression, "action": action, **more}


def refused(gateway: Running, *extra: str, line: str = "GET /chat HTTP/1.1") -> bytes:
    """Ask for a WebSocket; return the answer of a gateway that refuses."""
    with Raw.connect(gateway.address) as client:
        client.send(wire.request(line=line, extra=extra))
        return client.read_rest()


@contextlib.contextmanager
def opened(
    gateway: Running, origin: Origin, *extra: str, line: str = "GET /chat HTTP/1.1"
) -> Iterator[tuple[Raw, Raw]]:
    """Open a connection; return its two ends."""
    with Raw.connect(gateway.address) as client:
        client.send(wire.request(line=line, extra=extra))
        with origin.accept() as server:
            server.send(switch())
            assert client.read_head().startswith(b"HTTP/1.1 101 ")
            yield client, server


def reload(gateway: Running, origin: Origin, **top: Any) -> None:
    values = {
        "listen": [{"address": "127.0.0.1:0"}],
        "route": [{"name": "test", "origins": [origin.uri]}],
        **top,
    }
    gateway.call(gateway.gateway.reload(check_values(values, "", "x.toml")))


def retry_after(answer: bytes) -> int:
    match = re.search(rb"\r\nRetry-After: (\d+)\r\n", answer)
    assert match is not None, answer
    return int(match[1])


# Rules


def test_rules_in_their_order() -> None:
    rules = [
        rule("friends", "http.user_agent == 'friend'", "skip"),
        rule("seen", "true", "log"),
        rule("no tools", "http.user_agent.contains('curl')", "block"),
        rule("own words", "http.user_agent == 'x'", "block", status=451, body="Not here."),
    ]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        answer = refused(gateway, "User-Agent: curl/8")
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert answer.endswith(b"\r\n\r\nThe rule 'no tools' does not allow this request.\n")
        assert gateway.last("refused")["cause"] == "rule no tools"
        answer = refused(gateway, "User-Agent: x")
        assert answer.startswith(b"HTTP/1.1 451 ")
        assert answer.endswith(b"\r\n\r\nNot here.")
        with opened(gateway, origin, "User-Agent: friend"):
            pass
        with opened(gateway, origin):
            pass
        policies = gateway.gateway.admission.policies
        assert policies.matches == {"friends": 1, "seen": 3, "no tools": 1, "own words": 1}


def test_a_rule_that_fails_lets_nobody_in() -> None:
    rules = [
        rule("failing skip", "http.request.headers['x-none'][0] == 'a'", "skip"),
        rule("failing block", "http.request.headers['x-none'][0] == 'a'", "block"),
    ]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        assert refused(gateway).startswith(b"HTTP/1.1 403 ")
        policies = gateway.gateway.admission.policies
        assert policies.errors == {"failing skip": 1, "failing block": 1}
        with opened(gateway, origin, "X-None: b"):
            pass


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/./admin",
        "/chat/../admin",
        "/%61dmin",
        "//admin",
        "/chat/%2e%2e/admin",
        "/chat//../../admin/",
    ],
)
def test_no_spelling_of_a_path_gets_past_a_rule(path: str) -> None:
    rules = [rule("closed", "http.request.uri.path.startsWith('/admin')", "block")]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        assert refused(gateway, line=f"GET {path} HTTP/1.1").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("path", ["/a/..;/admin", "/a/..%2fadmin", "/%252e", "/a\\b", "/%", "/%00", "/#"])
def test_what_servers_read_differently_is_refused(path: str) -> None:
    with Origin() as origin, running(origin.uri) as gateway:
        assert refused(gateway, line=f"GET {path} HTTP/1.1").startswith(b"HTTP/1.1 400 ")


def test_the_origin_gets_the_path_by_which_it_was_chosen() -> None:
    with Origin() as origin, running(origin.uri, path="/chat") as gateway:
        with opened(gateway, origin, line="GET /x/..//chat/%7ea?q=%7e HTTP/1.1") as (_, server):
            assert server.head.startswith(b"GET /chat/~a?q=%7e HTTP/1.1\r\n")
        assert refused(gateway, line="GET /chat/../x HTTP/1.1").startswith(b"HTTP/1.1 404 ")


def test_lists_and_databases(tmp_path: Path) -> None:
    (tmp_path / "office").write_text("127.0.0.0/8  # here\n")
    top = {
        "trusted_proxies": ["127.0.0.1"],
        "country_database": countries(tmp_path / "c.mmdb", {"192.0.2.0/24": "AQ"}),
        "asn_database": numbers(tmp_path / "a.mmdb", {"198.51.100.0/24": 64496}),
        "list": {"office": {"networks_file": str(tmp_path / "office")}},
        "rule": [
            rule("office", "ip.src in $office", "skip"),
            rule("far away", "ip.src.country == 'AQ'", "block"),
            rule("that network", "ip.src.asnum == 64496", "block"),
        ],
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        for client, cause in (("192.0.2.7", "rule far away"), ("198.51.100.7", "rule that network")):
            assert refused(gateway, f"X-Forwarded-For: {client}").startswith(b"HTTP/1.1 403 ")
            eventually(
                lambda cause=cause: gateway.records("refused")[-1]["cause"] == cause, "the refusal is logged"
            )
            assert gateway.last("refused")["client"] == client
        with opened(gateway, origin):
            pass


# Rates


def test_a_rate_limit_of_each_client() -> None:
    top = {
        "trusted_proxies": ["127.0.0.1"],
        "rule": [rule("slowly", "true", "rate_limit", limiter="few")],
        "limiter": {"few": {"requests_per_period": 2, "period": LONG}},
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        for _ in range(2):
            with opened(gateway, origin, "X-Forwarded-For: 2001:db8::1"):
                pass
        # Another address of the same network.
        answer = refused(gateway, "X-Forwarded-For: 2001:db8::2")
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert 0 < retry_after(answer) <= LONG / 2
        assert gateway.last("refused")["cause"] == "rate limit few"
        with opened(gateway, origin, "X-Forwarded-For: 192.0.2.1"):
            pass
        # A limiter that is the same after a reload remembers, one that is not begins anew.
        reload(gateway, origin, **top)
        assert refused(gateway, "X-Forwarded-For: 2001:db8::3").startswith(b"HTTP/1.1 429 ")
        reload(gateway, origin, **{**top, "limiter": {"few": {"requests_per_period": 3, "period": LONG}}})
        with opened(gateway, origin, "X-Forwarded-For: 2001:db8::3"):
            pass


# Tokens


def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("EDGEWS_TEST_SECRET", SECRET[::-1])
    top = {
        "token_key": [
            {"id": "file", "secret_file": str(tmp_path / "secret")},
            {"id": "env", "secret_env": "EDGEWS_TEST_SECRET"},
        ],
        "tokens": {"cookie": "pass", "subprotocol": "token."},
        "rule": [rule("members", "true", "require_token")],
    }
    later = int(time.time()) + 3600
    token = make(Key("file", SECRET.encode()), Claims(later))
    other = make(Key("env", SECRET[::-1].encode()), Claims(later, host="example.com", path="/chat"))
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        answer = refused(gateway)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nWWW-Authenticate: Bearer\r\n" in answer
        ways = [
            (f"GET /chat?a=1&token={token} HTTP/1.1", ()),
            ("GET /chat?a=1 HTTP/1.1", (f"Authorization: Bearer {other}",)),
            ("GET /chat?a=1 HTTP/1.1", (f"Cookie: b=2; pass={other}",)),
            ("GET /chat?a=1 HTTP/1.1", (f"Sec-WebSocket-Protocol: token.{token}",)),
        ]
        for line, extra in ways:
            with opened(gateway, origin, *extra, line=line) as (_, server):
                assert server.head.startswith(b"GET /chat?a=1 HTTP/1.1\r\n")
                assert b"v1." not in server.head
        assert refused(gateway, line=f"GET /other?token={other} HTTP/1.1").startswith(b"HTTP/1.1 403 ")
        expired = make(Key("file", SECRET.encode()), Claims(1))
        assert refused(gateway, line=f"GET /?token={expired} HTTP/1.1").startswith(b"HTTP/1.1 401 ")
        eventually(gateway.is_empty, "all connections are gone")
        assert "v1." not in str(gateway.records())
        assert {record["cause"] for record in gateway.records("refused")} == {
            "token: missing",
            "token: other path",
            "token: expired",
        }


# Connections


@pytest.mark.parametrize("scope", ["all", "host", "route", "client"])
def test_too_many_connections(scope: str) -> None:
    top = {"connections": {scope: {"soft": 1, "retry_after": 7}}}
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        with opened(gateway, origin):
            answer = refused(gateway)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert retry_after(answer) == 7
            assert gateway.last("refused")["cause"] == f"connection limit {scope}"
            (standing,) = gateway.gateway.admission.standing()
            assert (standing.scope[0], standing.state, standing.count) == (Kind(scope), State.OK, 1)
        eventually(gateway.is_empty, "the connection is gone")
        with opened(gateway, origin):
            pass


def test_who_opens_nothing_takes_no_place() -> None:
    top = {
        "connections": {"all": {"soft": 1}},
        "rule": [rule("closed", "http.user_agent == 'x'", "block")],
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        held = Raw.connect(gateway.address)
        held.send(wire.request(extra=("User-Agent: x",)))
        assert held.read_rest().startswith(b"HTTP/1.1 403 ")
        # Its socket is still there.
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            with origin.accept() as server:
                server.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                assert client.read_rest().startswith(b"HTTP/1.1 404 ")
        with opened(gateway, origin):
            pass
        held.close()


def test_a_burst_that_lasts_is_shed_from_the_idlest_on() -> None:
    limit = {"soft": 1, "burst": 1, "allowance": LONG, "patience": LONG}
    text, hello = wire.frame(wire.TEXT, b"hello"), (wire.TEXT, b"hello")
    with (
        Origin() as origin,
        running(origin.uri, top={"connections": {"all": limit}}, ping_interval="off") as gateway,
        opened(gateway, origin) as (busy, busy_server),
    ):
        with opened(gateway, origin) as (idle, idle_server):
            (standing,) = gateway.gateway.admission.standing()
            assert standing.state is State.BURST
            # It was first, and has said something since.
            busy.send(text)
            assert busy_server.read_frame() == hello
            # By now the excess has lasted too long.
            reload(gateway, origin, connections={"all": {**limit, "allowance": 0, "patience": 0.001}})
            opcode, payload = idle_server.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
            idle_server.send(wire.close(1001, key=None))
            opcode, payload = idle.read_frame()
            assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1013)
            idle.send(wire.close(1013))
            assert idle.read_rest() == b""
        record = gateway.last("end")
        assert (record["code"], record["by"]) == (1013, "gateway")
        eventually(lambda: len(gateway.gateway.connections) == 1, "one is left")
        busy.send(text)
        assert busy_server.read_frame() == hello


def test_a_reload_counts_who_is_there() -> None:
    with Origin() as origin, running(origin.uri) as gateway, opened(gateway, origin):
        reload(gateway, origin, connections={"route": {"soft": 1}})
        assert refused(gateway).startswith(b"HTTP/1.1 503 ")
        reload(gateway, origin, connections={"route": {"soft": 2}})
        with opened(gateway, origin):
            assert refused(gateway).startswith(b"HTTP/1.1 503 ")
        reload(gateway, origin)
        with opened(gateway, origin):
            pass
    eventually(gateway.is_empty, "all are gone")
    assert gateway.gateway.admission.standing() == []


# Proxies in front


def test_nobody_is_believed_who_is_not_trusted() -> None:
    fields = ("X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https", "X-Edgews-Ray: theirs")
    with Origin() as origin, running(origin.uri) as gateway:
        with opened(gateway, origin, *fields) as (_, server):
            assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in server.head
            assert b"\r\nX-Forwarded-Proto: http\r\n" in server.head
            assert b"theirs" not in server.head
        assert gateway.last("open")["client"] == "127.0.0.1"


def test_a_trusted_proxy_says_who_the_client_is() -> None:
    fields = ("X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https", "X-Edgews-Ray: theirs")
    with Origin() as origin, running(origin.uri, top={"trusted_proxies": ["127.0.0.0/8"]}) as gateway:
        with opened(gateway, origin, *fields) as (client, server):
            assert b"\r\nX-Forwarded-For: 192.0.2.9, 127.0.0.1\r\n" in server.head
            assert b"\r\nX-Edgews-Client-IP: 192.0.2.9\r\n" in server.head
            assert b"\r\nX-Forwarded-Proto: https\r\n" in server.head
            assert b"\r\nX-Edgews-Ray: theirs\r\n" in server.head
            assert b"\r\nX-Edgews-Ray: theirs\r\n" in client.head
        record = gateway.last("open")
        assert (record["client"], record["ray"]) == ("192.0.2.9", "theirs")


def test_a_client_through_a_unix_socket_has_no_address(tmp_path: Path) -> None:
    top = {
        "listen": [{"address": f"unix:{tmp_path}/gateway"}],
        "connections": {"client": {"soft": 1}},
        "rule": [rule("nobody", "ip.src == null", "log")],
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        for _ in range(2):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{tmp_path}/gateway")
            with Raw(sock) as client:
                client.send(wire.request())
                with origin.accept() as server:
                    server.send(switch())
                    assert client.read_head().startswith(b"HTTP/1.1 101 ")
        assert gateway.last("open")["client"] is None
        assert gateway.gateway.admission.policies.matches == {"nobody": 2}


# Headers


def test_what_is_for_one_hop_stays_there() -> None:
    request = (
        "Keep-Alive: 5",
        "TE: trailers",
        "Proxy-Authorization: Basic x",
        "X-Hop: 1",
        "Origin: https://example.com",
        "Cookie: a=b",
        "Sec-WebSocket-Protocol: chat",
        "CF-Connecting-IP: 192.0.2.1",
        "x_real_ip: 192.0.2.1",
    )
    with Origin() as origin, running(origin.uri) as gateway, Raw.connect(gateway.address) as client:
        connection = "keep-alive, Upgrade, X-Hop, Origin, Cookie"
        client.send(wire.request({"Connection": connection}, extra=request))
        with origin.accept() as server:
            sent = server.head.lower()
            for gone in (b"keep-alive", b"\r\nte:", b"proxy-auth", b"x-hop", b"192.0.2.1"):
                assert gone not in sent
            for kept in (
                b"\r\norigin: https://example.com\r\n",
                b"\r\ncookie: a=b\r\n",
                b"\r\nsec-websocket-protocol: chat\r\n",
            ):
                assert kept in sent
            server.send(
                switch(
                    "Sec-WebSocket-Protocol: chat",
                    "Set-Cookie: c=d",
                    "Keep-Alive: 7",
                    "X-Hop: 2",
                    "X-Edgews-Ray: forged",
                ).replace(b"Connection: Upgrade", b"Connection: Upgrade, X-Hop, Set-Cookie")
            )
            answered = client.read_head().lower()
            for gone in (b"keep-alive", b"x-hop", b"forged"):
                assert gone not in answered
            for kept in (b"\r\nset-cookie: c=d\r\n", b"\r\nsec-websocket-protocol: chat\r\n"):
                assert kept in answered
