"""The client's connection: the opening handshake over HTTP/1.1, then frames.

RFC 6455 §4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .banners import describe
from .connection import Connection, Role
from .errors import HandshakeError
from .events import Accepted, Cause, CauseKind, Delivery, Event, Rejected, Request, Response, Side
from .extensions import PerMessageDeflate, offers
from .handshake import build_request, check_response
from .headers import HeadersLike
from .http1 import ResponseReader
from .limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from .states import OPEN, Input
from .uri import URI, as_uri


class ClientConnection(Connection):
    """A connection that begins with our HTTP request, which waits in `data_to_send` from the start.

    The first event is `Accepted`, or `Rejected` and then `Disconnected`.

    Args:
        uri: `ws://` or `wss://`; the byte stream to its host and port is the caller's to open.
        origin: the Origin field; browsers send one, others need none.
        subprotocols: offered, the preferred one first.
        headers: further fields of the request.
        compression: what to offer for permessage-deflate: one wish, or several with the preferred one
            first, or None.
        limits, timeouts, delivery, auto_pong, auto_close: as for `Connection`.

    Raises:
        InvalidValueError: a URI, subprotocol or field that may not be sent.
    """

    __slots__ = ("_offers", "_out_of_time", "_reader", "request", "subprotocol")

    def __init__(
        self,
        uri: str | URI,
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        delivery: Delivery = Delivery.MESSAGES,
        auto_pong: bool = True,
        auto_close: bool = True,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        headers: HeadersLike = (),
        compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None = None,
    ) -> None:
        super().__init__(
            Role.CLIENT,
            limits=limits,
            timeouts=timeouts,
            delivery=delivery,
            auto_pong=auto_pong,
            auto_close=auto_close,
            _connecting=True,
        )
        self._offers = offers(compression)
        self.request: Request = build_request(
            as_uri(uri),
            origin=origin,
            subprotocols=subprotocols,
            headers=headers,
            compression=self._offers,
        )
        self.subprotocol: str | None = None
        # Lives until the handshake is over.
        self._reader: ResponseReader | None = ResponseReader(limits)
        self._out_of_time = False
        self._queue(self._out(self._reader.request(self.request)))
        self._timers.start_open()

    def _open(self) -> Iterator[Event]:
        reader = self._reader
        if reader is None or self._halves != OPEN:
            # The handshake failed or took too long: what still comes does not count.
            return
        data, self._buffer, self._at = self._buffer[self._at :], b"", 0
        response: Response | None = None
        try:
            complete = reader.feed(data, self._eof or self._out_of_time)
            if complete is None:
                return
            response, self._buffer = complete
            self.subprotocol, deflate = check_response(self.request, response, self._offers)
        except HandshakeError as error:
            self._failed(error, response)
            if response is not None and response.status != 101:
                yield Rejected(response)
            return
        self._reader = None
        self._start(deflate)
        yield Accepted(self.subprotocol, response)

    def _open_timed_out(self) -> None:
        if self._reader is not None and self._reader.refused:
            # What has come of the body has to do: the status says why, and a timeout does not.
            self._out_of_time = True
        else:
            super()._open_timed_out()

    def _failed(self, error: HandshakeError, response: Response | None) -> None:
        self._reader = None
        refused = response is not None and response.status != 101
        kind = CauseKind.HANDSHAKE_REFUSED if refused else CauseKind.HANDSHAKE_FAILED
        detail = f"{error}: {describe(error.excerpt)}" if error.excerpt else str(error)
        self._cause = Cause(kind, Side.PEER, detail, header=error.header, error=error)
        self._step(Input.DROP)
