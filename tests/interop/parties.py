"""Endpoints made of different libraries, all without I/O, with the same few methods.

The other libraries are imported where they are used: a test that is deselected does not need them.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

import h11

from edgews import (
    Accepted,
    ClientConnection,
    Close,
    Disconnected,
    PerMessageDeflate,
    Pong,
    Request,
    ServerConnection,
)
from tests import wire
from tests.handshakes import accept_for

URI = "ws://example.com/chat?room=1"
Message = str | bytes


class Party(ABC):
    """One endpoint; a client has its request in `outgoing` from the start."""

    def __init__(self) -> None:
        self.outgoing = b""
        self.messages: list[Message] = []
        self.opened = False
        self.subprotocol: str | None = None
        self.compressed = False
        self.pongs: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    def take(self) -> bytes:
        taken, self.outgoing = self.outgoing, b""
        return taken

    @abstractmethod
    def feed(self, data: bytes) -> None: ...

    @abstractmethod
    def send(self, message: Message) -> None: ...

    @abstractmethod
    def ping(self, data: bytes) -> None: ...

    @abstractmethod
    def close(self, code: int, reason: str) -> None: ...


class Ours(Party):
    def __init__(self, client: bool, deflate: bool) -> None:
        super().__init__()
        wish = PerMessageDeflate(threshold=0) if deflate else None
        self.connection: ClientConnection | ServerConnection
        if client:
            self.connection = ClientConnection(URI, subprotocols=["chat", "other"], compression=wish)
        else:
            self.connection = ServerConnection(compression=wish)
        self.outgoing = self.connection.data_to_send()
        self.end: Disconnected | None = None

    def feed(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            assert self.end is None
            match event:
                case Request():
                    assert isinstance(self.connection, ServerConnection)
                    self.outgoing += self.connection.accept(subprotocol="chat")
                    self.opened = True
                    self.subprotocol = self.connection.subprotocol
                case Accepted(subprotocol, response):
                    self.opened = True
                    self.subprotocol = subprotocol
                    self.compressed = response.headers.has("Sec-WebSocket-Extensions")
                case str() | bytes():
                    self.messages.append(event)
                case Pong(payload):
                    self.pongs.append(payload)
                case Close(code, reason):
                    self.closed = (code, reason)
                case Disconnected():
                    self.end = event
        self.outgoing += self.connection.data_to_send()

    def send(self, message: Message) -> None:
        self.outgoing += self.connection.send(message)

    def ping(self, data: bytes) -> None:
        self.outgoing += self.connection.send_ping(data)

    def close(self, code: int, reason: str) -> None:
        self.outgoing += self.connection.send_close(code, reason)


class Websockets(Party):
    """`websockets`, the sans-IO layer."""

    def __init__(self, client: bool, deflate: bool) -> None:
        super().__init__()
        from websockets.client import ClientProtocol
        from websockets.extensions.permessage_deflate import (
            ClientPerMessageDeflateFactory,
            ServerPerMessageDeflateFactory,
        )
        from websockets.server import ServerProtocol
        from websockets.typing import Subprotocol
        from websockets.uri import parse_uri

        chat = [Subprotocol("chat")]
        self.protocol: Any
        if client:
            extensions = [ClientPerMessageDeflateFactory()] if deflate else None
            self.protocol = ClientProtocol(parse_uri(URI), extensions=extensions, subprotocols=chat)
            self.protocol.send_request(self.protocol.connect())
        else:
            factories = [ServerPerMessageDeflateFactory()] if deflate else None
            self.protocol = ServerProtocol(extensions=factories, subprotocols=chat)
        self._parts: list[bytes] = []
        self._text = False
        self._flush()

    def _flush(self) -> None:
        self.outgoing += b"".join(self.protocol.data_to_send())

    def feed(self, data: bytes) -> None:
        from websockets.http11 import Request as TheirRequest
        from websockets.http11 import Response as TheirResponse

        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, TheirRequest):
                self.protocol.send_response(self.protocol.accept(event))
            if isinstance(event, TheirRequest | TheirResponse):
                if self.protocol.handshake_exc is not None:
                    raise self.protocol.handshake_exc
                self.opened = True
                self.subprotocol = self.protocol.subprotocol
                self.compressed = bool(self.protocol.extensions)
            else:
                self._frame(event)
        self._flush()

    def _frame(self, frame: Any) -> None:
        if frame.opcode == wire.CLOSE:
            self.closed = (self.protocol.close_rcvd.code, self.protocol.close_rcvd.reason)
        elif frame.opcode == wire.PONG:
            self.pongs.append(bytes(frame.data))
        elif frame.opcode != wire.PING:
            self._text = frame.opcode == wire.TEXT or (frame.opcode == wire.CONTINUATION and self._text)
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._parts)
                self.messages.append(whole.decode() if self._text else whole)
                self._parts.clear()

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self._flush()

    def ping(self, data: bytes) -> None:
        self.protocol.send_ping(data)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        self.protocol.send_close(code, reason)
        self._flush()


class Wsproto(Party):
    def __init__(self, client: bool, deflate: bool) -> None:
        super().__init__()
        import wsproto
        from wsproto.extensions import PerMessageDeflate as TheirDeflate

        self.ws = wsproto
        kind = wsproto.ConnectionType.CLIENT if client else wsproto.ConnectionType.SERVER
        self.connection = wsproto.WSConnection(kind)
        self.extensions: list[Any] = [TheirDeflate()] if deflate else []
        self._parts: list[Any] = []
        if client:
            self.outgoing = self.connection.send(
                wsproto.events.Request(
                    host="example.com",
                    target="/chat?room=1",
                    subprotocols=["chat", "other"],
                    extensions=self.extensions,
                )
            )

    def feed(self, data: bytes) -> None:
        events = self.ws.events
        self.connection.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, events.Request):
                self.outgoing += self.connection.send(
                    events.AcceptConnection(subprotocol="chat", extensions=self.extensions)
                )
                self.opened, self.subprotocol = True, "chat"
                self.compressed = any(extension.enabled() for extension in self.extensions)
            elif isinstance(event, events.AcceptConnection):
                self.opened, self.subprotocol = True, event.subprotocol
                self.compressed = bool(event.extensions)
            elif isinstance(event, events.TextMessage | events.BytesMessage):
                self._parts.append(event.data)
                if event.message_finished:
                    text = isinstance(event, events.TextMessage)
                    self.messages.append("".join(self._parts) if text else b"".join(map(bytes, self._parts)))
                    self._parts.clear()
            elif isinstance(event, events.Ping):
                self.outgoing += self.connection.send(event.response())
            elif isinstance(event, events.Pong):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, events.CloseConnection):
                self.closed = (int(event.code), event.reason or "")
                if self.connection.state is self.ws.ConnectionState.REMOTE_CLOSING:
                    self.outgoing += self.connection.send(event.response())
            else:
                raise AssertionError(event)

    def send(self, message: Message) -> None:
        self.outgoing += self.connection.send(self.ws.events.Message(data=message))

    def ping(self, data: bytes) -> None:
        self.outgoing += self.connection.send(self.ws.events.Ping(payload=data))

    def close(self, code: int, reason: str) -> None:
        self.outgoing += self.connection.send(self.ws.events.CloseConnection(code=code, reason=reason))


class PlainH11(Party):
    """h11 for the handshake and frames by hand: what a small program of one's own looks like."""

    def __init__(self, client: bool, deflate: bool) -> None:
        super().__init__()
        assert not deflate
        self.client = client
        self.http = h11.Connection(h11.CLIENT if client else h11.SERVER)
        self._buffer = b""
        self._closing = False
        if client:
            fields = [*wire.REQUEST_FIELDS.items(), ("Sec-WebSocket-Protocol", "chat")]
            request = h11.Request(method="GET", target="/chat", headers=fields)
            self.outgoing = (self.http.send(request) or b"") + (self.http.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> None:
        if self.opened:
            self._frames(data)
            return
        self.http.receive_data(data)
        event = self.http.next_event()
        if event is h11.NEED_DATA:
            return
        assert isinstance(event, h11.Request | h11.InformationalResponse)
        fields = {name.decode(): value.decode() for name, value in event.headers}
        if isinstance(event, h11.Request):
            answer = {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Accept": accept_for(fields["sec-websocket-key"]),
                "Sec-WebSocket-Protocol": "chat",
            }
            response = h11.InformationalResponse(status_code=101, headers=list(answer.items()))
            assert isinstance(self.http.next_event(), h11.EndOfMessage)
            self.outgoing += self.http.send(response) or b""
            self.subprotocol = "chat"
        else:
            assert event.status_code == 101
            assert fields["sec-websocket-accept"] == wire.ACCEPT
            self.subprotocol = fields["sec-websocket-protocol"]
        self.opened = True
        assert self.http.next_event() is h11.PAUSED
        self._frames(self.http.trailing_data[0])

    def _frames(self, data: bytes) -> None:
        self._buffer += data
        while (found := _first_frame(self._buffer)) is not None:
            frame, self._buffer = found
            assert frame.masked is not self.client
            if frame.opcode in (wire.TEXT, wire.BINARY):
                text = frame.opcode == wire.TEXT
                self.messages.append(frame.payload.decode() if text else frame.payload)
            elif frame.opcode == wire.PING:
                self._write(wire.PONG, frame.payload)
            elif frame.opcode == wire.PONG:
                self.pongs.append(frame.payload)
            else:
                self.closed = (int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode())
                if not self._closing:
                    self._write(wire.CLOSE, frame.payload)

    def _write(self, opcode: int, payload: bytes) -> None:
        self.outgoing += wire.frame(opcode, payload, key=os.urandom(4) if self.client else None)

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self._write(wire.TEXT, message.encode())
        else:
            self._write(wire.BINARY, message)

    def ping(self, data: bytes) -> None:
        self._write(wire.PING, data)

    def close(self, code: int, reason: str) -> None:
        self._closing = True
        self._write(wire.CLOSE, code.to_bytes(2, "big") + reason.encode())


def _first_frame(data: bytes) -> tuple[wire.Parsed, bytes] | None:
    """Cut the first frame off `data`; None if it is not complete."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    size = 2 + {126: 2, 127: 8}.get(length, 0)
    if length > 125:
        if len(data) < size:
            return None
        length = int.from_bytes(data[2:size], "big")
    size += (4 if data[1] & 0x80 else 0) + length
    if len(data) < size:
        return None
    (frame,) = wire.frames(data[:size])
    return frame, data[size:]
