"""The two byte streams of a relayed connection, and the tunnel between them once it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgews.edge.relay.tunnel import Tunnel
from edgews.states import Transport

from .streams import ClientStream, OriginStream, Stream, half_close
from .timers import Timer

if TYPE_CHECKING:
    from .server import Gateway


class Relayed:
    """What moves bytes from one stream to the other, as the tunnel says.

    Attributes:
        tunnel: None until the connection is open.
    """

    __slots__ = ("_due", "_timer", "client", "gateway", "loop", "origin_stream", "tunnel")

    def __init__(self, gateway: Gateway, client: ClientStream) -> None:
        self.gateway = gateway
        self.loop = gateway.loop
        self.client = client
        self.origin_stream: OriginStream | None = None
        self.tunnel: Tunnel | None = None
        self._timer: Timer | None = None
        self._due = 0.0

    def passed(self, stream: Stream, data: bytes) -> None:
        """Take what a scanner lets pass, when something else has happened."""
        tunnel, leg, peer = self.tunnel, stream.leg, stream.peer
        assert tunnel is not None
        assert leg is not None
        assert peer is not None
        pinged = leg.pinged_at
        plain = tunnel.passed(leg, data, self.loop.time())
        if pinged is not None and leg.pinged_at is None and leg.latency is not None:
            self.gateway.observer.ponged(leg.client, leg.latency)
        if plain:
            peer.write(tunnel.other(leg).data_to_send())
        else:
            self._advance()

    def go_on(self, stream: Stream) -> None:
        """Go on with what comes from a stream: at the other side there is room for it."""
        tunnel, leg, peer = self.tunnel, stream.leg, stream.peer
        assert tunnel is not None
        assert leg is not None
        assert peer is not None
        tunnel.more(leg, self.loop.time())
        self._advance()
        if not (leg.holds or tunnel.other(leg).full):
            stream.listen(True)

    def _hold(self, stream: Stream) -> None:
        """Have a stream wait whose leg holds something, and give others their turn before it goes on."""
        stream.listen(False)
        if not stream.going_on:
            stream.going_on = True
            self.loop.call_soon(self._next_turn, stream)

    def _next_turn(self, stream: Stream) -> None:
        stream.going_on = False
        assert self.tunnel is not None
        assert stream.leg is not None
        # Without room, `go_on` is called as soon as there is some.
        if not self.tunnel.other(stream.leg).full:
            self.go_on(stream)

    def _advance(self) -> None:
        """Do with both streams what the tunnel says."""
        tunnel = self.tunnel
        stream = self.origin_stream
        assert tunnel is not None
        assert stream is not None
        for side, leg in ((self.client, tunnel.client), (stream, tunnel.origin)):
            side.write(leg.data_to_send())
            transport = side.transport
            if transport is None or transport.is_closing():
                continue
            if leg.transport is Transport.CLOSE:
                transport.close()
                if transport.get_write_buffer_size():
                    self.loop.call_later(self.gateway.linger, transport.abort)
            elif leg.transport is Transport.HALF_CLOSE and transport.can_write_eof():
                half_close(transport)
            if leg.holds:
                self._hold(side)
        if tunnel.over:
            self._stop_timer()
        else:
            self._schedule(tunnel.next_timeout())

    def _schedule(self, due: float) -> None:
        if self._timer is not None:
            # One that comes too early does no harm: it looks, and is set anew.
            if self._due <= due:
                return
            self._stop_timer()
        if due < float("inf"):
            self._due = due
            self._timer = self.gateway.timers.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        assert self.tunnel is not None
        self.tunnel.handle_timeout(self.loop.time())
        self._advance()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.gateway.timers.cancel(self._timer)
            self._timer = None
