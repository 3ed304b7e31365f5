"""What a server seems to speak that speaks no HTTP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import CauseKind, ClientConnection, Disconnected, Limits, Timeouts, Transport
from edgews.banners import EXCERPT, HTTP, HTTP_2, TLS, describe, is_http, speaker
from edgews.errors import HandshakeError

from .handshakes import asking, octets, response_reader

# Greetings and answers of real servers -> what they are.
BANNERS = {
    b"\x15\x03\x03\x00\x02\x02\x28": TLS,
    b"\x15\x03\x01\x00\x02\x02\x0a": TLS,
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80": HTTP_2,
    b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8): HTTP_2,
    b"SSH-2.0-OpenSSH_9.6\r\n": "SSH",
    b"220 mail.example.com ESMTP Postfix\r\n": "SMTP or FTP",
    b"220-Welcome\r\n220 FTP\r\n": "SMTP or FTP",
    b"554 no SMTP service here\r\n": "SMTP or FTP",
    b"* OK [CAPABILITY IMAP4rev1] ready.\r\n": "IMAP",
    b"+OK POP3 ready\r\n": "POP3",
    b"-ERR wrong number of arguments for 'get' command\r\n": "Redis or POP3",
    b"\xff\xfd\x18\xff\xfd\x20": "Telnet",
    b"RFB 003.008\n": "VNC",
    b"AMQP\x00\x00\x09\x01": "AMQP",
    b"\x4a\x00\x00\x00\x0a8.0.36\x00": "MySQL",
    b"<!DOCTYPE html>\n<html>": "HTTP/0.9",
    b"hello": None,
    b"ICY 200 OK\r\n": None,
}


@pytest.mark.parametrize("data", BANNERS)
def test_is_named(data: bytes) -> None:
    name = BANNERS[data]
    assert speaker(data) == name
    assert not is_http(data)
    assert describe(data).endswith(f", as {name} does") is (name is not None)


@given(st.binary(max_size=300))
def test_what_is_shown_is_short_and_printable(data: bytes) -> None:
    text = describe(data)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 400


@given(st.binary(max_size=8))
def test_http_is_what_may_become_it(data: bytes) -> None:
    assert is_http(data) is any(whole.startswith(data) or data.startswith(whole) for whole in (HTTP,))


def end_of(client: ClientConnection, data: bytes) -> Disconnected:
    (event,) = client.receive_data(data)
    assert isinstance(event, Disconnected)
    return event


@pytest.mark.parametrize("data", BANNERS)
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_client_ends_at_once_and_says_what_came(data: bytes, before: bytes) -> None:
    client = asking(timeouts=Timeouts(open=None))
    cause = end_of(client, before + data).cause
    assert client.transport is Transport.CLOSE
    assert client.data_to_send() == b""
    assert cause.kind is CauseKind.HANDSHAKE_FAILED
    assert cause.detail == f"the server does not speak HTTP: {describe(data)}"
    assert isinstance(cause.error, HandshakeError)
    # What a gateway may repeat to anybody says nothing of what came.
    assert str(cause.error) == "the server does not speak HTTP"
    assert cause.error.excerpt == data


@given(st.binary(min_size=1, max_size=20).filter(lambda data: not is_http(data)))
def test_the_first_byte_that_is_wrong_is_the_last_one(data: bytes) -> None:
    wrong = next(at for at in range(1, len(data) + 1) if not is_http(data[:at]))
    reader = response_reader()
    for piece in octets(data[: wrong - 1]):
        assert reader.feed(piece, False) is None
    with pytest.raises(HandshakeError, match="does not speak HTTP"):
        reader.feed(data[wrong - 1 : wrong], False)


def test_no_more_than_an_excerpt_is_kept() -> None:
    error = end_of(asking(), b"x" * 100_000).cause.error
    assert isinstance(error, HandshakeError)
    assert error.excerpt == b"x" * EXCERPT


def test_a_limit_that_comes_before_the_wrong_byte_counts() -> None:
    assert "larger than 2 bytes" in end_of(asking(limits=Limits(max_header_size=2)), b"HTTX").cause.detail
    assert "speak HTTP" in end_of(asking(limits=Limits(max_header_size=2)), b"HTX").cause.detail
