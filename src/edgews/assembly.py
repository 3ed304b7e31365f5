"""One incoming message on its way from frames to an event.

Only messages that take the long way come here: fragmented, compressed, still arriving, or delivered in
pieces. What is kept of one is a single growing buffer, however many frames and reads it comes in, and it
grows by what has arrived, never by what was announced.

RFC 6455 §5.4, §8.1; RFC 7692 §6.2, §7.2.2.
"""

from __future__ import annotations

from .backend import mask
from .buffers import PayloadBuffer
from .deflate import Inflater
from .errors import MessageTooBigError
from .events import Delivery, Fragment
from .utf8 import Utf8Decoder


class IncomingMessage:
    """Collect the payloads of one message, and deliver it whole or in pieces.

    Args:
        text: its opcode is TEXT.
        inflater: for a compressed message.
        limit: of the whole message in bytes, None for none.
    """

    __slots__ = (
        "_buffer",
        "_checker",
        "_cutter",
        "_delivery",
        "_inflater",
        "_limit",
        "_size",
        "_text",
    )

    def __init__(self, text: bool, inflater: Inflater | None, limit: int | None, delivery: Delivery) -> None:
        self._text = text
        self._inflater = inflater
        self._limit = limit
        self._delivery = delivery
        self._size = 0
        # What waits for more of the payload, if anything does.
        self._buffer: PayloadBuffer | None = None
        # One decoder fails at the first invalid octet, as it arrives; the other cuts what is delivered.
        self._checker = Utf8Decoder() if text else None
        self._cutter = Utf8Decoder() if text and delivery is not Delivery.MESSAGES else None

    @property
    def compressed(self) -> bool:
        """Whether its frames carry compressed data."""
        return self._inflater is not None

    def expect(self, length: int) -> None:
        """Begin a frame, or refuse it because its header says that the message becomes too long.

        A compressed frame says nothing about the length of the message.

        Raises:
            MessageTooBigError: it does.
        """
        if self._inflater is None:
            if self._limit is not None and self._size + length > self._limit:
                raise self._too_big()
            self._size += length

    def add(
        self,
        data: bytes,
        start: int,
        stop: int,
        key: bytes,
        phase: int,
        left: int,
        final: bool,
    ) -> str | bytes | Fragment | None:
        """Take the next part of a payload, `data[start:stop]`.

        Args:
            key: the frame's masking key, empty without a mask.
            phase: how many bytes of the frame went before, modulo 4.
            left: how many bytes of the frame are still to come behind this part.
            final: the message ends with this frame.

        Returns:
            What is to be delivered now, if anything.

        Raises:
            InvalidUtf8Error: an octet that cannot be part of the text.
            CompressionError: the compressed data is corrupt or cut off.
            MessageTooBigError: the message inflates beyond the limit.
        """
        ends = final and not left
        deliver = (
            ends or self._delivery is Delivery.STREAM or (not left and self._delivery is Delivery.FRAGMENTS)
        )
        if self._inflater is None and not (deliver and self._buffer is None):
            self.collect(data, start, stop, key, phase, stop - start + left)
            if ends and self._checker is not None:
                self._checker.check(b"", True)
            return self._collected(ends) if deliver else None
        part = data[start:stop]
        if key:
            part = mask(part, key, phase)
        if self._inflater is not None:
            room = _NO_LIMIT if self._limit is None else self._limit - self._size
            try:
                part = self._inflater.decompress(part, ends, room)
            except MessageTooBigError:
                raise self._too_big() from None
            self._size += len(part)
        if self._checker is not None:
            self._checker.check(part, ends)
        if deliver and self._buffer is None:
            return self._event(part, ends)
        self._growing().append(part, 0, len(part), b"", 0, len(part))
        return self._collected(ends) if deliver else None

    def collect(self, data: bytes, start: int, stop: int, key: bytes, phase: int, left: int) -> None:
        """Do what `add` does for a part that is not compressed and with which no frame ends.

        Args:
            data, start, stop, key, phase: as with `add`.
            left: how many bytes of the frame are still to come, this part among them.

        Raises:
            InvalidUtf8Error: an octet that cannot be part of the text.
        """
        buffer = self._buffer or self._growing()
        ascii = buffer.append(data, start, stop, key, phase, left)
        if self._checker is not None and not (ascii and self._checker.idle):
            for piece in buffer.pieces(buffer.size - (stop - start)):
                self._checker.decode(piece, False)

    def _too_big(self) -> MessageTooBigError:
        return MessageTooBigError(f"message of more than {self._limit} bytes")

    def _growing(self) -> PayloadBuffer:
        if self._buffer is None:
            self._buffer = PayloadBuffer()
        return self._buffer

    def _collected(self, final: bool) -> str | bytes | Fragment | None:
        """Return the event for all that is in the buffer."""
        collected = self._growing().take()
        self._buffer = None
        return self._event(collected, final)

    def _event(self, collected: bytes, final: bool) -> str | bytes | Fragment | None:
        if self._delivery is Delivery.MESSAGES:
            return collected.decode() if self._text else collected
        data = collected if self._cutter is None else self._cutter.decode(collected, final)
        if self._delivery is Delivery.STREAM and not data and not final:
            return None
        return Fragment(data, final)


# zlib counts in a C `long`; this is more than any message, and leaves room to add to it.
_NO_LIMIT = (1 << 62) - 1
