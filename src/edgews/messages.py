"""Outgoing messages: what may be sent as text or binary, and messages framed once for many connections."""

from __future__ import annotations

from typing import Final, TypeAlias

from .arguments import wrong
from .deflate import Deflater
from .errors import InvalidValueError
from .frames import FINAL_BINARY, FINAL_TEXT, RSV1, encode_header

BytesLike: TypeAlias = bytes | bytearray | memoryview


# What a message may be, where it may be either.
EITHER: Final = "a str, or bytes-like"


def as_bytes(data: BytesLike, name: str = "data", expected: str = "bytes-like") -> bytes:
    """Return the octets of anything bytes-like; a number is refused, which `bytes` would take for a length.

    Args:
        data: the octets.
        name, expected: what an error calls them, and what they could have been.

    Raises:
        TypeError: `data` is not bytes-like.
    """
    if isinstance(data, bytes):
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise wrong(name, expected, data) from None


def encode_text(text: str) -> bytes:
    """Return the UTF-8 of a text message.

    Raises:
        TypeError: `text` is no `str`.
        InvalidValueError: a lone surrogate, which has no UTF-8.

    RFC 6455 §5.6.
    """
    try:
        return text.encode()
    except AttributeError:
        raise wrong("text", "a str", text) from None
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"text cannot be encoded as UTF-8: {error.reason}") from None


def check_utf8(data: BytesLike) -> bytes:
    """Return `data` as bytes after making sure that it is UTF-8.

    Raises:
        InvalidValueError: it is not.
    """
    octets = as_bytes(data)
    if not octets.isascii():
        try:
            octets.decode()
        except UnicodeDecodeError as error:
            raise InvalidValueError(f"data is not UTF-8: {error.reason} at {error.start}") from None
    return octets


class PreparedMessage:
    """A message that is framed, and compressed, once, and sent to any number of connections.

    Servers share the finished frame. Clients share the compressed payload alone, for each of their
    frames needs a masking key of its own (RFC 6455 §5.3).
    """

    __slots__ = ("_deflated", "_frames", "first", "payload", "plain")

    def __init__(self, message: str | BytesLike) -> None:
        """Prepare `message`.

        Raises:
            InvalidValueError: text that has no UTF-8.
        """
        text = isinstance(message, str)
        self.first = FINAL_TEXT if text else FINAL_BINARY
        self.payload = (
            encode_text(message) if isinstance(message, str) else as_bytes(message, "message", EITHER)
        )
        self._deflated: dict[tuple[int, int, int], bytes] = {}
        self._frames: dict[tuple[int, int, int], bytes] = {}
        # The uncompressed frame, empty until a server has asked for it.
        self.plain = b""

    def deflated(self, deflater: Deflater) -> bytes:
        """Return the payload compressed for every connection with an equal deflater."""
        kind = deflater.kind
        squeezed = self._deflated.get(kind)
        if squeezed is None:
            squeezed = self._deflated[kind] = deflater.alone(self.payload)
        return squeezed

    def frame(self, deflater: Deflater | None) -> bytes:
        """Return the whole unmasked frame, compressed if there is a deflater."""
        if deflater is None:
            self.plain = (
                self.plain or encode_header(self.first, len(self.payload), masked=False) + self.payload
            )
            return self.plain
        frame = self._frames.get(deflater.kind)
        if frame is None:
            payload = self.deflated(deflater)
            frame = encode_header(self.first | RSV1, len(payload), masked=False) + payload
            self._frames[deflater.kind] = frame
        return frame
