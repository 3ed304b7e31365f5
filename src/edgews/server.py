"""The server's connection: the opening handshake over HTTP/1.1, then frames.

RFC 6455 §4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from .arguments import check, check_flag, check_names
from .connection import Connection, Role
from .errors import HandshakeError, InvalidValueError, StateError
from .events import Cause, CauseKind, Delivery, Event, Request, Response, Side
from .extensions import PerMessageDeflate
from .handshake import (
    UPGRADE_FIELDS,
    accept_response,
    check_request,
    check_target,
    encode_body,
    refusal,
    reject_response,
)
from .headers import Headers, HeadersLike
from .http1 import RequestReader, encode_chunk, encode_response
from .limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from .states import OPEN

# Stands for the client in the answer to bytes that are no request.
_NO_REQUEST = Request("GET", "/", Headers())


class ServerConnection(Connection):
    """A connection that begins with a client's HTTP request.

    The first event is a `Request`. One that opens a WebSocket connection is answered by `accept` or
    `reject`; a plain HTTP request (`is_upgrade` is False) by `reject` with any response. An unacceptable
    request is answered by the engine itself and never surfaces.

    Args:
        compression: the wish for permessage-deflate, None for none.
        origins: the origins that are let in; None in it stands for a request without an Origin field,
            None instead of it lets everyone in.
        limits, timeouts, delivery, auto_pong, auto_close: as for `Connection`.
    """

    __slots__ = ("_answering", "_compression", "_origins", "_reader", "_request", "subprotocol")

    def __init__(
        self,
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        delivery: Delivery = Delivery.MESSAGES,
        auto_pong: bool = True,
        auto_close: bool = True,
        compression: PerMessageDeflate | None = None,
        origins: Sequence[str | None] | None = None,
    ) -> None:
        if origins is not None:
            check_names("origins", origins, none=True)
        if compression is not None:
            check("compression", compression, PerMessageDeflate, "a PerMessageDeflate or None")
        super().__init__(
            Role.SERVER,
            limits=limits,
            timeouts=timeouts,
            delivery=delivery,
            auto_pong=auto_pong,
            auto_close=auto_close,
            _connecting=True,
        )
        self._compression = compression
        self._origins = origins
        # Both live until the handshake is over.
        self._reader: RequestReader | None = RequestReader(limits)
        self._request: Request | None = None
        # A response is on its way whose body is not whole yet.
        self._answering = False
        self.subprotocol: str | None = None
        self._timers.start_open()

    def receive_request(self, request: Request) -> Iterator[Event]:
        """Take a request that someone else parsed, instead of its bytes.

        Returns:
            The events, as from `receive_data`.

        Raises:
            StateError: a request, or a part of one, was received before, or the connection is over.
            InvalidValueError: it is an extended CONNECT; for that, take the functions of
                `edgews.handshake` and then a `Connection`, which writes no HTTP/1.1.

        RFC 6455 §4.2.1.
        """
        check("request", request, Request, "a Request")
        if request.protocol is not None:
            raise InvalidValueError("an extended CONNECT is not answered in HTTP/1.1")
        if self._reader is None or self._reader.has_data or self._halves != OPEN:
            raise StateError("a request was received before, or the connection is over")
        return chain(self._received(request), self._read())

    def accept(self, *, subprotocol: str | None = None, headers: HeadersLike = ()) -> bytes:
        """Open the connection.

        A plain HTTP request cannot be accepted: it is answered with 426. Bytes that came early are
        delivered by the iteration that gave the `Request`; if that is over, call `receive_data(b"")`.

        Args:
            subprotocol: one of `Request.subprotocols`, or None.
            headers: further fields of the answer.

        Returns:
            Bytes to write now.

        Raises:
            StateError: there is no request to answer.
            InvalidValueError: a subprotocol that was not offered, or a field that may not be sent.

        RFC 6455 §4.2.2.
        """
        request = self._unanswered()
        if not request.is_upgrade:
            error = HandshakeError("Upgrade is missing", status=426, header="Upgrade", headers=UPGRADE_FIELDS)
            return self._refuse(request, error)
        response, deflate = accept_response(
            request, subprotocol=subprotocol, headers=headers, compression=self._compression
        )
        self.subprotocol = subprotocol
        self._request = None
        self._start(deflate)
        return self._out(encode_response(response))

    def reject(
        self, status: int, *, headers: HeadersLike = (), body: str | bytes = b"", final: bool = True
    ) -> bytes:
        """Answer with another HTTP response than the one that opens the connection.

        `transport` asks for a half-close next; `Disconnected` follows when the client ends its stream.

        Args:
            status: 200-599.
            headers: further fields; a body is `text/plain` in UTF-8 unless they say otherwise.
            final: False if more of the body follows, with `send_body`; it then goes out in chunks.

        Returns:
            Bytes to write now.

        Raises:
            StateError: there is no request to answer.
            InvalidValueError: a status or field that may not be sent, or a body in pieces where there can
                be none: to HEAD, in HTTP/1.0, with status 204 or 304.

        RFC 6455 §4.2.2.
        """
        check_flag("final", final)
        request = self._unanswered()
        response = reject_response(request, status, headers, body, chunked=not final)
        if request.is_upgrade:
            cause = Cause(CauseKind.HANDSHAKE_REFUSED, Side.LOCAL, f"the server answered {status}")
        else:
            cause = Cause(CauseKind.NO_UPGRADE, Side.PEER, f"a plain HTTP request, answered with {status}")
        if final:
            return self._answer(response, cause)
        self._answering = True
        self._request = None
        self._cause = cause
        response.body = encode_chunk(response.body, False)
        return self._out(encode_response(response))

    def send_body(self, data: str | bytes, *, final: bool) -> bytes:
        """Send a piece of a body that `reject` has begun.

        Args:
            data: a `str` goes out in UTF-8.
            final: whether the body ends here.

        Returns:
            Bytes to write now.

        Raises:
            StateError: no body was begun, it has ended, or the client has gone.

        RFC 9112 §7.1.
        """
        octets = encode_body(data, "data")
        check_flag("final", final)
        if not self._answering or self._halves != OPEN:
            raise StateError("there is no response whose body could go on")
        chunk = self._out(encode_chunk(octets, final))
        if final:
            self._end_ours()
        return chunk

    def _unanswered(self) -> Request:
        if self._request is None or self._halves != OPEN:
            raise StateError("there is no request to answer")
        return self._request

    def _open(self) -> tuple[Request, ...]:
        if self._halves != OPEN:
            # The handshake was refused or took too long: what still comes does not count.
            return ()
        reader = self._reader
        data, self._buffer, self._at = self._buffer[self._at :], b"", 0
        if self._answering:
            return ()
        if reader is None:
            # The request waits for its answer, and frames for the request.
            self._buffer = data
            if len(data) > self.limits.max_header_size and self._request is not None:
                self._queue(self._refuse(self._request, HandshakeError("frames came too early")))
            return ()
        try:
            complete = reader.feed(data)
        except HandshakeError as error:
            self._queue(self._refuse(_NO_REQUEST, error))
            return ()
        if complete is None:
            return ()
        request, self._buffer = complete
        return self._received(request)

    def _received(self, request: Request) -> tuple[Request, ...]:
        """Return the request if the application has to decide about it; else it is refused."""
        self._reader = None
        upgrade = request.is_upgrade or any(
            name.lower().startswith("sec-websocket-") for name, _ in request.headers
        )
        try:
            if upgrade:
                check_request(request, self._origins)
            else:
                check_target(request)
        except HandshakeError as error:
            self._queue(self._refuse(request, error))
            return ()
        self._request = request
        return (request,)

    def _refuse(self, request: Request, error: HandshakeError) -> bytes:
        detail = f"{error}; answered with {error.status}"
        cause = Cause(CauseKind.HANDSHAKE_FAILED, Side.PEER, detail, header=error.header, error=error)
        return self._answer(refusal(request, error), cause)

    def _answer(self, response: Response, cause: Cause) -> bytes:
        """Send the last thing we have to say. RFC 9112 §9.6: then half-close, so that it is read."""
        self._reader = self._request = None
        self._cause = cause
        answer = self._out(encode_response(response))
        self._end_ours()
        return answer

    def _open_timed_out(self) -> None:
        request = self._request
        if request is not None and request.is_upgrade:
            self._queue(self._refuse(request, HandshakeError("the application gave no answer", status=503)))
        elif request is not None:
            self._queue(self.accept())
        elif self._reader is not None and self._reader.has_data:
            self._queue(self._refuse(_NO_REQUEST, HandshakeError("the request took too long", status=408)))
        super()._open_timed_out()
