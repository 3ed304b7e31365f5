"""One direction of a relayed connection: frames are judged by their headers, and pass as they came.

No payload is unmasked but those of control frames, which have at most 125 bytes. What passes is what may
pass: an incomplete header or control frame is held back (at most 130 bytes), so a violation never gets to
the other side, and between two frames there is always a place for one of our own.

RFC 6455 §5; RFC 7692 §6.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from edgews.backend import mask, new_scanner, scan
from edgews.deflate import deflated_bound
from edgews.errors import FragmentationError, MessageTooBigError, RemoteProtocolError
from edgews.events import Close
from edgews.frames import FIRST_CONTROL, RSV1, FrameHeader, Opcode, parse_close, parse_header
from edgews.limits import DEFAULT_LIMITS, Limits

_CONTINUATION: Final = 0x0


class FrameScanner:
    """Judge and count the frames of one peer, and say which bytes may go on.

    Args:
        masked: the peer has to mask: it is the client.
        deflate: permessage-deflate was agreed.
        limits: `max_message_size` and `max_frame_size` hold for payloads as they stand on the wire. A
            compressed message may be a quarter longer, as for the engine.

    Attributes:
        error: the rule that the peer has broken; nothing passes any more.
        close: the peer's Close; nothing passes behind it.
        keep_close: do not let the peer's Close pass.
        pings, pongs: how many came.
    """

    __slots__ = (
        "_calm",
        "_compressed",
        "_deflate",
        "_deflated_limit",
        "_deflated_message_limit",
        "_expected_pong",
        "_frame_limit",
        "_held",
        "_last",
        "_masked",
        "_message_limit",
        "_opcode",
        "_passed",
        "_run",
        "_size",
        "_waiting",
        "close",
        "error",
        "keep_close",
        "pings",
        "pongs",
    )

    # Of frames none is held back that breaks no rule.
    dropped = 0

    def __init__(self, *, masked: bool, deflate: bool = False, limits: Limits = DEFAULT_LIMITS) -> None:
        message = sys.maxsize if limits.max_message_size is None else limits.max_message_size
        self._masked = masked
        self._deflate = deflate
        self._message_limit = message
        self._frame_limit = message if limits.max_frame_size is None else limits.max_frame_size
        # The same for compressed ones, of which only the sum of the frames tells their length.
        self._deflated_message_limit = deflated_bound(message)
        self._deflated_limit = (
            self._deflated_message_limit if limits.max_frame_size is None else limits.max_frame_size
        )
        self._run = self._new_run()
        # What has passed is counted there, when nothing passes any more.
        self._passed: Any = None
        # Nothing is held back, nothing waits, and nothing is over: the kernel may be asked first.
        self._calm = True
        self._held = b""
        # The fragmented message that is arriving: its opcode (0 for none), and what came of it (bytes).
        self._opcode = 0
        self._compressed = False
        self._size = 0
        # Frames of ours for the next boundary, and whether they are the last thing that passes.
        self._waiting = b""
        self._last = False
        self._expected_pong: bytes | None = None
        self.error: RemoteProtocolError | None = None
        self.close: Close | None = None
        self.keep_close = False
        self.pings = 0
        self.pongs = 0

    def _new_run(self) -> Any:
        limit = min(self._message_limit, self._frame_limit)
        return new_scanner(limit, self._masked, RSV1 if self._deflate else 0)

    def scan(self, data: bytes) -> bytes | None:
        """Take the next bytes of the peer.

        Returns:
            None when all of `data` may go on to the other side and nothing else has happened; otherwise what
            may go on now, and `error` and `close` may have changed.
        """
        if self._calm:
            done: int = scan(self._run, data, 0, len(data))
            if done == len(data):
                return None
            return self._judge(data, done)
        return self._judge(data, 0)

    @property
    def over(self) -> bool:
        """Whether the peer has said all that it may say, or we have said our last in its place."""
        return self.error is not None or self.close is not None or self._last

    @property
    def at_boundary(self) -> bool:
        """Whether what passed ends with a frame."""
        return not self._run.left

    @property
    def waits(self) -> bool:
        """Whether a frame of ours has not found its place yet."""
        return bool(self._waiting)

    @property
    def size(self) -> int:
        """How many bytes of frames came, up to the one that is incomplete."""
        return int(self._run.bytes) + (0 if self._passed is None else int(self._passed.bytes))

    @property
    def texts(self) -> int:
        """How many text messages passed whole."""
        return int((self._passed or self._run).texts)

    @property
    def binaries(self) -> int:
        """How many binary messages passed whole."""
        return int((self._passed or self._run).binaries)

    @property
    def messages(self) -> int:
        """How many messages passed whole."""
        return self.texts + self.binaries

    @property
    def expects_pong(self) -> bool:
        """Whether the answer to a Ping of ours has not come yet."""
        return self._expected_pong is not None

    # What we put in

    def inject(self, frame: bytes) -> bytes:
        """Put a control frame of ours between two of the peer's.

        Returns:
            What to write now; nothing if the frame has to wait, and then `scan` gives it later. Nothing ever
            follows a Close that passed.
        """
        if self._last or (self.close is not None and not self.keep_close):
            return b""
        if self.at_boundary:
            return frame
        self._waiting += frame
        self._calm = False
        return b""

    def finish(self, frame: bytes) -> bytes:
        """Let nothing of the peer pass any more, and this frame last, at the next boundary.

        What the peer sends is still judged: its Close answers ours.

        Returns:
            What to write now, as with `inject`. If the peer's stream ends inside a frame there is no place.
        """
        passes = self.inject(frame)
        self._last = True
        self._calm = False
        if not self._waiting:
            self._mute()
        return passes

    def _mute(self) -> None:
        """Count apart from now on."""
        if self._passed is None:
            passed, self._run = self._run, self._new_run()
            self._run.left, self._run.ends, self._run.plain = passed.left, passed.ends, passed.plain
            self._passed = passed

    def expect_pong(self, payload: bytes) -> None:
        """Keep the Pong that answers our own Ping away from the other side."""
        self._expected_pong = payload

    # Anything but plain frames

    def _judge(self, data: bytes, at: int) -> bytes:
        """Take bytes frame by frame, where the kernel will not do; it has been up to `at`."""
        if self.error is not None or self.close is not None:
            return b""
        run = self._run
        if self._waiting:
            head = data[: run.left]
            scan(run, head, 0, len(head))
            if run.left:
                return head
            waited, self._waiting = self._waiting, b""
            if self._last:
                self._mute()
            return head + waited + self._judge(data[len(head) :], 0)
        if self._held:
            data = self._held + data
        passed: list[bytes] = []
        begin = 0
        while (at := scan(run, data, at, len(data))) < len(data):
            try:
                stop, passes = self._next(data, at)
            except RemoteProtocolError as error:
                self.error = error
                break
            if stop == at:
                break
            run.bytes += stop - at
            if not passes:
                passed.append(data[begin:at])
                begin = stop
            at = stop
            if self.close is not None:
                break
        self._held = b"" if self.error is not None or self.close is not None else data[at:]
        self._calm = not (self._held or self.over)
        if self._last:
            return b""
        passed.append(data[begin:at])
        return b"".join(passed)

    def _next(self, data: bytes, at: int) -> tuple[int, bool]:
        """Take the frame at `at`, or its header.

        Returns:
            The position behind it, `at` if too little is there, and whether it passes.
        """
        header = parse_header(
            data,
            at,
            masked=self._masked,
            deflate=self._deflate,
            limit=self._deflated_limit if self._opcode and self._compressed else self._frame_limit,
            deflated_limit=self._deflated_limit,
        )
        if header is None:
            return at, False
        body = at + header.size
        if header.opcode < FIRST_CONTROL:
            self._begin(header)
            return body, True
        stop = body + header.length
        if stop > len(data):
            return at, False
        payload = data[body:stop]
        return stop, self._control(header.opcode, mask(payload, header.key) if header.key else payload)

    def _begin(self, header: FrameHeader) -> None:
        """Take the header of a data frame. RFC 6455 §5.4."""
        if header.opcode == _CONTINUATION:
            if not self._opcode:
                raise FragmentationError("continuation frame without a message to continue")
        else:
            if self._opcode:
                raise FragmentationError("new message inside a fragmented one")
            self._opcode = header.opcode
            self._compressed = header.compressed
            self._size = 0
        self._size += header.length
        limit = self._deflated_message_limit if self._compressed else self._message_limit
        if self._size > limit and not (self._compressed and self._message_limit == sys.maxsize):
            raise MessageTooBigError(f"message of more than {limit} bytes")
        run = self._run
        run.left = header.length
        run.ends = self._opcode if header.final else 0
        run.plain = header.final
        if header.final:
            if not header.length:
                self._count(self._opcode)
            self._opcode = 0

    def _count(self, opcode: int) -> None:
        if opcode == Opcode.TEXT:
            self._run.texts += 1
        else:
            self._run.binaries += 1

    def _control(self, opcode: int, payload: bytes) -> bool:
        """Take a control frame; say whether it passes."""
        if opcode == Opcode.CLOSE:
            self.close = Close(*parse_close(payload))
            return not self.keep_close
        if opcode == Opcode.PING:
            self.pings += 1
            return True
        self.pongs += 1
        if payload != self._expected_pong:
            return True
        self._expected_pong = None
        return False
