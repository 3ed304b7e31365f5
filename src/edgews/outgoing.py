"""The half of a connection that sends: frames, messages, and the replies that go out by themselves."""

from __future__ import annotations

from .backend import build_masked
from .deflate import Deflater
from .errors import InvalidValueError, StateError
from .events import Cause, CauseKind, Side
from .frames import (
    FIN,
    FINAL_BINARY,
    FINAL_TEXT,
    LENGTH_16,
    MAX_CONTROL_PAYLOAD,
    RSV1,
    SHORT_HEADERS,
    CloseCode,
    Opcode,
    encode_close,
    encode_header,
)
from .limits import Limits, Timeouts
from .masking import new_key
from .messages import BytesLike, PreparedMessage, as_bytes, check_utf8, encode_text
from .states import (
    BOTH_CLOSED,
    OPEN,
    TRANSITIONS,
    WE_CLOSED,
    Half,
    Halves,
    Input,
    may_send_control,
    may_send_data,
)
from .timers import Timers

_CONTINUATION = int(Opcode.CONTINUATION)
_CLOSE = FIN | Opcode.CLOSE
_PING = FIN | Opcode.PING
_PONG = FIN | Opcode.PONG


class Outgoing:
    """What `Connection` sends with; it is not used alone.

    Every `send_` method returns the bytes to write now, automatic replies that wait first, and raises
    `LocalProtocolError` alone, before anything has changed.
    """

    __slots__ = (
        "_arriving",
        "_cause",
        "_clean",
        "_connecting",
        "_deflate_from",
        "_deflater",
        "_half_closes",
        "_halves",
        "_masks",
        "_plain",
        "_pong",
        "_progress",
        "_ready",
        "_replies",
        "_sending",
        "_timers",
        "bytes_sent",
        "limits",
        "messages_sent",
        "pings_sent",
        "pongs_sent",
    )

    def __init__(self, masks: bool, limits: Limits, timeouts: Timeouts, connecting: bool) -> None:
        self.limits = limits
        self._masks = masks
        self._connecting = connecting
        self._halves: Halves = OPEN
        self._half_closes = True
        self._cause: Cause | None = None
        # Whether both Close frames were exchanged: RFC 6455 §7.1.4.
        self._clean = False
        self._timers = Timers(timeouts)
        self._deflater: Deflater | None = None
        # Messages of at least this many bytes are compressed.
        self._deflate_from = 0
        # First byte of the message that is being sent in fragments, 0 between messages.
        self._sending = 0
        # Bytes that wait for `data_to_send`, and the payload of a Pong behind them that a later Ping
        # may still replace.
        self._replies = b""
        self._pong: bytes | None = None
        # The hot path's one question: open, between messages, uncompressed, nothing waits?
        self._ready = False
        # And the other half's: are we listening, between messages, with nothing in the buffer?
        self._plain = False
        # How many bytes are still to come of a frame whose payload may go straight to its message.
        self._arriving = 0
        # Moves with each piece of a message that does not move the counters, for the idle timer.
        self._progress = 0
        self.messages_sent = 0
        self.bytes_sent = 0
        self.pings_sent = 0
        self.pongs_sent = 0

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
            message = as_bytes(message)
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
        payload = encode_text(message) if isinstance(message, str) else as_bytes(message)
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
            raise TypeError(f"message must be a PreparedMessage, not {type(message).__name__}")
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
        payload = encode_text(data) if isinstance(data, str) else as_bytes(data)
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
        return len(payload) >= self._deflate_from if compress is None else compress

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

    def send_close(self, code: int | None = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """Start the closing handshake, or answer the peer's with `auto_close` off.

        Afterwards only Ping and Pong may be sent; go on feeding `receive_data` until `Disconnected`.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999; None sends an empty Close frame.
            reason: at most 123 bytes of UTF-8; a longer one is an error, never cut.

        Returns:
            Bytes to write now, waiting automatic replies first.

        Raises:
            StateError: not open, or already closing.
            InvalidValueError: a code or reason that may not appear on the wire.

        RFC 6455 §5.5.1, §7.1.2, §7.4.
        """
        payload = encode_close(code, reason)
        self._check_open()
        if self._cause is None:
            self._cause = Cause(CauseKind.CLOSED, Side.LOCAL, describe_close("we", code, reason))
        return self._close_with(payload)

    def fail(self, code: int = CloseCode.INTERNAL_ERROR, reason: str = "") -> bytes:
        """Fail the connection: send Close unless one is out, then ignore whatever comes.

        `transport` asks for a half-close next; `Disconnected` follows when the peer ends its stream.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: at most 123 bytes of UTF-8.

        Raises:
            StateError: not open yet, or failed or over already.
            InvalidValueError: a code or reason that may not appear on the wire.

        RFC 6455 §7.1.7.
        """
        payload = encode_close(code, reason)
        if self._connecting or self._halves[0] is Half.EOF:
            raise StateError(f"cannot fail: {self._describe()}")
        self._fail(
            payload,
            Cause(CauseKind.FAILED, Side.LOCAL, describe_close("we failed the connection and", code, reason)),
        )
        return self._flush()

    def data_to_send(self) -> bytes:
        """Return the bytes that wait: automatic Pongs and Close frames, the handshake, HTTP answers.

        Call it after each round of events, and write what it returns before acting on `transport`.
        """
        return self._flush() if self._replies or self._pong is not None else b""

    # Below: what both halves use

    def _frame(self, first: int, payload: bytes) -> bytes:
        if self._masks:
            return build_masked(first, payload, new_key())
        return encode_header(first, len(payload), masked=False) + payload

    def _out(self, frame: bytes) -> bytes:
        """Put what waits in front of a frame that goes out now."""
        self.bytes_sent += len(frame)
        return self._flush() + frame

    def _flush(self) -> bytes:
        self._encode_pong()
        waiting, self._replies = self._replies, b""
        self._refresh()
        return waiting

    def _queue(self, data: bytes) -> None:
        """Let bytes that a `send_` method made wait for `data_to_send` instead."""
        self._replies += data
        self._ready = False

    def _encode_pong(self) -> None:
        if self._pong is not None:
            frame = self._frame(_PONG, self._pong)
            self._pong = None
            self._replies += frame
            self.bytes_sent += len(frame)
            self.pongs_sent += 1

    def _refresh(self) -> None:
        """Find out anew whether a message may take the short way."""
        self._ready = (
            not self._connecting
            and not self._sending
            and self._deflater is None
            and not self._replies
            and self._pong is None
            and may_send_data(self._halves)
        )

    def _step(self, step: Input) -> None:
        self._halves = TRANSITIONS[self._halves][step]
        self._ready = self._plain = False
        self._arriving = 0

    def _close_with(self, payload: bytes) -> bytes:
        """Send our Close frame and move on."""
        frame = self._out(self._frame(_CLOSE, payload))
        self._step(Input.SEND_CLOSE)
        self._closing()
        return frame

    def _closing(self) -> None:
        """Wait for the peer; a server ends its stream first. RFC 6455 §7.1.1."""
        if self._halves == BOTH_CLOSED:
            self._clean = True
            if not self._masks:
                self._step(Input.SEND_EOF)
        self._timers.start_close()
        self._ready = False

    def _fail(self, payload: bytes, cause: Cause) -> None:
        """Queue our Close frame, unless one is out, and end our stream. RFC 6455 §7.1.7."""
        if self._cause is None or self._cause.kind is CauseKind.CLOSED:
            self._cause = cause
        if self._halves[0] is Half.OPEN:
            self._queue(self._out(self._frame(_CLOSE, payload)))
            self._step(Input.SEND_CLOSE)
            self._clean = self._halves == BOTH_CLOSED
        self._end_ours()

    def _end_ours(self) -> None:
        """We have said all; the peer may not have. RFC 6455 §7.1.7."""
        self._step(Input.SEND_EOF)
        self._timers.start_close(linger=not self._half_closes)

    def _check_open(self) -> None:
        if self._connecting or not may_send_data(self._halves):
            raise StateError(f"cannot send: {self._describe()}")

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

    def _describe(self) -> str:
        if self._connecting:
            return "the connection is not open yet"
        return (
            "our Close is already sent"
            if self._halves == WE_CLOSED
            else "the connection is closing or closed"
        )


def describe_close(who: str, code: int | None, reason: str) -> str:
    """Say in words how a connection was closed; `code` None is a Close without one."""
    said = "no code" if code is None else f"{int(code)}"
    return f"{who} closed with {said}" + (f" ({reason})" if reason else "")
