"""wsproto's connection: events in, bytes out, and the other way round, on the engine's `Connection`.

Messages come as they arrive: whole where one frame was read at once, otherwise in pieces. A piece without
data is an event only if a message ends with it.

A violation of the protocol is a `CloseConnection` event with the code that says what is wrong, as in wsproto;
but the state is then `REMOTE_CLOSING`, so whoever answers a peer's Close also tells a peer what it did. While
the closing handshake runs, Ping and Pong may still be sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING

from edgews import errors
from edgews import events as engine
from edgews.connection import Connection as Engine
from edgews.connection import Role
from edgews.events import Delivery
from edgews.frames import MAX_REASON, may_be_sent
from edgews.handshake import Deflate
from edgews.limits import MIB, Limits, Timeouts
from edgews.messages import encode_text
from edgews.states import Transport

from .events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from .extensions import PerMessageDeflate, has_hooks, require_extension
from .frame_protocol import LOCAL_ONLY_CLOSE_REASONS, CloseReason, close_reason
from .frame_protocol import Opcode as Opcode
from .frame_protocol import ParseFailed as ParseFailed
from .hooks import HookedFrames
from .utilities import LocalProtocolError

if TYPE_CHECKING:
    from .extensions import Extension

# wsproto has no timers: its users have their own.
_NO_TIMEOUTS = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)

# What frameworks on wsproto allow for a message by default; they count it themselves and answer with 1009.
_default_limits = Limits(max_message_size=16 * MIB)


class ConnectionState(Enum):
    """How far a connection is."""

    CONNECTING = 0
    """The opening handshake runs."""
    OPEN = 1
    """Messages flow."""
    REMOTE_CLOSING = 2
    """The peer said Close, or broke a rule; we owe it our Close."""
    LOCAL_CLOSING = 3
    """We said Close; the peer owes us its own."""
    CLOSED = 4
    """All is done."""
    REJECTING = 5
    """The opening handshake was refused, and the body of the answer is on its way."""


class ConnectionType(Enum):
    """Which side of the connection we are."""

    CLIENT = 1
    SERVER = 2


CLIENT = ConnectionType.CLIENT
SERVER = ConnectionType.SERVER

_LISTENING = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
# What a wrong argument leads to in the engine.
_WRONG = (errors.LocalProtocolError, TypeError, ValueError)


def default_limits() -> Limits:
    """Return the limits of connections that are made without any."""
    return _default_limits


def set_default_limits(limits: Limits) -> None:
    """Set the limits of all connections that are made from now on without any."""
    global _default_limits
    _default_limits = limits


class Connection:
    """A connection whose opening handshake is done.

    Args:
        connection_type: which side we are.
        extensions: those that were agreed; others among them do nothing.
        trailing_data: bytes that came behind the handshake.
        limits: what the peer may cost; None for `default_limits()`. Not known to wsproto.

    Raises:
        LocalProtocolError: extensions that cannot work here, or not in this order.
    """

    def __init__(
        self,
        connection_type: ConnectionType,
        extensions: list[Extension] | None = None,
        trailing_data: bytes = b"",
        *,
        limits: Limits | None = None,
    ) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        hooked, deflate = _agreed(extensions or [])
        self._frames = HookedFrames(self.client, hooked) if hooked else None
        self._engine = Engine(
            Role.CLIENT if self.client else Role.SERVER,
            limits=limits or default_limits(),
            timeouts=_NO_TIMEOUTS,
            delivery=Delivery.EAGER,
            auto_pong=False,
            auto_close=False,
            deflate=deflate,
        )
        self._state = ConnectionState.OPEN
        # In order: events, and iterators that have yet to look at what was read.
        self._events: deque[Event | Iterator[Event]] = deque()
        # Whether a message is being sent in pieces.
        self._sending = False
        # Our Close, where an extension refused what came.
        self._refusal = b""
        self.receive_data(trailing_data)

    @property
    def state(self) -> ConnectionState:
        """How far the connection is; events that were not asked for yet do not count."""
        return self._state

    def send(self, event: Event) -> bytes:
        """Return the bytes that carry an event to the peer.

        A Close in answer to a violation carries the violation's own code.

        Raises:
            LocalProtocolError: the state does not allow it, or it cannot go on the wire.
        """
        try:
            data = self._encode(event)
        except _WRONG as error:
            raise LocalProtocolError(str(error)) from error
        return data if self._frames is None else self._frames.outgoing(data)

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes that were read, or None for the end of the byte stream; `events` has what came of them.

        Raises:
            LocalProtocolError: the connection is closed, or `data` is not bytes-like.
        """
        if data is None:
            self._state = ConnectionState.CLOSED
            self._events.append(self._translate(iter(self._engine.receive_eof())))
        elif self._state in _LISTENING:
            refusal: CloseReason | None = None
            try:
                if self._frames is not None:
                    data, refusal = self._frames.incoming(data)
                found = self._engine.receive_data(data)
            except TypeError as error:
                raise LocalProtocolError(str(error)) from error
            if isinstance(found, (tuple, list)):
                for message in found:
                    self._events.append(
                        TextMessage(message) if isinstance(message, str) else BytesMessage(message)
                    )
            else:
                self._events.append(self._translate(found))
            if refusal is not None:
                self._events.append(self._refuse(refusal))
        elif self._state is ConnectionState.CLOSED:
            raise LocalProtocolError("the connection is closed already")

    def events(self) -> Generator[Event, None, None]:
        """Yield what has come from the peer and was not given before."""
        waiting = self._events
        while waiting:
            first = waiting[0]
            if isinstance(first, Event):
                waiting.popleft()
                yield first
            else:
                # Whoever stops here closes this generator; the chain keeps that from the one within.
                yield from chain(first)
                # Another iteration may have gone on in the meantime.
                if waiting and waiting[0] is first:
                    waiting.popleft()

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, Message):
            if self._state is ConnectionState.OPEN:
                return self._send_message(event)
        elif self._state is not ConnectionState.CLOSED:
            if isinstance(event, Ping):
                return self._engine.send_ping(event.payload)
            if isinstance(event, Pong):
                return self._engine.send_pong(event.payload)
            if isinstance(event, CloseConnection) and self._state is not ConnectionState.LOCAL_CLOSING:
                return self._send_close(event)
        raise LocalProtocolError(f"{type(event).__name__} cannot be sent in state {self._state.name}")

    def _send_message(self, event: Message[str] | Message[bytes | bytearray]) -> bytes:
        if event.message_finished and not self._sending:
            return self._engine.send(event.data)
        data = self._engine.send_fragment(event.data, final=event.message_finished)
        self._sending = not event.message_finished
        return data

    def _send_close(self, event: CloseConnection) -> bytes:
        if self._engine.transport is not Transport.KEEP_OPEN:
            # The peer broke a rule: our Close waits already.
            data = self._refusal or self._engine.data_to_send()
        else:
            code: int | None = event.code
            if code == CloseReason.NO_STATUS_RCVD:
                code = None
            elif code in LOCAL_ONLY_CLOSE_REASONS:
                code = CloseReason.NORMAL_CLOSURE
            # wsproto's callers may count on a long reason being cut.
            reason = encode_text(event.reason or "")[:MAX_REASON].decode(errors="ignore")
            data = self._engine.send_close(code, reason)
        closing = self._state is ConnectionState.REMOTE_CLOSING
        self._state = ConnectionState.CLOSED if closing else ConnectionState.LOCAL_CLOSING
        return data

    def _translate(self, found: Iterator[engine.Event]) -> Iterator[Event]:
        """Yield the engine's events as wsproto's, and move the state along."""
        for event in found:
            yield from self._translated(event)
        if self._state in _LISTENING and self._engine.transport is not Transport.KEEP_OPEN:
            # The peer broke a rule, so it is not listened to any more; why is known at the end.
            self._failed()
            for event in self._engine.receive_eof():
                yield from self._translated(event)

    def _refuse(self, reason: CloseReason) -> Iterator[Event]:
        """Fail the connection for an extension."""
        if self._state in _LISTENING:
            code = reason if may_be_sent(reason) else CloseReason.PROTOCOL_ERROR
            why = "refused by an extension"
            self._refusal = self._engine.fail(code, why)
            self._failed()
            yield CloseConnection(code, why)

    def _failed(self) -> None:
        """What the peer did was wrong: we owe it a Close, unless one is out."""
        opened = self._state is ConnectionState.OPEN
        self._state = ConnectionState.REMOTE_CLOSING if opened else ConnectionState.CLOSED

    def _translated(self, event: engine.Event) -> Iterator[Event]:
        match event:
            case str():
                yield TextMessage(event)
            case bytes():
                yield BytesMessage(event)
            case engine.Fragment(str() as text, final):
                yield TextMessage(text, not self._engine.inside_frame, final)
            case engine.Fragment(bytes() as octets, final):
                yield BytesMessage(octets, not self._engine.inside_frame, final)
            case engine.Ping(payload):
                yield Ping(payload)
            case engine.Pong(payload):
                yield Pong(payload)
            case engine.Close(code, reason):
                if self._state is ConnectionState.LOCAL_CLOSING:
                    self._state = ConnectionState.CLOSED
                elif self._state is ConnectionState.OPEN:
                    self._state = ConnectionState.REMOTE_CLOSING
                yield CloseConnection(close_reason(code), reason)
            case engine.Disconnected(code, _, _, cause):
                if isinstance(cause.error, errors.RemoteProtocolError):
                    yield CloseConnection(close_reason(cause.error.code), str(cause.error))
                elif code == CloseReason.ABNORMAL_CLOSURE:
                    yield CloseConnection(CloseReason.ABNORMAL_CLOSURE)
            case _:  # pragma: no cover - of the opening handshake, which was before
                raise AssertionError(event)


def _agreed(extensions: list[Extension]) -> tuple[list[Extension], Deflate | None]:
    """Return those that were agreed and have hooks, and what was agreed for permessage-deflate."""
    hooked: list[Extension] = []
    deflate: Deflate | None = None
    for extension in extensions:
        if not require_extension(extension).enabled():
            continue
        if isinstance(extension, PerMessageDeflate):
            deflate = extension.deflate
        elif has_hooks(extension):
            if deflate is not None:
                raise LocalProtocolError(f"permessage-deflate has to stand behind {extension.name}")
            hooked.append(extension)
    return hooked, deflate
