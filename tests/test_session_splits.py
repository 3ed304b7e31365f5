"""In which pieces the bytes come, and when the application comes, makes no difference to what it gets.

The oracle is the engine without a session, which is given all bytes at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import cycle
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from edgews import ClientConnection, Connection, Disconnected, Event, Role, ServerConnection
from edgews.session import ANSWER_TIME

from . import wire
from .engines import NO_TIMERS, make, peer_close, peer_frame, whole
from .handshakes import CUTS, GOOD, octets, pieces, serve, switch, told
from .properties.traffic import Closing, Item, Message, any_traffic, cut, encode, roles
from .test_session import SQUEEZED, Owner, client, opened, server

# What an application does between two reads. Where there is no room it comes back, whatever it had in mind.
STEPS = ("nothing", "take one", "take all", "come back", "some time", "much time", "release")

plans = st.lists(st.sampled_from(STEPS), min_size=1, max_size=8)
sizes = st.lists(st.integers(1, 300), min_size=1, max_size=6)
traffic = st.booleans().flatmap(lambda on: st.tuples(st.just(on), any_traffic(on)))

Story = tuple[list[Any], list[object]]


def from_engine(events: Iterable[Event]) -> Story:
    """Return the messages, and the end."""
    found = list(events)
    assert isinstance(found[-1], Disconnected)
    return [event for event in found if isinstance(event, (str, bytes))], told(found[-1:])


def step(owner: Owner, what: str) -> list[str | bytes]:
    session = owner.session
    if what == "take one":
        message = session.take()
        return [] if message is None else [message]
    if what == "take all":
        return owner.take()
    if what == "come back":
        return owner.receive()
    if what == "release":
        session.release()
    elif what != "nothing":
        owner.advance(ANSWER_TIME * (0.4 if what == "some time" else 3))
    return []


def to_the_end(owner: Owner, reads: Iterable[bytes], plan: Iterable[str]) -> Story:
    """Give reads as a polite adapter does, and the end of the stream; take as it is planned."""
    session = owner.session
    messages: list[str | bytes] = []
    steps = cycle(plan)
    for read in reads:
        messages += step(owner, next(steps))
        if not session.reading:
            messages += owner.receive()
            assert session.reading
        session.receive_data(read)
        if isinstance(session.conn, ServerConnection) and session.request is not None and not session.opened:
            session.accept(None, ())
        session.data_to_send()
    session.receive_eof()
    messages += step(owner, next(steps))
    messages += owner.receive()
    assert session.closed is not None
    assert session.take() is None
    return messages, told([session.closed])


@given(roles, traffic, sizes, plans)
@example(
    Role.SERVER,
    (False, [Message("a"), Message("b" * 70_000), Message("c" * 70_000), Message("d"), Message(b"e")]),
    [1 << 20],
    ["nothing"],
)
def test_any_split_and_any_application_get_the_same_messages_and_then_the_same_end(
    role: Role, what: tuple[bool, list[Item]], sizes: list[int], plan: list[str]
) -> None:
    compressed, items = what
    data = encode(role, items)
    engine = make(role, deflate=compressed)
    expected = from_engine([*engine.receive_data(data), *engine.receive_eof()])

    def run(reads: list[bytes], plan: list[str]) -> Story:
        near, _ = opened(role, compression=SQUEEZED if compressed else None)
        return to_the_end(near, reads, plan)

    assert run([data], plan) == expected
    assert run(cut(data, sizes), plan) == expected
    assert run([item.encode(role) for item in items], plan) == expected
    if len(data) < 2000:
        assert run(octets(data), plan) == expected


def behind(role: Role) -> st.SearchStrategy[bytes]:
    """Return what a peer may send together with its part of the handshake."""
    start = whole(role, "a") + peer_frame(role, wire.PING, b"x") + whole(role, b"b")
    return st.sampled_from(
        [b"", start, start * 3 + peer_close(role, 1001, b"bye") + b"rest", start + b"\xff\xff\xff"]
    )


@given(st.sampled_from([GOOD, GOOD[:40], b"nonsense\r\n\r\n"]), behind(Role.SERVER), CUTS, plans)
def test_a_server_from_the_first_byte_on(
    request: bytes, rest: bytes, cuts: list[int], plan: list[str]
) -> None:
    engine = ServerConnection(timeouts=NO_TIMERS)
    events, _ = serve(engine, [request + rest])
    expected = from_engine([*events, *engine.receive_eof()])
    for reads in ([request + rest], pieces(request + rest, cuts), octets(request + rest)):
        assert to_the_end(server(), reads, plan) == expected


@given(st.sampled_from(["101", "404", "half of it"]), behind(Role.CLIENT), CUTS, plans)
def test_a_client_from_the_first_byte_on(answer: str, rest: bytes, cuts: list[int], plan: list[str]) -> None:
    def answer_to(conn: Connection) -> bytes:
        assert isinstance(conn, ClientConnection)
        if answer == "404":
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone" + rest
        return switch(conn)[:60] if answer == "half of it" else switch(conn) + rest

    engine = ClientConnection("ws://example.com/chat", timeouts=NO_TIMERS)
    events = list(engine.receive_data(answer_to(engine)))
    expected = from_engine([*events, *engine.receive_eof()])
    for cutting in (lambda data: [data], lambda data: pieces(data, cuts), octets):
        owner = client()
        assert to_the_end(owner, cutting(answer_to(owner.session.conn)), plan) == expected


# An application that answers


def told_peer(data: bytes) -> list[tuple[int, bytes]]:
    """Return what went out but for Pongs, whose number depends on the number of reads."""
    return [(found.opcode, found.payload) for found in wire.frames(data) if found.opcode != wire.PONG]


@given(roles, traffic, sizes, st.lists(st.sampled_from([0, 1, 100]), min_size=1, max_size=8))
@example(Role.SERVER, (False, [Message("a"), Message("b"), Closing(1000, b"")]), [1 << 20], [0])
@example(Role.SERVER, (False, [Message("a"), Message("b"), Closing(1000, b"")]), [8], [0, 1])
def test_every_message_is_answered_in_front_of_our_close(
    role: Role, what: tuple[bool, list[Item]], sizes: list[int], plan: list[int]
) -> None:
    """The plan says how many messages are answered between two reads; no time passes."""
    compressed, items = what
    data = encode(role, items)
    engine = make(role, deflate=compressed)
    expected = b""
    for event in engine.receive_data(data):
        if isinstance(event, (str, bytes)):
            expected += engine.send(event, compress=False)
    expected += engine.data_to_send()

    def run(reads: list[bytes]) -> bytes:
        near, _ = opened(role, compression=SQUEEZED if compressed else None)
        session = near.session
        written = b""

        def answer(count: int) -> None:
            nonlocal written
            while count > 0:
                message = session.take()
                if message is not None:
                    written += session.conn.send(message, compress=False)
                    count -= 1
                elif session.held:
                    session.draw()
                else:
                    count = 0
            written += session.data_to_send()

        for read, count in zip(reads, cycle(plan), strict=False):
            while not session.reading:
                answer(1)
            session.receive_data(read)
            answer(count)
        answer(sys.maxsize)
        return written

    for reads in ([data], cut(data, sizes), [item.encode(role) for item in items]):
        assert told_peer(run(reads)) == told_peer(expected)
