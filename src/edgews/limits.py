"""What a connection may cost: sizes in bytes, times in seconds, every default finite."""

from __future__ import annotations

from dataclasses import dataclass

from .arguments import check_seconds, check_size

KIB = 1024
MIB = 1024 * KIB


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """Sizes in bytes. None takes a limit away; the peer then decides how much memory it costs you.

    Attributes:
        max_message_size: payload of one message, all fragments together and after inflation. Beyond
            it the connection fails with 1009. 1 MiB holds a long document or a small picture.
        max_frame_size: payload of one frame as it stands on the wire. None means `max_message_size`,
            for a message may always come in one frame, and a quarter more for a compressed frame, which
            random data makes longer than its message.
        max_header_size: the head of the HTTP request or response, first byte to empty line. Beyond it
            431. 16 KiB holds every cookie that browsers keep for a site (about 8 KiB).
        max_header_count: header fields in that head. Beyond it 431. Browsers send about 20.
        max_body_size: how much of the body of a refusal a client keeps for `Rejected`. 64 KiB holds
            an error page; what is longer is cut.
        max_buffered_writes: automatic Pongs that wait for `data_to_send`. Beyond it only the most
            recent Ping is answered, as RFC 6455 §5.5.3 allows. 4 KiB is 32 Pongs of the longest kind.
    """

    max_message_size: int | None = MIB
    max_frame_size: int | None = None
    max_header_size: int = 16 * KIB
    max_header_count: int = 100
    max_body_size: int = 64 * KIB
    max_buffered_writes: int = 4 * KIB

    def __post_init__(self) -> None:
        for name in ("max_message_size", "max_frame_size"):
            check_size(name, getattr(self, name), 0, none="no limit")
        for name in ("max_header_size", "max_header_count", "max_body_size", "max_buffered_writes"):
            check_size(name, getattr(self, name), 1)


@dataclass(slots=True, frozen=True, kw_only=True)
class Timeouts:
    """Times in seconds. None turns a timer off.

    Attributes:
        open: from the first look at the clock to the end of the opening handshake. 10 s is many round
            trips of a slow line, and too little for a peer that sends a byte now and then.
        close: from the first Close frame to the end of the byte stream, and again from our half-close.
        idle: longest silence, in both directions of messages and frames alike. Off by default, because
            pings find dead peers. The connection ends between this time and a quarter more.
        ping_interval: time between two automatic Pings. 20 s stays below the idle cut-off of common
            proxies (60 s and up).
        ping_timeout: how long a Ping may go unanswered. Any byte from the peer counts as life, so a
            long upload in front of the Pong does no harm.
    """

    open: float | None = 10.0
    close: float | None = 10.0
    idle: float | None = None
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0

    def __post_init__(self) -> None:
        for name in ("open", "close", "idle", "ping_interval", "ping_timeout"):
            check_seconds(name, getattr(self, name), positive=True, none="no timer")


DEFAULT_LIMITS = Limits()
DEFAULT_TIMEOUTS = Timeouts()
