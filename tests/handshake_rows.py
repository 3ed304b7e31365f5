"""Requests and answers of the opening handshake, good and bad, with the status and the header at fault."""

from __future__ import annotations

import base64

from edgews import Headers, Request, Response, parse_uri

from . import wire

CHAT = parse_uri("ws://example.com/chat")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
VERSION, NONCE, PROTOCOL = "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"
EXTENSIONS = "Sec-WebSocket-Extensions"
ACCEPT = "Sec-WebSocket-Accept"
ANSWER = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": wire.ACCEPT}


def request(
    changes: dict[str, str | None] | None = None, *extra: tuple[str, str], **parts: str | None
) -> Request:
    """Build a request that is good but for the changes; None takes a field away."""
    wanted = {**wire.REQUEST_FIELDS, **(changes or {})}
    headers = Headers([*((name, value) for name, value in wanted.items() if value is not None), *extra])
    return Request(**{"method": "GET", "target": "/chat", "headers": headers, **parts})  # type: ignore[arg-type]


def connect(
    changes: dict[str, str | None] | None = None, *extra: tuple[str, str], **parts: str | None
) -> Request:
    """Build an extended CONNECT that is good but for the changes. RFC 8441 §5."""
    bare = dict.fromkeys(("Host", "Upgrade", "Connection", "Sec-WebSocket-Key"))
    given_parts = {"method": "CONNECT", "http_version": "2", "protocol": "websocket", **parts}
    return request({**bare, **(changes or {})}, *extra, **given_parts)


