"""Heads of HTTP/1.1 as bytes: collected up to the empty line, and refused where parsers differ.

h11 accepts a bare LF at the end of a line, folded lines and a few more relics that other parsers read
differently; where two parsers differ, requests can be smuggled. Bytes come in any pieces, take linear time,
and no more of them is kept than the limits allow.

RFC 9112 §2.2, §5.
"""

from __future__ import annotations

import re
from sys import intern

from .banners import EXCERPT, HTTP, is_http
from .errors import HandshakeError
from .headers import TOKEN
from .limits import Limits

_END = b"\r\n\r\n"

# What no head may have: LF without CR, CR without LF, control characters. h11 takes quadratic time over
# some of the latter behind many spaces. RFC 9110 §5.5.
_FORBIDDEN = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# A line that does not begin with a name and its colon: it continues the one before (obs-fold), or has a space
# or a non-ASCII byte in its name.
_BAD_LINE = re.compile(rb"\n(?!" + TOKEN.encode() + rb"+:|\r\n|\Z)")
# Lines of fields that follow the grammar as it stands, and not just what parsers put up with. RFC 9112 §5.
BLOCK = rb"\r\n((?:" + TOKEN.encode() + rb":[\t -~\x80-\xff]*\r\n)+)\r\n"
# One of them, once it is known that there is nothing else; a value may have a space behind it.
_FIELD = re.compile(r"([^:]++):[ \t]*+([^\r]*+)\r\n")
# Longer values than this (characters) are mostly somebody's own.
_COMMON = 16
# What is said about a body.
_FRAMING = frozenset(("content-length", "transfer-encoding"))


class HeadReader:
    """Collect bytes up to the empty line, with the limits and the rules that hold for every head.

    Several heads, a response behind interim ones, share the limit of one.

    Args:
        limits: how large it may be.
        answers: it is a server's, who may speak something else than HTTP.
    """

    __slots__ = ("_answers", "_data", "_limits", "_room")

    def __init__(self, limits: Limits, *, answers: bool = False) -> None:
        self._limits = limits
        self._answers = answers
        self._room = limits.max_header_size
        self._data = bytearray()

    @property
    def has_data(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._data)

    @property
    def room(self) -> int:
        """How long the next head may be, in bytes."""
        return self._room

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take the next bytes.

        Returns:
            The head with its empty line, and the bytes behind it; None as long as it is incomplete.

        Raises:
            HandshakeError: the head is too large (431), or malformed (400); what is no HTTP from the first
                bytes on has an excerpt.

        RFC 9112 §2.2, §5; RFC 6585 §5.
        """
        known = len(self._data)
        # One byte more than there is room for, to see that it is too much.
        self._data += data[: self._room + 1 - known]
        # Who speaks something else may do so for ever, and never end a head.
        if known < len(HTTP) and self._answers and not is_http(self._data[: len(HTTP)]):
            raise HandshakeError("the server does not speak HTTP", excerpt=bytes(self._data[:EXCERPT]))
        end = self._data.find(_END, max(0, known - len(_END) + 1))
        size = len(self._data) if end < 0 else end + len(_END)
        # The fault that shows first counts, so that any split of the bytes gives the same answer. The search
        # goes back one byte, for a CR that was last: whether LF follows it shows only now.
        if _FORBIDDEN.search(self._data, max(0, known - 1), size):
            raise HandshakeError("the head has a bare CR, a bare LF or a control character")
        if size > self._room:
            raise HandshakeError(f"the head is larger than {self._limits.max_header_size} bytes", status=431)
        if end < 0:
            return None
        self._room -= size
        head, rest = bytes(self._data[:size]), data[size - known :]
        self._data.clear()
        count = head.count(b"\n") - 2
        if count > self._limits.max_header_count:
            raise HandshakeError(f"the head has more than {self._limits.max_header_count} fields", status=431)
        if _BAD_LINE.search(head):
            raise HandshakeError("the head has a line that does not begin with a field name and its colon")
        return head, rest


def plain_fields(block: bytes, limits: Limits) -> tuple[list[tuple[str, str]], list[str]] | None:
    """Return the fields in lines that follow the grammar, and their names in lower case.

    None stands for fields that are too many, or that need a parser.
    """
    found = _FIELD.findall(block.decode("latin-1"))
    names = [name.lower() for name, _ in found]
    # What is said about a body needs a parser.
    if len(found) > limits.max_header_count or not _FRAMING.isdisjoint(names):
        return None
    # Names, and values such as `websocket`, come again with each connection, and are kept once.
    return [
        (intern(name), intern(text) if len(text := value.rstrip(" \t")) <= _COMMON else text)
        for name, value in found
    ], names
