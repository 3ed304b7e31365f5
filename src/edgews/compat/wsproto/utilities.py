"""The errors, and small helpers for header fields."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgews.handshake import new_handshake_key

if TYPE_CHECKING:
    from .events import Event

# RFC 6455 §1.3.
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# An element of a list: what goes up to the next comma that stands in no quoted string.
_ELEMENT = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)


class ProtocolError(Exception):
    """Base of both errors."""


class LocalProtocolError(ProtocolError):
    """You asked for something that the protocol, or the state, does not allow; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer's part of the opening handshake is unacceptable.

    `event_hint` is the event to send as an answer. A client has none: it can only drop the byte stream.
    """

    def __init__(self, message: str, event_hint: Event | None = None) -> None:
        super().__init__(message)
        self.event_hint = event_hint


def normed_header_dict(h11_headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return header fields by name, those of the same name joined with a comma. RFC 9110 §5.3."""
    joined: dict[bytes, bytes] = {}
    for name, value in h11_headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def split_comma_header(value: bytes) -> list[str]:
    """Return the elements of a list; empty ones do not count, and a comma within quotes separates nothing.

    What is not ASCII is read as ISO 8859-1, and never an error.

    RFC 9110 §5.6.1.2.
    """
    elements = (element.decode("latin-1").strip(" \t") for element in _ELEMENT.findall(value))
    return [element for element in elements if element]


def generate_nonce() -> bytes:
    """Return a fresh Sec-WebSocket-Key. RFC 6455 §4.1 (7.)."""
    return new_handshake_key().encode()


def generate_accept_token(token: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key. RFC 6455 §4.2.2 (5.4)."""
    return base64.b64encode(hashlib.sha1(token + ACCEPT_GUID, usedforsecurity=False).digest())
