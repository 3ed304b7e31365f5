"""A request for a WebSocket on its way: an origin is reached, asked, and answers.

There is no task but the loop's own attempt to connect: each step is taken in the callback that makes it
possible, and no stream has to wait for another turn of the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgews.edge.forwarding.compression import offer_own
from edgews.edge.forwarding.handshake import client_response, origin_request
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.http1 import ResponseReader, encode_request

from .failures import ANSWER_TIMEOUT, UNREACHABLE, answer_failure, connect_failure
from .refusal import Refusal
from .streams import OriginStream

if TYPE_CHECKING:
    from edgews.edge.forwarding.entrance import Entry

    from .proxied import Proxied
    from .routes import Route


class Opening:
    """One such request; it ends with `Proxied.join`, `pass_on` or `refuse`, or with `cancel`."""

    __slots__ = (
        "_asked",
        "_candidates",
        "_entry",
        "_failure",
        "_late",
        "_owner",
        "_reader",
        "_request",
        "_route",
        "_stream",
        "_task",
    )

    def __init__(self, owner: Proxied, request: Request, route: Route, entry: Entry) -> None:
        self._owner = owner
        self._request = request
        self._route = route
        self._entry = entry
        asked = origin_request(request, entry.facts.target, entry.forwarded)
        self._asked = offer_own(asked, route.origin_compression) if route.inspect else asked
        self._reader = ResponseReader(owner.gateway.limits)
        self._candidates = iter(route.pool.candidates())
        self._failure = UNREACHABLE
        # The one that counts; None once there is nothing more to wait for.
        self._stream: OriginStream | None = None
        self._task: asyncio.Task[object] | None = None
        self._late = False

    def start(self) -> None:
        """Ask the first origin that can be reached."""
        owner, route = self._owner, self._route
        origin = next(self._candidates, None)
        if origin is None:
            owner.refuse(self._failure)
            return
        self._late = False
        stream = self._stream = OriginStream(owner, self)
        owner.origin, owner.origin_stream = origin, stream
        origin.active += 1
        owner.wait(route.connect_timeout, self._too_late)
        self._task = owner.loop.create_task(route.connect(owner.loop, origin, stream))
        self._task.add_done_callback(self._dialled)

    def cancel(self) -> None:
        """Stop: nobody waits for the answer."""
        self._stream = None
        if self._task is not None:
            self._task.cancel()

    def _too_late(self) -> None:
        assert self._task is not None
        self._late = True
        self._task.cancel()

    def _dialled(self, task: asyncio.Task[object]) -> None:
        """Take the end of an attempt; if it came about, `reached` has been called, or will be."""
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._unreached(error)
        elif self._late:
            self._unreached(TimeoutError())
        self._owner.settle()

    def _unreached(self, error: BaseException) -> None:
        owner, origin = self._owner, self._owner.origin
        if self._stream is None or origin is None:
            return
        self._stream = None
        origin.active -= 1
        owner.origin = owner.origin_stream = None
        if not isinstance(error, OSError):
            owner.fail(error)
            return
        failure = self._failure = connect_failure(error)
        origin.health.failed(failure.cause, owner.loop.time())
        owner.unreachable = (*owner.unreachable, f"{origin.text}: {failure.text}")
        owner.gateway.observer.unreachable(origin, failure)
        self.start()

    def reached(self, stream: OriginStream) -> None:
        """Ask the origin, to which there is a connection now."""
        owner = self._owner
        if stream is not self._stream or self._late:
            # It has taken too long.
            stream.abort()
            return
        assert owner.origin is not None
        owner.origin.health.passed(owner.loop.time())
        owner.wait(self._route.answer_timeout, self._unanswered)
        stream.write(encode_request(self._asked))

    def _unanswered(self) -> None:
        self._stream = None
        self._owner.refuse(ANSWER_TIMEOUT)

    def fed(self, stream: OriginStream, data: bytes, eof: bool) -> None:
        """Take what an origin says, up to the end of the head of its answer."""
        if stream is not self._stream:
            return
        try:
            complete = self._reader.feed_head(data, eof)
            if complete is None:
                return
            self._stream = None
            self._answered(stream, *complete)
        except HandshakeError as error:
            self._stream = None
            self._owner.refuse(answer_failure(str(error)))
        except Exception as error:
            self._owner.fail(error)

    def _answered(self, stream: OriginStream, response: Response, behind: bytes) -> None:
        """Open the connection, or pass on that the origin does not.

        Raises:
            HandshakeError: it may not be passed on.
        """
        owner = self._owner
        if response.status == 101:
            tunnel, response = self._route.tunnel(self._entry, self._request, self._asked, response)
            opened = client_response(response, owner.ray, identity=owner.gateway.admission.identity)
            owner.join(tunnel, stream, opened, behind)
        else:
            stream.keep()
            refusal = Refusal(owner.client, stream, self._reader)
            owner.pass_on(self._request, self._route, refusal, response, behind)
