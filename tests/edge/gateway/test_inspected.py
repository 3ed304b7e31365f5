"""Messages through a gateway that runs: rules, limiters, and compression on each side for itself."""

from __future__ import annotations

import zlib

import pytest

from edgews import PerMessageDeflate
from edgews.extensions import FIELD, offer
from tests import wire
from tests.edge.harness import Origin, running, switch, tunnel
from tests.raw import Raw

pytestmark = pytest.mark.edge

OURS = offer([PerMessageDeflate()])


def rule(name: str, expression: str, action: str, **more) -> dict:
    return {"name": name, "expression": expression, "action": action, "on": "message", **more}


def limiter(count: int) -> dict:
    return {"few": {"requests_per_period": count, "period": 1000.0}}


def text(payload: bytes) -> bytes:
    return wire.frame(wire.TEXT, payload)


def end_both(client: Raw, server: Raw, code: int) -> None:
    """Have both sides end as the gateway asks, and look at what the client was told."""
    opcode, payload = server.read_frame()
    assert (opcode, wire.close_code(payload)) == (wire.CLOSE, 1001)
    server.send(wire.close(1001, key=None))
    opcode, payload = client.read_frame()
    assert (opcode, wire.close_code(payload)) == (wire.CLOSE, code)
    client.send(wire.close(code))
    server.close()
    assert client.read_rest() == b""


def test_rules_judge_origins_where_they_say_so():
    rules = [
        rule("no cards", "message.text.contains('4111')", "close", sender="origin", code=4002, reason="kept"),
        rule("no x", "message.text.contains('x') && message.sender == 'origin'", "drop", sender="both"),
    ]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        with tunnel(gateway, origin) as (client, server):
            client.send(text(b"x 4111"))
            assert server.read_frame() == (wire.TEXT, b"x 4111")
            for payload in (b"x", b"yes", b"a card: 4111", b"behind it"):
                server.send(wire.frame(wire.TEXT, payload, key=None))
            assert client.read_frame() == (wire.TEXT, b"yes")
            end_both(client, server, 4002)
            end = gateway.last("end")
        assert (end["code"], end["cause"], end["dropped"]) == (4002, "closed by the rule no cards", 2)
        assert gateway.gateway.admission.policies.matches == {"no x": 1, "no cards": 1}


def test_rules_for_messages_have_a_route_inspected():
    rules = [
        rule("friends", "http.user_agent == 'friend'", "skip"),
        rule("seen", "message.type == 'binary'", "log"),
        rule("no x", "message.text.contains('x')", "drop"),
        rule("short", "message.size > 20", "close", code=1009, reason="too long for this"),
        # It has no value in a request without this field: it restricts.
        rule("broken", "connection.messages > 3 && http.request.headers['x-none'] == ['a']", "drop"),
    ]
    with Origin() as origin, running(origin.uri, top={"rule": rules}) as gateway:
        with tunnel(gateway, origin) as (client, server):
            client.send(text(b"one") + text(b"x"))
            client.send(wire.frame(wire.BINARY, b"t", fin=False) + wire.frame(wire.CONTINUATION, b"wo"))
            assert server.read_frame() == (wire.TEXT, b"one")
            assert server.read_frame() == (wire.BINARY, b"two")
            client.send(text(b"dropped") + text(b"a" * 21) + text(b"late"))
            end_both(client, server, 1009)
            end = gateway.last("end")
        assert (end["code"], end["by"], end["cause"]) == (1009, "gateway", "closed by the rule short")
        assert (end["messages_up"], end["dropped"]) == (2, 3)
        policies = gateway.gateway.admission.policies
        assert policies.matches == {"seen": 1, "no x": 1, "broken": 1, "short": 1}
        assert policies.errors["broken"] == 1


