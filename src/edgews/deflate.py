"""Compression of messages: one context for each direction, made on first use.

RFC 7692 §7.2.
"""

from __future__ import annotations

import zlib
from typing import TypeAlias

from .errors import CompressionError, MessageTooBigError

# An empty stored block without its first byte, with which every flush ends: §7.2.1.
_TAIL = b"\x00\x00\xff\xff"
# A last, empty block. Behind a complete message it ends the stream; behind a cut one it does not.
_LAST_BLOCK = b"\x03\x00"
_EMPTY_MESSAGE = b"\x00"
_BITE = 1024

# zlib cannot compress into a window of 256 bytes. Its matches never reach back further than the window
# less 262 bytes, so one of 512 bytes stays within 250 and suits a peer that keeps 256.
_LEAST_COMPRESSOR_BITS = 9

_Compressor: TypeAlias = "zlib._Compress"
_CompressorKind: TypeAlias = tuple[int, int, int]

# Compressors without history, which connections without context takeover lend each other.
_spare: dict[_CompressorKind, list[_Compressor]] = {}
_SPARES = 8


def deflated_bound(length: int) -> int:
    """Return how long, at most, a compressor may make a message of `length` bytes.

    Random data grows: by a byte in eight with the smallest tables of zlib. This leaves room for worse.
    """
    return length + (length >> 2) + 64


class Deflater:
    """Compress the messages of one direction.

    Args:
        bits: window bits agreed for this direction.
        takeover: keep the window from message to message.
    """

    __slots__ = ("_compressor", "_kind", "takeover")

    def __init__(self, bits: int, takeover: bool, level: int, mem_level: int) -> None:
        self._kind = (max(bits, _LEAST_COMPRESSOR_BITS), level, mem_level)
        self.takeover = takeover
        self._compressor: _Compressor | None = None

    def compress(self, data: bytes, final: bool) -> bytes:
        """Compress the next piece of a message.

        Returns:
            The payload of its frame; with `final` the message ends, without the tail that the peer
            appends itself.

        RFC 7692 §7.2.1.
        """
        if self._compressor is None:
            if final and not data:
                return _EMPTY_MESSAGE
            self._compressor = self._make()
        squeezed = self._compressor.compress(data)
        if not final:
            return squeezed
        # A full flush forgets the window, and leaves a compressor that anyone may use.
        squeezed += self._compressor.flush(zlib.Z_SYNC_FLUSH if self.takeover else zlib.Z_FULL_FLUSH)
        if not self.takeover:
            self._give_back(self._compressor)
        # Flushing twice with nothing between gives nothing: the message was empty.
        return squeezed[: -len(_TAIL)] or _EMPTY_MESSAGE

    def alone(self, data: bytes) -> bytes:
        """Compress a whole message that refers to no earlier one, so that many peers can read it."""
        return Deflater(self._kind[0], False, *self._kind[1:]).compress(data, True)

    @property
    def kind(self) -> tuple[int, int, int]:
        """Window bits, level and memory level: equal kinds give equal bytes for a message `alone`."""
        return self._kind

    def forget(self) -> None:
        """Drop the window, because the peer was sent something that is not in it."""
        self._compressor = None

    def _make(self) -> _Compressor:
        bits, level, mem_level = self._kind
        if not self.takeover:
            try:
                return _spare[self._kind].pop()
            except (KeyError, IndexError):
                pass
        return zlib.compressobj(level, zlib.DEFLATED, -bits, mem_level)

    def _give_back(self, compressor: _Compressor) -> None:
        self._compressor = None
        spares = _spare.setdefault(self._kind, [])
        if len(spares) < _SPARES:
            spares.append(compressor)


class Inflater:
    """Decompress the messages of one direction, never beyond a limit.

    A window is not lent to other connections: a peer could read out of it what others were sent.
    """

    __slots__ = ("_bits", "_ended", "_history", "_inflater", "_keeps_history", "_takeover")

    def __init__(self, bits: int, takeover: bool) -> None:
        self._bits = bits
        self._takeover = takeover
        self._inflater: zlib._Decompress | None = None
        # Whether what was inflated last ended a block marked as the last one.
        self._ended = False
        # What such a block must be followed by, for zlib forgets: the end of what the message has made so
        # far, and, from the first such block on, of what the messages before it made.
        self._history = b""
        self._keeps_history = False

    def decompress(self, data: bytes, final: bool, room: int) -> bytes:
        """Decompress the next piece of a message.

        Args:
            final: the message ends with this piece.
            room: how many bytes it may still grow by.

        Raises:
            CompressionError: the data is corrupt, or cut off.
            MessageTooBigError: there is no room for it. At most `room` + 1 bytes were made.

        RFC 7692 §7.2.2.
        """
        whole = self._inflate(data, b"", room)
        # A message that ends with a block marked as last is complete without the tail.
        if final and not self._ended:
            self._check_end(len(self._inflate(_TAIL, whole, room)) - len(whole))
        if not final or (self._keeps_history and self._takeover):
            self._history = (self._history + whole)[-(1 << self._bits) :]
        elif self._history:
            self._history = b""
        if final:
            self._ended = False
            if not self._takeover:
                self._inflater = None
        return whole

    def _inflate(self, data: bytes, before: bytes, room: int) -> bytes:
        if not data:
            return before
        piece, data = self._next(data, before, room)
        whole = before + piece
        if not data:
            return whole
        # zlib copies what lies behind the end of its stream. In small bites that stays little, so that
        # any number of such blocks takes time linear in their number.
        grown = bytearray(whole)
        del whole, piece, before
        for at in range(0, len(data), _BITE):
            bite = data[at : at + _BITE]
            while bite:
                more, bite = self._next(bite, grown, room)
                grown += more
        return bytes(grown)

    def _next(self, data: bytes, before: bytes | bytearray, room: int) -> tuple[bytes, bytes]:
        """Inflate `data` up to the end of zlib's stream; return what came out, and what lies behind."""
        if self._inflater is None:
            self._inflater = zlib.decompressobj(-self._bits)
        try:
            piece = self._inflater.decompress(data, room + 1 - len(before))
        except zlib.error as error:
            raise CompressionError(f"compressed message is corrupt: {error}") from None
        if len(before) + len(piece) > room:
            raise MessageTooBigError("message inflates beyond the limit")
        self._ended = self._inflater.eof
        if not self._ended:
            return piece, b""
        # A block marked as last ends zlib's stream, not the message: go on behind it, with its window.
        self._keeps_history = True
        behind = self._inflater.unused_data
        size = 1 << self._bits
        window = (self._history + bytes(before[-size:]) + piece[-size:])[-size:]
        self._inflater = zlib.decompressobj(-self._bits, zdict=window)
        return piece, behind

    def _check_end(self, made: int) -> None:
        """Make sure that the message ends between two blocks, on a copy where the window is kept.

        Nothing is `made` of the tail, unless it fills what is missing of a block.
        """
        inflater = self._inflater
        assert inflater is not None
        if self._takeover:
            inflater = inflater.copy()
        try:
            rest = inflater.decompress(_LAST_BLOCK, 1)
        except zlib.error:
            rest = b"?"
        if made or rest or not inflater.eof:
            raise CompressionError("compressed message is cut off")
