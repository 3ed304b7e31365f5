"""What a server seems to speak that speaks no HTTP, from the first bytes that it sends.

Many protocols have the server speak first, and most answer what they do not understand in their own way. So
the bytes say more than that there was no answer.
"""

from __future__ import annotations

import re
from typing import Final

# How an answer in HTTP/1 begins. RFC 9112 §4.
HTTP: Final = b"HTTP/"
TLS: Final = "TLS"
HTTP_2: Final = "HTTP/2"

# So much of it is kept, and so much shown (bytes): a line of a banner, or a record.
EXCERPT: Final = 256
_SHOWN: Final = 64

# Beginning -> who begins like that.
_SPEAKERS: Final = (
    # An alert, whatever its version: RFC 8446 §5.1, §6.
    (re.compile(rb"\x15\x03"), TLS),
    # SETTINGS or GOAWAY on stream 0: RFC 9113 §4.1.
    (re.compile(rb"\x00..[\x04\x07].\x00{4}", re.DOTALL), HTTP_2),
    # RFC 4253 §4.2.
    (re.compile(rb"SSH-"), "SSH"),
    # RFC 5321 §4.2; RFC 959 §5.4.
    (re.compile(rb"[2-5]\d\d[ -]"), "SMTP or FTP"),
    # RFC 3501 §7.1.
    (re.compile(rb"\* (?:OK|PREAUTH|BYE)"), "IMAP"),
    # RFC 1939 §3, and what Redis answers to a command that it does not know.
    (re.compile(rb"\+OK"), "POP3"),
    (re.compile(rb"-ERR"), "Redis or POP3"),
    # RFC 854.
    (re.compile(rb"\xff[\xfb-\xfe]"), "Telnet"),
    # RFC 6143 §7.1.1.
    (re.compile(rb"RFB "), "VNC"),
    (re.compile(rb"AMQP"), "AMQP"),
    # Length and number of a packet, then the version of the protocol.
    (re.compile(rb"..\x00\x00\x0a", re.DOTALL), "MySQL"),
    (re.compile(rb"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE), "HTTP/0.9"),
)


def is_http(data: bytes | bytearray) -> bool:
    """Say whether bytes may be the beginning of an answer in HTTP/1."""
    return data.startswith(HTTP[: len(data)])


def speaker(data: bytes | bytearray) -> str | None:
    """Return the name of what an answer seems to be, None if it is unknown."""
    return next((name for beginning, name in _SPEAKERS if beginning.match(data)), None)


def describe(data: bytes | bytearray) -> str:
    """Say how an answer begins, and who begins like that; what is not printable is shown as an escape."""
    name = speaker(data)
    more = "..." if len(data) > _SHOWN else ""
    found = f"it begins with {data[:_SHOWN].decode('latin-1')!a}{more}"
    return found if name is None else f"{found}, as {name} does"
