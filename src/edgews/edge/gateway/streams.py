"""The two byte streams of a relayed connection, as protocols of asyncio: read, scan, write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from edgews.edge.relay.legs import Leg

if TYPE_CHECKING:
    from .opening import Opening
    from .proxied import Proxied

# What waits for a peer that does not read, before the other one has to wait (bytes).
HIGH_WATER: Final = 128 * 1024


class Stream(asyncio.Protocol):
    """One of the two byte streams."""

    __slots__ = ("_peer_write", "_scan", "going_on", "leg", "lost", "owner", "peer", "transport")

    def __init__(self, owner: Proxied) -> None:
        self.owner = owner
        self.transport: asyncio.Transport | None = None
        self.lost = False
        # Once there is a tunnel:
        self.leg: Leg | None = None
        self.peer: Stream | None = None
        self._scan: Callable[[bytes], bytes | None] | None = None
        self._peer_write: Callable[[bytes], object] | None = None
        # The owner is about to go on with what the leg holds.
        self.going_on = False

    def join(self, leg: Leg, peer: Stream) -> None:
        """Relay from now on."""
        assert peer.transport is not None
        self.leg = leg
        self.peer = peer
        self._scan = leg.scanner.scan
        self._peer_write = peer.transport.write

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's have no class in common with asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        scan = self._scan
        if scan is None:
            self.early(data)
            return
        passes = scan(data)
        if passes is None:
            self._peer_write(data)  # type: ignore[misc]
        else:
            self.owner.passed(self, passes)

    def early(self, data: bytes) -> None:
        """Take bytes that come before the tunnel is open."""
        raise NotImplementedError

    def eof_received(self) -> bool:
        self.owner.ended(self)
        # With TLS the transport closes itself in any case, and complains about another wish.
        return self.transport is not None and self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.leg is None or self.leg.full:
            # Whoever waits for room here waits no longer.
            self.resume_writing()
        self.owner.lost(self)

    def pause_writing(self) -> None:
        if self.leg is not None:
            self.leg.full = True
        if self.peer is not None:
            self.peer.listen(False)
        else:
            self.owner.has_room(self, False)

    def resume_writing(self) -> None:
        if self.leg is not None:
            self.leg.full = False
        if self.peer is not None:
            self.owner.go_on(self.peer)
        else:
            self.owner.has_room(self, True)

    def listen(self, reading: bool) -> None:
        """Read on, or have the sender wait."""
        if self.leg is not None:
            self.leg.paused = not reading
        if self.transport is not None and not self.transport.is_closing():
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def write(self, data: bytes) -> None:
        """Write, if anybody is there."""
        if data and self.transport is not None and not self.lost:
            self.transport.write(data)

    def close(self) -> None:
        """Close the stream once what was written is out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Drop the stream."""
        if self.transport is not None:
            self.transport.abort()


class ClientStream(Stream):
    """The client's byte stream: first its request, then frames."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.owner.came()

    def early(self, data: bytes) -> None:
        self.owner.asked(data)


class OriginStream(Stream):
    """The origin's byte stream: first its answer, then frames."""

    __slots__ = ("_behind", "_more", "_opening")

    def __init__(self, owner: Proxied, opening: Opening) -> None:
        super().__init__(owner)
        # Who takes the answer's head.
        self._opening: Opening | None = opening
        # What has come behind the head of one that opens nothing, with the end of the stream; and who waits
        # for it.
        self._behind: list[tuple[bytes, bool]] | None = None
        self._more: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._opening is not None
        self._opening.reached(self)

    def join(self, leg: Leg, peer: Stream) -> None:
        super().join(leg, peer)
        self._opening = None

    def early(self, data: bytes) -> None:
        self._feed(data, False)

    def _feed(self, data: bytes, eof: bool) -> None:
        if self._behind is not None:
            # What follows waits until somebody is there to take it.
            self._behind.append((data, eof))
            self.listen(False)
            if self._more is not None and not self._more.done():
                self._more.set_result(None)
        elif self._opening is not None:
            self._opening.fed(self, data, eof)

    def keep(self) -> None:
        """Keep what comes from now on for `next`."""
        self._opening = None
        self._behind = []
        self.listen(False)

    async def next(self) -> tuple[bytes, bool]:
        """Return the next bytes behind the head, and whether the stream has ended."""
        assert self._behind is not None
        if not self._behind:
            self._more = self.owner.loop.create_future()
            self.listen(True)
            await self._more
        return self._behind.pop(0)

    def eof_received(self) -> bool:
        if self._scan is None:
            self._feed(b"", True)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._scan is None:
            self._feed(b"", True)
        super().connection_lost(exc)


def half_close(transport: asyncio.Transport) -> None:
    """Write nothing more there, and read on."""
    try:
        transport.write_eof()
    except OSError:
        # The peer has reset the connection, and nobody reads who would notice.
        transport.abort()
