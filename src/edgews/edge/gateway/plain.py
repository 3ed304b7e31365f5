"""A plain HTTP request on its way through the gateway: both bodies stream, each side waits for the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import aiohttp

from edgews.edge.forwarding.exchange import Exchange
from edgews.edge.forwarding.origins import Origin
from edgews.edge.policy.decisions import Failure
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers

from .failures import (
    ANSWER_TIMEOUT,
    BODY_TIMEOUT,
    HUNG_UP,
    STALLED,
    UNREACHABLE,
    answer_failure,
    request_failure,
)
from .room import Room
from .upstream import unreached, watch

if TYPE_CHECKING:
    from .proxied import Proxied
    from .routes import Route

# What a client may send before the origin takes it, or behind its request (bytes); then it has to wait.
_WAITING: Final = 64 * 1024


class Plain:
    """One request; `run` is its task.

    Attributes:
        origin: which is asked, or has answered.
        room: whether the client takes any more.
        keep: whether the client's connection may go on behind it.
        failure: what kept it from being answered, or from being answered to the end.
        status: of the answer, 0 if none has begun.
    """

    def __init__(self, owner: Proxied, route: Route, asked: Request, exchange: Exchange) -> None:
        self.owner = owner
        self.route = route
        self.exchange = exchange
        self.origin: Origin | None = None
        self.room = Room()
        self.keep = True
        self.failure: Failure | None = None
        self.status = 0
        self._asked = asked
        self._loop = owner.loop
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        # What came behind the request.
        self._behind = b""
        self._stopped = False
        self._uploading = False
        # The client has sent more of its body.
        self._moved = asyncio.Event()
        self._patience: asyncio.Timeout | None = None

    # What the client does

    def fed(self, data: bytes) -> None:
        """Take what the client sends."""
        if self.failure is not None:
            return
        if self.exchange.complete:
            self._behind += data
            self._waiting += len(data)
        else:
            try:
                pieces = self.exchange.receive(data)
            except HandshakeError as error:
                self._fail(request_failure(error))
                return
            self._pieces += pieces
            self._waiting += sum(map(len, pieces))
        self._moved.set()
        self._hold()

    def _hold(self) -> None:
        """Have the client wait, or no longer."""
        stop = self._waiting > _WAITING
        if stop is not self._stopped:
            self._stopped = stop
            self.owner.client.listen(not stop)

    # The request

    async def run(self) -> None:
        """Ask the origins in turn; the first that can be reached answers."""
        # Kept from the first to the last: a route that a reload has replaced closes what nobody uses.
        self.route.upstreams.enter()
        try:
            await self._ask_in_turn()
        finally:
            self.route.upstreams.leave()

    async def _ask_in_turn(self) -> None:
        unreachable: Failure | None = UNREACHABLE
        for origin in self.route.pool.candidates():
            if self.failure is not None:
                return
            self.origin = origin
            origin.active += 1
            try:
                unreachable = await self._ask(origin)
            finally:
                origin.active -= 1
            if unreachable is None:
                return
            origin.health.failed(unreachable.cause, self._loop.time())
        self.failure = unreachable

    async def _ask(self, origin: Origin) -> Failure | None:
        """Ask one; return why it could not be reached, None if it could, whatever came of that."""
        route = self.route
        body = self._body() if self.exchange.has_body else None
        try:
            async with asyncio.timeout(None) as self._patience:
                # Until somebody is there, the library has a time of its own.
                async with route.upstreams.request(origin, self._asked, body, self._reached) as response:
                    origin.health.passed(self._loop.time())
                    await self._pass_on(response)
        except (aiohttp.ClientError, OSError, HandshakeError, ValueError) as error:
            failure = unreached(error)
            if failure is not None:
                return failure
            if self.failure is None:
                self.failure = _failure(error, self._uploading, self.exchange.answered)
        return None

    def _reached(self) -> None:
        """Give the origin its time to answer; a body makes it longer."""
        self._extend(self.route.answer_timeout)

    async def _body(self) -> AsyncGenerator[bytes, None]:
        """Yield the request's body as it comes."""
        self.owner.client.write(self.exchange.go_on())
        if not self._pieces:
            # Nothing, so that the library lets the head go.
            yield b""
        while self._pieces or not self.exchange.complete:
            self._uploading = not self._pieces
            self._extend(self.route.stream_timeout)
            while not self._pieces and not self.exchange.complete:
                self._moved.clear()
                await self._moved.wait()
            self._uploading = False
            while self._pieces:
                piece = self._pieces.popleft()
                self._waiting -= len(piece)
                self._hold()
                self._extend(self.route.stream_timeout)
                yield piece
        if not self.exchange.answered:
            self._extend(self.route.answer_timeout)

    async def _pass_on(self, response: aiohttp.ClientResponse) -> None:
        exchange, client = self.exchange, self.owner.client
        if response.status == 101:
            raise HandshakeError("it switches protocols unasked", status=0)
        fields = Headers.of(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers
        )
        if any(value.strip().lower() != "chunked" for value in fields.get_all("Transfer-Encoding")):
            # The field ends here, and the library leaves the coding on.
            raise HandshakeError("it has a transfer coding that nobody asked for", status=0)
        passed_on = self.owner.passed_on(Response(response.status, fields))
        watch(response)
        client.write(exchange.head(passed_on, keep=self.keep))
        self.status = response.status
        if exchange.request.method != "HEAD":
            while True:
                self._extend(self.route.stream_timeout)
                piece = await response.content.readany()
                if not piece:
                    break
                client.write(exchange.data(piece))
                await self.room.wait()
        client.write(exchange.end())

    # How it ends

    def _extend(self, seconds: float) -> None:
        """Wait so long for what is to happen next, whoever has to do it."""
        if self._patience is not None:
            self._patience.reschedule(self._loop.time() + seconds)

    def hung_up(self) -> None:
        """Give the request up: nobody is there any more who could get the answer."""
        self.failure = self.failure or HUNG_UP

    def _fail(self, failure: Failure) -> None:
        """Give the request up for what the client has done."""
        self.failure = failure
        if self._patience is not None:
            self._patience.reschedule(self._loop.time())

    @property
    def rest(self) -> bytes:
        """What the client has sent behind the request."""
        return self.exchange.behind + self._behind


def _failure(error: Exception, uploading: bool, answered: bool) -> Failure:
    """Say what an exception means that is none of connecting."""
    match error:
        case TimeoutError():
            return STALLED if answered else BODY_TIMEOUT if uploading else ANSWER_TIMEOUT
        case HandshakeError() | ValueError():
            return answer_failure(str(error))
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return answer_failure("it is malformed")
        case _:
            return answer_failure("the origin ended the connection")
