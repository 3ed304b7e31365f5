"""Whatever arrives, nothing is raised, and every connection ends in one of the ways that are documented."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews import CauseKind, Connection, Delivery, Disconnected, RemoteProtocolError, Role, Transport
from tests.engines import sent
from tests.wire import CLOSE, close_code, frames

from .traffic import Item, any_traffic, connection, cut, deliveries, encode, roles

# Bytes that look like frames often enough to get past the first of them.
frame_like = st.lists(
    st.sampled_from(
        [
            b"\x81\x80",
            b"\x82\x05",
            b"\x01\x83",
            b"\x80\x00",
            b"\x88\x82",
            b"\xc1\x85",
            b"\x89\x00",
            b"\x82\x7e",
        ]
    )
    | st.binary(max_size=12),
    max_size=20,
).map(b"".join)
anything = st.binary(max_size=300) | frame_like


def check(conn: Connection, reads: list[bytes]) -> None:
    codes = []
    for read in reads:
        for event in conn.receive_data(read):
            assert not isinstance(event, Disconnected)
        codes += [close_code(frame.payload) for frame in frames(conn.data_to_send()) if frame.opcode == CLOSE]
        assert conn.transport is not Transport.CLOSE
    *before, last = conn.receive_eof()
    assert isinstance(last, Disconnected)
    assert not any(isinstance(event, Disconnected) for event in before)
    codes += [close_code(payload) for opcode, payload in sent(conn) if opcode == CLOSE]
    assert list(conn.receive_eof()) == list(conn.receive_data(b"x")) == list(conn.handle_timeout(1e9)) == []
    assert conn.transport is Transport.CLOSE
    assert conn.next_timeout() is None
    # At most one Close; it tells the peer of its error, or echoes the peer's own.
    assert len(codes) <= 1
    error = last.cause.error
    if error is not None:
        assert isinstance(error, RemoteProtocolError)
        assert codes == [error.code]
        assert error.code in (1002, 1007, 1009)
        assert (last.code, last.clean) == (1006, False)
    elif last.clean:
        assert codes == [None if last.code == 1005 else last.code]
        assert last.cause.kind is CauseKind.CLOSED
    else:
        assert codes == []
        assert (last.code, last.cause.kind) == (1006, CauseKind.PEER_VANISHED)


@given(role=roles, compressed=st.booleans(), delivery=deliveries, reads=st.lists(anything, max_size=5))
def test_arbitrary_bytes(role: Role, compressed: bool, delivery: Delivery, reads: list[bytes]) -> None:
    check(connection(role, compressed, delivery), reads)


@given(
    role=roles,
    delivery=deliveries,
    traffic=st.booleans().flatmap(lambda on: st.tuples(st.just(on), any_traffic(on))),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), max_size=3),
    sizes=st.lists(st.integers(1, 100), max_size=3),
)
def test_traffic_with_some_octets_changed(
    role: Role,
    delivery: Delivery,
    traffic: tuple[bool, list[Item]],
    flips: list[tuple[int, int]],
    sizes: list[int],
) -> None:
    compressed, items = traffic
    data = bytearray(encode(role, items))
    for at, change in flips:
        if data:
            data[at % len(data)] ^= change
    check(connection(role, compressed, delivery), cut(bytes(data), sizes))
