"""What of wsproto's frame layer its users see: opcodes, close codes, reserved bits.

The frames themselves are the engine's: wsproto's parser, decoders and masker have no counterpart here.

RFC 6455 §5.2, §7.4.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from edgews.frames import FIRST_CONTROL, MAX_CONTROL_PAYLOAD, may_be_sent


class Opcode(IntEnum):
    """RFC 6455 §5.2, §11.8."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    def iscontrol(self) -> bool:
        """Say whether frames with this opcode are control frames. RFC 6455 §5.5."""
        return self >= FIRST_CONTROL


class CloseReason(IntEnum):
    """Close codes under wsproto's names, and 1014, for which it has none. RFC 6455 §7.4.1."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXT = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE_FAILED = 1015


# Codes that an application may be told, and that never stand in a frame.
LOCAL_ONLY_CLOSE_REASONS: Final = tuple(reason for reason in CloseReason if not may_be_sent(reason))

MIN_CLOSE_REASON: Final = 1000
MIN_PROTOCOL_CLOSE_REASON: Final = 1000
MAX_PROTOCOL_CLOSE_REASON: Final = 2999
MIN_LIBRARY_CLOSE_REASON: Final = 3000
MAX_LIBRARY_CLOSE_REASON: Final = 3999
MIN_PRIVATE_CLOSE_REASON: Final = 4000
MAX_PRIVATE_CLOSE_REASON: Final = 4999
MAX_CLOSE_REASON: Final = 4999

MAX_PAYLOAD_NORMAL: Final = MAX_CONTROL_PAYLOAD
MAX_PAYLOAD_TWO_BYTE: Final = (1 << 16) - 1
MAX_PAYLOAD_EIGHT_BYTE: Final = (1 << 64) - 1
MAX_FRAME_PAYLOAD: Final = MAX_PAYLOAD_EIGHT_BYTE


class ParseFailed(Exception):
    """A frame that breaks a rule; kept for `except` clauses, for nothing here raises it."""

    def __init__(self, msg: str, code: CloseReason = CloseReason.PROTOCOL_ERROR) -> None:
        super().__init__(msg)
        self.code = code


class RsvBits(NamedTuple):
    """The reserved bits of a frame header. RFC 6455 §5.2."""

    rsv1: bool
    rsv2: bool
    rsv3: bool


def close_reason(code: int) -> int:
    """Return a close code as a `CloseReason` where it has a name."""
    return _BY_CODE.get(code, code)


_BY_CODE: Final[dict[int, CloseReason]] = {int(reason): reason for reason in CloseReason}
