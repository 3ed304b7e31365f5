"""The two byte streams of a relayed connection: what comes from each, and what goes there. Sans-IO."""

from __future__ import annotations

from typing import Protocol

from edgews.backend import build_masked
from edgews.errors import RemoteProtocolError
from edgews.events import Close
from edgews.frames import FIN, encode_header
from edgews.masking import new_key
from edgews.states import Transport


class Scanner(Protocol):
    """What comes from one peer: judged, counted, and passed on as far as it may pass.

    Attributes:
        error: the rule that the peer has broken; nothing passes any more.
        close: the peer's Close; nothing passes behind it.
        keep_close: do not let the peer's Close pass.
        pings, pongs: how many came.
    """

    error: RemoteProtocolError | None
    close: Close | None
    keep_close: bool
    pings: int
    pongs: int

    @property
    def at_boundary(self) -> bool:
        """Whether what passed ends with a frame."""
        ...

    @property
    def waits(self) -> bool:
        """Whether a frame of ours has not found its place yet."""
        ...

    @property
    def expects_pong(self) -> bool:
        """Whether the answer to a Ping of ours has not come yet."""
        ...

    @property
    def size(self) -> int:
        """How many bytes came."""
        ...

    @property
    def texts(self) -> int:
        """How many text messages passed whole."""
        ...

    @property
    def binaries(self) -> int:
        """How many binary messages passed whole."""
        ...

    @property
    def messages(self) -> int:
        """How many messages passed whole."""
        ...

    @property
    def dropped(self) -> int:
        """How many messages were not let through."""
        ...

    def scan(self, data: bytes) -> bytes | None:
        """Take the next bytes, and return what `Tunnel.passed` is to be given.

        None: all of `data` may go on to the other side, and nothing else has happened.
        """
        ...

    def inject(self, frame: bytes) -> bytes:
        """Put a control frame of ours between two of the peer's; return what to write now."""
        ...

    def finish(self, frame: bytes) -> bytes:
        """Let nothing of the peer pass any more, and this frame last; return what to write now."""
        ...

    def expect_pong(self, payload: bytes) -> None:
        """Keep the Pong that answers our own Ping away from the other side."""
        ...


class Leg:
    """One of the two byte streams.

    Attributes:
        scanner: of what comes from there.
        transport: what to do with the stream.
        paused: its owner does not read from it, so its silence says nothing.
        full: so much waits to be written there that its owner wants no more.
        eof: it has ended.
        latency: seconds between the last Ping of ours that was answered and its Pong; None before the first.
        pinged_at: when the Ping was sent whose Pong has not come; None without one.
    """

    __slots__ = (
        "_out",
        "_pinged",
        "_seen",
        "answer",
        "client",
        "eof",
        "failed",
        "full",
        "latency",
        "paused",
        "pinged_at",
        "scanner",
        "told",
        "transport",
    )

    def __init__(self, scanner: Scanner, client: bool) -> None:
        self.scanner = scanner
        self.client = client
        self.transport = Transport.KEEP_OPEN
        self.paused = False
        self.full = False
        self.eof = False
        # It has broken a rule.
        self.failed = False
        # A Close of ours or of the other side went there.
        self.told = False
        # What a Close that nobody else answers is answered with.
        self.answer = b""
        self._out: list[bytes] = []
        # How many bytes had come at the last look, and the number of the Ping that waits.
        self._seen = 0
        self._pinged = False
        self.pinged_at: float | None = None
        self.latency: float | None = None

    @property
    def holds(self) -> bool:
        """Whether something came from there that was not looked at yet, for want of room."""
        return False

    def frame(self, opcode: int, payload: bytes) -> bytes:
        """Build a control frame as this stream's other end has to get it."""
        if self.client:
            return encode_header(FIN | opcode, len(payload), masked=False) + payload
        return build_masked(FIN | opcode, payload, new_key())

    def put(self, data: bytes) -> None:
        """Have bytes written there."""
        if data and self.transport is Transport.KEEP_OPEN:
            self._out.append(data)

    def data_to_send(self) -> bytes:
        """Return what to write there now."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data
