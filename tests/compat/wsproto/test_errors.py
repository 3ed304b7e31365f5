"""Whatever comes, and in whatever order it is called: nothing but its two errors leaves the facade."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgews import Role
from edgews.compat.wsproto import WSConnection
from edgews.compat.wsproto.connection import Connection, ConnectionState, ConnectionType
from edgews.compat.wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from edgews.compat.wsproto.extensions import Extension, PerMessageDeflate
from edgews.compat.wsproto.frame_protocol import Opcode, RsvBits
from edgews.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError
from tests import wire
from tests.properties.traffic import any_traffic, encode

from .ends import TYPES, agreed, end

kinds = st.sampled_from(TYPES)

# Values of the right type, good and bad, and some of a wrong one.
odd: st.SearchStrategy[Any] = st.sampled_from([None, 3, "text", b"octets", [], ("a",), object()])
texts: st.SearchStrategy[Any] = st.text() | st.sampled_from(["/", "localhost", "\ud800", "a\r\nb"]) | odd
octets: st.SearchStrategy[Any] = st.binary(max_size=200) | odd
numbers: st.SearchStrategy[Any] = (
    st.integers(-1, 6000) | st.sampled_from([1000, 101, 200, 204, 1 << 70]) | odd
)
fields: st.SearchStrategy[Any] = (
    st.lists(st.tuples(st.binary(max_size=5) | odd, st.binary(max_size=5) | odd), max_size=2)
    | st.sampled_from([[(b"Content-Length", b"3")], [(b"Transfer-Encoding", b"chunked")]])
    | odd
)
extensions: st.SearchStrategy[Any] = st.lists(st.builds(PerMessageDeflate), max_size=2) | st.just(["x"])

events_to_send = st.one_of(
    st.builds(
        Request, st.just("localhost") | texts, st.just("/") | texts, extensions, fields, st.just([]) | texts
    ),
    st.builds(AcceptConnection, st.none() | texts, extensions, fields),
    st.just(AcceptConnection()),
    st.builds(RejectConnection, numbers, fields, st.booleans()),
    st.builds(RejectData, octets, st.booleans()),
    st.builds(CloseConnection, numbers, st.none() | texts),
    st.builds(TextMessage, texts, st.booleans(), st.booleans()),
    st.builds(BytesMessage, octets, st.booleans(), st.booleans()),
    st.builds(Ping, octets),
    st.builds(Pong, octets),
    odd,
)
heads = st.sampled_from(
    [
        wire.request(),
        wire.request({"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=99"}),
        wire.request({"Sec-WebSocket-Protocol": "\xe9"}),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    ]
)
frames = st.tuples(kinds, any_traffic(True)).map(lambda both: encode(Role[both[0].name], both[1]))
incoming: st.SearchStrategy[Any] = heads | frames | st.binary(max_size=50) | odd

Call = Callable[[Any], object]


class Reversing(Extension):
    """Turns each payload round, where RSV3 says so."""

    name = "x-reverse"

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True

    def frame_inbound_header(
        self, proto: object, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> RsvBits:
        self.on = rsv.rsv3
        return RsvBits(False, False, True)

    def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes:
        return data[::-1] if self.on else data


def call(name: str, *arguments: Any) -> Call:
    return lambda conn: getattr(conn, name)(*arguments) if hasattr(conn, name) else None


calls = st.one_of(
    incoming.map(lambda data: call("receive_data", data)),
    events_to_send.map(lambda event: call("send", event)),
    st.integers(0, 3).map(lambda count: lambda conn: list(islice(conn.events(), count))),
    st.just(lambda conn: list(conn.events())),
    st.tuples(fields | st.just(list(wire.REQUEST_FIELDS.items())), st.just("/") | texts).map(
        lambda both: call("initiate_upgrade_connection", *both)
    ),
)


@given(
    make=st.one_of(
        kinds.map(lambda kind: lambda: WSConnection(kind)),
        st.tuples(kinds, st.booleans()).map(lambda both: lambda: end(both[0], deflate=both[1])),
        kinds.map(lambda kind: lambda: Connection(kind, [Reversing(), agreed()])),
    ),
    story=st.lists(calls, max_size=12),
)
def test_nothing_but_the_two_errors(make: Callable[[], WSConnection | Connection], story: list[Call]) -> None:
    conn = make()
    for step in story:
        with suppress(LocalProtocolError, RemoteProtocolError):
            step(conn)
        assert isinstance(conn.state, ConnectionState)


@given(kind=kinds, hooked=st.booleans(), data=st.lists(frames | st.binary(max_size=60), max_size=4))
def test_an_open_connection_raises_nothing_for_what_it_reads(
    kind: ConnectionType, hooked: bool, data: list[bytes]
) -> None:
    """And when it says that the peer is closing, it may be answered."""
    conn = Connection(kind, [Reversing(), agreed()] if hooked else [agreed()])
    for read in data:
        if conn.state is not ConnectionState.CLOSED:
            conn.receive_data(read)
        for event in conn.events():
            answer: Event | None = None
            if isinstance(event, Ping):
                answer = event.response()
            if isinstance(event, CloseConnection) and conn.state is ConnectionState.REMOTE_CLOSING:
                answer = event.response()
            if answer is not None:
                assert conn.send(answer)
