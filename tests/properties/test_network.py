"""Two engines over a simulated network that cuts, delays and drops, and reorders nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from edgews import CauseKind, Connection, Disconnected, LocalProtocolError, Role, State, Transport
from tests.engines import make


@dataclass
class Endpoint:
    """One engine with its owner, and the bytes on the way to the other one."""

    conn: Connection
    line: bytearray = field(default_factory=bytearray)
    line_ended: bool = False
    sent: list[str | bytes] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    end: Disconnected | None = None
    told_eof: bool = False

    def write(self, data: bytes) -> None:
        if data:
            assert not self.line_ended, "bytes behind the end of our stream"
            self.line += data

    def settle(self) -> None:
        """Write what waits, and do to the stream what the engine asks for."""
        self.write(self.conn.data_to_send())
        if self.conn.transport is not Transport.KEEP_OPEN:
            self.line_ended = True

    def take(self, data: bytes) -> None:
        self.handle(self.conn.receive_data(data))

    def take_eof(self) -> None:
        if not self.told_eof:
            self.told_eof = True
            self.handle(self.conn.receive_eof())

    def handle(self, events: object) -> None:
        assert hasattr(events, "__iter__")
        for event in events:
            assert self.end is None, "an event behind Disconnected"
            if isinstance(event, Disconnected):
                self.end = event
            elif isinstance(event, str | bytes):
                self.received.append(event)
        self.settle()

    def act(self, what: str, value: bytes) -> None:
        conn = self.conn
        try:
            if what == "text":
                self.write(conn.send(value.hex()))
                self.sent.append(value.hex())
            elif what == "binary":
                self.write(conn.send(value))
                self.sent.append(value)
            elif what in ("fragment", "last"):
                self.write(conn.send_fragment(value.hex(), final=what == "last"))
                self.pieces.append(value.hex())
                if what == "last":
                    self.sent.append("".join(self.pieces))
                    self.pieces.clear()
            elif what == "ping":
                self.write(conn.send_ping(value))
            elif what == "close":
                self.write(conn.send_close(3000, "done"))
            elif what == "fail":
                self.write(conn.fail(1011))
        except LocalProtocolError:
            assert what != "ping" or conn.state is not State.OPEN
        self.settle()


class Network:
    """Two endpoints, a clock, and what happened that excuses a connection from ending cleanly."""

    def __init__(self, deflate: bool, takeover: bool) -> None:
        self.ends = [
            Endpoint(make(role, deflate=deflate, takeover=takeover)) for role in (Role.CLIENT, Role.SERVER)
        ]
        self.now = 0.0
        self.disturbed = False

    def deliver(self, origin: int, count: int) -> None:
        """Carry some bytes from one end to the other; behind the last of them comes the end."""
        source, target = self.ends[origin], self.ends[1 - origin]
        data = bytes(source.line[:count])
        del source.line[:count]
        if target.conn.transport is Transport.CLOSE:
            return
        if data:
            target.take(data)
        if source.line_ended and not source.line:
            target.take_eof()

    def drop(self) -> None:
        """Lose what is on the way, and the connection with it."""
        self.disturbed = True
        for end in self.ends:
            end.line.clear()
            end.line_ended = True
        for end in self.ends:
            end.take_eof()

    def tick(self, seconds: float) -> None:
        self.now += seconds
        for end in self.ends:
            while end.end is None and (at := end.conn.next_timeout()) is not None and at <= self.now:
                end.handle(end.conn.handle_timeout(self.now))
        if any(end.end and end.end.cause.kind.value.endswith("timeout") for end in self.ends):
            self.disturbed = True

    def drain(self) -> None:
        """Carry everything, and let time pass, until both ends know that it is over."""
        for _ in range(100):
            for _ in range(4):
                for origin in (0, 1):
                    self.deliver(origin, len(self.ends[origin].line))
            if all(end.end for end in self.ends):
                return
            self.tick(5.0)
        raise AssertionError("it never ends")


happenings = st.one_of(
    st.tuples(
        st.sampled_from(["text", "binary", "fragment", "last", "ping", "text", "binary"]),
        st.integers(0, 1),
        st.binary(max_size=50),
    ),
    st.tuples(st.just("deliver"), st.integers(0, 1), st.integers(1, 120)),
    st.tuples(st.just("tick"), st.just(0), st.integers(0, 8)),
)
endings = st.tuples(
    st.sampled_from(["close", "close", "fail", "drop", "nothing"]), st.integers(0, 1), st.just(b"")
)


@given(
    deflate=st.booleans(),
    takeover=st.booleans(),
    story=st.lists(happenings, max_size=25),
    ending=endings,
    epilogue=st.lists(happenings | endings, max_size=8),
)
def test_two_engines(
    deflate: bool,
    takeover: bool,
    story: list[tuple[str, int, bytes | int]],
    ending: tuple[str, int, bytes],
    epilogue: list[tuple[str, int, bytes | int]],
) -> None:
    network = Network(deflate, takeover)
    failed = False
    for what, which, value in [*story, ending, *epilogue]:
        failed = failed or what == "fail"
        if what == "deliver":
            assert isinstance(value, int)
            network.deliver(which, value)
        elif what == "tick":
            assert isinstance(value, int)
            network.tick(float(value))
        elif what == "drop":
            network.drop()
        else:
            assert isinstance(value, bytes)
            network.ends[which].act(what, value)
    # Whoever has not closed by now does: a story has an end.
    network.ends[0].act("close", b"")
    network.drain()
    client, server = network.ends
    for source, target in ((client, server), (server, client)):
        assert target.received == source.sent[: len(target.received)]
        assert target.conn.transport is Transport.CLOSE
        assert target.conn.next_timeout() is None
        assert target.end is not None
        assert target.end.cause.kind is not CauseKind.PROTOCOL_ERROR
        if not network.disturbed and not failed:
            assert target.end.clean
            assert target.end.cause.kind is CauseKind.CLOSED
            assert target.received == source.sent
