"""wsproto's opening handshake over HTTP/1.1, on the rules of `edgews.handshake`.

What wsproto lets through and RFC 6455 does not is refused: keys that are none, duplicate fields, a body,
heads without end. Frames that come behind a request, before its answer, are kept for the connection.

RFC 6455 §4; RFC 9112.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

import h11

from edgews import errors
from edgews import events as engine
from edgews.extensions import FIELD as EXTENSIONS
from edgews.handshake import accept_response, build_request, check_fields, check_request, check_response
from edgews.headers import Headers as Fields
from edgews.headers import field_fault
from edgews.heads import HeadReader
from edgews.http1 import encode_response
from edgews.limits import Limits
from edgews.messages import as_bytes
from edgews.uri import parse_uri

from .connection import Connection, ConnectionState, ConnectionType, default_limits
from .events import AcceptConnection, Event, RejectConnection, RejectData, Request
from .extensions import (
    Extension,
    client_extensions_handshake,
    require_extension,
    server_extensions_handshake,
)
from .utilities import LocalProtocolError, RemoteProtocolError, split_comma_header
from .utilities import generate_accept_token as generate_accept_token
from .utilities import generate_nonce as generate_nonce
from .utilities import normed_header_dict as normed_header_dict

if TYPE_CHECKING:
    from .typing import Headers

__all__ = [
    "WEBSOCKET_UPGRADE",
    "WEBSOCKET_VERSION",
    "H11Handshake",
    "client_extensions_handshake",
    "server_extensions_handshake",
]

WEBSOCKET_VERSION = b"13"
WEBSOCKET_UPGRADE = b"websocket"

_PROTOCOL = "Sec-WebSocket-Protocol"
_VERSION = "Sec-WebSocket-Version"

# What wsproto says about a field at fault; callers show it, and some compare it.
_SERVER_SAYS = {
    "Connection": "Missing header, 'Connection: Upgrade'",
    "Host": "Missing header, 'Host'",
    "Sec-WebSocket-Key": "Missing header, 'Sec-WebSocket-Key'",
    "Upgrade": "Missing header, 'Upgrade: websocket'",
    _VERSION: f"Missing header, '{_VERSION}'",
}
_CLIENT_SAYS = {**_SERVER_SAYS, "Sec-WebSocket-Accept": "Bad accept token"}
_BAD_HTTP = "Bad HTTP message"

# Fields that have a place of their own in an event.
_IN_REQUEST = frozenset({b"host", b"sec-websocket-extensions", b"sec-websocket-protocol"})
_IN_ANSWER = frozenset(
    {
        b"connection",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"upgrade",
    }
)

_ABSOLUTE = re.compile(r"(?:https?|wss?)://[^/?#]+", re.IGNORECASE)
_HOST_ENDS = re.compile(r"[/?#@\\]")
# The longest name in DNS.
_MAX_NAME = 253

# What a wrong argument leads to in the engine and in h11.
_WRONG = (errors.LocalProtocolError, h11.LocalProtocolError, TypeError, ValueError, AttributeError)


class H11Handshake:
    """The opening handshake of one connection.

    Args:
        connection_type: which side we are.
        limits: what the peer may cost; None for the default. Not known to wsproto.
    """

    def __init__(self, connection_type: ConnectionType, *, limits: Limits | None = None) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        self._type = connection_type
        self._limits = limits or default_limits()
        self._state = ConnectionState.CONNECTING
        self._connection: Connection | None = None
        self._events: deque[Event] = deque()
        self._head = HeadReader(self._limits, answers=self.client)
        self._http = h11.Connection(
            h11.CLIENT if self.client else h11.SERVER, max_incomplete_event_size=self._limits.max_header_size
        )
        # The request that was sent or has come, as the engine and as wsproto see it.
        self._asked: engine.Request | None = None
        self._request: Request | None = None
        # Frames that came before the answer to their request.
        self._early = b""
        # The peer's part was unacceptable: nothing it sends counts any more.
        self._failed = False

    @property
    def state(self) -> ConnectionState:
        """How far the handshake is."""
        return self._state

    @property
    def connection(self) -> Connection | None:
        """The connection, None until the handshake has succeeded."""
        return self._connection

    def initiate_upgrade_connection(self, headers: Headers, path: bytes | str) -> None:
        """Take a request that someone else has parsed, as a server.

        Raises:
            LocalProtocolError: a client, or a request was there before.
            RemoteProtocolError: the request is unacceptable.
        """
        if self.client:
            raise LocalProtocolError("a client makes its request, and takes none")
        if self._asked is not None or self._failed or self._head.has_data:
            raise LocalProtocolError("a request was received before")
        try:
            request = h11.Request(method=b"GET", target=path, headers=headers)
            head = h11.Connection(h11.CLIENT).send(request) or b""
        except _WRONG as error:
            self._failed = True
            raise RemoteProtocolError(_BAD_HTTP, RejectConnection()) from error
        self.receive_data(head)

    def send(self, event: Event) -> bytes:
        """Return the bytes that carry an event to the peer.

        Raises:
            LocalProtocolError: the state does not allow it, or it cannot go on the wire.
        """
        try:
            if isinstance(event, Request):
                return self._ask(event)
            if isinstance(event, AcceptConnection):
                return self._accept(event)
            if isinstance(event, RejectConnection):
                return self._reject(event)
            if isinstance(event, RejectData):
                return self._send_reject_data(event)
        except _WRONG as error:
            raise LocalProtocolError(str(error)) from error
        raise LocalProtocolError(f"{type(event).__name__} cannot be sent during the handshake")

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes that were read, nothing or None for the end of the byte stream.

        Raises:
            RemoteProtocolError: the peer's part is unacceptable; a server finds the answer in `event_hint`.
            LocalProtocolError: the handshake is over, or `data` is not bytes-like.
        """
        if self._connection is not None:
            raise LocalProtocolError("the handshake is over: the bytes are for its connection")
        try:
            octets = as_bytes(b"" if data is None else data)
        except TypeError as error:
            raise LocalProtocolError(str(error)) from error
        if self._failed:
            return
        try:
            if self.client:
                self._receive_response(octets)
            else:
                self._receive_request(octets)
        except errors.HandshakeError as error:
            raise self._unacceptable(_BAD_HTTP, error.status) from error
        except h11.RemoteProtocolError as error:
            raise self._unacceptable(_BAD_HTTP, error.error_status_hint) from error
        except RemoteProtocolError:
            self._failed = True
            raise

    def events(self) -> Generator[Event, None, None]:
        """Yield what has come from the peer and was not given before."""
        while self._events:
            yield self._events.popleft()

    def _unacceptable(self, message: str, status: int, headers: Headers | None = None) -> RemoteProtocolError:
        self._failed = True
        hint = None if self.client else RejectConnection(status_code=status, headers=headers or [])
        return RemoteProtocolError(message, hint)

    # Server

    def _receive_request(self, data: bytes) -> None:
        if self._state is not ConnectionState.CONNECTING:
            return
        if self._asked is not None:
            self._early += data
            if len(self._early) > self._limits.max_header_size:
                raise errors.HandshakeError("frames came too early")
            return
        if not data and self._head.has_data:
            raise errors.HandshakeError("the byte stream ended within the request")
        complete = self._head.feed(data)
        if complete is None:
            return
        head, self._early = complete
        self._http.receive_data(head)
        event = self._http.next_event()
        # Of a complete head h11 makes a request, or it raises.
        assert isinstance(event, h11.Request)
        self._take_request(event)
        self._http.next_event()

    def _take_request(self, event: h11.Request) -> None:
        target = event.target.decode("latin-1")
        asked = engine.Request(
            event.method.decode("latin-1"),
            # RFC 9112 §3.2.2: the absolute form means the same.
            _ABSOLUTE.sub("", target, 1) or "/",
            _fields(event.headers),
            event.http_version.decode("latin-1"),
        )
        try:
            check_request(asked)
        except errors.HandshakeError as error:
            raise self._refused(asked, error) from error
        extensions: list[str] = []
        subprotocols: list[str] = []
        host = b""
        for name, value in event.headers:
            if name == b"host":
                host = value
            elif name == b"sec-websocket-extensions":
                extensions += split_comma_header(value)
            elif name == b"sec-websocket-protocol":
                subprotocols += split_comma_header(value)
        self._asked = asked
        self._request = Request(
            host=_decode_host(host),
            target=target,
            extensions=extensions,
            extra_headers=[(name, value) for name, value in event.headers if name not in _IN_REQUEST],
            subprotocols=subprotocols,
        )
        self._events.append(self._request)

    def _refused(self, asked: engine.Request, error: errors.HandshakeError) -> RemoteProtocolError:
        message = _SERVER_SAYS.get(error.header or "", str(error))
        status, headers = error.status, error.headers
        if asked.method != "GET":
            message = "Request method must be GET"
        elif error.header == _VERSION:
            status = 426 if asked.headers.has(_VERSION) else 400
            headers = ((_VERSION, WEBSOCKET_VERSION.decode()),)
        return self._unacceptable(
            message, status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        )

    def _accept(self, event: AcceptConnection) -> bytes:
        asked, request = self._asked, self._request
        if asked is None or request is None or self._state is not ConnectionState.CONNECTING or self._failed:
            raise LocalProtocolError("there is no request to accept")
        extra = check_fields(_fields(event.extra_headers))
        extensions = [require_extension(extension) for extension in event.extensions]
        response, _ = accept_response(asked, subprotocol=event.subprotocol)
        fields = [*response.headers, *extra]
        accepts = server_extensions_handshake([str(offer) for offer in request.extensions], extensions)
        if accepts is not None:
            fields.append(_checked(EXTENSIONS, accepts.decode()))
        answer = encode_response(engine.Response(101, Fields(fields)))
        self._connection = Connection(self._type, extensions, self._early, limits=self._limits)
        self._early = b""
        self._state = ConnectionState.OPEN
        return answer

    def _reject(self, event: RejectConnection) -> bytes:
        if self.client or self._state is not ConnectionState.CONNECTING:
            raise LocalProtocolError(f"a connection cannot be rejected in state {self._state.name}")
        headers = list(event.headers)
        # What h11 has checked and normalized itself says best whether a length is among them.
        response = h11.Response(status_code=event.status_code, headers=headers)
        if not event.has_body and not any(name == b"content-length" for name, _ in response.headers):
            response = h11.Response(
                status_code=event.status_code, headers=[*headers, (b"Content-Length", b"0")]
            )
        data = self._http.send(response) or b""
        self._state = ConnectionState.REJECTING
        return data if event.has_body else data + self._finish()

    def _send_reject_data(self, event: RejectData) -> bytes:
        if self._state is not ConnectionState.REJECTING or self.client:
            raise LocalProtocolError(f"a body cannot be sent in state {self._state.name}")
        data = self._http.send(h11.Data(data=as_bytes(event.data))) or b""
        return data + self._finish() if event.body_finished else data

    def _finish(self) -> bytes:
        data = self._http.send(h11.EndOfMessage()) or b""
        self._state = ConnectionState.CLOSED
        return data

    # Client

    def _ask(self, request: Request) -> bytes:
        if not self.client or self._asked is not None:
            raise LocalProtocolError("only a client sends a request, and only one")
        if _HOST_ENDS.search(request.host):
            raise LocalProtocolError("the host is a name or an address, and maybe a port")
        if not request.target.startswith("/"):
            raise LocalProtocolError("the request target must be a path")
        offers = []
        for extension in request.extensions:
            known = require_extension(extension)
            parameters = known.offer()
            if parameters is not False:
                offers.append(known.name if parameters is True else f"{known.name}; {parameters}")
        extra = _fields(request.extra_headers)
        asked = build_request(
            parse_uri(f"ws://{request.host}{request.target}"),
            subprotocols=request.subprotocols,
            headers=extra,
        )
        fields = list(asked.headers)
        if offers:
            fields.append(_checked(EXTENSIONS, ", ".join(offers)))
        head = h11.Request(
            method=asked.method,
            target=asked.target,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields],
        )
        data = self._http.send(head) or b""
        self._http.send(h11.EndOfMessage())
        self._asked, self._request = asked, request
        return data

    def _receive_response(self, data: bytes) -> None:
        if self._asked is None:
            raise errors.HandshakeError("an answer without a request")
        if self._state is ConnectionState.CONNECTING:
            complete = self._head.feed(data)
            if complete is None:
                if not data:
                    raise errors.HandshakeError("the byte stream ended instead of an answer")
                return
            head, data = complete
            self._http.receive_data(head)
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._open(self._asked, event, data)
            elif isinstance(event, h11.InformationalResponse):
                self._answered(event, ConnectionState.CLOSED)
            elif isinstance(event, h11.Response):
                self._answered(event, ConnectionState.REJECTING)
                if data:
                    self._http.receive_data(data)
                self._read_body()
        elif self._state is ConnectionState.REJECTING:
            self._http.receive_data(data)
            self._read_body()

    def _answered(self, event: h11.InformationalResponse | h11.Response, state: ConnectionState) -> None:
        """The server has said no."""
        self._state = state
        self._events.append(
            RejectConnection(
                status_code=event.status_code,
                headers=list(event.headers),
                has_body=state is ConnectionState.REJECTING,
            )
        )

    def _read_body(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                self._events.append(RejectData(data=bytes(event.data), body_finished=False))
            elif isinstance(event, h11.EndOfMessage):
                self._events.append(RejectData(data=b"", body_finished=True))
                self._state = ConnectionState.CLOSED
                return
            else:
                return

    def _open(self, asked: engine.Request, event: h11.InformationalResponse, rest: bytes) -> None:
        fields = _fields(event.headers)
        # The engine knows one extension; the answer to the others is for themselves.
        plain = Fields.of(field for field in fields if field[0].lower() != EXTENSIONS.lower())
        try:
            subprotocol, _ = check_response(asked, engine.Response(101, plain))
        except errors.HandshakeError as error:
            message = _CLIENT_SAYS.get(error.header or "", str(error))
            if error.header == _PROTOCOL:
                message = f"unrecognized subprotocol {fields.get(_PROTOCOL)}"
            raise RemoteProtocolError(message) from error
        accepted = split_comma_header((fields.get(EXTENSIONS) or "").encode("latin-1"))
        assert self._request is not None
        offered = [known for known in self._request.extensions if isinstance(known, Extension)]
        extensions = client_extensions_handshake(accepted, offered)
        self._connection = Connection(self._type, extensions, rest, limits=self._limits)
        self._state = ConnectionState.OPEN
        self._events.append(
            AcceptConnection(
                subprotocol=subprotocol,
                extensions=extensions,
                extra_headers=[(name, value) for name, value in event.headers if name not in _IN_ANSWER],
            )
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client={self.client}, state={self._state})"


def _fields(headers: Iterable[tuple[bytes | str, bytes | str]]) -> Fields:
    """Return fields as the engine has them."""
    return Fields([(_text(name), _text(value)) for name, value in headers])


def _checked(name: str, value: str) -> tuple[str, str]:
    """Return a field after making sure that it may be sent: extensions write what they like."""
    fault = field_fault(name, value)
    if fault is not None:
        raise LocalProtocolError(fault)
    return name, value


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else as_bytes(value).decode("latin-1")


def _decode_host(host: bytes) -> str:
    """Return a Host field with an international name in its own letters, and any other as it came."""
    if b"xn--" in host.lower() and len(host) <= _MAX_NAME:
        try:
            return host.decode("idna")
        except UnicodeError:
            pass
    return host.decode("latin-1")
