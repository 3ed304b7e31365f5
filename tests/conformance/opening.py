"""The connection that a row is played on: open at once, or through the opening handshake."""

from __future__ import annotations

import base64
import hashlib

from edgews import (
    Accepted,
    Agreement,
    ClientConnection,
    Connection,
    Delivery,
    Limits,
    PerMessageDeflate,
    Request,
    Role,
    ServerConnection,
)
from tests.conformance.expect import Mismatch, expect
from tests.conformance.rows import Opening, Row
from tests.wire import request


def connect(row: Row, role: Role, delivery: Delivery) -> Connection:
    limits = row.limits or Limits()
    deflate = row.deflate
    if row.opening is not None:
        opened = _as_server if role is Role.SERVER else _as_client
        return opened(row.opening, limits, delivery)
    if deflate is None:
        return Connection(role, limits=limits, delivery=delivery)
    wish = PerMessageDeflate(
        server_max_window_bits=15,
        client_max_window_bits=15,
        level=deflate.level,
        mem_level=deflate.mem_level,
        threshold=deflate.threshold,
    )
    ours = (not deflate.our_takeover, deflate.our_bits)
    theirs = (not deflate.their_takeover, deflate.their_bits)
    server, client = (ours, theirs) if role is Role.SERVER else (theirs, ours)
    agreed = Agreement(server[0], client[0], server[1], client[1])
    return Connection(role, limits=limits, delivery=delivery, deflate=(wish, agreed))


def _parameters(value: str | None) -> list[tuple[str, list[str]]] | None:
    """Read a Sec-WebSocket-Extensions field; the order of one offer's parameters has no meaning."""
    if value is None:
        return None
    offers = []
    for offered in value.split(","):
        name, *parameters = (part.strip() for part in offered.split(";"))
        offers.append((name, sorted(parameters)))
    return offers


def _field(head: bytes, name: str) -> str | None:
    values = [
        line.partition(":")[2].strip()
        for line in head.decode().split("\r\n")
        if line.lower().startswith(name.lower() + ":")
    ]
    if len(values) > 1:
        raise Mismatch(f"{name} stands {len(values)} times")
    return values[0] if values else None


def _as_server(opening: Opening, limits: Limits, delivery: Delivery) -> Connection:
    conn = ServerConnection(limits=limits, delivery=delivery, compression=opening.wish)
    events = list(conn.receive_data(request({"Sec-WebSocket-Extensions": opening.offer})))
    expect([type(event) for event in events], [Request], "events of the opening handshake")
    answer = conn.accept()
    expect(answer.split(b"\r\n")[0], b"HTTP/1.1 101 Switching Protocols", "status line")
    agreed = _field(answer, "Sec-WebSocket-Extensions")
    expect(_parameters(agreed), _parameters(opening.answer), "extensions in the answer")
    return conn


def _as_client(opening: Opening, limits: Limits, delivery: Delivery) -> Connection:
    conn = ClientConnection(
        "ws://example.com/chat", limits=limits, delivery=delivery, compression=opening.wish
    )
    head = conn.data_to_send()
    offered = _field(head, "Sec-WebSocket-Extensions")
    expect(_parameters(offered), _parameters(opening.offer), "extensions in the request")
    key = _field(head, "Sec-WebSocket-Key") or ""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    answer = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
    ]
    if opening.answer is not None:
        answer.append(f"Sec-WebSocket-Extensions: {opening.answer}")
    events = list(conn.receive_data("\r\n".join([*answer, "", ""]).encode()))
    expect([type(event) for event in events], [Accepted], "events of the opening handshake")
    return conn
