"""One connection as an application uses it: messages wait to be taken, and the end is remembered.

A session stands between the engine and an adapter, and like the engine it does no I/O and reads no clock. It
decides what adapters would otherwise each decide for themselves: when to stop reading because nobody takes
what came, how far to look ahead of the application, which Ping a Pong answers, and how it all ended.

An adapter has four things to do: give what was read, write `data_to_send`, let those look again who wait
(`changed` is called for that), and come back at `next_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from .client import ClientConnection
from .errors import StateError
from .events import Accepted, Disconnected, Event, Fragment, Pong, Rejected, Request, Response
from .headers import HeadersLike
from .messages import BytesLike
from .server import ServerConnection
from .states import State, Transport
from .timers import ASAP

# The inbox is full with so much, and has room again with so little, in bytes. A message costs its size and
# what Python adds to it.
HIGH_WATER: Final = 131072
LOW_WATER: Final = 32768
MESSAGE_COST: Final = 64

# How many messages are taken before the list is moved up behind them.
_TAKEN: Final = 256

# What the peer sent behind a message, in the same read, is not looked at until the application has come back
# for more, though for no longer than this (seconds). If it is a Close, or breaks a rule, then the answer to
# the message still goes out in front of our own Close; if it is a Ping, a busy application delays its Pong
# by so much.
ANSWER_TIME: Final = 1.0


def _nobody() -> None:
    """Stand for `changed` behind the end."""


class Session:
    """A connection with an inbox.

    Args:
        conn: the engine's connection, from its very beginning.
        changed: called when something has changed that somebody may be waiting for: a message, a Pong, the
            request or the answer, the end. It must not call the session.

    Attributes:
        request: the opening handshake's request; a server has it once it has come.
        response: the server's answer, for a client.
        opened: whether the opening handshake was successful.
        closed: how the connection ended, None as long as it has not.
        message_cost: what a message takes of the inbox beside its size, so that no more than `HIGH_WATER`
            divided by it fit. To be set before the first one comes.
        full: whether so much waits to be taken that the peer has to wait.
        held: events that the engine was not asked for yet, None if there are none.
        single: the only message that waits, if it came alone.
        pings: the Pings that somebody waits for, and whether they were answered.
    """

    __slots__ = (
        "_busy",
        "_changed",
        "_cost",
        "_inbox",
        "_leaving",
        "_patience",
        "_taken",
        "closed",
        "conn",
        "full",
        "held",
        "message_cost",
        "opened",
        "pings",
        "request",
        "response",
        "single",
    )

    def __init__(self, conn: ServerConnection | ClientConnection, changed: Callable[[], None]) -> None:
        self.conn = conn
        self.request: Request | None = conn.request if isinstance(conn, ClientConnection) else None
        self.response: Response | None = None
        self.opened = False
        self.closed: Disconnected | None = None
        self.pings: dict[bytes, bool] = {}
        self._changed = changed
        self.message_cost = MESSAGE_COST
        # Messages, of which so many are taken already. A deque that is empty takes up 700 bytes.
        self._inbox: list[str | bytes] = []
        self._taken = 0
        self._cost = 0
        # It stands for the list, which costs more: mostly it is taken before another one comes.
        self.single: str | bytes | None = None
        self.full = False
        self.held: Iterator[Event] | None = None
        # The application has a message, here or in its hands, and may want to answer it.
        self._busy = False
        # Until when it is waited for, ASAP before the clock is known.
        self._patience = ASAP
        # The application wants no more: nothing is held back, and what finds no room is dropped.
        self._leaving = False

    # What an adapter gives and asks

    @property
    def reading(self) -> bool:
        """Whether there is room for what the peer sends. If not, the peer has to wait in its turn."""
        return self.held is None and (not self.full or self._leaving)

    def receive_data(self, data: BytesLike) -> bool:
        """Take bytes that were read; better none while `reading` is False.

        Returns:
            Whether all that came of it are messages. Then neither `data_to_send` nor `transport` nor
            `next_timeout` has anything new, and `changed` was not called.
        """
        events = self.conn.receive_data(data)
        if self.held is not None or self._leaving or not isinstance(events, (tuple, list)):
            self._feed(events)
            return False
        # Messages alone, as most often: there is nothing behind them that could have to wait.
        if len(events) == 1 and self.single is None and not self._inbox:
            message = self.single = events[0]
            self.full = len(message) + self.message_cost >= HIGH_WATER
            self._busy = True
        elif events:
            self._add(events)
        return True

    def receive_eof(self) -> None:
        """Take the end of the byte stream, in order or not."""
        self._feed(self.conn.receive_eof())

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, as `Connection.next_timeout` does."""
        hold = None if self.held is None or (self.full and not self._leaving) else self._patience
        due = self.conn.next_timeout() if self._judges() else None
        if hold is None or due is None:
            return due if hold is None else hold
        return min(hold, due)

    def handle_timeout(self, now: float) -> None:
        """Tell the time, in seconds of the caller's clock."""
        if self.held is not None:
            if self._patience == ASAP:
                self._patience = now + ANSWER_TIME
            elif now >= self._patience:
                self._busy = False
                self.draw()
        if self._judges() and (events := self.conn.handle_timeout(now)):
            if self.held is not None:
                self._feed(events)
            else:
                # The engine was asked for all it had, so there can be nothing but the end.
                for event in events:
                    self._handle(event)

    def _judges(self) -> bool:
        """Say whether the engine's timers count: a peer that is not listened to cannot show that it lives."""
        return self.reading or self.conn.state is not State.OPEN

    def data_to_send(self) -> bytes:
        """Return what the engine sends by itself."""
        return self.conn.data_to_send()

    @property
    def transport(self) -> Transport:
        """What to do with the byte stream once `data_to_send` is written."""
        return self.conn.transport

    # What an application does

    def take(self) -> str | bytes | None:
        """Return the next message; None if there is none, and then the application has come back for more.

        What is `held` back then has to be drawn.
        """
        message = self.single
        if message is not None:
            self.single = None
            self._busy = True
            self.full = False
            return message
        inbox = self._inbox
        if not inbox:
            self._busy = False
            return None
        message = inbox[self._taken]
        inbox[self._taken] = ""
        self._taken += 1
        if self._taken == len(inbox):
            inbox.clear()
            self._taken = 0
        elif self._taken == _TAKEN:
            del inbox[:_TAKEN]
            self._taken = 0
        self._cost -= len(message) + self.message_cost
        self._busy = True
        if self.full and self._cost <= LOW_WATER:
            self.full = False
        return message

    def take_fragment(self, first: bool) -> Fragment | None:
        """Return the next piece of a message; here each message is one piece. None as `take` says."""
        message = self.take()
        return None if message is None else Fragment(message, True)

    def release(self) -> None:
        """Wait no longer for an answer to what was taken."""
        self._busy = False
        self.draw()

    def draw(self) -> None:
        """Take events from the engine, as far as the application is ready for them."""
        while self.held is not None and self._ready():
            event = next(self.held, None)
            if event is None:
                self.held = None
            else:
                self._handle(event)

    @property
    def waiting(self) -> bool:
        """Whether messages wait to be taken."""
        return self.single is not None or bool(self._inbox)

    def send_ping(self, payload: bytes) -> bytes:
        """Return a Ping to write; `pings` says later whether it was answered.

        Raises:
            StateError: not open, or already closing. The engine would send one behind our Close, but a peer
                that has ended its stream by then answers that with a reset, which its own Close may not
                survive.
            InvalidValueError: more than 125 bytes.
        """
        if self.conn.state is not State.OPEN:
            raise StateError("cannot send a Ping: the connection is not open")
        frame = self.conn.send_ping(payload)
        self.pings[payload] = False
        # Whoever waits for a Pong has nothing to answer.
        self.release()
        return frame

    def accept(self, subprotocol: str | None, headers: HeadersLike) -> bytes:
        """As a server, open the connection; `opened` says whether it is open.

        A plain HTTP request is answered with 426 instead.

        Raises:
            StateError: the client has gone, or its time is up.
            InvalidValueError: as `ServerConnection.accept`.
        """
        assert isinstance(self.conn, ServerConnection)
        data = self.conn.accept(subprotocol=subprotocol, headers=headers)
        self.opened = self.conn.state is State.OPEN
        if self.conn.has_data:
            # What came early.
            self._feed(self.conn.receive_data(b""))
        return data

    def leave(self) -> None:
        """Want no more messages than are in the inbox or find room there, and hold nothing back."""
        self._leaving = True
        self.draw()

    # Below: between the engine and the inbox

    def _feed(self, events: Iterable[Event]) -> None:
        """Take what the engine has to say, behind what it has not said yet."""
        if self.held is None:
            self.held = iter(events)
            self._patience = ASAP
        else:
            self.held = chain(self.held, events)
        self.draw()

    def _ready(self) -> bool:
        """Say whether the application is ready for what comes next."""
        if self._leaving or not self.opened or not (self._busy or self.full):
            return True
        # All that is left to come is the end.
        return self.conn.transport is Transport.CLOSE

    def _handle(self, event: Event) -> None:
        match event:
            case str() | bytes():
                self._keep(event)
            case Pong(data):
                self._answered(data)
            case Request():
                self.request = event
            case Accepted(_, response):
                self.response = response
                self.opened = True
            case Rejected(response):
                self.response = response
            case Disconnected():
                self.closed = event
                # Nothing changes any more; and whoever has a session and is called by it would be freed by
                # the garbage collector alone.
                changed, self._changed = self._changed, _nobody
                changed()
                return
            case _:
                return
        self._changed()

    def _keep(self, message: str | bytes) -> None:
        if not self.full:
            self._add((message,))

    def _add(self, messages: Sequence[str | bytes]) -> None:
        """Put messages into the list, behind one that was alone."""
        if self.single is not None:
            messages = [self.single, *messages]
            self.single = None
        self._inbox.extend(messages)
        for message in messages:
            self._cost += len(message) + self.message_cost
        if self._cost >= HIGH_WATER:
            self.full = True
        self._busy = True

    def _answered(self, payload: bytes) -> None:
        """A Pong answers its Ping and all Pings before it. RFC 6455 §5.5.3."""
        if payload in self.pings:
            order = list(self.pings)
            for earlier in order[: order.index(payload) + 1]:
                self.pings[earlier] = True
