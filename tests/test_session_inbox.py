"""The inbox: when it is full and when it has room again, and what it costs while nobody takes from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgews import CauseKind, Role, ServerConnection
from edgews.session import ANSWER_TIME, HIGH_WATER, LOW_WATER, MESSAGE_COST, Session

from . import wire
from .cost import peak_memory
from .engines import both_roles, peer_close, peer_frame, squeeze, whole
from .test_session import SQUEEZED, Owner, opened

# A message of this many bytes fills the inbox by itself, and one of the other fits below the lower mark.
FILLING = HIGH_WATER - MESSAGE_COST
FITTING = LOW_WATER - MESSAGE_COST


def in_two(role: Role, message: bytes) -> bytes:
    half = len(message) // 2
    first = peer_frame(role, wire.BINARY, message[:half], fin=False)
    return first + peer_frame(role, wire.CONTINUATION, message[half:])


# How a message may come: each takes another way through the engine.
WAYS: dict[str, Callable[[Role, bytes], bytes]] = {
    "plain": whole,
    "in fragments": in_two,
    "behind a Ping": lambda role, message: peer_frame(role, wire.PING) + whole(role, message),
    "compressed": lambda role, message: peer_frame(role, wire.BINARY, squeeze(message), rsv=4),
}
every_way = pytest.mark.parametrize("way", WAYS)


def accepting(role: Role, way: str) -> Owner:
    near, _ = opened(role, compression=SQUEEZED if way == "compressed" else None)
    return near


def give(owner: Owner, role: Role, way: str, message: bytes) -> None:
    """Let a message come; nobody takes it, so what it holds back is held for as long as may be."""
    owner.session.receive_data(WAYS[way](role, message))
    owner.advance(2 * ANSWER_TIME)


# The marks


@every_way
@both_roles
def test_full_at_the_upper_mark_and_not_below(role: Role, way: str) -> None:
    for size in (FILLING - 1, FILLING, FILLING + 1):
        owner = accepting(role, way)
        give(owner, role, way, bytes(size))
        assert owner.session.full is (size >= FILLING)
        assert owner.session.reading is (size < FILLING)


@every_way
@both_roles
def test_each_message_costs_more_than_its_bytes(role: Role, way: str) -> None:
    """Or messages without a byte would find room without end."""
    owner = accepting(role, way)
    count = HIGH_WATER // MESSAGE_COST
    for _ in range(count - 1):
        give(owner, role, way, b"")
    assert owner.session.reading
    give(owner, role, way, b"")
    assert owner.session.full
    assert not owner.session.reading
    assert owner.receive() == [b""] * count


@pytest.mark.parametrize("count", [1, 2, 3, 32, 100])
def test_a_message_may_cost_so_much_that_few_fit(count: int) -> None:
    session = Session(ServerConnection(), lambda: None)
    session.message_cost = -(-HIGH_WATER // count)
    session.receive_data(wire.request())
    session.accept(None, ())
    for _ in range(count):
        assert session.reading
        session.receive_data(whole(Role.SERVER, b""))
    assert session.full
    while session.take() is not None:
        pass
    assert session.reading


@every_way
@both_roles
def test_room_again_at_the_lower_mark_and_not_above(role: Role, way: str) -> None:
    for size in (FITTING - 1, FITTING, FITTING + 1):
        owner = accepting(role, way)
        give(owner, role, way, bytes(FILLING - 1))
        assert owner.session.reading
        give(owner, role, way, bytes(size))
        assert owner.session.full
        assert owner.session.take() == bytes(FILLING - 1)
        assert owner.session.full is (size > FITTING)
        assert owner.session.take() == bytes(size)
        assert not owner.session.full
        assert owner.receive() == []
        assert owner.session.reading


@both_roles
def test_what_comes_although_there_is_no_room_is_kept_in_order(role: Role) -> None:
    """An adapter may have one more read in its hands."""
    near, _ = opened(role)
    sizes = [FILLING - 1, 10, 20, 30]
    for size in sizes:
        near.session.receive_data(whole(role, bytes(size)))
    near.session.receive_data(whole(role, "a") + peer_close(role, 1000))
    assert near.receive() == [*map(bytes, sizes), "a"]
    assert near.sent() == [(wire.CLOSE, b"\x03\xe8")]
    assert near.session.reading


@both_roles
def test_what_comes_although_there_is_no_room_makes_none(role: Role) -> None:
    near, _ = opened(role)
    for size in (FITTING, FITTING, FITTING, FITTING):
        near.session.receive_data(whole(role, bytes(size)))
    assert near.session.full
    assert near.session.take() == bytes(FITTING)
    assert near.session.full
    near.session.receive_data(whole(role, "one more"))
    assert near.session.full
    assert not near.session.reading
    assert near.session.take() == bytes(FITTING)
    assert near.session.take() == bytes(FITTING)
    assert near.session.full
    assert near.session.take() == bytes(FITTING)
    assert not near.session.full
    assert near.session.take() == "one more"


# What it costs


def flood(owner: Owner, read: bytes, wait: float = 0.0) -> int:
    """Give the same read again and again, as long as there is room; return how often."""
    for count in range(2000):
        if not owner.session.reading:
            return count
        owner.session.receive_data(read)
        owner.advance(wait)
        owner.session.data_to_send()
    raise AssertionError("there is room without end")


@pytest.mark.parametrize("size", [0, 1, 100, 10_000, 60_000])
@pytest.mark.parametrize("behind_a_ping", [False, True])
def test_memory_is_bounded_while_nobody_takes(size: int, behind_a_ping: bool) -> None:
    one = whole(Role.SERVER, bytes(size))
    read = (peer_frame(Role.SERVER, wire.PING, b"x") if behind_a_ping else b"") + one * (65536 // len(one))
    near, _ = opened()
    # The engine cuts a whole read at once, into as many objects as there are messages in it.
    limit = (5 if size >= 100 else 16) * HIGH_WATER
    assert peak_memory(lambda: flood(near, read, 2 * ANSWER_TIME)) < limit
    assert not near.session.reading
    # Nor does time make room.
    near.advance(1e6)
    assert not near.session.reading
    assert near.session.closed is None


def test_compressed_messages_are_inflated_only_as_far_as_there_is_room() -> None:
    """A read of 64 KiB may stand for many megabytes."""
    message = bytes(50_000)
    one = peer_frame(Role.SERVER, wire.BINARY, squeeze(message), rsv=4)
    count = 65536 // len(one)
    assert count > 500
    near, _ = opened(compression=SQUEEZED)

    def work() -> None:
        near.session.receive_data(one * count)
        near.advance(1e6)

    assert peak_memory(work) < 5 * HIGH_WATER
    assert near.session.conn.messages_received == 3
    assert near.receive() == [message] * count


def test_what_was_taken_costs_nothing_any_more() -> None:
    """The application keeps up, but is always one message behind."""
    near, _ = opened()
    message = whole(Role.SERVER, bytes(100_000))

    def work() -> None:
        near.session.receive_data(message)
        for _ in range(100):
            near.session.receive_data(message)
            near.session.take()

    assert peak_memory(work) < 5 * HIGH_WATER


# Leaving


@both_roles
def test_a_flood_does_not_keep_the_close_away(role: Role) -> None:
    near, _ = opened(role)
    session = near.session
    one = whole(role, bytes(30_000))
    flood(near, one * 2)
    session.conn.send_close(1001)
    session.leave()
    assert session.full

    def work() -> None:
        for _ in range(200):
            assert session.reading
            session.receive_data(one * 2)

    assert peak_memory(work) < 4 * HIGH_WATER
    session.receive_data(one + peer_close(role, 1001))
    session.receive_eof()
    assert session.closed is not None
    assert session.closed.clean
    assert session.closed.cause.kind is CauseKind.CLOSED
    assert sum(len(message) + MESSAGE_COST for message in near.take()) < HIGH_WATER + 2 * len(one)


@both_roles
def test_what_was_held_is_looked_at_once_the_application_leaves(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(whole(role, "a") + peer_frame(role, wire.PING, b"x") + whole(role, "b") * 3)
    assert near.session.held
    assert near.sent() == []
    near.session.leave()
    assert not near.session.held
    assert near.sent() == [(wire.PONG, b"x")]
    assert near.take() == ["a", "b", "b", "b"]
