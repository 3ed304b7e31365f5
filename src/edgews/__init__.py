"""edgews: a sans-IO WebSocket engine, and what stands on it. RFC 6455, RFC 7692, RFC 8441."""

from __future__ import annotations

from .backend import BACKEND
from .client import ClientConnection
from .connection import Connection, Role, Statistics
from .errors import (
    CloseFrameError,
    CompressionError,
    ControlFrameError,
    EdgewsError,
    FragmentationError,
    FrameHeaderError,
    HandshakeError,
    InvalidUtf8Error,
    InvalidValueError,
    LocalProtocolError,
    MaskingError,
    MessageTooBigError,
    ProtocolError,
    RemoteProtocolError,
    StateError,
)
from .events import (
    Accepted,
    Cause,
    CauseKind,
    Close,
    Delivery,
    Disconnected,
    Event,
    Fragment,
    Ping,
    Pong,
    Rejected,
    Request,
    Response,
    Side,
)
from .extensions import Agreement, PerMessageDeflate
from .frames import CloseCode, Opcode, close_code_meaning
from .headers import Headers
from .limits import Limits, Timeouts
from .messages import PreparedMessage
from .server import ServerConnection
from .states import State, Transport, Turn
from .uri import URI, parse_uri

__version__ = "0.1.0"

__all__ = [
    "BACKEND",
    "URI",
    "Accepted",
    "Agreement",
    "Cause",
    "CauseKind",
    "ClientConnection",
    "Close",
    "CloseCode",
    "CloseFrameError",
    "CompressionError",
    "Connection",
    "ControlFrameError",
    "Delivery",
    "Disconnected",
    "EdgewsError",
    "Event",
    "Fragment",
    "FragmentationError",
    "FrameHeaderError",
    "HandshakeError",
    "Headers",
    "InvalidUtf8Error",
    "InvalidValueError",
    "Limits",
    "LocalProtocolError",
    "MaskingError",
    "MessageTooBigError",
    "Opcode",
    "PerMessageDeflate",
    "Ping",
    "Pong",
    "PreparedMessage",
    "ProtocolError",
    "Rejected",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Role",
    "ServerConnection",
    "Side",
    "State",
    "StateError",
    "Statistics",
    "Timeouts",
    "Transport",
    "Turn",
    "close_code_meaning",
    "parse_uri",
]
