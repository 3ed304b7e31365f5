"""The half of a connection that sends: messages, fragments, Pings and Pongs."""

from __future__ import annotations

from .arguments import check_flag, wrong
from .backend import build_masked
from .closing import Closing
from .errors import InvalidValueError, StateError
from .frames import (
    FIN,
    FINAL_BINARY,
    FINAL_TEXT,
    LENGTH_16,
    MAX_CONTROL_PAYLOAD,
    RSV1,
    SHORT_HEADERS,
    Opcode,
    encode_header,
)
from .masking import new_key
from .messages import EITHER, BytesLike, PreparedMessage, as_bytes, check_utf8, encode_text
from .states import may_send_control

_CONTINUATION = int(Opcode.CONTINUATION)
_PING = FIN | Opcode.PING
_PONG = FIN | Opcode.PONG


class Outgoing(Closing):
    """What `Connection` sends with; it is not used alone.

    Every `send_` method returns the bytes to write now, automatic replies that wait first, and raises
    `LocalProtocolError` alone, before anything has changed.
    """

    __slots__ = ()

    # Messages

    def send(self, message: str | BytesLike, *, compress: bool | None = None) -> bytes:
        """Send a `str` as a text message, anything bytes-like as a binary message.

        Args:
            compress: True or False decides where permessage-deflate was agreed; None leaves it to the
                configured threshold.

        Raises:
            StateError: not open, already closing, or in the middle of a fragmented message.
            InvalidValueError: text that has no UTF-8.

        RFC 6455 §5.6, §6.1.
        """
        if isinstance(message, str):
            return self._send_message(FINAL_TEXT, encode_text(message), compress)
        if type(message) is not bytes:
            message = as_bytes(message, "message", EITHER)
        return self._send_message(FINAL_BINARY, message, compress)

    def send_text(self, text: str, *, compress: bool | None = None) -> bytes:
        """Send a text message; `send` says more."""
        return self._send_message(FINAL_TEXT, encode_text(text), compress)

    def send_bytes(self, data: BytesLike, *, compress: bool | None = None) -> bytes:
        """Send a binary message; `send` says more."""
        return self._send_message(FINAL_BINARY, as_bytes(data), compress)

    def send_utf8(self, data: BytesLike, *, compress: bool | None = None) -> bytes:
        """Send a text message that is encoded already; `send` says more.

        Raises:
            InvalidValueError: it is not UTF-8.
        """
        return self._send_message(FINAL_TEXT, check_utf8(data), compress)

    def send_parts(self, message: str | BytesLike, *, compress: bool | None = None) -> tuple[bytes, bytes]:
        """Send a message as two parts, for `writelines` or `sendmsg`; `send` says more.

        A server's second part is the payload itself, not a copy; a client has to mask it.

        Returns:
            Automatic replies and the frame's header; the payload.
        """
        first = FINAL_TEXT if isinstance(message, str) else FINAL_BINARY
        payload = encode_text(message) if isinstance(message, str) else as_bytes(message, "message", EITHER)
        if not self._ready:
            self._check_new_message()
        if self._masks or (self._deflater is not None and self._wants_compression(payload, compress)):
            return self._send_message(first, payload, compress), b""
        header = encode_header(first, len(payload), masked=False)
        self.messages_sent += 1
        self.bytes_sent += len(payload)
        if not self._ready:
            return self._out(header), payload
        self.bytes_sent += len(header)
        return header, payload

    def send_prepared(self, message: PreparedMessage, *, compress: bool | None = None) -> bytes:
        """Send a message that was framed once for many connections; `send` says more."""
        if self._ready and not self._masks and isinstance(message, PreparedMessage):
            frame = message.plain or message.frame(None)
            self.messages_sent += 1
            self.bytes_sent += len(frame)
            return frame
        if not isinstance(message, PreparedMessage):
            raise wrong("message", "a PreparedMessage", message)
        self._check_new_message()
        deflater = self._deflater
        if deflater is not None and not self._wants_compression(message.payload, compress):
            deflater = None
        if self._masks:
            payload = message.payload if deflater is None else message.deflated(deflater)
            frame = self._frame(message.first if deflater is None else message.first | RSV1, payload)
        else:
            frame = message.frame(deflater)
        if deflater is not None:
            # The peer's window now holds what ours does not.
            deflater.forget()
        self.messages_sent += 1
        return self._out(frame)

    def send_fragment(self, data: str | BytesLike, *, final: bool, compress: bool | None = None) -> bytes:
        """Send one fragment of a message; all of them are `str`, or all of them are bytes-like.

        Control frames may go between two fragments, other messages may not.

        Args:
            final: whether the message ends here.
            compress: asked at the first fragment; None compresses where permessage-deflate was agreed.

        Raises:
            StateError: not open, or already closing.
            InvalidValueError: not of the type that the message began with, or text that has no UTF-8.

        RFC 6455 §5.4; RFC 7692 §6.1.
        """
        text = isinstance(data, str)
        payload = encode_text(data) if isinstance(data, str) else as_bytes(data, expected=EITHER)
        if not self._sending:
            self._check_new_message()
            compressed = self._deflater is not None and compress is not False
            kind = (FINAL_TEXT if text else FINAL_BINARY) & ~FIN | (RSV1 if compressed else 0)
            first = kind
        else:
            self._check_open()
            kind = self._sending
            if bool(kind & Opcode.TEXT) is not text:
                raise InvalidValueError(
                    "a message is all text or all binary; this fragment is the other type"
                )
            first = _CONTINUATION
        if kind & RSV1 and self._deflater is not None:
            payload = self._deflater.compress(payload, final)
        self._sending = 0 if final else kind
        self._ready = False
        self.messages_sent += final
        self._progress += 1
        return self._out(self._frame(first | (FIN if final else 0), payload))

    def _send_message(self, first: int, payload: bytes, compress: bool | None) -> bytes:
        if self._ready:
            size = len(payload)
            self.messages_sent += 1
            if self._masks:
                frame = build_masked(first, payload, new_key())
            elif size < LENGTH_16:
                frame = SHORT_HEADERS[first][size] + payload
            else:
                frame = encode_header(first, size, masked=False) + payload
            self.bytes_sent += len(frame)
            return frame
        self._check_new_message()
        self.messages_sent += 1
        if self._deflater is not None and self._wants_compression(payload, compress):
            payload = self._deflater.compress(payload, True)
            first |= RSV1
        return self._out(self._frame(first, payload))

    def _wants_compression(self, payload: bytes, compress: bool | None) -> bool:
        if compress is None:
            return len(payload) >= self._deflate_from
        check_flag("compress", compress)
        return compress

    # Control frames

    def send_ping(self, data: BytesLike = b"") -> bytes:
        """Send a Ping; `latency` knows the way there and back once the Pong has come.

        Args:
            data: at most 125 bytes.

        Raises:
            StateError: not open, or the closing handshake is complete.
            InvalidValueError: more than 125 bytes.

        RFC 6455 §5.5.2.
        """
        payload = self._check_control(data)
        self._timers.ping_sent(payload)
        self.pings_sent += 1
        return self._out(self._frame(_PING, payload))

    def send_pong(self, data: BytesLike = b"") -> bytes:
        """Send a Pong, which with `auto_pong` is only needed as an unasked-for heartbeat.

        Args:
            data: at most 125 bytes.

        Raises:
            StateError: not open, or the closing handshake is complete.
            InvalidValueError: more than 125 bytes.

        RFC 6455 §5.5.3.
        """
        payload = self._check_control(data)
        self.pongs_sent += 1
        return self._out(self._frame(_PONG, payload))

    # Below: what may be sent now

    def _check_new_message(self) -> None:
        self._check_open()
        if self._sending:
            raise StateError(
                "cannot send: a message in fragments is not finished; send its last fragment first"
            )

    def _check_control(self, data: BytesLike) -> bytes:
        payload = as_bytes(data)
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise InvalidValueError(
                f"control payload has {len(payload)} bytes; at most {MAX_CONTROL_PAYLOAD} fit"
            )
        if self._connecting or not may_send_control(self._halves):
            raise StateError(f"cannot send: {self._describe()}")
        return payload
