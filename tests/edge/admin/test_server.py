"""The admin address over real sockets: who gets in, what is answered, and the feed."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgews.edge.admin.local import Local
from edgews.edge.analytics.listing import KEYS
from edgews.edge.config.faults import ConfigError
from edgews.outcomes import InvalidHandshake
from edgews.sync import connect
from tests import wire
from tests.edge.harness import Authority, Origin, Running, eventually, running, tunnel
from tests.raw import TIMEOUT, Raw

from .serving import TOKEN, Admin, admin, hear

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def gateway(origin: Origin) -> Iterator[Running]:
    with running(origin.uri) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def open_admin(gateway: Running) -> Iterator[Admin]:
    with admin(gateway) as found:
        yield found


@pytest.fixture(scope="module")
def closed_admin(gateway: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    file = tmp_path_factory.mktemp("admin") / "token"
    file.write_text(f"{TOKEN}\n")
    with admin(gateway, token_file=str(file)) as found:
        yield found


def test_the_page_and_its_parts_are_served_with_a_strict_policy(closed_admin: Admin) -> None:
    for path in (
        "/",
        "/page.css",
        "/page.js",
        "/charts.js",
        "/dom.js",
        "/feed.js",
        "/panels.js",
        "/table.js",
    ):
        response, body = closed_admin.get(path)
        assert (response.status, bool(body)) == (200, True), path
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in response.headers
    page = closed_admin.get("/")[1]
    # Nothing that the policy forbids, and nothing from elsewhere.
    assert "style=" not in page
    assert "onclick" not in page
    assert "https://" not in page
    assert page.count("<script") == page.count('<script type="module" src="') == 1


@pytest.mark.parametrize("path", ["/metrics", "/report.json", "/trace/x", "/login", "/nothing"])
def test_what_is_told_takes_the_token(closed_admin: Admin, path: str) -> None:
    response, _ = closed_admin.get(path)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert closed_admin.status(path, Authorization="Bearer wrong") == 401
    assert closed_admin.status(path, **BEARER) in (200, 204, 404)
    # A token in a URL would stand in logs.
    assert closed_admin.status(f"{path}?token={TOKEN}") == 401


def test_a_browser_gets_a_cookie_for_the_token(closed_admin: Admin) -> None:
    response, _ = closed_admin.get("/login", **BEARER)
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert closed_admin.status("/metrics", Cookie=cookie) == 200
    with closed_admin.live(Cookie=cookie, Origin=closed_admin.url.rstrip("/")) as ws:
        assert hear(ws, "update")["report"]["workers"] == 1


def test_no_page_from_elsewhere_gets_in(open_admin: Admin, closed_admin: Admin) -> None:
    for found in (open_admin, closed_admin):
        assert found.status("/metrics", Host="evil.example", **BEARER) == 421
        assert found.status("/", Host="evil.example") == 421
        assert found.status("/report.json", Origin="https://evil.example", **BEARER) == 403
        assert found.status("/report.json", Sec_Fetch_Site="cross-site", **BEARER) == 403
        for fields in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            with pytest.raises(InvalidHandshake) as refused:
                found.live(**BEARER, **fields)
            assert refused.value.response is not None
            assert refused.value.response.status == 403


def test_the_feed_takes_the_token_and_its_place(closed_admin: Admin) -> None:
    with pytest.raises(InvalidHandshake) as refused:
        closed_admin.live()
    assert refused.value.response is not None
    assert refused.value.response.status == 401
    with pytest.raises(InvalidHandshake):
        connect(f"ws://127.0.0.1:{closed_admin.port}/other", headers=list(BEARER.items()))
    with closed_admin.live(**BEARER) as ws:
        assert hear(ws, "hello")["meanings"]["1006"]


def test_other_methods_and_places(open_admin: Admin) -> None:
    assert open_admin.get("/", "DELETE")[0].status == 405
    assert open_admin.status("/nothing") == 404
    assert open_admin.status("/trace/unknown") == 404
    assert open_admin.status("/login") == 204
    assert open_admin.get("/", "HEAD")[1] == ""


def test_a_connection_is_seen_found_and_closed(gateway: Running, origin: Origin, open_admin: Admin) -> None:
    eventually(gateway.is_empty, "no connection is left of another test")
    with tunnel(gateway, origin) as (client, server), open_admin.live() as ws:
        client.send(wire.frame(wire.TEXT, b"hello"))
        assert server.read_frame() == (wire.TEXT, b"hello")

        def rows(**view: Any) -> list[dict[str, Any]]:
            ws.send(json.dumps({"do": "view", **view}))
            # The next but one is certain to have the view.
            hear(ws, "update")
            return hear(ws, "update")["connections"]

        (row,) = rows()
        assert (row["client"], row["route"], row["messages_up"], row["bytes_up"]) == (
            "127.0.0.1",
            "test",
            1,
            11,
        )
        assert rows(match=row["ray"]) != []
        assert rows(match="no such thing") == []
        ws.send(json.dumps({"do": "trace", "ray": row["ray"]}))
        trace = hear(ws, "trace")["trace"]
        assert trace["event"] == "open"
        assert any("1 message (11 bytes) came from the client" in step for step in trace["story"])

        ws.send(json.dumps({"do": "close", "ray": row["ray"], "code": 1005, "reason": ""}))
        assert "1005" in hear(ws, "closed")["why"]
        ws.send(json.dumps({"do": "close", "ray": "unknown", "code": 1000, "reason": ""}))
        assert not hear(ws, "closed")["done"]
        ws.send(json.dumps({"do": "close", "ray": row["ray"], "code": 4321, "reason": "enough"}))
        assert hear(ws, "closed")["done"]
        assert wire.close_code((server.read_frame() or (0, b""))[1]) == 1001
        server.send(wire.close(1001))
        assert client.read_frame() == (wire.CLOSE, (4321).to_bytes(2, "big") + b"enough")
        client.send(wire.close(4321, key=wire.KEY))
        server.close()
        client.read_rest()
    end = gateway.last("end")
    assert (end["why"], end["code"], end["by"]) == ("operator", 4321, "gateway")
    found = open_admin.json(f"/trace/{row['ray']}")
    assert found["event"] == "end"
    assert found["story"][-1] == "Somebody ended it at the admin address."


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("sort", sorted(KEYS))
def test_the_first_ones_in_any_order_are_shown(
    gateway: Running, origin: Origin, sort: str, down: bool
) -> None:
    async def ask(limit: int) -> list[dict[str, Any]]:
        view = {"match": "example", "sort": sort, "down": down, "limit": limit}
        rows: list[dict[str, Any]] = await Local(gateway.gateway).answer("connections", view)
        return rows

    eventually(gateway.is_empty, "no connection is left of another test")
    with tunnel(gateway, origin) as (client, server), tunnel(gateway, origin) as (other, second):
        client.send(wire.frame(wire.TEXT, b"hello"))
        assert server.read_frame() is not None
        rows = gateway.call(ask(10))
        keys = [KEYS[sort](row) for row in rows]
        assert len(rows) == 2
        assert keys == sorted(keys, reverse=down)
        (first,) = gateway.call(ask(1))
        # The one that is first may not be the only one with its key, and grows older meanwhile.
        assert sort == "age" or KEYS[sort](first) == keys[0]
        for raw in (client, server, other, second):
            raw.close()


def test_wishes_that_make_no_sense_end_nothing(open_admin: Admin) -> None:
    with open_admin.live() as ws:
        wrong = ('{"do": "dance"}', '{"do": "close", "ray": 1}', '{"do": "trace"}')
        for wish in ("", "[]", "{", "[" * 16000, *wrong):
            ws.send(wish)
            assert hear(ws, "error")["why"]
        ws.send(b"\xff")
        assert hear(ws, "error")["why"]
        ws.send('{"do": "trace", "ray": "unknown"}')
        assert hear(ws, "trace")["trace"] is None
        ws.send('{"do": "view", "sort": 3, "limit": -1}')
        assert hear(ws, "update")["report"]


def test_a_refusal_is_counted_logged_and_explained(gateway: Running, open_admin: Admin) -> None:
    with Raw.connect(gateway.address) as raw:
        raw.send(b"GET /x HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 8\r\nUpgrade: websocket\r\n")
        raw.send(b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert b" 426 " in raw.read_head().partition(b"\r\n")[0]
        raw.read_rest()
    record = gateway.last("refused")
    assert (record["status"], record["header"]) == (426, "Sec-WebSocket-Version")
    text = open_admin.get("/metrics")[1]
    labels = 'header="Sec-WebSocket-Version",reason="bad handshake",route="",status="426"'
    assert f"edgews_upgrades_refused_total{{{labels}}} 1.0" in text
    found = open_admin.json(f"/trace/{record['ray']}")
    assert "The header field at fault is Sec-WebSocket-Version." in found["story"]


def test_clients_that_leave_early_are_counted(gateway: Running, origin: Origin, open_admin: Admin) -> None:
    eventually(gateway.is_empty, "no connection is left of another test")
    Raw.connect(gateway.address).close()
    eventually(
        lambda: open_admin.json("/report.json")["counters"]["connections_abandoned"], "a client was counted"
    )
    with Raw.connect(gateway.address) as raw:
        raw.send(wire.request({}))
        server = origin.accept()
        (row,) = [one for one in gateway.gateway.connections if one.target]
        assert open_admin.json(f"/trace/{row.ray}")["event"] == "opening"
    eventually(lambda: open_admin.json(f"/trace/{row.ray}")["event"] == "refused", "it was logged")
    found = open_admin.json(f"/trace/{row.ray}")
    assert (found["status"], found["cause"]) == (0, "the client left before the answer")
    server.close()


def test_a_reload_is_asked_for_and_its_faults_are_told(gateway: Running) -> None:
    with admin(gateway, reloaded=["line 3: wrong"]) as found, found.live() as ws:
        ws.send('{"do": "reload"}')
        assert hear(ws, "reloaded")["faults"] == ["line 3: wrong"]


def test_a_unix_socket_is_for_its_owner_alone(gateway: Running, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with admin(gateway, address=f"unix:{path}") as found:
        assert found.server.addresses == [f"unix:{path}"]
        assert os.stat(path).st_mode & 0o777 == 0o600
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(path)
        with Raw(sock) as raw:
            raw.send(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n")
            assert raw.read_head().startswith(b"HTTP/1.1 200")
            assert b"edgews_workers 1.0" in raw.read_rest()
    assert not os.path.exists(path)


@pytest.mark.parametrize("text", [None, "", "short"])
def test_without_a_token_nothing_is_served(gateway: Running, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as error, admin(gateway, token_file=str(file)):
        pass
    assert "admin.token_file" in str(error.value)
    with pytest.raises(ConfigError), admin(gateway, token_env="EDGEWS_TEST_NO_SUCH_TOKEN"):
        pass


def test_a_token_of_the_environment(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWS_TEST_TOKEN", TOKEN)
    with admin(gateway, token_env="EDGEWS_TEST_TOKEN") as found:
        assert found.status("/metrics") == 401
        assert found.status("/metrics", **BEARER) == 200


def test_over_tls_with_a_certificate_that_changes(
    gateway: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("EDGEWS_TEST_TOKEN", TOKEN)
    values = {name: path for name, path in authority.listen().items() if name != "address"}
    with admin(gateway, token_env="EDGEWS_TEST_TOKEN", **values) as found:

        def login() -> tuple[bytes, bytes | None]:
            with authority.connect(("127.0.0.1", found.port)) as raw:
                shown = raw.sock.getpeercert(True) if isinstance(raw.sock, ssl.SSLSocket) else None
                raw.send(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n")
                raw.send(f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
                return raw.read_head(), shown

        head, first = login()
        assert b"; Path=/; Secure" in head
        authority.issue()
        gateway.loop.call_soon_threadsafe(found.server.renew, found.config)
        eventually(lambda: login()[1] != first, "the new certificate is shown")
        authority.certificate.write_text("nonsense")
        with pytest.raises(ConfigError, match=r"admin\.certificate"):
            found.server.use(found.config)
        assert login()[1] is not None


def test_an_address_that_is_taken(gateway: Running, open_admin: Admin) -> None:
    with pytest.raises(OSError, match="in use"), admin(gateway, address=f"127.0.0.1:{open_admin.port}"):
        pass
