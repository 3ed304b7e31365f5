"""What was observed of a server: plain values, between the prober, which makes them, and the diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from edgews.events import Request, Response
from edgews.extensions import PerMessageDeflate


class Outcome(Enum):
    """How an attempt ended."""

    DONE = "done"
    TIMEOUT = "timeout"
    ENDED = "ended"
    """The other end ended the byte stream, or reset it."""
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_SUCH_HOST = "no such host"
    FAILED = "failed"


@dataclass(slots=True)
class Lookup:
    """The addresses of a name; `detail` says what the system said."""

    outcome: Outcome
    seconds: float
    addresses: list[str] = field(default_factory=list)
    detail: str = ""


@dataclass(slots=True)
class Attempt:
    """A TCP connection to one address."""

    address: str
    outcome: Outcome
    seconds: float
    detail: str = ""


@dataclass(slots=True)
class Certificate:
    """What a certificate says; times in seconds since the epoch."""

    subject: str
    issuer: str
    names: list[str]
    not_before: float
    not_after: float


@dataclass(slots=True)
class TlsHandshake:
    """A TLS handshake.

    Attributes:
        reason: OpenSSL's name of the failure.
        verify_code: OpenSSL's number for what is wrong with the certificate, 0 if nothing is.
        detail: the failure, or the fault of the certificate, in OpenSSL's words.
        chain: how many certificates the server sent, None if that is not known.
        checked: whether the certificate was looked at.
        plain: what the port answered to a plain request, after a handshake that failed.
        now: seconds since the epoch.
    """

    outcome: Outcome
    seconds: float
    version: str = ""
    cipher: str = ""
    reason: str = ""
    verify_code: int = 0
    detail: str = ""
    certificate: Certificate | None = None
    chain: int | None = None
    checked: bool = True
    plain: bytes = b""
    now: float = 0.0


class End(Enum):
    """How a byte stream, or the connection on it, ended."""

    CLOSE = "close"
    """With the server's Close frame."""
    EOF = "eof"
    RESET = "reset"
    VIOLATION = "violation"
    """We failed it, as the server broke a rule."""


@dataclass(slots=True)
class Ending:
    """How the server ended a connection; `stream_ended` says whether the byte stream is over as well."""

    end: End
    code: int = 1006
    reason: str = ""
    detail: str = ""
    stream_ended: bool = True


@dataclass(slots=True)
class Answer:
    """What came for a request to open a connection.

    Attributes:
        raw: the bytes, as far as they were kept.
        response: the HTTP response, None if none came whole.
        fault: why the response cannot be read.
        ending: how the byte stream ended, None if it did not.
        error: OpenSSL's name of a failure that came late.
        speaks_tls: whether the port answered in TLS, where a plain request got no answer.
    """

    request: Request
    offers: tuple[PerMessageDeflate, ...]
    seconds: float
    raw: bytes = b""
    response: Response | None = None
    fault: str = ""
    ending: Ending | None = None
    error: str = ""
    speaks_tls: bool = False


@dataclass(slots=True)
class Wait:
    """A part of the conversation.

    Attributes:
        seconds: until what was waited for came, the connection ended, or time was up.
        answered: whether what was waited for came.
        received: what came, in order, for a person.
        ending: how the connection ended meanwhile.
    """

    seconds: float
    answered: bool
    received: list[str] = field(default_factory=list)
    ending: Ending | None = None


@dataclass(slots=True)
class Door:
    """Whether the server opens a connection for an Origin; `status` is 0 if no HTTP answer came."""

    origin: str | None
    status: int
    opened: bool
