"""What one engine sends, another receives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Connection, Delivery, Event, Fragment, PreparedMessage, Role
from tests.engines import ROLES, make

from .traffic import cut, deliveries, merged, messages

sizes = st.lists(st.integers(1, 5000), max_size=5)
ways = st.sampled_from(["send", "parts", "prepared", "fragments"])


def send(conn: Connection, way: str, message: str | bytes) -> bytes:
    if way == "parts":
        return b"".join(conn.send_parts(message))
    if way == "prepared":
        return conn.send_prepared(PreparedMessage(message))
    if way == "fragments":
        middle = len(message) // 2
        return conn.send_fragment(message[:middle], final=False) + conn.send_fragment(
            message[middle:], final=True
        )
    return conn.send(message)


def received(events: list[Event]) -> list[str | bytes]:
    found: list[str | bytes] = []
    for event in merged(events):
        if isinstance(event, Fragment):
            assert event.final
            found.append(event.data)
        else:
            assert isinstance(event, str | bytes)
            found.append(event)
    return found


@pytest.mark.parametrize("sender_role", ROLES)
@given(
    deflate=st.booleans(),
    takeover=st.booleans(),
    delivery=deliveries,
    story=st.lists(st.tuples(ways, messages), max_size=6),
    sizes=sizes,
)
def test_messages_arrive_as_they_were_sent(
    sender_role: Role,
    deflate: bool,
    takeover: bool,
    delivery: Delivery,
    story: list[tuple[str, str | bytes]],
    sizes: list[int],
) -> None:
    receiver_role = Role.SERVER if sender_role is Role.CLIENT else Role.CLIENT
    sender = make(sender_role, deflate=deflate, takeover=takeover)
    receiver = make(receiver_role, deflate=deflate, takeover=takeover, delivery=delivery)
    wire = b"".join(send(sender, way, message) for way, message in story)
    events: list[Event] = []
    for read in cut(wire, sizes):
        events += receiver.receive_data(read)
    assert received(events) == [message for _, message in story]
    assert receiver.messages_received == sender.messages_sent == len(story)
    assert receiver.bytes_received == sender.bytes_sent == len(wire)
    assert receiver.data_to_send() == b""


@given(st.lists(st.tuples(st.booleans(), messages), max_size=8), st.booleans(), st.booleans())
def test_a_conversation(story: list[tuple[bool, str | bytes]], deflate: bool, takeover: bool) -> None:
    """Both directions have windows of their own, and do not disturb each other."""
    client = make(Role.CLIENT, deflate=deflate, takeover=takeover)
    server = make(Role.SERVER, deflate=deflate, takeover=takeover)
    for from_client, message in story:
        sender, receiver = (client, server) if from_client else (server, client)
        assert list(receiver.receive_data(sender.send(message))) == [message]
