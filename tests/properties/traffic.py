"""What peers send, as strategies: built without the engine, valid or not."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from edgews import Connection, Delivery, Disconnected, Event, Fragment, Role, Transport
from tests import wire
from tests.engines import ROLES, make, peer_close, peer_frame, squeeze

roles = st.sampled_from(ROLES)
deliveries = st.sampled_from(Delivery)

texts = st.text(max_size=30) | st.text(alphabet="aé€𝄞", max_size=200) | st.just("x" * 70_000)
octets = st.binary(max_size=200) | st.integers(124, 127).map(bytes) | st.integers(65_534, 65_537).map(bytes)
messages = texts | octets
control_payloads = st.binary(max_size=125)
cut_sizes = st.lists(st.integers(0, 60), max_size=4)


@dataclass
class Message:
    """A message in fragments, with a Ping behind some of them."""

    message: str | bytes
    cuts: list[int] = field(default_factory=list)
    compressed: bool = False
    pings: list[bytes] = field(default_factory=list)

    def encode(self, role: Role) -> bytes:
        text = isinstance(self.message, str)
        payload = self.message.encode() if isinstance(self.message, str) else self.message
        if self.compressed:
            payload = squeeze(payload)
        pieces, at = [], 0
        for size in self.cuts:
            pieces.append(payload[at : at + size])
            at += size
        pieces.append(payload[at:])
        data = b""
        for number, piece in enumerate(pieces):
            first = number == 0
            opcode = wire.CONTINUATION if not first else wire.TEXT if text else wire.BINARY
            rsv = 4 if first and self.compressed else 0
            last = number == len(pieces) - 1
            data += peer_frame(role, opcode, piece, fin=last, rsv=rsv)
            if not last and number < len(self.pings):
                data += peer_frame(role, wire.PING, self.pings[number])
        return data


@dataclass
class Control:
    """A Ping or Pong."""

    opcode: int
    payload: bytes

    def encode(self, role: Role) -> bytes:
        return peer_frame(role, self.opcode, self.payload)


@dataclass
class Closing:
    """A Close frame, valid or not."""

    code: int | None
    reason: bytes

    def encode(self, role: Role) -> bytes:
        return peer_close(role, self.code, self.reason if self.code is not None else b"")


@dataclass
class Odd:
    """A frame of any kind, usually one that breaks a rule."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    masked: bool
    form: int | None

    def encode(self, role: Role) -> bytes:
        key = wire.KEY if self.masked else None
        form = self.form if self.form != 7 or len(self.payload) < 126 else None
        return wire.frame(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, key=key, form=form)


@dataclass
class Junk:
    """Any bytes."""

    data: bytes

    def encode(self, role: Role) -> bytes:
        return self.data


Item = Message | Control | Closing | Odd | Junk

controls = st.builds(Control, st.sampled_from([wire.PING, wire.PONG]), control_payloads)
closings = st.builds(
    Closing, st.sampled_from([None, 1000, 1001, 3000, 4999]), texts.map(lambda t: t[:20].encode())
)
odds = st.builds(
    Odd,
    st.integers(0, 15),
    st.binary(max_size=130) | st.just(b"a\xff"),
    st.booleans(),
    st.sampled_from([0, 0, 0, 4, 1, 7]),
    st.booleans(),
    st.sampled_from([None, None, 7, 16, 64]),
)
junk = st.builds(Junk, st.binary(max_size=40))


def whole_messages(compressed: bool) -> st.SearchStrategy[Message]:
    """Return valid messages, some of them compressed where that was agreed."""
    return st.builds(
        Message,
        messages,
        cut_sizes,
        st.booleans() if compressed else st.just(False),
        st.lists(control_payloads, max_size=4),
    )


def valid_traffic(compressed: bool) -> st.SearchStrategy[list[Item]]:
    """Return what a peer that keeps the rules sends before it closes."""
    return st.lists(whole_messages(compressed) | controls, max_size=8)


def any_traffic(compressed: bool) -> st.SearchStrategy[list[Item]]:
    """Return what any peer may send, mostly valid at first."""
    ends = st.lists(closings | odds | junk | whole_messages(compressed), max_size=3)
    return st.tuples(valid_traffic(compressed), ends).map(lambda parts: [*parts[0], *parts[1]])


def encode(role: Role, items: list[Item]) -> bytes:
    """Return the bytes that the peer of `role` sends."""
    return b"".join(item.encode(role) for item in items)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut bytes into reads of the given sizes, again and again until nothing is left."""
    reads, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)] if sizes else len(data)
        reads.append(data[at : at + size])
        at, number = at + size, number + 1
    return reads


def merged(events: list[Event]) -> list[Event]:
    """Join what belongs to one message, so that it does not matter in which pieces it came."""
    found: list[Event] = []
    for event in events:
        last = found[-1] if found else None
        if isinstance(event, Fragment) and isinstance(last, Fragment) and not last.final:
            assert type(event.data) is type(last.data)
            found[-1] = Fragment(last.data + event.data, event.final)  # type: ignore[operator]
        elif isinstance(event, Fragment) or not _interrupts(found):
            found.append(event)
        else:
            # A control frame inside a message: put it in front of that message.
            found.insert(len(found) - 1, event)
    return found


def _interrupts(found: list[Event]) -> bool:
    last = found[-1] if found else None
    return isinstance(last, Fragment) and not last.final


@dataclass
class Outcome:
    """All that can be seen of a connection after some bytes and the end of the stream."""

    events: list[Event]
    written: list[wire.Parsed]
    end: Disconnected
    transport: Transport
    counters: dict[str, int]


def run(conn: Connection, reads: list[bytes]) -> Outcome:
    """Feed a connection, end its stream, and look at what came of it."""
    events: list[Event] = []
    written = b""
    for read in reads:
        events += conn.receive_data(read)
        written += conn.data_to_send()
    transport = conn.transport
    *more, end = conn.receive_eof()
    written += conn.data_to_send()
    assert isinstance(end, Disconnected)
    assert not any(isinstance(event, Disconnected) for event in events + more)
    counters = {
        name: getattr(conn, name)
        for name in ("messages_received", "bytes_received", "pings_received", "pongs_received", "bytes_sent")
    }
    return Outcome(events + more, wire.frames(written), end, transport, counters)


def connection(role: Role, compressed: bool, delivery: Delivery) -> Connection:
    """Make the connection that meets the traffic."""
    return make(role, deflate=compressed, delivery=delivery)
