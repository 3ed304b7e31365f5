"""One relayed connection on asyncio; what is to happen is decided in `relay` and `tunnel`."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from edgews.edge.analytics.stories import BY_ORIGIN
from edgews.edge.forwarding.entrance import Entry
from edgews.edge.forwarding.exchange import Exchange, check_bodiless, check_plain, is_plain, plain_request
from edgews.edge.forwarding.handshake import check_upgrade, own_response
from edgews.edge.forwarding.headers import to_client
from edgews.edge.forwarding.origins import Origin
from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.policies import PASSED, Verdict
from edgews.edge.relay.ends import Why
from edgews.edge.relay.tunnel import Tunnel
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.handshake import check_request
from edgews.http1 import RequestReader, encode_response

from .failures import CROWDED, DRAINING, FAULT, HUNG_UP, OPEN_TIMEOUT, answer_failure
from .opening import Opening
from .plain import Plain
from .refusal import Refusal
from .relayed import Relayed
from .streams import ClientStream, Stream, half_close

if TYPE_CHECKING:
    from .routes import Route
    from .server import Gateway
    from .streams import OriginStream

_log = logging.getLogger("edgews.edge")

# What a client may send before its connection is open (bytes); then it has to wait.
_EARLY: Final = 64 * 1024


class Proxied(Relayed):
    """A client's connection, and the origin's behind it.

    Attributes:
        peername: the address of the other end of the client's stream; None for a Unix socket.
        address: of the client, which a trusted proxy may stand in front of.
        awaited: what it has to do while it is not open, for counting.
        entry: what is known of the request until the connection is open.
        verdict: what the policies made of it.
    """

    __slots__ = (
        "_answered",
        "_early",
        "_opening",
        "_reader",
        "_used",
        "_work",
        "address",
        "awaited",
        "entry",
        "host",
        "opened",
        "origin",
        "peername",
        "plain",
        "ray",
        "refusal",
        "request",
        "route",
        "secure",
        "started",
        "target",
        "unreachable",
        "verdict",
    )

    def __init__(self, gateway: Gateway, *, secure: bool, address: str | None = None) -> None:
        super().__init__(gateway, ClientStream(self))
        self.secure = secure
        self.request: Request | None = None
        self.route: Route | None = None
        self.origin: Origin | None = None
        self.ray = gateway.new_ray()
        self.peername = self.address = address
        self.awaited = "request"
        # What is told of the request after it is gone.
        self.host = self.target = ""
        # Origins that could not be reached, and why.
        self.unreachable: tuple[str, ...] = ()
        self.entry: Entry | None = None
        self.verdict: Verdict = PASSED
        self.started = self.opened = self.loop.time()
        # A plain request on its way.
        self.plain: Plain | None = None
        # An answer that opens nothing, on its way to the client.
        self.refusal: Refusal | None = None
        self._reader: RequestReader | None = RequestReader(gateway.limits, bodies=True)
        self._early = b""
        self._answered = False
        # It has been answered before.
        self._used = False
        self._opening: Opening | None = None
        # What stands in front of the request, streams to the client, or asks for it.
        self._work: asyncio.Task[Any] | None = None

    # The opening handshake

    def approach(self, work: asyncio.Task[Any]) -> None:
        """Have something done in front of the request."""
        self._work = work

    def came(self) -> None:
        """Take a new client."""
        self._work = None
        self.awaited = "request"
        self.gateway.came(self)
        self._wait_until(self.started + self.gateway.open_timeout, self._too_late)

    def give_way(self) -> None:
        """Go now, for others need the place; whoever began a request is told."""
        reader = self._reader
        if self._work is None and reader is not None and (reader.has_data or not self._used):
            self.client.write(encode_response(own_response(CROWDED)))
        self._answered = True
        self._stop_timer()
        # Nobody is waited for, nor for what was not sent at once.
        self.loop.call_soon(self.abort)

    def _too_late(self) -> None:
        self._timer = None
        if self._used and self._reader is not None and not self._reader.has_data:
            # It has been answered before, and wants nothing more.
            self.client.close()
        else:
            self.refuse(OPEN_TIMEOUT)

    def asked(self, data: bytes) -> None:
        """Take what the client sends before the connection is open."""
        reader = self._reader
        if self._answered:
            # Of no use any more, but unread it would turn the end of the stream into a reset.
            return
        if self.plain is not None:
            self.plain.fed(data)
            return
        if reader is None:
            self._early += data
            if len(self._early) > _EARLY:
                self.client.listen(False)
            return
        try:
            complete = reader.feed(data)
            if complete is None:
                return
            self._reader = None
            self.request, self._early = complete
            self.host = self.request.headers.get("Host") or ""
            self.target = self.request.path
            if plain := is_plain(self.request):
                check_plain(self.request)
            else:
                check_upgrade(self.request, self._early)
                check_bodiless(self.request)
        except HandshakeError as error:
            self._reader = None
            failure = Failure(error.status, str(error), str(error), tuple(error.headers))
            self.refuse(failure, reason="bad handshake", header=error.header or "")
            return
        self._stop_timer()
        found = self.gateway.admit(self)
        if isinstance(found, Failure):
            self.refuse(found)
            return
        self.route = found
        if not plain:
            assert self.entry is not None
            self._opening = Opening(self, self.request, found, self.entry)
            self._opening.start()
        else:
            self._ask(self.request, found)

    def wait(self, seconds: float, late: Callable[[], object]) -> None:
        """Wait so long for what is to happen next; then call back."""
        self._wait_until(self.loop.time() + seconds, late)

    def _wait_until(self, due: float, late: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self.gateway.timers.call_at(due, late)

    def fail(self, error: BaseException) -> None:
        """Take a fault of ours, which is no reason to keep the client waiting."""
        _log.error("cannot open %s", self.ray, exc_info=error)
        if self.tunnel is None:
            self.refuse(FAULT)
        else:
            self.abort()

    def settle(self) -> None:
        """Go, if the client has gone while somebody was busy with it."""
        if self.client.lost:
            self._gone()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = self.loop.create_task(work)
        self._work.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        """Let go of a task."""
        self._work = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)
        elif self.plain is not None:
            if task.cancelled():
                self.plain.hung_up()
            self._asked_plain(self.plain)
        self.settle()

    def pass_on(
        self, request: Request, route: Route, refusal: Refusal, response: Response, behind: bytes
    ) -> None:
        """Pass an answer of the origin's on that opens nothing."""
        self._stop_timer()
        self._opening = None
        self.refusal = refusal
        exchange = Exchange(request, max_body=0)
        try:
            refusal.begin(exchange, self.passed_on(response))
        except HandshakeError as error:
            self.refuse(answer_failure(str(error)))
            return
        self.gateway.refused(self, response.status, BY_ORIGIN, BY_ORIGIN)
        # What the client sent early is of no use any more.
        self._answered, self._early = True, b""
        self.client.listen(True)
        self._start(self._pass(refusal, exchange, behind, route.stream_timeout))

    async def _pass(self, refusal: Refusal, exchange: Exchange, behind: bytes, patience: float) -> None:
        """Pass the body of such an answer on."""
        whole = await refusal.run(behind, patience)
        self._end(whole or not exchange.by_end)

    # A plain request

    def _ask(self, request: Request, route: Route) -> None:
        """Pass a plain request on."""
        early, self._early = self._early, b""
        try:
            if not route.http:
                check_request(request)
            exchange = Exchange(request, max_body=route.max_body_size)
        except HandshakeError as error:
            failure = Failure(error.status, str(error), str(error), tuple(error.headers))
            self.refuse(failure, reason="bad handshake", header=error.header or "")
            return
        entry = self.entry
        assert entry is not None
        asked = plain_request(request, entry.facts.target, entry.forwarded)
        self.plain = Plain(self, route, asked, exchange)
        # Nobody comes any more, so nobody is to come again.
        self.plain.keep = bool(self.gateway.listening)
        self._start(self.plain.run())
        self.plain.fed(early)

    def passed_on(self, response: Response) -> Response:
        """Return what the client gets of an origin's answer to a plain request."""
        fields = to_client(response.headers, self.ray, identity=self.gateway.admission.identity)
        return Response(response.status, fields)

    def _asked_plain(self, plain: Plain) -> None:
        """Go on behind a plain request."""
        self.plain = None
        if plain.failure is not None and plain.failure is not HUNG_UP and not plain.exchange.answered:
            self.refuse(plain.failure)
            return
        self.gateway.answered(self, plain)
        if plain.failure is not None or not plain.keep or not plain.exchange.keeps or self.client.lost:
            self._answered = True
            self._end(plain.failure is None or not plain.exchange.by_end)
        else:
            self._again(plain.rest)

    def _again(self, rest: bytes) -> None:
        """Wait for another request on the same connection."""
        self._used = True
        self.awaited = "another request"
        self.request = self.route = self.entry = None
        self.host = self.target = ""
        self.unreachable = ()
        self.verdict = PASSED
        self.ray = self.gateway.new_ray()
        self.started = self.loop.time()
        self._reader = RequestReader(self.gateway.limits, bodies=True)
        self.wait(self.gateway.open_timeout, self._too_late)
        self.client.listen(True)
        if rest:
            self.asked(rest)

    # The origin's answer

    def join(self, tunnel: Tunnel, stream: OriginStream, response: Response, behind: bytes) -> None:
        """Open the tunnel. What either side has sent early goes through it first."""
        self._stop_timer()
        self._opening = None
        self.client.write(encode_response(response))
        self.tunnel = tunnel
        self.opened = self.loop.time()
        tunnel.start(self.opened)
        self.client.join(tunnel.client, stream)
        stream.join(tunnel.origin, self.client)
        self.gateway.opened(self)
        if len(self._early) > _EARLY:
            self.client.listen(True)
        early, self._early = self._early, b""
        if early:
            self.client.data_received(early)
        if behind:
            stream.data_received(behind)
        self._advance()

    def refuse(self, failure: Failure, *, reason: str = "", header: str = "") -> None:
        """Answer the client with a refusal of the gateway's; the rest is as for `_answer`.

        Args:
            reason: empty if the cause is nothing that a client chooses.
        """
        ray = (self.gateway.admission.identity.ray_id, self.ray)
        self._answer(own_response(failure, (ray,)), failure.cause, reason or failure.cause, header)

    def _answer(self, response: Response, cause: str, reason: str, header: str = "") -> None:
        """Send an answer that opens nothing, and end both streams.

        Args:
            cause: why, for a person.
            reason: why, for counting: nothing that a client chooses.
            header: the field at fault.
        """
        self._stop_timer()
        if self.request is not None and self.request.method == "HEAD":
            response.body = b""
        self.client.write(encode_response(response))
        self.gateway.refused(self, response.status, cause, reason, header)
        self._answered = True
        self._opening = self._reader = None
        self._early = b""
        self.client.listen(True)
        self._end(True)

    def _end(self, in_order: bool) -> None:
        """End both streams, the client's once everything that was written is out.

        Args:
            in_order: the end may look as if the answer were whole.
        """
        self.awaited = "its end"
        if self.origin_stream is not None:
            self.origin_stream.abort()
        if not in_order:
            self.client.abort()
            return
        transport = self.client.transport
        if transport is not None and transport.can_write_eof() and not transport.is_closing():
            half_close(transport)
        else:
            self.client.close()
        self.wait(self.gateway.linger, self.client.abort)

    def has_room(self, stream: Stream, has: bool) -> None:
        """Let who writes to the client go on, or wait until it has read."""
        writer = self.plain or self.refusal
        if writer is not None and stream is self.client:
            writer.room.set(has)

    # The ends

    def ended(self, stream: Stream) -> None:
        """Take the end of a byte stream."""
        if self.tunnel is not None and stream.leg is not None:
            self.tunnel.ended(stream.leg, self.loop.time())
            self._advance()
        elif stream is self.client:
            self._hung_up()

    def lost(self, stream: Stream) -> None:
        """Take the end of a byte stream in both directions."""
        if self.tunnel is not None and stream.leg is not None:
            if not self.tunnel.over:
                self.tunnel.ended(stream.leg, self.loop.time(), lost=True)
                self._advance()
        elif stream is self.client:
            self._hung_up()
        self._gone()

    @property
    def answered(self) -> bool:
        """Whether the client has got an answer that opens nothing, and has asked for nothing since."""
        return self._answered or (self._used and not self.target)

    def _hung_up(self) -> None:
        """The client has gone before the connection was open."""
        self._stop_timer()
        if self._opening is not None:
            self._opening.cancel()
        if self._work is not None:
            self._work.cancel()
        if self.origin_stream is not None:
            self.origin_stream.abort()
        self.client.close()

    def finish(self, code: int, reason: str, why: Why = Why.GATEWAY, *, patience: float = math.inf) -> None:
        """End the connection for a reason of the gateway's; see `Tunnel.finish`."""
        if self.plain is not None:
            self.plain.keep = False
        elif self.tunnel is not None:
            self.tunnel.finish(code, reason, self.loop.time(), why=why, patience=patience)
            self._advance()
        elif self.refusal is None:
            # An answer of the origin's has its own end.
            self._turn_away()

    def _turn_away(self) -> None:
        """End a connection that is not open as the gateway stops; whoever began a request is told."""
        if self._answered or (self._reader is not None and not self._reader.has_data):
            self._hung_up()
            return
        if self._opening is not None:
            self._opening.cancel()
        self.refuse(DRAINING)

    def abort(self) -> None:
        """Drop everything now."""
        if self.tunnel is not None:
            self.tunnel.abort("dropped by the gateway")
        elif self.plain is not None and self.plain.failure is None:
            self.plain.failure = DRAINING
            if not self.plain.exchange.answered:
                self.client.write(encode_response(own_response(DRAINING)))
        self._hung_up()
        self.client.abort()

    def _gone(self) -> None:
        """Forget the connection once both streams are gone."""
        stream = self.origin_stream
        busy = self.plain is not None and self._work is not None
        if self.client.lost and not busy and (stream is None or stream.transport is None or stream.lost):
            self._stop_timer()
            if self.origin is not None:
                self.origin.active -= 1
            self.gateway.gone(self)
            self.origin = None
