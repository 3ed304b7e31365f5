"""What can be wrong with the answer to the opening handshake."""

from __future__ import annotations

from typing import Final

from edgews.cli.doctor.findings import Advice, Change, Level, Step
from edgews.cli.doctor.table_status import BACKEND, PASS_UPGRADES

ROWS: Final = (
    Advice(
        "version-unsupported",
        Step.UPGRADE,
        "the server speaks another version of the protocol",
        "It refuses Sec-WebSocket-Version 13, the only one there is since 2011 (RFC 6455 §4.4).",
        (Change("update the server or its WebSocket library"),),
        browser=1006,
    ),
    Advice(
        "upgrade-missing",
        Step.UPGRADE,
        "Upgrade is missing in the answer",
        "The server said 101, but its `Upgrade: websocket` did not arrive: a proxy on the way strips it, or "
        "the server forgets it (RFC 6455 §4.2.2).",
        (Change("a server has to answer `Upgrade: websocket` and `Connection: Upgrade`"), *PASS_UPGRADES),
        browser=1006,
    ),
    Advice(
        "connection-missing",
        Step.UPGRADE,
        "Connection does not list Upgrade in the answer",
        "The server said 101, but `Connection: Upgrade` did not arrive: a proxy on the way replaces it, "
        "often by keep-alive or close, or the server forgets it (RFC 6455 §4.2.2).",
        (Change("a server has to answer `Upgrade: websocket` and `Connection: Upgrade`"), *PASS_UPGRADES),
        browser=1006,
    ),
    Advice(
        "accept-missing",
        Step.UPGRADE,
        "Sec-WebSocket-Accept is missing",
        "The server agrees to switch, but does not prove that it understood a WebSocket handshake (RFC 6455 "
        "§4.2.2).",
        (Change("answer with the SHA-1 of key and GUID in base64, and see that no proxy removes the field"),),
        browser=1006,
    ),
    Advice(
        "accept-wrong",
        Step.UPGRADE,
        "Sec-WebSocket-Accept does not match the key",
        "The answer belongs to another request, so a cache or proxy answers, or the server computes it "
        "wrongly: the GUID mistyped, the key decoded first, a digest in hexadecimal (RFC 6455 §4.2.2).",
        (
            Change(
                "compute base64(SHA-1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11)), with the key as it came"
            ),
            Change("do not cache answers of 101, and do not let a proxy send a Sec-WebSocket-Key of its own"),
        ),
        browser=1006,
    ),
    Advice(
        "answer-with-body",
        Step.UPGRADE,
        "the 101 announces a body",
        "A 101 has neither Content-Length nor Transfer-Encoding: what follows it are frames (RFC 9112 §6). "
        "Middleware that adds them to every answer is the usual reason.",
        (Change("take the fields out of answers of 101"),),
        browser=1006,
    ),
    Advice(
        "subprotocol-not-chosen",
        Step.UPGRADE,
        "the server chose none of the subprotocols",
        "Subprotocols were offered, and the answer has none. Browsers fail such a connection; other clients "
        "go on without.",
        (
            Change(
                "have the server choose one of those that are offered, and name it in Sec-WebSocket-Protocol"
            ),
            Change("offer a name that the server knows, in the same case, or none"),
        ),
        browser=1006,
    ),
    Advice(
        "subprotocol-not-offered",
        Step.UPGRADE,
        "the server chose a subprotocol that was not offered",
        "A server may choose only from what the client offers; all clients fail such a connection (RFC 6455 "
        "§4.1). Some servers insist on one: offer it.",
        (
            Change("offer the subprotocol that the server named: --subprotocol NAME"),
            Change("have the server leave Sec-WebSocket-Protocol out where nothing was offered"),
        ),
        browser=1006,
    ),
    Advice(
        "extension-wrong",
        Step.UPGRADE,
        "the server's choice of extensions is not acceptable",
        "It names an extension that was not offered, or parameters that go beyond the offer (RFC 6455 §9.1, "
        "RFC 7692 §7.1). All clients fail such a connection.",
        (Change("have the server answer from the offer alone; switching its compression off also helps"),),
        browser=1006,
    ),
    Advice(
        "extension-not-chosen",
        Step.UPGRADE,
        "messages are not compressed",
        "permessage-deflate was offered, as browsers do, and the server did not choose it. That is allowed; "
        "texts cost several times as many bytes.",
        (Change("switch compression on in the server if bytes matter more than its processor and memory"),),
        Level.NOTE,
    ),
    Advice(
        "tls-on-plain-port",
        Step.UPGRADE,
        "the port speaks TLS",
        "A plain request got an answer in TLS, or none, or was told that the port is for HTTPS.",
        (Change("use wss:// in place of ws://"),),
        browser=1006,
    ),
    Advice(
        "not-http",
        Step.UPGRADE,
        "the answer is not HTTP",
        "Another protocol is spoken on this port.",
        (Change("check the port"),),
        browser=1006,
    ),
    Advice(
        "answer-malformed",
        Step.UPGRADE,
        "the answer is malformed",
        "It looks like HTTP, but breaks its rules, so clients refuse it.",
        (Change("fix the server: every line ends with CR LF, and every field is `Name: value`"),),
        browser=1006,
    ),
    Advice(
        "answer-cut",
        Step.UPGRADE,
        "the connection ended instead of an answer",
        "Whoever accepted the connection hung up on the request. A proxy whose backend is gone does that, a "
        "firewall that dislikes upgrades, or a server for which the port is not HTTP.",
        (
            Change("look into the logs of the proxy and the server for this moment"),
            Change("try wss:// if this is ws://: firewalls leave alone what they cannot read"),
            *BACKEND,
        ),
        browser=1006,
    ),
    Advice(
        "answer-timeout",
        Step.UPGRADE,
        "no answer to the request",
        "The connection was accepted, and then nothing came. The server hangs, waits for its own backend, "
        "or has no thread or worker left.",
        (
            Change(
                "look whether the server has workers left: each open WebSocket occupies one in a server "
                "with threads"
            ),
            Change("check that the port expects plain HTTP, and not TLS or the PROXY protocol"),
            *BACKEND,
        ),
        browser=1006,
    ),
    Advice(
        "origin-refused",
        Step.ORIGIN,
        "the Origin is refused",
        "The same request with another Origin, or with none, opens the connection. So the server's list of "
        "origins lacks this one.",
        (
            Change(
                "add it to the server's list, exactly as the browser sends it: scheme, host and port, no "
                "path, no slash"
            ),
            Change("`serve(..., origins=[...])` in edgews"),
        ),
        browser=1006,
    ),
    Advice(
        "origin-required",
        Step.ORIGIN,
        "the server wants an Origin",
        "Without Origin it refuses, with the one of its own host it opens the connection. Browsers always "
        "send one; other clients do not.",
        (
            Change("for clients that are no browsers, send an Origin that the server knows"),
            Change(
                "let requests without Origin in, if their credentials prove enough: they come from no browser"
            ),
        ),
        browser=0,
    ),
    Advice(
        "origin-own-refused",
        Step.ORIGIN,
        "pages of the same host are refused",
        "With the Origin of its own host the server refuses, without one it opens the connection. So a "
        "browser gets 1006 where the commands work. Behind a proxy the server may see another host name or "
        "scheme than the browser.",
        (
            Change("put the public origin on the server's list: scheme, host and port"),
            Change("`proxy_set_header Host $host;`", "nginx"),
        ),
        Level.WARNING,
        browser=1006,
    ),
    Advice(
        "origin-open",
        Step.ORIGIN,
        "pages of any site may connect",
        "A foreign Origin opens the connection. That is right for a public service. Where cookies prove who "
        "asks, any site that a user visits can act in the user's name (cross-site WebSocket hijacking, RFC "
        "6455 §10.2).",
        (
            Change(
                "where cookies count, list the origins that are let in, such as `serve(..., origins=[...])` "
                "in edgews"
            ),
        ),
        Level.NOTE,
    ),
)
