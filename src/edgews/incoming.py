"""The half of a connection that receives: from bytes to events.

Incoming bytes take one of two ways. Complete plain messages, side by side, are read as a run by the kernel
of the backend in use: that is the short way, and it asks one question (`_plain`). Everything else goes frame
by frame through `_read`, lazily: what is not yet asked for stays in the buffer, so one read never inflates
without bound, and messages in front of a violation are answered before its Close goes out.

RFC 6455 §5, §6.2, §7.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

from .assembly import IncomingMessage
from .backend import decode, give_scratch, mask, new_reader, new_scratch, read_one, read_run, take_scratch
from .closing import describe_close
from .deflate import Inflater, deflated_bound
from .errors import FragmentationError, MessageTooBigError, RemoteProtocolError
from .events import Cause, CauseKind, Close, Delivery, Disconnected, Event, Ping, Pong, Side
from .frames import (
    FIRST_CONTROL,
    MAX_REASON,
    CloseCode,
    FrameHeader,
    Opcode,
    encode_close,
    header_size,
    parse_close,
    parse_header,
)
from .limits import Limits, Timeouts
from .messages import BytesLike, as_bytes
from .outgoing import Outgoing
from .states import OVER, THEY_CLOSED, Input, listens, may_send_control

_CONTINUATION = int(Opcode.CONTINUATION)
_TEXT = int(Opcode.TEXT)
_CLOSE = int(Opcode.CLOSE)
_PING = int(Opcode.PING)

# Texts of this many bytes are decoded where they are, which takes longer to begin and saves a copy.
_LONG = 4096


# What comes of a read that holds plain messages and nothing else, or a part of one.
Messages: TypeAlias = tuple[()] | tuple[str | bytes] | list[str] | list[bytes]


class Incoming(Outgoing):
    """What `Connection` receives with; it is not used alone."""

    __slots__ = (
        "_at",
        "_auto_close",
        "_auto_pong",
        "_buffer",
        "_bytes",
        "_deflated_limit",
        "_delivery",
        "_eof",
        "_frame_limit",
        "_frames",
        "_header",
        "_inflater",
        "_left",
        "_message",
        "_peer_close",
        "_peer_masks",
        "_reported",
        "_run_limit",
        "_runs",
        "pings_received",
        "pongs_received",
    )

    def __init__(
        self,
        masks: bool,
        limits: Limits,
        timeouts: Timeouts,
        connecting: bool,
        delivery: Delivery,
        auto_pong: bool,
        auto_close: bool,
        trailing_data: bytes,
    ) -> None:
        super().__init__(masks, limits, timeouts, connecting)
        self._peer_masks = not masks
        # How messages are delivered that do not come in a run, and whether others may.
        self._delivery = Delivery.STREAM if delivery is Delivery.EAGER else delivery
        self._runs = delivery in (Delivery.MESSAGES, Delivery.EAGER)
        self._auto_pong = auto_pong
        self._auto_close = auto_close
        # The longest frame that is accepted, by itself, compressed, and as a whole message in a run.
        message_limit = sys.maxsize if limits.max_message_size is None else limits.max_message_size
        self._frame_limit = message_limit if limits.max_frame_size is None else limits.max_frame_size
        self._deflated_limit = (
            deflated_bound(message_limit) if limits.max_frame_size is None else limits.max_frame_size
        )
        self._run_limit = min(message_limit, self._frame_limit)
        self._frames = new_reader(self._run_limit, not masks)
        self._inflater: Inflater | None = None
        # Bytes that were received and not yet looked at: `_buffer[_at:]`.
        self._buffer = as_bytes(trailing_data, "trailing_data")
        self._at = 0
        # The data frame that is arriving, and how much of its payload is still to come.
        self._header: FrameHeader | None = None
        self._left = 0
        self._message: IncomingMessage | None = None
        self._eof = False
        self._reported = False
        self._peer_close: Close | None = None
        self._bytes = len(trailing_data)
        self.pings_received = 0
        self.pongs_received = 0

    def receive_data(self, data: BytesLike) -> Messages | Iterator[Event]:
        """Take bytes that were read from the byte stream, in any pieces.

        Never raises for what the peer does.

        Returns:
            The events, to be consumed whole before the next call. What is not consumed stays buffered.
            A tuple or a list holds messages alone, and then nothing but the counters has changed.

        RFC 6455 §6.2.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._plain:
            # What is done here in a line each is called for every message; a function would cost a tenth.
            try:
                scratch = take_scratch()
            except IndexError:
                scratch = new_scratch()
            out, buffer, _ = scratch
            found = read_one(self._frames, data, len(data), out)
            if 0 <= found < _LONG:
                payload = buffer[:found]
                give_scratch(scratch)
                try:
                    return (payload.decode(),)
                except UnicodeDecodeError:
                    self._uncount(data)
            elif found < -2:
                payload = buffer[: -3 - found]
                give_scratch(scratch)
                return (payload,)
            else:
                try:
                    if found >= 0:
                        return (decode(buffer, found),)
                except UnicodeDecodeError:
                    self._uncount(data)
                finally:
                    give_scratch(scratch)
            self._bytes += len(data)
            return self._receive_run(data) if found == -1 else self._receive_first(data)
        size = len(data)
        self._bytes += size
        if size < self._arriving:
            return self._take_more(data, size)
        self._encode_waiting_pong()
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        return self._read_lazily()

    @property
    def has_data(self) -> bool:
        """Whether bytes have come that were not looked at yet."""
        return self._at < len(self._buffer)

    @property
    def messages_received(self) -> int:
        """How many messages have come in whole."""
        return self._frames.messages

    @property
    def inside_frame(self) -> bool:
        """Whether the last `Fragment` ended before its frame did."""
        return self._header is not None

    @property
    def bytes_received(self) -> int:
        """How many bytes have come in, headers included."""
        return self._frames.bytes + self._bytes

    def receive_eof(self) -> Iterable[Event]:
        """Take the end of the byte stream, in order or not: EOF, a reset, a failed write.

        Returns:
            The events, to be consumed whole; the last one is `Disconnected` unless it was given before.

        RFC 6455 §7.1.4, §7.1.5.
        """
        self._eof = True
        return self._read_lazily()

    def _receive_run(self, data: bytes) -> Messages | Iterator[Event]:
        """Take a read that begins with a plain message, when nothing is in the buffer."""
        messages, consumed = read_run(data, 0, self._run_limit, self._peer_masks)
        self._frames.messages += len(messages)
        if consumed == len(data):
            return messages
        return chain(messages, self._receive_first(data, consumed))

    def _receive_first(self, data: bytes, consumed: int = 0) -> Iterator[Event]:
        """Take what is left of a read, when nothing is in the buffer and no plain message follows."""
        self._encode_waiting_pong()
        self._buffer = data
        self._at = consumed
        self._plain = False
        return self._read(tried=not consumed)

    def _uncount(self, data: bytes) -> None:
        """Take a frame back that turned out to be no message: the long way looks at it again."""
        self._frames.messages -= 1
        self._frames.bytes -= len(data)

    def _take_more(self, data: bytes, size: int) -> Messages | Iterator[Event]:
        """Take a read that is all payload of a frame that goes on behind it.

        Nothing comes of it yet but, at worst, an error.
        """
        header, message, left = self._header, self._message, self._arriving
        assert header is not None
        assert message is not None
        self._arriving = self._left = left - size
        self._progress += 1
        try:
            message.collect(data, 0, size, header.key, header.length - left & 3, left)
        except RemoteProtocolError as error:
            self._violated(error)
            self._drop_input()
            return self._read()
        return ()

    def _encode_waiting_pong(self) -> None:
        """Keep the last Ping's answer apart from those of this read, while there is room for both.

        Without room the next Ping takes its place: RFC 6455 §5.5.3.
        """
        if self._pong is not None:
            size = header_size(len(self._pong), self._masks) + len(self._pong)
            if len(self._replies) + size <= self.limits.max_buffered_writes:
                self._encode_pong()

    def _settle(self) -> None:
        """Find out anew whether what comes next may take a short way."""
        self._plain = False
        self._arriving = 0
        if self._at < len(self._buffer):
            return
        self._buffer = b""
        self._at = 0
        if self._connecting or self._eof or not listens(self._halves):
            return
        message = self._message
        if message is None:
            self._plain = self._runs
        elif self._header is not None and not message.compressed and self._delivery is not Delivery.STREAM:
            self._arriving = self._left

    def _read_lazily(self) -> Iterator[Event]:
        """Go through the buffer once somebody asks; what is received before that queues up behind it."""
        self._plain = False
        self._arriving = 0
        return self._read()

    def _read(self, tried: bool = False) -> Iterator[Event]:
        """Go through the buffer, frame by frame where a run will not do.

        Args:
            tried: what stands first in the buffer is known to be no run.
        """
        if self._connecting:
            yield from self._open()
        while self._at < len(self._buffer) and listens(self._halves) and not self._connecting:
            if self._message is None and self._runs and not tried:
                messages, self._at = read_run(self._buffer, self._at, self._run_limit, self._peer_masks)
                if messages:
                    self._frames.messages += len(messages)
                    yield from messages
                    continue
            tried = False
            try:
                moved, event = self._next()
            except RemoteProtocolError as error:
                self._violated(error)
                break
            if event is not None:
                yield event
            if not moved:
                break
        if not listens(self._halves):
            self._drop_input()
        if self._eof and self._halves != OVER:
            self._end_of_stream()
        if self._halves == OVER and not self._reported:
            self._reported = True
            self._timers.stop()
            yield self._disconnected()
        self._settle()

    def _open(self) -> Iterable[Event]:
        """Go through the opening handshake, which a bare connection does not have."""
        return ()

    # Frames, one at a time

    def _next(self) -> tuple[bool, Event | None]:
        """Take one step through the buffer.

        Returns:
            Whether there was enough for a step, and the event it led to, if any.
        """
        header = self._header
        if header is not None:
            return self._take_payload(header)
        message = self._message
        header = parse_header(
            self._buffer,
            self._at,
            masked=self._peer_masks,
            deflate=self._inflater is not None,
            limit=self._deflated_limit if message is not None and message.compressed else self._frame_limit,
            deflated_limit=self._deflated_limit,
        )
        if header is None:
            return False, None
        if header.opcode >= FIRST_CONTROL:
            return self._take_control(header)
        if header.opcode == _CONTINUATION:
            if message is None:
                raise FragmentationError("continuation frame without a message to continue")
        else:
            if message is not None:
                raise FragmentationError("new message inside a fragmented one")
            message = IncomingMessage(
                header.opcode == _TEXT,
                self._inflater if header.compressed else None,
                self.limits.max_message_size,
                self._delivery,
            )
        message.expect(header.length)
        self._message = message
        self._header = header
        self._left = header.length
        self._at += header.size
        return self._take_payload(header)

    def _take_payload(self, header: FrameHeader) -> tuple[bool, Event | None]:
        """Take what has arrived of a data frame's payload, however little. RFC 6455 §8.1 asks for it."""
        assert self._message is not None
        start = self._at
        stop = min(len(self._buffer), start + self._left)
        phase = header.length - self._left & 3
        left = self._left = self._left - (stop - start)
        if stop == start and left:
            return False, None
        self._at = stop
        self._progress += 1
        event = self._message.add(self._buffer, start, stop, header.key, phase, left, header.final)
        if not left:
            self._header = None
            if header.final:
                self._message = None
                self._frames.messages += 1
        return not left, event

    def _take_control(self, header: FrameHeader) -> tuple[bool, Event | None]:
        """Take a control frame once it is complete. RFC 6455 §5.5."""
        start = self._at + header.size
        stop = start + header.length
        if stop > len(self._buffer):
            return False, None
        payload = self._buffer[start:stop]
        if header.key:
            payload = mask(payload, header.key)
        self._at = stop
        if header.opcode == _CLOSE:
            return True, self._closed_by_peer(*parse_close(payload))
        if header.opcode == _PING:
            self.pings_received += 1
            if self._auto_pong and may_send_control(self._halves):
                self._pong = payload
                self._ready = False
            return True, Ping(payload)
        self.pongs_received += 1
        self._timers.pong_received(payload)
        return True, Pong(payload)

    def _closed_by_peer(self, code: int, reason: str) -> Close:
        """Take the peer's Close and answer it. RFC 6455 §5.5.1, §7.1.5, §7.1.6."""
        close = self._peer_close = Close(code, reason)
        self._step(Input.RECEIVE_CLOSE)
        if self._cause is None:
            said = None if code == CloseCode.NO_STATUS_RECEIVED else code
            self._cause = Cause(CauseKind.CLOSED, Side.PEER, describe_close("the peer", said, reason))
        if self._halves == THEY_CLOSED and self._auto_close:
            self._queue(
                self._close_with(encode_close(None if code == CloseCode.NO_STATUS_RECEIVED else code))
            )
        else:
            self._closing()
        return close

    # The end

    def _violated(self, error: RemoteProtocolError) -> None:
        """Fail the connection for what the peer did. RFC 6455 §7.1.7."""
        too_big = isinstance(error, MessageTooBigError)
        kind = CauseKind.MESSAGE_TOO_BIG if too_big else CauseKind.PROTOCOL_ERROR
        detail = f"{error} ({error.section}); failed with {error.code}"
        self._fail(
            encode_close(error.code, str(error)[:MAX_REASON]), Cause(kind, Side.PEER, detail, error=error)
        )

    def _drop_input(self) -> None:
        """Forget what will not be looked at: RFC 6455 §1.4, §7.1.7."""
        self._buffer = b""
        self._at = 0
        self._header = None
        self._message = None

    def _end_of_stream(self) -> None:
        """The peer's stream has ended. RFC 6455 §7.1.4, §7.1.5."""
        if self._cause is None:
            when = "in the opening handshake" if self._connecting else "without a Close frame"
            self._cause = Cause(CauseKind.PEER_VANISHED, Side.PEER, f"the byte stream ended {when}")
        elif self._cause.kind is CauseKind.CLOSED and self._peer_close is None:
            detail = f"{self._cause.detail}, and the peer ended the byte stream without answering"
            self._cause = Cause(CauseKind.PEER_VANISHED, Side.LOCAL, detail)
        self._step(Input.RECEIVE_EOF)
        self._drop_input()

    def _give_up(self, cause: Cause) -> None:
        """End the connection without waiting for the peer."""
        self._cause = cause
        self._step(Input.DROP)
        self._drop_input()
        self._ready = False

    def _disconnected(self) -> Disconnected:
        cause = self._cause
        assert cause is not None
        close = self._peer_close
        if close is None:
            return Disconnected(CloseCode.ABNORMAL_CLOSURE.value, "", False, cause)
        return Disconnected(close.code, close.reason, self._clean, cause)