ACCEPTABLE = [
    request(),
    request({"Connection": "keep-alive, Upgrade"}),
    request({"Connection": "upgrade"}),
    request({"Connection": ",, \tUPGRADE ,"}),
    request({"Connection": "close"}, ("connection", "uPGRADE")),
    request({"Upgrade": "WebSocket"}),
    request({"Upgrade": "h2c, websocket"}),
    request({"Upgrade": "websocket, h2c"}),
    request({"Upgrade": "h2c"}, ("UPGRADE", "websocket")),
    request({"Content-Length": "0"}),
    request({"Content-Length": "00"}),
    request({"Host": "[::1]:8080"}),
    request({"Host": "\xe9.example"}),
    request({"Sec-WebSocket-Protocol": "chat, superchat"}, ("Sec-WebSocket-Protocol", "other")),
    request({"Sec-WebSocket-Protocol": ""}),
    request({"Sec-WebSocket-Extensions": 'x-unknown; a="b", permessage-deflate'}),
    request({"Sec-WebSocket-Extensions": ""}),
    request({"Origin": "null"}),
    request({"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    request({"Cookie": "x" * 5000}),
    request(target="/"),
    request(target="//x?y"),
    connect(),
    connect(http_version="3"),
    connect({"Sec-WebSocket-Protocol": "chat"}),
    # Fields that mean something in HTTP/1.1 alone.
    connect({"Connection": "close", "Upgrade": "h2c", "Sec-WebSocket-Key": "x"}),
]


UNACCEPTABLE = [
    # (1.) The request line.
    (request(http_version="1.0"), 505, None),
    (request(http_version="2"), 505, None),
    (request(method="POST"), 405, None),
    (request(method="HEAD"), 405, None),
    (request(method="get"), 405, None),
    (request(method="CONNECT", target="example.com:80"), 405, None),
    (request(target="http://example.com/chat"), 400, None),
    (request(target="*"), 400, None),
    (request(target="example.com:80"), 400, None),
    (request(target=""), 400, None),
    # (2.) Host.
    (request({"Host": None}), 400, "Host"),
    (request({"Host": ""}), 400, "Host"),
    (request({}, ("host", "example.com")), 400, "Host"),
    *((request({"Host": host}), 400, "Host") for host in ("a b", "a/b", "a?b", "a#b", "u@h", "a\\b", "a\tb")),
    # (3.) Upgrade.
    (request({"Upgrade": None}), 426, "Upgrade"),
    (request({"Upgrade": ""}), 426, "Upgrade"),
    (request({"Upgrade": "h2c"}), 426, "Upgrade"),
    (request({"Upgrade": "websocket/13"}), 426, "Upgrade"),
    (request({"Upgrade": "websockets"}), 426, "Upgrade"),
    (request({"Upgrade": "web socket"}), 426, "Upgrade"),
    (request({"Upgrade": '"websocket"'}), 426, "Upgrade"),
    # (4.) Connection.
    (request({"Connection": None}), 400, "Connection"),
    (request({"Connection": ""}), 400, "Connection"),
    (request({"Connection": "keep-alive"}), 400, "Connection"),
    (request({"Connection": "Upgrades"}), 400, "Connection"),
    (request({"Connection": "keep-alive Upgrade"}), 400, "Connection"),
    (request({"Connection": "keep-alive; Upgrade"}), 400, "Connection"),
    # No body.
    (request({"Content-Length": "1"}), 400, "Content-Length"),
    (request({"Content-Length": "x"}), 400, "Content-Length"),
    (request({"Content-Length": "0"}, ("Content-Length", "7")), 400, "Content-Length"),
    (request({"Transfer-Encoding": "chunked"}), 400, "Transfer-Encoding"),
    (request({"Transfer-Encoding": "chunked", "Content-Length": "1"}), 400, "Transfer-Encoding"),
    # (5.) Sec-WebSocket-Key.
    (request({NONCE: None}), 400, NONCE),
    (request({NONCE: ""}), 400, NONCE),
    (request({}, (NONCE.upper(), KEY)), 400, NONCE),
    (request({NONCE: f"{KEY}, {KEY}"}), 400, NONCE),
    (request({NONCE: base64.b64encode(b"x" * 15).decode()}), 400, NONCE),
    (request({NONCE: base64.b64encode(b"x" * 17).decode()}), 400, NONCE),
    (request({NONCE: base64.b64encode(b"x" * 32).decode()}), 400, NONCE),
    (request({NONCE: KEY[:-2]}), 400, NONCE),
    (request({NONCE: KEY + "="}), 400, NONCE),
    (request({NONCE: KEY + "\n"}), 400, NONCE),
    (request({NONCE: KEY.replace("Z", "-")}), 400, NONCE),
    (request({NONCE: KEY.replace("Z", "\xe9")}), 400, NONCE),
    (request({NONCE: KEY.replace("2", "\u0662")}), 400, NONCE),
    (request({NONCE: "=" * 24}), 400, NONCE),
    # (6.) Sec-WebSocket-Version.
    (request({VERSION: None}), 400, VERSION),
    (request({VERSION: ""}), 400, VERSION),
    (request({}, (VERSION, "13")), 400, VERSION),
    (request({VERSION: "13, 8"}), 400, VERSION),
    (request({VERSION: "thirteen"}), 400, VERSION),
    (request({VERSION: "+13"}), 400, VERSION),
    (request({VERSION: "13.0"}), 400, VERSION),
    (request({VERSION: "13\n"}), 400, VERSION),
    (request({VERSION: "1\xb3"}), 400, VERSION),
    (request({VERSION: "\u0661\u0663"}), 400, VERSION),
    *((request({VERSION: version}), 426, VERSION) for version in ("0", "7", "8", "12", "14", "013", "130")),
    # (8.) Sec-WebSocket-Protocol: different tokens, RFC 6455 §4.1 (10.).
    (request({PROTOCOL: "chat, chat"}), 400, PROTOCOL),
    (request({PROTOCOL: "chat"}, (PROTOCOL, "chat")), 400, PROTOCOL),
    (request({PROTOCOL: "a b"}), 400, PROTOCOL),
    (request({PROTOCOL: "a/b"}), 400, PROTOCOL),
    (request({PROTOCOL: '"a"'}), 400, PROTOCOL),
    (request({PROTOCOL: "caf\xe9"}), 400, PROTOCOL),
    # (9.) Sec-WebSocket-Extensions.
    (request({EXTENSIONS: "a b"}), 400, EXTENSIONS),
    (request({EXTENSIONS: "a;"}), 400, EXTENSIONS),
    (request({EXTENSIONS: "a; b="}), 400, EXTENSIONS),
    (request({EXTENSIONS: 'a; b="'}), 400, EXTENSIONS),
    # Origin.
    (request({}, ("Origin", "https://a"), ("Origin", "https://b")), 400, "Origin"),
    # Extended CONNECT, RFC 8441 §4, §5.
    (connect(method="GET"), 405, ":protocol"),
    (connect(protocol="webtransport"), 501, ":protocol"),
    (connect(protocol="WebSocket"), 501, ":protocol"),
    (connect(protocol=""), 501, ":protocol"),
    (connect(target=""), 400, ":path"),
    (connect(target="*"), 400, ":path"),
    (connect({VERSION: None}), 400, VERSION),
    (connect({VERSION: "8"}), 426, VERSION),
    (connect({PROTOCOL: "a, a"}), 400, PROTOCOL),
    (connect({EXTENSIONS: ";"}), 400, EXTENSIONS),
]


# Answers to a request with KEY that offers the subprotocols a and b, and permessage-deflate.


def answer(
    changes: dict[str, str | None] | None = None, *extra: tuple[str, str], status: int = 101
) -> Response:
    wanted = {**ANSWER, **(changes or {})}
    headers = [(name, value) for name, value in wanted.items() if value is not None]
    return Response(status, Headers([*headers, *extra]))


BAD_ANSWERS = [
    (answer(status=200), None),
    (answer(status=301), None),
    (answer(status=401), None),
    (answer(status=500), None),
    (answer({"Upgrade": None}), "Upgrade"),
    (answer({"Upgrade": "h2c"}), "Upgrade"),
    (answer({"Connection": None}), "Connection"),
    (answer({"Connection": "close"}), "Connection"),
    (answer({ACCEPT: None}), ACCEPT),
    (answer({ACCEPT: ""}), ACCEPT),
    (answer({ACCEPT: wire.ACCEPT.lower()}), ACCEPT),
    (answer({ACCEPT: wire.ACCEPT[:-1]}), ACCEPT),
    (answer({ACCEPT: KEY}), ACCEPT),
    (answer({}, (ACCEPT, wire.ACCEPT)), ACCEPT),
    (answer({"Content-Length": "5"}), "Content-Length"),
    (answer({"Transfer-Encoding": "chunked"}), "Transfer-Encoding"),
    (answer({PROTOCOL: "c"}), PROTOCOL),
    (answer({PROTOCOL: ""}), PROTOCOL),
    (answer({PROTOCOL: "A"}), PROTOCOL),
    (answer({PROTOCOL: "a, b"}), PROTOCOL),
    (answer({PROTOCOL: "a"}, (PROTOCOL, "b")), PROTOCOL),
    (answer({PROTOCOL: "a"}, (PROTOCOL, "a")), PROTOCOL),
    (answer({EXTENSIONS: "x-unknown"}), EXTENSIONS),
    (answer({EXTENSIONS: "permessage-deflate, permessage-deflate"}), EXTENSIONS),
    (answer({EXTENSIONS: "permessage-deflate; server_max_window_bits=13"}), EXTENSIONS),
    (answer({EXTENSIONS: "permessage-deflate; client_max_window_bits"}), EXTENSIONS),
    (answer({EXTENSIONS: "permessage-deflate; server_max_window_bits=08"}), EXTENSIONS),
    (answer({EXTENSIONS: "permessage-deflate; x"}), EXTENSIONS),
    (answer({EXTENSIONS: ";"}), EXTENSIONS),
]
