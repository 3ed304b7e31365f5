"""Servers that answer a client with something else than the opening handshake: refused, and in time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from edgews import CauseKind, PerMessageDeflate, Timeouts
from edgews.handshake import accept_key
from edgews.outcomes import InvalidHandshake
from tests.contract.drivers import Driver
from tests.contract.peers import dripping, raw_server
from tests.contract.test_opening import SHORT
from tests.raw import Raw

STATUS = "HTTP/1.1 101 Switching Protocols"
UPGRADE = "Upgrade: websocket"
CONNECTION = "Connection: Upgrade"
ACCEPT = "Sec-WebSocket-Accept: {accept}"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
CHOSEN = "Sec-WebSocket-Protocol: "
GOOD = (STATUS, UPGRADE, CONNECTION, ACCEPT)

# What is wrong -> the lines of the answer, and the field that is named.
ANSWERS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "wrong Accept": ((STATUS, UPGRADE, CONNECTION, "Sec-WebSocket-Accept: AAAA"), "Sec-WebSocket-Accept"),
    "no Accept": ((STATUS, UPGRADE, CONNECTION), "Sec-WebSocket-Accept"),
    "two Accepts": ((*GOOD, ACCEPT), "Sec-WebSocket-Accept"),
    "no Upgrade": ((STATUS, CONNECTION, ACCEPT), "Upgrade"),
    "another Upgrade": ((STATUS, "Upgrade: h2c", CONNECTION, ACCEPT), "Upgrade"),
    "no Connection": ((STATUS, UPGRADE, ACCEPT), "Connection"),
    "a body by length": ((*GOOD, "Content-Length: 5"), "Content-Length"),
    "a chunked body": ((*GOOD, "Transfer-Encoding: chunked"), "Transfer-Encoding"),
    "an extension nobody asked for": ((*GOOD, DEFLATE + ", x-other"), "Sec-WebSocket-Extensions"),
    "an extension twice": ((*GOOD, DEFLATE, DEFLATE), "Sec-WebSocket-Extensions"),
    "more than was offered": ((*GOOD, DEFLATE + "; server_max_window_bits=12"), "Sec-WebSocket-Extensions"),
    "a parameter that is none": ((*GOOD, DEFLATE + "; fast"), "Sec-WebSocket-Extensions"),
    "a subprotocol nobody offered": ((*GOOD, CHOSEN + "other"), "Sec-WebSocket-Protocol"),
    "two subprotocols": ((*GOOD, CHOSEN + "a", CHOSEN + "b"), "Sec-WebSocket-Protocol"),
    "a folded line": ((STATUS, UPGRADE, CONNECTION, ACCEPT, " more"), None),
    "no HTTP": (("SSH-2.0-OpenSSH_9.9",), None),
}
OFFER = PerMessageDeflate(server_max_window_bits=10)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_opens_nothing(d: Driver, name: str) -> None:
    lines, header = ANSWERS[name]
    rest: list[bytes] = []

    def peer(raw: Raw) -> None:
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", raw.read_head())
        assert key is not None
        answer = "".join(f"{line}\r\n" for line in lines) + "\r\n"
        raw.send(answer.replace("{accept}", accept_key(key[1].decode())).encode() + b"hello")
        rest.append(raw.read_rest())

    async with raw_server(d, peer) as uri:
        with pytest.raises(InvalidHandshake) as caught:
            async with d.connecting(uri, compression=OFFER, subprotocols=["a", "b"]):
                raise AssertionError("it is open")
    assert caught.value.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert caught.value.cause.header == header
    assert caught.value.response is None
    # Not a byte is said to such a server.
    assert rest == [b""]


@pytest.mark.parametrize(
    ("banner", "name"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "'SSH-2.0-OpenSSH_9.6\\r\\n', as SSH does"),
        (b"220 mail.example ESMTP\r\n", "as SMTP or FTP does"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "as TLS does"),
        (b"login: ", "it begins with 'login: '"),
    ],
)
async def test_a_server_of_another_protocol_is_not_waited_for(d: Driver, banner: bytes, name: str) -> None:
    def peer(raw: Raw) -> None:
        # It speaks first, and waits.
        raw.send(banner)
        raw.read_until_gone()

    async with raw_server(d, peer) as uri:
        with pytest.raises(InvalidHandshake) as caught:
            async with d.connecting(uri, timeouts=Timeouts(open=None)):
                raise AssertionError("it is open")
    assert caught.value.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert str(caught.value).startswith("handshake failed: the server does not speak HTTP: it begins with '")
    assert str(caught.value).endswith(name)


def endless(start: bytes, line: bytes) -> Callable[[Raw], None]:
    def peer(raw: Raw) -> None:
        raw.read_head()
        try:
            raw.send(start)
            while True:
                raw.send(line * 1000)
        except ConnectionError:
            pass

    return peer


@pytest.mark.parametrize(
    ("start", "line"), [(b"HTTP/1.1 101 OK\r\n", b"A: b\r\n"), (b"", b"x"), (b"HTTP/1.1 101 OK\r\nA: ", b"b")]
)
async def test_a_head_without_an_end(d: Driver, start: bytes, line: bytes) -> None:
    async with raw_server(d, endless(start, line)) as uri:
        with pytest.raises(InvalidHandshake):
            async with d.connecting(uri):
                raise AssertionError("it is open")


async def test_a_page_without_an_end(d: Driver) -> None:
    start = b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000000000000\r\n\r\n"
    async with raw_server(d, endless(start, b"x")) as uri:
        with pytest.raises(InvalidHandshake) as caught:
            async with d.connecting(uri):
                raise AssertionError("it is open")
    assert caught.value.response is not None
    assert len(caught.value.response.body) == 65536


@pytest.mark.parametrize("start", [b"HTTP/1.1 101 Switching Protocols\r\nX: ", b"HTTP/1.1 1"])
async def test_an_answer_that_drips(d: Driver, start: bytes) -> None:
    async with raw_server(d, dripping(start)) as uri:
        with pytest.raises(TimeoutError):
            async with d.connecting(uri, timeouts=SHORT):
                raise AssertionError("it is open")
