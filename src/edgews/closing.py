"""What both halves of a connection share: its state, what waits to go out, and how it comes to its end."""

from __future__ import annotations

from .backend import build_masked
from .deflate import Deflater
from .errors import StateError
from .events import Cause, CauseKind, Side
from .frames import FIN, CloseCode, Opcode, encode_close, encode_header
from .limits import Limits, Timeouts
from .masking import new_key
from .states import (
    BOTH_CLOSED,
    OPEN,
    TRANSITIONS,
    WE_CLOSED,
    Half,
    Halves,
    Input,
    may_send_data,
)
from .timers import Timers

_CLOSE = FIN | Opcode.CLOSE
_PONG = FIN | Opcode.PONG


class Closing:
    """What a connection is before it sends and receives messages; it is not used alone."""

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

    # Below: what goes out, and what waits

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

    # Below: how the state moves

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
