"""A relayed connection whose messages are looked into: inflated, checked, judged, and sent anew. Sans-IO.

Each leg is a connection of the engine's: a server to the client, a client to the origin. What one of them
receives the other sends, so a message passes when it is complete, in one frame, compressed as that leg has
agreed. What that leaves open is settled as follows:

    Ping, Pong          are for one leg: the gateway answers a Ping itself, and sends its own
    fragments           are put together; a control frame between them counts at once
    a slow receiver     no event is drawn from the sender's connection while much waits to be written, so of a
                        direction there is, beyond that, one read and one message

How both legs come to their end is the tunnel's table, as without inspection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Final, Protocol

from edgews.connection import Connection, Role
from edgews.edge.policy.actions import Close as CloseAction
from edgews.edge.policy.actions import Drop, Sender
from edgews.edge.policy.fields import MessageFacts
from edgews.errors import RemoteProtocolError, StateError
from edgews.events import Close, Disconnected, Event, Ping, Pong
from edgews.frames import CloseCode, Opcode, encode_close
from edgews.handshake import Deflate
from edgews.incoming import Messages
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from edgews.states import Transport

from .ends import Party, Why
from .frames import TOO_MANY, Meter
from .legs import Leg
from .tunnel import Tunnel

# What may come out of one leg's connection in one go (bytes), before others have their turn.
TURN: Final = 128 * 1024
# So many messages of one read pass without turns.
FEW: Final = 64
# What a message counts for beside its bytes, so that empty ones have an end, too.
MESSAGE_COST: Final = 64

# The tunnel has the timers.
_NO_TIMEOUTS: Final = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)


class Verdict(Protocol):
    """What becomes of a message: it passes unless there is a refusal, and `rule` is who refused."""

    @property
    def refusal(self) -> CloseAction | Drop | None: ...

    @property
    def rule(self) -> str | None: ...


class Judge(Protocol):
    """Who is asked about messages."""

    @property
    def senders(self) -> Collection[Sender]:
        """Whose messages it is to be asked about."""
        ...

    def judge(self, facts: MessageFacts, now: float) -> Verdict:
        """Say what becomes of it."""
        ...


class MessageScanner:
    """Take, check and count the messages of one peer. It does for `Tunnel` what `FrameScanner` does.

    Args:
        conn: the engine's connection with that peer.

    Attributes:
        error, close, keep_close, pings, pongs: see `FrameScanner`.
        texts, binaries: how many messages passed.
        dropped: how many did not.
    """

    __slots__ = (
        "_conn",
        "_events",
        "_expected_pong",
        "binaries",
        "close",
        "dropped",
        "error",
        "keep_close",
        "over",
        "pings",
        "plain",
        "pongs",
        "texts",
    )

    # A message is sent whole.
    at_boundary = True
    waits = False

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        # Messages that came alone, for whoever called `scan`.
        self.plain: Messages = ()
        # What the connection was not asked for yet, None if there is nothing.
        self._events: Iterator[Event] | None = None
        self._expected_pong: bytes | None = None
        # We have said our last to the other side in the peer's place.
        self.over = False
        self.error: RemoteProtocolError | None = None
        self.close: Close | None = None
        self.keep_close = False
        self.pings = 0
        self.pongs = 0
        self.texts = 0
        self.binaries = 0
        self.dropped = 0

    @property
    def holds(self) -> bool:
        """Whether the connection has more to say than was drawn."""
        return self._events is not None

    @property
    def size(self) -> int:
        """How many bytes came."""
        return self._conn.bytes_received

    @property
    def messages(self) -> int:
        """How many messages passed."""
        return self.texts + self.binaries

    def scan(self, data: bytes) -> bytes:
        """Take the next bytes of the peer; nothing passes before it is drawn."""
        events = self._conn.receive_data(data)
        if self._events is not None:
            self._events = chain(self._events, events)
        elif isinstance(events, (tuple, list)) and len(events) <= FEW:
            self.plain = events
        else:
            self._events = iter(events)
        return b""

    def hold(self) -> None:
        """Have plain messages drawn like everything else."""
        if self.plain:
            self._events = chain(self.plain, self._events or ())
            self.plain = ()

    def draw(self) -> Event | None:
        """Return the next event; None if there is none, and then `error` may have changed."""
        event = None if self._events is None else next(self._events, None)
        if event is None:
            self._events = None
            if self._conn.transport is not Transport.KEEP_OPEN and self.error is None:
                self.error = self._fault()
        return event

    def _fault(self) -> RemoteProtocolError:
        """Return the rule that was broken, now that nothing counts any more that the peer sends."""
        (end,) = self._conn.receive_eof()
        assert isinstance(end, Disconnected)
        assert isinstance(end.cause.error, RemoteProtocolError)
        return end.cause.error

    def ponged(self, payload: bytes) -> None:
        """Take a Pong, which is for us or for nobody."""
        self.pongs += 1
        if payload == self._expected_pong:
            self._expected_pong = None

    def inject(self, frame: bytes) -> bytes:
        """Put a control frame of ours behind what passed; nothing ever follows a Close that passed."""
        if self.over or (self.close is not None and not self.keep_close):
            return b""
        return frame

    def finish(self, frame: bytes) -> bytes:
        """Let nothing of the peer pass any more, and this frame last."""
        passes = self.inject(frame)
        self.over = True
        return passes

    @property
    def expects_pong(self) -> bool:
        """Whether the answer to a Ping of ours has not come yet."""
        return self._expected_pong is not None

    def expect_pong(self, payload: bytes) -> None:
        """Know the Pong that answers our own Ping."""
        self._expected_pong = payload


class MessageLeg(Leg):
    """A byte stream with a connection of the engine's at our end.

    Attributes:
        asks: somebody is to be asked about messages from there.
        judged: as whose, if the judge is; None if not.
        received: how many messages from there the judge has got.
    """

    __slots__ = ("_pong", "asks", "conn", "inspected", "judged", "lost", "received")

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.inspected = MessageScanner(conn)
        super().__init__(self.inspected, conn.role is Role.SERVER)
        self.asks = False
        self.judged: Sender | None = None
        self.received = 0
        # The stream has ended behind what is held: whether it was lost, None if it goes on.
        self.lost: bool | None = None
        # What the last Ping is answered with.
        self._pong: bytes | None = None

    @property
    def holds(self) -> bool:
        """Whether something came from there that was not looked at yet, for want of room."""
        return self.inspected.holds

    def answer_ping(self, payload: bytes) -> None:
        """Answer a Ping as soon as there is room. RFC 6455 §5.5.3 allows to answer the last one alone."""
        self._pong = payload

    def data_to_send(self) -> bytes:
        """Return what to write there now."""
        if self._pong is not None and not self.full:
            payload, self._pong = self._pong, None
            if not self.told:
                self.put(self.frame(Opcode.PONG, payload))
        return super().data_to_send()


class Inspection(Tunnel):
    """Relay messages; to its owner it is like any `Tunnel`.

    Args:
        client, origin: the legs.
        judge: who is asked about messages; None lets all of them pass.
        meter: counts each message of the client first.
        timeouts, max_age: see `Tunnel`.
    """

    __slots__ = ("_begun", "_judge", "_meter")

    def __init__(
        self,
        client: MessageLeg,
        origin: MessageLeg,
        *,
        judge: Judge | None = None,
        meter: Meter | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_age: float | None = None,
    ) -> None:
        super().__init__(client, origin, timeouts=timeouts, max_age=max_age)
        self._judge = judge
        self._meter = meter
        self._begun = 0.0
        senders = () if judge is None else judge.senders
        for leg, sender in ((client, Sender.CLIENT), (origin, Sender.ORIGIN)):
            leg.judged = sender if sender in senders else None
        client.asks = client.judged is not None or meter is not None
        origin.asks = origin.judged is not None

    def start(self, now: float) -> None:
        """Start the timers; the tunnel is open."""
        super().start(now)
        self._begun = now

    def passed(self, leg: Leg, data: bytes, now: float) -> bool:
        """Take what `leg.scanner.scan` returned."""
        assert isinstance(leg, MessageLeg)
        scanner = leg.inspected
        if self.other(leg).full:
            scanner.hold()
        elif scanner.holds:
            self.more(leg, now)
        else:
            plain, scanner.plain = scanner.plain, ()
            if scanner.over or leg.asks:
                for message in plain:
                    self._message(leg, message, now)
            elif plain:
                self._send(leg, plain)
            return self.end is None
        return False

    def _send(self, leg: MessageLeg, messages: Sequence[str | bytes]) -> int:
        """Send messages of one kind on; return how many bytes that makes."""
        scanner = leg.inspected
        other = self.other(leg)
        assert isinstance(other, MessageLeg)
        send = other.conn.send
        try:
            data = b"".join([send(message) for message in messages])
        except StateError:
            # The other side has broken a rule, which counts behind what it is known to have said.
            return 0
        other.put(data)
        if isinstance(messages[0], str):
            scanner.texts += len(messages)
        else:
            scanner.binaries += len(messages)
        return len(data)

    def more(self, leg: Leg, now: float) -> None:
        """Go on with what a leg `holds`, once the other one is not `full`; each time with a part of it."""
        assert isinstance(leg, MessageLeg)
        scanner = leg.inspected
        size = 0
        while size < TURN and (event := scanner.draw()) is not None:
            if isinstance(event, (str, bytes)):
                size += self._message(leg, event, now) + MESSAGE_COST
            else:
                self._control(leg, event)
                size += MESSAGE_COST
        super().passed(leg, b"", now)
        if leg.lost is not None and not scanner.holds:
            lost, leg.lost = leg.lost, None
            super().ended(leg, now, lost=lost)

    def _message(self, leg: MessageLeg, message: str | bytes, now: float) -> int:
        """Send a message on if it may pass; return how long it was, in one form or the other."""
        scanner = leg.inspected
        if scanner.over:
            return len(message)
        if leg.asks and not self._allows(leg, message, now):
            scanner.dropped += 1
            return len(message)
        return max(self._send(leg, (message,)), len(message))

    def _allows(self, leg: MessageLeg, message: str | bytes, now: float) -> bool:
        """Say whether a message may pass, and end the connection if so it is decided."""
        if leg.client and self._meter is not None and not self._meter(now):
            self.finish(CloseCode.TRY_AGAIN_LATER, TOO_MANY, now, why=Why.LIMIT)
            return False
        judge, sender = self._judge, leg.judged
        if judge is None or sender is None:
            return True
        leg.received += 1
        plain = isinstance(message, bytes) or message.isascii()
        size = len(message) if plain else len(str(message).encode())
        verdict = judge.judge(MessageFacts(message, size, leg.received, now - self._begun, sender), now)
        refusal = verdict.refusal
        if isinstance(refusal, CloseAction):
            cause = f"closed by the rule {verdict.rule}"
            self.finish(refusal.code, refusal.reason, now, cause=cause, why=Why.RULE)
            if not (leg.client or self.client.told or self._end_code is None):
                # What the origin has sent behind it is not to be heard.
                self._tell(self.client, self._verdict(""))
        return refusal is None

    def _control(self, leg: MessageLeg, event: Event) -> None:
        scanner = leg.inspected
        if isinstance(event, Ping):
            scanner.pings += 1
            leg.answer_ping(event.data)
        elif isinstance(event, Pong):
            scanner.ponged(event.data)
        else:
            # A connection that is open from the beginning, asked for messages, says nothing else.
            assert isinstance(event, Close)
            scanner.close = event
            if not (scanner.keep_close or scanner.over):
                code = None if event.code == CloseCode.NO_STATUS_RECEIVED else event.code
                other = self.other(leg)
                other.put(other.frame(Opcode.CLOSE, encode_close(code, event.reason)))

    def ended(self, leg: Leg, now: float, *, lost: bool = False) -> None:
        """Take the end of a byte stream; it counts behind what came before."""
        assert isinstance(leg, MessageLeg)
        if leg.holds:
            leg.lost = lost or leg.lost is True
            self._closing(now)
        else:
            super().ended(leg, now, lost=lost)

    def _give_up(self, now: float) -> None:
        for leg, party in ((self.client, Party.CLIENT), (self.origin, Party.ORIGIN)):
            if leg.holds:
                cause = f"the {party.value} ended its stream, and what it had sent found no room"
                self._because(party, CloseCode.ABNORMAL_CLOSURE, cause, Why.LOST)
        super()._give_up(now)


def inspected(
    *,
    client: Deflate | None = None,
    origin: Deflate | None = None,
    judge: Judge | None = None,
    meter: Meter | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    max_age: float | None = None,
) -> Inspection:
    """Return a tunnel in which messages are inspected.

    Args:
        client, origin: what was agreed for permessage-deflate on each leg.
        limits: of what either side sends, after inflation.
        judge, meter, timeouts, max_age: see `Inspection`.
    """
    return Inspection(
        _leg(Role.SERVER, limits, client),
        _leg(Role.CLIENT, limits, origin),
        judge=judge,
        meter=meter,
        timeouts=timeouts,
        max_age=max_age,
    )


def _leg(role: Role, limits: Limits, deflate: Deflate | None) -> MessageLeg:
    # Who ends the connection, and when, is decided above the engine.
    return MessageLeg(
        Connection(
            role, limits=limits, timeouts=_NO_TIMEOUTS, auto_pong=False, auto_close=False, deflate=deflate
        )
    )
