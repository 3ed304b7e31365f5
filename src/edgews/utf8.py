"""UTF-8 that arrives in pieces and fails at the offending octet.

RFC 6455 §8.1.
"""

from __future__ import annotations

from codecs import utf_8_decode

from .errors import InvalidUtf8Error


class Utf8Decoder:
    """Decode, or only check, the pieces of one text; a character may be cut between two of them.

    Between the pieces it holds at most the 3 bytes of an unfinished character. An error never waits
    for more input.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def decode(self, data: bytes | bytearray | memoryview, final: bool) -> str:
        """Return the characters that are complete with `data`.

        Args:
            data: the next octets.
            final: no octets follow, so a character that is still open is an error.

        Raises:
            InvalidUtf8Error: the octets cannot be part of UTF-8.

        RFC 6455 §8.1.
        """
        octets = self._held + data if self._held else data
        try:
            text, used = utf_8_decode(octets, "strict", final)
        except UnicodeDecodeError as error:
            octet = octets[error.start]
            raise InvalidUtf8Error(f"invalid UTF-8: {error.reason} (0x{octet:02x})") from None
        held = bytes(octets[used:])
        # CPython's decoder refuses a sequence at its first impossible octet, with one exception: it waits
        # for the third octet of a surrogate, which the second one gives away.
        if b"\xed\xa0" <= held < b"\xed\xc0":
            raise InvalidUtf8Error("invalid UTF-8: surrogate (0xed)")
        self._held = held
        return text

    @property
    def idle(self) -> bool:
        """Whether no character is open, so that ASCII may be left out."""
        return not self._held

    def check(self, data: bytes, final: bool) -> None:
        """Do the same without making a string that nobody keeps, as long as all is ASCII."""
        if self._held or not data.isascii():
            self.decode(data, final)
