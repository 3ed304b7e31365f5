"""Frames for the hooks of extensions: between byte stream and engine, only where an extension has hooks.

What comes is taken apart into frames, shown to the extensions, and handed to the engine as frames of what
they made of it; what the engine sends goes the same way back. A frame that arrives in pieces becomes a frame
for each piece. What breaks a rule of RFC 6455 is left as it is, for the engine to judge.

RFC 6455 §5.2, §5.8, §9.
"""

from __future__ import annotations

from edgews.backend import mask
from edgews.errors import RemoteProtocolError
from edgews.frames import FIN, FIRST_CONTROL, RSV1, RSV2_RSV3, FrameHeader, encode_header, parse_header
from edgews.masking import new_key
from edgews.messages import BytesLike, as_bytes

from .extensions import Extension
from .frame_protocol import CloseReason, Opcode, RsvBits

_RSV_BITS = RSV1 | RSV2_RSV3
_EACH_BIT = (0x40, 0x20, 0x10)
# The longest header.
_HEADER = 14
# What the engine gets from a client is masked, with a key that changes nothing.
_NO_KEY = bytes(4)


class HookedFrames:
    """Both directions of one connection, as a few extensions see them.

    Args:
        client: which side we are; the hooks may ask for it.
        extensions: in their order of work on what comes in; the reverse is that of what goes out.
    """

    def __init__(self, client: bool, extensions: list[Extension]) -> None:
        self.client = client
        self.extensions = extensions
        # What has come and was not looked at: `_buffer[_at:]`.
        self._buffer = b""
        self._at = 0
        # The data frame that is arriving, the first byte of the next frame made of it, and what is missing.
        self._header: FrameHeader | None = None
        self._first = 0
        self._left = 0
        # The rest breaks a rule, and goes to the engine as it is.
        self._broken = False

    def incoming(self, data: BytesLike) -> tuple[bytes, CloseReason | None]:
        """Take bytes that were read.

        Returns:
            Those for the engine, and the close code of an extension that refuses what stands behind them.

        Raises:
            TypeError: `data` is not bytes-like.
        """
        self._buffer = self._buffer[self._at :] + as_bytes(data)
        self._at = 0
        made = bytearray()
        while self._at < len(self._buffer) and not self._broken:
            if self._header is None:
                refusal = self._begin()
                if refusal is not None:
                    return bytes(made), refusal
                if self._header is None:
                    break
            piece = self._piece(self._header)
            if isinstance(piece, CloseReason):
                return bytes(made), piece
            if piece is None:
                break
            made += piece
        if self._broken:
            made += self._buffer[self._at :]
            self._at = len(self._buffer)
        return bytes(made), None

    def outgoing(self, data: bytes) -> bytes:
        """Take frames that the engine sends, and return what goes out."""
        made = bytearray()
        while data:
            header = parse_header(data, masked=self.client, deflate=True, limit=None)
            # The engine sends whole frames.
            assert header is not None
            payload = data[header.size : header.size + header.length]
            if header.key:
                payload = mask(payload, header.key)
            rsv = _bits(data[0])
            for extension in reversed(self.extensions):
                rsv, payload = extension.frame_outbound(
                    self, Opcode(header.opcode), rsv, payload, header.final
                )
            first = data[0] & ~_RSV_BITS | _byte(rsv)
            data = data[header.size + header.length :]
            made += _frame(first, bytes(payload), new_key() if self.client else b"")
        return bytes(made)

    def _begin(self) -> CloseReason | None:
        """Read the header of the next frame once it is complete."""
        first = self._buffer[self._at]
        # Which reserved bits may be set is for the extensions to say.
        plain = bytes((first & ~_RSV_BITS,)) + self._buffer[self._at + 1 : self._at + _HEADER]
        try:
            header = parse_header(plain, masked=not self.client, deflate=False, limit=None)
        except RemoteProtocolError:
            self._broken = True
            return None
        if header is None:
            return None
        rsv = _bits(first)
        for extension in self.extensions:
            used = extension.frame_inbound_header(self, Opcode(header.opcode), rsv, header.length)
            if isinstance(used, CloseReason):
                return used
            first &= ~_byte(used)
        self._header = header
        self._first = first
        self._left = header.length
        self._at += header.size
        return None

    def _piece(self, header: FrameHeader) -> bytes | CloseReason | None:
        """Return a frame of what has come of a payload, None if that is nothing yet."""
        control = header.opcode >= FIRST_CONTROL
        size = min(self._left, len(self._buffer) - self._at)
        if size < self._left and (control or not size):
            return None
        payload = self._buffer[self._at : self._at + size]
        if header.key:
            payload = mask(payload, header.key, header.length - self._left & 3)
        self._at += size
        self._left -= size
        for extension in self.extensions:
            changed = extension.frame_inbound_payload_data(self, payload)
            if isinstance(changed, CloseReason):
                return changed
            payload = bytes(changed)
        first = self._first
        if self._left:
            first &= ~FIN
        else:
            self._header = None
            for extension in self.extensions:
                more = extension.frame_inbound_complete(self, header.final)
                if isinstance(more, CloseReason):
                    return more
                payload += more or b""
        # The next piece continues this one.
        self._first &= FIN
        return _frame(first, payload, b"" if self.client else _NO_KEY)


def _frame(first: int, payload: bytes, key: bytes) -> bytes:
    head = encode_header(first, len(payload), masked=bool(key))
    return head + key + (mask(payload, key) if key and key != _NO_KEY else payload)


def _bits(first: int) -> RsvBits:
    return RsvBits(*(bool(first & bit) for bit in _EACH_BIT))


def _byte(rsv: RsvBits) -> int:
    return sum(bit for bit, is_set in zip(_EACH_BIT, rsv, strict=True) if is_set)
