"""The engine: one WebSocket connection without I/O, clock or thread.

Bytes that were read go into `receive_data`, events come out; every `send_` method returns bytes to write;
`data_to_send` has what the engine sends by itself; `next_timeout` and `handle_timeout` connect it to the
caller's clock; `transport` says what to do with the byte stream.

RFC 6455; RFC 7692.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .arguments import check, check_flag, wrong
from .deflate import Deflater, Inflater
from .events import Cause, CauseKind, Delivery, Event, Side
from .extensions import Agreement, PerMessageDeflate
from .frames import CloseCode, encode_close
from .incoming import Incoming
from .limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from .masking import new_key
from .states import OVER, TURNS, WE_CLOSED, State, Transport, Turn, may_send_data, rfc_state, transport
from .timers import Due


class Role(Enum):
    """Which side of the connection we are. RFC 6455 §1.2."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(slots=True, frozen=True)
class Statistics:
    """What has passed a connection, in each direction; bytes count headers and handshake too."""

    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    pings_received: int
    pings_sent: int
    pongs_received: int
    pongs_sent: int


class Connection(Incoming):
    """A connection that is open at once: for HTTP/2, HTTP/3, and servers that own HTTP.

    `ServerConnection` and `ClientConnection` put the opening handshake in front of it.

    Args:
        role: a client masks what it sends, a server requires it.
        limits, timeouts: what the connection may cost.
        delivery: in which pieces messages are delivered.
        auto_pong: answer every Ping; off for proxies.
        auto_close: answer the peer's Close with its own code; off for proxies.
        deflate: what was agreed for permessage-deflate, and the configuration it came from.
        trailing_data: bytes that were read already; their events come with the next `receive_data`,
            which may be given no bytes.
    """

    __slots__ = ("role",)

    def __init__(
        self,
        role: Role,
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        delivery: Delivery = Delivery.MESSAGES,
        auto_pong: bool = True,
        auto_close: bool = True,
        deflate: tuple[PerMessageDeflate, Agreement] | None = None,
        trailing_data: bytes = b"",
        _connecting: bool = False,
    ) -> None:
        check("role", role, Role, "a Role")
        check("limits", limits, Limits, "a Limits")
        check("timeouts", timeouts, Timeouts, "a Timeouts")
        check("delivery", delivery, Delivery, "a Delivery")
        check_flag("auto_pong", auto_pong)
        check_flag("auto_close", auto_close)
        super().__init__(
            role is Role.CLIENT, limits, timeouts, _connecting, delivery, auto_pong, auto_close, trailing_data
        )
        self.role = role
        if not _connecting:
            self._start(deflate)

    def _start(self, deflate: tuple[PerMessageDeflate, Agreement] | None) -> None:
        """The opening handshake is done: frames follow."""
        self._connecting = False
        if deflate is not None:
            match deflate:
                case (PerMessageDeflate() as wish, Agreement() as agreed):
                    pass
                case _:
                    raise wrong("deflate", "a PerMessageDeflate and an Agreement, or None", deflate)
            server = agreed.server_max_window_bits, not agreed.server_no_context_takeover
            # A client may use a smaller window than it has to, and keeps the promise of its offer to
            # forget, which the server need not repeat: RFC 7692 §7.1.1.2.
            client = agreed.client_max_window_bits, not agreed.client_no_context_takeover
            modest = (
                min(agreed.client_max_window_bits, wish.client_max_window_bits),
                client[1] and not wish.client_no_context_takeover,
            )
            ours, theirs = (modest, server) if self._masks else (server, client)
            self._deflater = Deflater(*ours, wish.level, wish.mem_level)
            self._deflate_from = wish.threshold
            self._inflater = Inflater(*theirs)
        self._timers.start_session()
        self._refresh()
        self._settle()

    # Time

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in the caller's clock (seconds).

        Returns:
            The time; minus infinity when a timer waits to be told the time, so call at once; None when
            none runs. It changes with any call, so ask after each round.
        """
        return self._timers.next()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Tell the time, and let the timers that are due do their work.

        Args:
            now: seconds in any clock that does not go back; always the same one.

        Returns:
            The events, to be consumed whole. `data_to_send` may have a Ping or a Close afterwards.
        """
        check("now", now, (float, int), "a number of seconds")
        messages = self.messages_received + self.messages_sent + self._progress
        dues = self._timers.look(now, messages, self.bytes_received)
        if not dues:
            return ()
        for due in dues:
            if self._halves != OVER:
                self._timed_out(due)
        # A Ping that was sent just now went out at this time.
        self._timers.measure(now)
        return self._read_lazily()

    def _timed_out(self, due: Due) -> None:
        if due is Due.SEND_PING:
            self._queue(self.send_ping(new_key()))
        elif due is Due.PING_TIMEOUT:
            if may_send_data(self._halves):
                self._queue(self._close_with(encode_close(CloseCode.INTERNAL_ERROR, "ping timeout")))
            self._give_up(
                Cause(CauseKind.PING_TIMEOUT, Side.LOCAL, "no answer to a Ping, and no other sign of life")
            )
        elif due is Due.IDLE:
            self._cause = Cause(
                CauseKind.IDLE_TIMEOUT, Side.LOCAL, "no message in either direction for too long"
            )
            self._queue(self.send_close(CloseCode.GOING_AWAY, "idle timeout"))
        elif due is Due.OPEN:
            self._open_timed_out()
        else:
            cause = self._cause
            assert cause is not None
            if self._halves == WE_CLOSED and cause.kind is CauseKind.CLOSED:
                cause = Cause(
                    CauseKind.CLOSE_TIMEOUT, Side.LOCAL, f"{cause.detail}, and the peer did not answer"
                )
            self._give_up(cause)

    def _open_timed_out(self) -> None:
        """The opening handshake took too long."""
        self._give_up(Cause(CauseKind.OPEN_TIMEOUT, Side.LOCAL, "the opening handshake took too long"))

    # What the owner may ask

    @property
    def transport(self) -> Transport:
        """What to do with the byte stream once `data_to_send` is written."""
        return transport(self._halves, self._half_closes)

    def cannot_half_close(self) -> None:
        """Take note that the byte stream cannot be ended in one direction, as with TLS; call it early.

        Then `transport` never asks for that. It says CLOSE when both sides have said Close, and else when
        nothing has come for a second; close the stream, and call `receive_eof` as usual.
        """
        self._half_closes = False

    @property
    def state(self) -> State:
        """The state in the words of RFC 6455 §4.1, §7.1.3, §7.1.4."""
        return State.CONNECTING if self._connecting and self._halves != OVER else rfc_state(self._halves)

    @property
    def turn(self) -> Turn:
        """Who has to make the next step towards the end."""
        return TURNS[self._halves]

    @property
    def timeouts(self) -> Timeouts:
        """The times that the connection was made with."""
        return self._timers.timeouts

    @property
    def delivery(self) -> Delivery:
        """In which pieces messages are delivered."""
        return Delivery.EAGER if self._runs and self._delivery is Delivery.STREAM else self._delivery

    @property
    def sending_fragments(self) -> bool:
        """Whether a message in fragments was begun by `send_fragment` and not finished."""
        return bool(self._sending)

    @property
    def stats(self) -> Statistics:
        """The counters as they are now."""
        return Statistics(
            self.messages_received,
            self.messages_sent,
            self.bytes_received,
            self.bytes_sent,
            self.pings_received,
            self.pings_sent,
            self.pongs_received,
            self.pongs_sent,
        )

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered Ping and its Pong, None before the first."""
        return self._timers.latency
