"""The wire format: opcodes, close codes, frame headers and the body of a Close frame.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-------+-+-------------+-------------------------------+
     |F|R|R|R| opcode|M| length (7)  | length (16 or 64), if 126/127 |
     |I|S|S|S|  (4)  |A|             +-------------------------------+
     |N|V|V|V|       |S|             | masking key (32), if MASK     |
     | |1|2|3|       |K|             +-------------------------------+
     +-+-+-+-+-------+-+-------------+ payload ...                   |

RFC 6455 §5.2.
"""

from __future__ import annotations

from enum import IntEnum
from operator import index
from typing import Final, NamedTuple

from .arguments import check_int, wrong
from .errors import (
    CloseFrameError,
    ControlFrameError,
    FrameHeaderError,
    InvalidUtf8Error,
    InvalidValueError,
    MaskingError,
    MessageTooBigError,
)


class Opcode(IntEnum):
    """RFC 6455 §5.2, §11.8."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """The registered close codes. RFC 6455 §7.4.1, §11.7, and the IANA registry."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_FAILURE = 1015


CLOSE_CODE_MEANINGS: Final = {
    CloseCode.NORMAL_CLOSURE: "normal closure: the purpose of the connection is fulfilled",
    CloseCode.GOING_AWAY: "going away: a server stops or a browser leaves the page",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "a type of data that the endpoint cannot accept",
    CloseCode.NO_STATUS_RECEIVED: "closed without a code (never on the wire)",
    CloseCode.ABNORMAL_CLOSURE: "the connection broke without a Close frame (never on the wire)",
    CloseCode.INVALID_DATA: "data that does not fit its type, such as text that is not UTF-8",
    CloseCode.POLICY_VIOLATION: "a message that violates the endpoint's policy",
    CloseCode.MESSAGE_TOO_BIG: "a message too big to process",
    CloseCode.MANDATORY_EXTENSION: "the server did not agree to an extension that the client needs",
    CloseCode.INTERNAL_ERROR: "the server met an unexpected condition",
    CloseCode.SERVICE_RESTART: "the service restarts; reconnect after a random pause",
    CloseCode.TRY_AGAIN_LATER: "the service is overloaded; try again later",
    CloseCode.BAD_GATEWAY: "a gateway got an invalid answer from the server behind it",
    CloseCode.TLS_FAILURE: "the TLS handshake failed (never on the wire)",
}


def close_code_meaning(code: int) -> str:
    """Say in a few words what a close code means, registered or not.

    RFC 6455 §7.4.
    """
    check_int("code", code)
    for known, meaning in CLOSE_CODE_MEANINGS.items():
        if code == known:
            return meaning
    if 3000 <= code <= 3999:
        return "registered by a library, framework or application"
    if 4000 <= code <= 4999:
        return "private to the application"
    return "not a code that may be used"


# Bits of the first two bytes of a header.
FIN: Final = 0x80
RSV1: Final = 0x40
RSV2_RSV3: Final = 0x30
OPCODE_BITS: Final = 0x0F
MASK_BIT: Final = 0x80
LENGTH_BITS: Final = 0x7F

# Values of the 7-bit length that say that a longer one follows, and where each form begins.
LENGTH_16: Final = 126
LENGTH_64: Final = 127
LEAST_64: Final = 1 << 16

MAX_CONTROL_PAYLOAD: Final = 125
MAX_REASON: Final = MAX_CONTROL_PAYLOAD - 2

FINAL_TEXT: Final = FIN | 0x1
FINAL_BINARY: Final = FIN | 0x2
FIRST_CONTROL: Final = 0x8

_KNOWN_OPCODES: Final = frozenset(int(opcode) for opcode in Opcode)
_CONTROL_NAMES: Final = {0x8: "Close", 0x9: "Ping", 0xA: "Pong"}

# The headers of short frames, ready made: SHORT_HEADERS[first][length].
SHORT_HEADERS: Final = {
    first: [bytes((first, length)) for length in range(LENGTH_16)] for first in (FINAL_TEXT, FINAL_BINARY)
}


class FrameHeader(NamedTuple):
    """A header that keeps every rule. `size` is its own length, `length` the payload's (bytes)."""

    opcode: int
    final: bool
    compressed: bool
    length: int
    key: bytes
    size: int