@pytest.mark.parametrize("more", [{}, {"code": 1013, "reason": "slowly"}])
def test_a_rule_that_counts(more):
    top = {
        "rule": [rule("slowly", "message.type == 'text'", "rate_limit", limiter="few", **more)],
        "limiter": limiter(2),
    }
    with Origin() as origin, running(origin.uri, top=top) as gateway:
        with tunnel(gateway, origin) as (client, server):
            client.send(wire.frame(wire.BINARY, b"free") * 3 + text(b"a") * 3)
            assert [server.read_frame()[1] for _ in range(5)] == [b"free"] * 3 + [b"a"] * 2
            end_both(client, server, more.get("code", 1008))
        # The limit is the client's, not the connection's.
        with tunnel(gateway, origin) as (client, server):
            client.send(text(b"a"))
            end_both(client, server, more.get("code", 1008))
        assert gateway.last("end")["cause"] == "closed by the rule slowly"


@pytest.mark.parametrize("inspect", ["frames", "messages"])
def test_a_limiter_of_a_route(inspect):
    route = {"inspect": inspect, "message_limiter": "few"}
    with Origin() as origin, running(origin.uri, top={"limiter": limiter(3)}, **route) as gateway:
        with tunnel(gateway, origin) as (client, server):
            for _ in range(3):
                client.send(text(b"a"))
                assert server.read_frame() == (wire.TEXT, b"a")
            client.send(text(b"b"))
            if inspect == "frames":
                assert server.read_frame() == (wire.TEXT, b"b")
            end_both(client, server, 1013)
        assert gateway.last("end")["cause"] == "too many messages"


@pytest.mark.parametrize("compression", ["both", "client", "origin", "off"])
@pytest.mark.parametrize("offered", [False, True])
def test_compression_is_agreed_on_each_side_for_itself(compression, offered):
    with (
        Origin() as origin,
        running(origin.uri, inspect="messages", compression=compression) as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request({FIELD: "permessage-deflate" if offered else None}))
        with origin.accept() as server:
            asks = compression in ("both", "origin")
            assert ((FIELD + ": " + OURS).encode() in server.head) is asks
            assert (b"permessage-deflate" in server.head) is asks
            server.send(
                switch(*([f"{FIELD}: permessage-deflate; server_max_window_bits=12"] if asks else []))
            )
            head = client.read_head()
            squeezes = offered and compression in ("both", "client")
            assert (b"permessage-deflate" in head) is squeezes
            message = b"a" * 1000
            frame = text(message)
            if squeezes:
                deflater = zlib.compressobj(wbits=-15)
                data = deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH)
                frame = wire.frame(wire.TEXT, data[:-4], rsv=4)
            client.send(frame)
            opcode, payload = server.read_frame()
            assert opcode == wire.TEXT
            assert (payload != message) is asks
            if asks:
                payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
            assert payload == message


def test_an_origin_that_agrees_to_more_than_it_was_asked_opens_nothing():
    with (
        Origin() as origin,
        running(origin.uri, inspect="messages", compression="client") as gateway,
        Raw.connect(gateway.address) as client,
    ):
        client.send(wire.request({FIELD: "permessage-deflate"}))
        with origin.accept() as server:
            server.send(switch(f"{FIELD}: permessage-deflate"))
            assert client.read_rest().startswith(b"HTTP/1.1 502")


def test_the_subprotocol_is_the_origins_choice():
    with Origin() as origin, running(origin.uri, inspect="messages") as gateway:
        with Raw.connect(gateway.address) as client:
            client.send(wire.request({"Sec-WebSocket-Protocol": "a, b"}) + text(b"early"))
            with origin.accept() as server:
                assert b"sec-websocket-protocol: a, b" in server.head.lower()
                server.send(switch("Sec-WebSocket-Protocol: b") + wire.frame(wire.TEXT, b"first", key=None))
                assert b"sec-websocket-protocol: b" in client.read_head().lower()
                assert client.read_frame() == (wire.TEXT, b"first")
                assert server.read_frame() == (wire.TEXT, b"early")
        with Raw.connect(gateway.address) as client:
            client.send(wire.request())
            with origin.accept() as server:
                server.send(switch("Sec-WebSocket-Protocol: b"))
                assert client.read_rest().startswith(b"HTTP/1.1 502")
