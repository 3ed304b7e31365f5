"""wsproto as oracle: what it builds we read, and what we build it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Close, Connection, Event, Ping, Pong, PreparedMessage, Role
from tests.engines import ROLES, make

from .traffic import cut, messages

if TYPE_CHECKING:
    import wsproto.connection

pytestmark = pytest.mark.peers

sizes = st.lists(st.integers(1, 2000), max_size=4)
kinds = st.sampled_from(["message", "fragments", "ping", "pong", "prepared", "plain"])
stories = st.lists(st.tuples(kinds, messages), max_size=8)
each_role = pytest.mark.parametrize("role", ROLES)


def peer_of(role: Role, deflate: bool, takeover: bool) -> wsproto.connection.Connection:
    """Make wsproto's end of a connection on which we have `role`."""
    from wsproto.connection import Connection as Peer
    from wsproto.connection import ConnectionType
    from wsproto.extensions import PerMessageDeflate

    client = role is Role.SERVER
    extensions = []
    if deflate:
        extension = PerMessageDeflate(
            client_no_context_takeover=not takeover, server_no_context_takeover=not takeover
        )
        agreed = "permessage-deflate"
        if not takeover:
            agreed += "; server_no_context_takeover; client_no_context_takeover"
        if client:
            extension.finalize(agreed)
        else:
            extension.accept(agreed)
        extensions.append(extension)
    return Peer(ConnectionType.CLIENT if client else ConnectionType.SERVER, extensions)


def halves(message: str | bytes) -> tuple[str | bytes, str | bytes]:
    middle = len(message) // 2
    return message[:middle], message[middle:]


def control(message: str | bytes) -> bytes:
    return (message.encode() if isinstance(message, str) else message)[:125]


@each_role
@given(story=stories, deflate=st.booleans(), takeover=st.booleans(), sizes=sizes)
def test_wsproto_sends(
    role: Role, story: list[tuple[str, str | bytes]], deflate: bool, takeover: bool, sizes: list[int]
) -> None:
    from wsproto import events

    peer = peer_of(role, deflate, takeover)
    data = b""
    expected: list[Event] = []
    for kind, message in story:
        event = events.TextMessage if isinstance(message, str) else events.BytesMessage
        if kind == "ping":
            data += peer.send(events.Ping(payload=control(message)))
            expected.append(Ping(control(message)))
        elif kind == "pong":
            data += peer.send(events.Pong(payload=control(message)))
            expected.append(Pong(control(message)))
        elif kind == "fragments":
            first, second = halves(message)
            data += peer.send(event(data=first, message_finished=False))  # type: ignore[arg-type]
            data += peer.send(events.Ping(payload=b"between"))
            data += peer.send(event(data=second, message_finished=True))  # type: ignore[arg-type]
            expected += [Ping(b"between"), message]
        else:
            data += peer.send(event(data=message))  # type: ignore[arg-type]
            expected.append(message)
    data += peer.send(events.CloseConnection(code=3000, reason="bye"))
    expected.append(Close(3000, "bye"))
    conn = make(role, deflate=deflate, takeover=takeover)
    found: list[Event] = []
    for read in cut(data, sizes):
        found += conn.receive_data(read)
        peer.receive_data(conn.data_to_send())
    assert found == expected
    answers = list(peer.events())
    # Each read answers the last Ping in it.
    assert all(isinstance(answer, events.Pong) for answer in answers[:-1])
    assert answers[-1] == events.CloseConnection(code=3000, reason="")


def send(conn: Connection, kind: str, message: str | bytes, between: bool) -> bytes:
    if kind == "ping":
        return conn.send_ping(control(message))
    if kind == "pong":
        return conn.send_pong(control(message))
    if kind == "fragments":
        first, second = halves(message)
        data = conn.send_fragment(first, final=False)
        if between:
            data += conn.send_ping(b"between")
        return data + conn.send_fragment(second, final=True)
    if kind == "prepared":
        return conn.send_prepared(PreparedMessage(message))
    return conn.send(message, compress=kind != "plain")


@each_role
@given(story=stories, deflate=st.booleans(), takeover=st.booleans(), sizes=sizes)
def test_wsproto_receives(
    role: Role, story: list[tuple[str, str | bytes]], deflate: bool, takeover: bool, sizes: list[int]
) -> None:
    from wsproto import events

    conn = make(role, deflate=deflate, takeover=takeover)
    # wsproto takes a control frame inside a compressed message for the end of that message.
    between = not deflate
    data = b"".join(send(conn, kind, message, between) for kind, message in story) + conn.send_close(
        3000, "bye"
    )
    peer = peer_of(role, deflate, takeover)
    found: list[object] = []
    parts: list[str | bytes] = []
    for read in cut(data, sizes):
        peer.receive_data(read)
        for event in peer.events():
            if isinstance(event, events.TextMessage | events.BytesMessage):
                parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    found.append(type(parts[0])().join(parts))  # type: ignore[arg-type]
                    parts = []
            else:
                found.append(event)
    expected: list[object] = []
    for kind, message in story:
        if kind == "ping":
            expected.append(events.Ping(payload=control(message)))
        elif kind == "pong":
            expected.append(events.Pong(payload=control(message)))
        else:
            if kind == "fragments" and between:
                expected.append(events.Ping(payload=b"between"))
            expected.append(message)
    assert found == [*expected, events.CloseConnection(code=3000, reason="bye")]