def parse_header(
    data: bytes | bytearray,
    start: int = 0,
    *,
    masked: bool,
    deflate: bool,
    limit: int | None,
    deflated_limit: int | None = None,
) -> FrameHeader | None:
    """Read the header at `start`, failing as soon as the bytes at hand break a rule.

    Args:
        masked: whether the peer must mask: it is a client.
        deflate: whether permessage-deflate was agreed, which gives RSV1 a meaning.
        limit: longest payload that is accepted, in bytes.
        deflated_limit: the same for a frame with RSV1, whose payload may be longer than its message.

    Returns:
        The header, or None as long as it is incomplete.

    Raises:
        FrameHeaderError, MaskingError, ControlFrameError, MessageTooBigError: the rule that was broken.

    RFC 6455 §5.1, §5.2, §5.5; RFC 7692 §6.
    """
    available = len(data) - start
    if available < 2:
        return None
    first, second = data[start], data[start + 1]
    opcode = first & OPCODE_BITS
    length = second & LENGTH_BITS
    if opcode not in _KNOWN_OPCODES:
        raise FrameHeaderError(f"opcode 0x{opcode:x} is reserved")
    if first & RSV2_RSV3:
        raise FrameHeaderError("RSV2 or RSV3 is set, and no extension gives it a meaning")
    if first & RSV1 and (not deflate or opcode >= FIRST_CONTROL or opcode == 0):
        where = "with no extension that uses it" if not deflate else "outside the first frame of a message"
        raise FrameHeaderError(f"RSV1 is set {where}")
    if bool(second & MASK_BIT) is not masked:
        raise MaskingError("a client must mask every frame" if masked else "a server must not mask")
    if opcode >= FIRST_CONTROL:
        if not first & FIN:
            raise ControlFrameError(f"{_CONTROL_NAMES[opcode]} frame is fragmented")
        if length > MAX_CONTROL_PAYLOAD:
            raise ControlFrameError(
                f"{_CONTROL_NAMES[opcode]} frame is longer than {MAX_CONTROL_PAYLOAD} bytes"
            )
    size = 2
    if length >= LENGTH_16:
        size, least = (4, LENGTH_16) if length == LENGTH_16 else (10, LEAST_64)
        if available < size:
            return None
        length = int.from_bytes(data[start + 2 : start + size], "big")
        if length < least:
            raise FrameHeaderError(f"length {length} is not in its shortest form")
        if length >> 63:
            raise FrameHeaderError("length has its most significant bit set")
    if first & RSV1 and deflated_limit is not None:
        limit = deflated_limit
    if limit is not None and length > limit and opcode < FIRST_CONTROL:
        raise MessageTooBigError(f"frame of {length} bytes exceeds the limit of {limit}")
    key = b""
    if masked:
        if available < size + 4:
            return None
        key = bytes(data[start + size : start + size + 4])
        size += 4
    return FrameHeader(opcode, bool(first & FIN), bool(first & RSV1), length, key, size)


def header_size(length: int, masked: bool) -> int:
    """Return the size of the header in front of a payload of `length` bytes."""
    size = 6 if masked else 2
    if length < LENGTH_16:
        return size
    return size + (2 if length < LEAST_64 else 8)


def encode_header(first: int, length: int, *, masked: bool) -> bytes:
    """Return a header without its masking key.

    Args:
        first: FIN, RSV bits and opcode.
        length: payload length, in bytes.

    RFC 6455 §5.2.
    """
    bit = MASK_BIT if masked else 0
    if length < LENGTH_16:
        return bytes((first, bit | length))
    if length < LEAST_64:
        return bytes((first, bit | LENGTH_16)) + length.to_bytes(2, "big")
    return bytes((first, bit | LENGTH_64)) + length.to_bytes(8, "big")


def may_be_sent(code: int) -> bool:
    """Say whether a close code may stand in a Close frame.

    RFC 6455 §7.4.1, §7.4.2, and 1012-1014 of the IANA registry.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def encode_close(code: int | None, reason: str = "") -> bytes:
    """Return the body of a Close frame.

    Args:
        code: 1000-1003, 1007-1014 or 3000-4999; None makes an empty body.
        reason: at most 123 bytes of UTF-8.

    Raises:
        TypeError: the code is no `int`, or the reason no `str`.
        InvalidValueError: a code or reason that may not be sent, or a reason without a code.

    RFC 6455 §5.5.1, §7.4.
    """
    if code is None:
        if reason:
            raise InvalidValueError("a close reason needs a close code")
        return b""
    try:
        allowed = may_be_sent(index(code))
    except TypeError:
        raise wrong("code", "an int or None", code) from None
    try:
        text = reason.encode()
    except AttributeError:
        raise wrong("reason", "a str", reason) from None
    except UnicodeEncodeError:
        raise InvalidValueError("close reason has a lone surrogate, which UTF-8 cannot carry") from None
    if not allowed:
        raise InvalidValueError(f"close code {code} may not be sent; use 1000-1003, 1007-1014 or 3000-4999")
    if len(text) > MAX_REASON:
        raise InvalidValueError(f"close reason has {len(text)} bytes of UTF-8; at most {MAX_REASON} fit")
    return code.to_bytes(2, "big") + text


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return the code and reason in the body of a Close frame; an empty one has code 1005.

    Raises:
        CloseFrameError: a body of one byte, or a code that may not be sent.
        InvalidUtf8Error: a reason that is not UTF-8.

    RFC 6455 §5.5.1, §7.1.5, §7.1.6, §7.4.
    """
    if not payload:
        return CloseCode.NO_STATUS_RECEIVED.value, ""
    if len(payload) == 1:
        raise CloseFrameError("Close frame with a body of one byte")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise CloseFrameError(f"close code {code} may not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise InvalidUtf8Error("close reason is not UTF-8") from None
