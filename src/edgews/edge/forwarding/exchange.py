"""A plain HTTP request and its answer at the client's side, both in pieces. Sans-IO.

h11 says where bodies end, and how an answer's end is marked for this client: by its length, by chunks, or by
the end of the byte stream. Trailers are dropped in both directions.

RFC 9110 §6, §10.1.1; RFC 9112 §6, §7, §9.3.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import h11

from edgews.edge.policy.normalize import Target
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.headers import Headers
from edgews.http1 import encode_request

from .handshake import check_host
from .headers import Forwarded

# What a chunk says of itself, and trailers.
_MAX_LINE: Final = 16 * 1024
# RFC 9110 §9.3.6 and §9.3.8: the one opens a tunnel, the other one shows a client what others added.
_METHODS: Final = frozenset({"CONNECT", "TRACE"})
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


def check_plain(request: Request) -> None:
    """Make sure that a plain request may be passed on.

    Raises:
        HandshakeError: its method is for proxies of another kind, or would not arrive as it is;
            its Host is malformed.
    """
    check_host(request)
    if request.method in _METHODS:
        raise HandshakeError(f"the method {request.method} is not served here", status=405)
    # The HTTP client writes methods in capitals, and a rule may have let `post` pass where it stops POST.
    if request.method != request.method.upper():
        raise HandshakeError("methods with small letters are not served here", status=501)


def is_plain(request: Request) -> bool:
    """Say whether a request wants no WebSocket; one that does so badly is told what is wrong with it."""
    return not request.is_upgrade and not request.headers.has("Sec-WebSocket-Key")


def check_bodiless(request: Request) -> None:
    """Make sure that a request for a WebSocket has no body, which would look like frames.

    Raises:
        HandshakeError: it has one.
    """
    for name in ("Transfer-Encoding", "Content-Length"):
        if request.headers.get(name) not in (None, "0"):
            raise HandshakeError("a request for a WebSocket has no body", header=name)


def plain_request(request: Request, target: Target, forwarded: Forwarded) -> Request:
    """Return the plain request that the origin gets; asking for the body is the gateway's part.

    RFC 9110 §10.1.1.
    """
    fields = [field for field in forwarded.headers if field[0].lower() != "expect"]
    return Request(request.method, str(target), Headers.of(fields))


class Exchange:
    """One request, whose head has been read, and its answer.

    Args:
        max_body: of the request's body, in bytes.

    Raises:
        HandshakeError: the body is known to be longer (413).

    Attributes:
        received: bytes of the request's body so far.
        sent: bytes of the answer's body so far.
        answered: the head of the answer is written.
    """

    __slots__ = ("_conn", "_max_body", "answered", "has_body", "received", "request", "sent")

    def __init__(self, request: Request, *, max_body: int) -> None:
        self.request = request
        self.received = self.sent = 0
        self.answered = False
        self._max_body = max_body
        self._conn = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_LINE)
        self._conn.receive_data(encode_request(request))
        event = self._conn.next_event()
        # A reader has accepted it.
        assert isinstance(event, h11.Request)
        length = request.headers.get("Content-Length")
        if length is not None and int(length) > max_body:
            raise self._too_large()
        self.has_body = length not in (None, "0") or request.headers.has("Transfer-Encoding")

    def _too_large(self) -> HandshakeError:
        return HandshakeError(f"the body is larger than {self._max_body} bytes", status=413)

    # The request

    @property
    def complete(self) -> bool:
        """Whether the whole request is there."""
        return self._conn.their_state is not h11.SEND_BODY

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes of the client's, and return the pieces of the body that are in them.

        Raises:
            HandshakeError: the body is malformed (400) or too large (413).
        """
        if data:
            self._conn.receive_data(data)
        pieces = []
        while not self.complete:
            try:
                event = self._conn.next_event()
            except h11.RemoteProtocolError:
                raise HandshakeError("the body is malformed") from None
            if not isinstance(event, h11.Data):
                break
            self.received += len(event.data)
            if self.received > self._max_body:
                raise self._too_large()
            pieces.append(bytes(event.data))
        return pieces

    @property
    def behind(self) -> bytes:
        """What came behind a request that is complete."""
        return self._conn.trailing_data[0]

    def go_on(self) -> bytes:
        """Return what asks for the body, if the client waits to be asked. RFC 9110 §10.1.1."""
        if not self._conn.they_are_waiting_for_100_continue:
            return b""
        return (
            self._conn.send(h11.InformationalResponse(status_code=100, headers=[], reason=_PHRASES[100]))
            or b""
        )

    # The answer

    def head(self, response: Response, *, keep: bool) -> bytes:
        """Return the head of the answer; `keep` if another request may follow.

        Raises:
            HandshakeError: it is none that may be passed on.
        """
        fields = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers
            # RFC 9110 §8.6.
            if response.status != 204 or name.lower() != "content-length"
        ]
        if not keep or not self.complete:
            fields.append((b"Connection", b"close"))
        try:
            head = self._conn.send(
                h11.Response(
                    status_code=response.status, headers=fields, reason=_PHRASES.get(response.status, b"")
                )
            )
        except h11.LocalProtocolError:
            raise HandshakeError("its length is not clear", status=0) from None
        self.answered = True
        return head or b""

    def data(self, data: bytes) -> bytes:
        """Return a piece of the answer's body.

        Raises:
            HandshakeError: it is more than the head said.
        """
        try:
            written = self._conn.send(h11.Data(data=data)) or b""
        except h11.LocalProtocolError:
            raise HandshakeError("it is longer than it said", status=0) from None
        self.sent += len(data)
        return written

    def end(self) -> bytes:
        """Return what ends the answer.

        Raises:
            HandshakeError: there is less of it than the head said.
        """
        try:
            return self._conn.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:
            raise HandshakeError("it is shorter than it said", status=0) from None

    @property
    def by_end(self) -> bool:
        """Whether the end of the byte stream is all that marks the end of the answer. RFC 9112 §6.3."""
        return self.request.http_version == "1.0"

    @property
    def keeps(self) -> bool:
        """Whether another request may follow, now that the answer is over."""
        return self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE
