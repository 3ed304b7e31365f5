"""HTTP/1.1 on the wire: requests and responses, read by h11 and written here.

Both readers take bytes in any pieces. h11 sees a head only after a look at its bytes, for what it would let
through; and what nearly all peers send is read without it, in a fraction of its time.

RFC 9112.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from sys import intern

import h11

from .errors import HandshakeError
from .events import Request, Response
from .headers import Headers
from .heads import BLOCK, HeadReader, plain_fields
from .limits import Limits

_HOST = re.compile(rb"\nhost:", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length:([^\r]*)", re.IGNORECASE)
_CODING = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
# A request and a response to it that are beyond reproach. RFC 9112 §3, §4.
_PLAIN = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.1" + BLOCK)
_SWITCH = re.compile(rb"HTTP/1\.1 101 [ -~]*" + BLOCK)


class RequestReader:
    """Read one request head, as a server; one empty line in front of it is no part of it.

    Args:
        bodies: let requests have a body, which is left to the caller; its length is beyond doubt.
    """

    __slots__ = ("_begun", "_bodies", "_head", "_held", "_limits")

    def __init__(self, limits: Limits, *, bodies: bool = False) -> None:
        self._limits = limits
        self._bodies = bodies
        self._head = HeadReader(limits)
        # What may be the half of an empty line, until it is known whether one comes first.
        self._held = b""
        self._begun = False

    @property
    def has_data(self) -> bool:
        """Whether anything of a request has arrived."""
        return self._head.has_data

    def feed(self, data: bytes) -> tuple[Request, bytes] | None:
        """Take the next bytes.

        Returns:
            The request and the bytes behind its head; None as long as it is incomplete.

        Raises:
            HandshakeError: it is malformed or too large, or it has a body that it may not have; with the
                status to answer.

        RFC 9112 §2.2, §3, §5, §6.
        """
        if not self._head.has_data and not self._held:
            plain = self._feed_plain(data)
            if plain is not None:
                return plain
        if not self._begun:
            data = self._held + data
            self._begun = data not in (b"", b"\r")
            self._held = b"" if self._begun else data
            data = data.removeprefix(b"\r\n") if self._begun else b""
        complete = self._head.feed(data)
        if complete is None:
            return None
        head, rest = complete
        hosts = len(_HOST.findall(head))
        if hosts > 1:
            raise HandshakeError("Host is there more than once", header="Host")
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head))
        parser.receive_data(head)
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            # h11 insists on Host, but does not say so in a way that a program could read.
            if not hosts and b" HTTP/1.1\r\n" in head:
                raise HandshakeError("Host is missing", header="Host") from None
            raise HandshakeError(
                f"malformed request: {_fault(error)}", status=error.error_status_hint
            ) from None
        # Of a complete head h11 makes a request, or it raises.
        assert isinstance(event, h11.Request)
        version = event.http_version.decode("latin-1")
        if version not in ("1.0", "1.1"):
            raise HandshakeError(f"HTTP/{version} is not supported here", status=505)
        request = Request(
            event.method.decode("latin-1"), event.target.decode("latin-1"), _fields(event), version
        )
        if self._bodies:
            _check_length(head, version)
        elif not isinstance(parser.next_event(), h11.EndOfMessage):
            header = "Transfer-Encoding" if request.headers.has("Transfer-Encoding") else "Content-Length"
            raise HandshakeError("a request with a body is not served here", header=header)
        return request, rest

    def _feed_plain(self, data: bytes) -> tuple[Request, bytes] | None:
        """Take the request that nearly all are: whole in one read, without a body, and beyond reproach.

        h11 says the same of it, and takes several times as long.
        """
        plain = _PLAIN.match(data)
        if plain is None or plain.end() > self._limits.max_header_size:
            return None
        method, target, block = plain.groups()
        read = plain_fields(block, self._limits)
        if read is None:
            return None
        fields, names = read
        # Only a parser may say what two hosts, or none, mean.
        if names.count("host") != 1:
            return None
        return Request(method.decode(), target.decode(), Headers.of(fields)), data[plain.end() :]


def _check_length(head: bytes, version: str) -> None:
    """Make sure that no server reads a length into a head that another one does not.

    h11 knows a rule for each of these; who stands behind may know another one. RFC 9112 §6.1, §6.3, §11.2.
    """
    lengths = _LENGTH.findall(head)
    if _CODING.search(head):
        if lengths:
            raise HandshakeError(
                "Content-Length and Transfer-Encoding are both there", header="Transfer-Encoding"
            )
        if version == "1.0":
            raise HandshakeError("HTTP/1.0 knows no Transfer-Encoding", header="Transfer-Encoding")
    if len(lengths) > 1 or b"," in b"".join(lengths):
        raise HandshakeError("Content-Length is there more than once", header="Content-Length")


class ResponseReader:
    """Read the response to one request for a WebSocket, as a client.

    Call `request` first, or send what `encode_request` returns.
    """

    __slots__ = ("_body", "_head", "_limits", "_made", "_response")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._head = HeadReader(limits, answers=True)
        self._made: h11.Connection | None = None
        self._response: Response | None = None
        self._body = bytearray()

    def request(self, request: Request) -> bytes:
        """Check a request, and return its bytes; call it once, first."""
        self._made = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.max_header_size)
        head = self._made.send(
            h11.Request(
                method=request.method,
                target=request.target,
                headers=[
                    (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
                ],
            )
        )
        self._made.send(h11.EndOfMessage())
        return head or b""

    @property
    def _parser(self) -> h11.Connection:
        """The parser, for what is not plain; it has to know what kind of request was sent."""
        if self._made is None:
            self.request(_ANY)
            assert self._made is not None
        return self._made

    @property
    def refused(self) -> bool:
        """Whether the server has said no, and only the rest of the body is missing."""
        return self._response is not None

    def feed(self, data: bytes, eof: bool) -> tuple[Response, bytes] | None:
        """Take the next bytes, or the end of the byte stream.

        Returns:
            The response and the bytes behind its head (a 101) or nothing (any other, whose body is cut
            at `Limits.max_body_size`); None as long as it is incomplete.

        Raises:
            HandshakeError: it is malformed or too large, or the stream ended inside it.

        RFC 9112 §4, §6.
        """
        if self._response is None:
            complete = self.feed_head(data, eof)
            if complete is None or complete[0].status == 101:
                return complete
            self._response, data = complete
        try:
            for piece in self.feed_body(data, eof):
                self._body += piece
                if len(self._body) >= self._limits.max_body_size:
                    break
            else:
                if not self.complete:
                    return None
        except HandshakeError:
            # The status and what came of the body say more than the way in which the rest is broken.
            pass
        self._response.body = bytes(self._body[: self._limits.max_body_size])
        return self._response, b""

    def feed_head(self, data: bytes, eof: bool) -> tuple[Response, bytes] | None:
        """Take the next bytes up to the end of the head, for a caller who takes the body in pieces.

        Returns:
            The response without its body, and the bytes behind its head, which are for `feed_body` if it is
            no 101; None as long as it is incomplete.

        Raises:
            HandshakeError: it is malformed or too large, or the stream ended inside it.

        RFC 9112 §4.
        """
        if not self._head.has_data:
            plain = self._feed_plain(data)
            if plain is not None:
                return plain
        while True:
            try:
                complete = self._head.feed(data)
            except HandshakeError as error:
                # The status to answer with is for servers.
                error.status = 0
                raise
            if complete is None:
                if eof:
                    raise HandshakeError("the server ended the byte stream instead of answering", status=0)
                return None
            head, data = complete
            self._parser.receive_data(head)
            event = self._next()
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                return Response(101, _fields(event)), data
            if isinstance(event, h11.Response):
                return Response(event.status_code, _fields(event)), data

    def _feed_plain(self, data: bytes) -> tuple[Response, bytes] | None:
        """Take the answer that nearly all get: a 101, whole in one read, and beyond reproach.

        h11 says the same of it, and takes several times as long.
        """
        plain = _SWITCH.match(data)
        if plain is None or plain.end() > self._head.room:
            return None
        read = plain_fields(plain[1], self._limits)
        return None if read is None else (Response(101, Headers.of(read[0])), data[plain.end() :])

    def feed_body(self, data: bytes, eof: bool) -> Iterator[bytes]:
        """Yield the pieces of the body that are in the next bytes; then `complete` says if it is over.

        Raises:
            HandshakeError: it is malformed, or the stream ended inside it.

        RFC 9112 §6, §7.
        """
        if data:
            self._parser.receive_data(data)
        if eof:
            self._parser.receive_data(b"")
        while isinstance(event := self._next(), h11.Data):
            yield bytes(event.data)

    @property
    def complete(self) -> bool:
        """Whether the body is over."""
        return self._parser.their_state not in (h11.SEND_RESPONSE, h11.SEND_BODY)

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._parser.next_event()
        except h11.RemoteProtocolError as error:
            raise HandshakeError(f"malformed response: {_fault(error)}", status=0) from None


def _fault(error: h11.RemoteProtocolError) -> str:
    """Return what h11 found without what the peer sent, which may be long, and is nobody's to repeat."""
    return str(error).partition(":")[0]


def _fields(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return Headers.of(
        [
            # Names come again with each connection, and are kept once.
            (intern(name.decode("latin-1")), value.decode("latin-1"))
            for name, value in event.headers.raw_items()
        ]
    )


# What a parser is told that has not seen the request: a GET without a body, which asks for an upgrade.
_ANY = Request(
    "GET", "/", Headers((("Host", "localhost"), ("Connection", "Upgrade"), ("Upgrade", "websocket")))
)


def encode_request(request: Request) -> bytes:
    """Return the bytes of a request without a body, whose fields were checked.

    RFC 9112 §3, §5.
    """
    lines = [f"{request.method} {request.target} HTTP/{request.http_version}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# A reason phrase means nothing to a program, and helps people who look on. RFC 9112 §4.
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def encode_response(response: Response) -> bytes:
    """Return the bytes of a response whose fields were checked.

    RFC 9112 §4, §5.
    """
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body


def encode_chunk(data: bytes, final: bool) -> bytes:
    """Return a piece of a body, and what ends the body behind the last one.

    RFC 9112 §7.1.
    """
    chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return chunk + b"0\r\n\r\n" if final else chunk
