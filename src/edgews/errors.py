"""Every error that edgews raises or reports, one subclass for each family of rules.

    EdgewsError
        ProtocolError
            LocalProtocolError      you broke a rule; nothing was sent
                StateError, InvalidValueError
            RemoteProtocolError     the peer broke a rule; it carries the close code
                FrameHeaderError, MaskingError, ControlFrameError, FragmentationError,
                CloseFrameError, InvalidUtf8Error, MessageTooBigError, CompressionError
                HandshakeError      it carries the HTTP status and the header at fault

The engine raises `LocalProtocolError` alone. What a peer does wrong is never raised: it arrives as
the `error` of the `Disconnected` event's cause. Python's own errors say that an
argument has a wrong type or makes no sense. Any other exception out of the engine is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class EdgewsError(Exception):
    """Base of all errors of this package."""


class ProtocolError(EdgewsError):
    """A rule of the protocol was broken; `section` says where the rule stands."""

    section: ClassVar[str] = "RFC 6455"


class LocalProtocolError(ProtocolError):
    """You asked for something that the protocol forbids. Nothing was sent, nothing changed."""


class StateError(LocalProtocolError):
    """The call does not fit the state: not open yet, already closing, in the middle of a message."""

    section = "RFC 6455 §5.4, §5.5.1, §7.1"


class InvalidValueError(LocalProtocolError):
    """A value may not appear on the wire: a close code, a control payload, a header field."""

    section = "RFC 6455 §4.1, §5.5, §7.4"


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule. `code` is the close code that tells it so."""

    default_code: ClassVar[int] = 1002

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = self.default_code if code is None else code


class FrameHeaderError(RemoteProtocolError):
    """Reserved opcode, reserved bit that was not negotiated, or a length not in its shortest form."""

    section = "RFC 6455 §5.2"


class MaskingError(RemoteProtocolError):
    """A client's frame without a mask, or a server's with one."""

    section = "RFC 6455 §5.1"


class ControlFrameError(RemoteProtocolError):
    """A control frame that is fragmented or longer than 125 bytes."""

    section = "RFC 6455 §5.5"


class FragmentationError(RemoteProtocolError):
    """A continuation with nothing to continue, or a new message inside another."""

    section = "RFC 6455 §5.4"


class CloseFrameError(RemoteProtocolError):
    """A Close frame whose body is one byte or whose code may not be sent."""

    section = "RFC 6455 §5.5.1, §7.4"


class InvalidUtf8Error(RemoteProtocolError):
    """Text, or the reason of a Close frame, that is not UTF-8."""

    section = "RFC 6455 §8.1"
    default_code = 1007


class MessageTooBigError(RemoteProtocolError):
    """A frame or message over the limit."""

    section = "RFC 6455 §7.4.1, §10.4"
    default_code = 1009


class CompressionError(RemoteProtocolError):
    """A compressed message that does not inflate."""

    section = "RFC 7692 §7.2.2"
    default_code = 1007


class HandshakeError(RemoteProtocolError):
    """An opening handshake that cannot lead to a connection.

    `status` is the HTTP status a server answers with (a client only reports it), `header` the header
    field at fault where there is one, `headers` what the answer must carry besides, and `excerpt` the first
    bytes of what is no HTTP at all, as far as they came together.
    """

    section = "RFC 6455 §4"

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        header: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        excerpt: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.header = header
        self.headers = headers
        self.excerpt = excerpt
