"""In which pieces the bytes arrive makes no difference."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from edgews import Delivery, Event, Fragment, Role
from tests import wire

from .traffic import (
    Item,
    Message,
    Odd,
    Outcome,
    any_traffic,
    connection,
    cut,
    deliveries,
    encode,
    merged,
    roles,
    run,
)

compressed_traffic = st.booleans().flatmap(lambda on: st.tuples(st.just(on), any_traffic(on)))


def comparable(outcome: Outcome, delivery: Delivery) -> tuple[object, ...]:
    """Leave out what may differ: how many Pongs there are, which depends on the number of reads."""
    events: list[Event] = outcome.events
    in_any_pieces = delivery in (Delivery.STREAM, Delivery.EAGER)
    if in_any_pieces:
        events = merged(
            [Fragment(event, True) if isinstance(event, str | bytes) else event for event in events]
        )
    if events and isinstance(events[-1], Fragment) and not events[-1].final and in_any_pieces:
        # How far into a message that never ends the pieces go depends on the reads.
        events = events[:-1]
    pongs = [frame.payload for frame in outcome.written if frame.opcode == wire.PONG]
    others = [(frame.opcode, frame.payload) for frame in outcome.written if frame.opcode != wire.PONG]
    end = outcome.end
    error = end.cause.error
    counters = {name: value for name, value in outcome.counters.items() if name != "bytes_sent"}
    return (
        events,
        pongs[-1:],
        others,
        (end.code, end.reason, end.clean, end.cause.kind, end.cause.initiator, end.cause.detail, type(error)),
        outcome.transport,
        counters,
    )


@given(
    role=roles,
    delivery=deliveries,
    traffic=compressed_traffic,
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6),
)
@example(
    role=Role.SERVER,
    delivery=Delivery.MESSAGES,
    traffic=(False, [Message("é"), Odd(1, b"\xe2\x82", True, 0, True, None)]),
    sizes=[1],
)
def test_any_split_gives_the_same_events(
    role: Role, delivery: Delivery, traffic: tuple[bool, list[Item]], sizes: list[int]
) -> None:
    compressed, items = traffic
    data = encode(role, items)
    expected = comparable(run(connection(role, compressed, delivery), [data]), delivery)
    found = comparable(run(connection(role, compressed, delivery), cut(data, sizes)), delivery)
    assert found == expected
    if len(data) < 2000:
        dribbled = comparable(run(connection(role, compressed, delivery), cut(data, [1])), delivery)
        assert dribbled == expected


@given(role=roles, traffic=compressed_traffic, kind=st.sampled_from([bytearray, memoryview]))
def test_the_type_of_the_bytes_makes_no_difference(
    role: Role, traffic: tuple[bool, list[Item]], kind: type[bytearray] | type[memoryview]
) -> None:
    compressed, items = traffic
    reads = [item.encode(role) for item in items]
    expected = run(connection(role, compressed, Delivery.MESSAGES), reads)
    found = run(connection(role, compressed, Delivery.MESSAGES), [kind(read) for read in reads])  # type: ignore[misc]
    assert comparable(found, Delivery.MESSAGES) == comparable(expected, Delivery.MESSAGES)
    assert [(f.opcode, f.payload) for f in found.written] == [(f.opcode, f.payload) for f in expected.written]


@given(role=roles, traffic=compressed_traffic, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_all_deliveries_tell_the_same_story(
    role: Role, traffic: tuple[bool, list[Item]], sizes: list[int]
) -> None:
    compressed, items = traffic
    data = encode(role, items)
    # Long traffic in larger pieces: there is nothing to find in the middle of a long payload.
    reads = cut(data, [size * (1 + len(data) // 2000) for size in sizes])
    stories = []
    for delivery in Delivery:
        events = merged(run(connection(role, compressed, delivery), reads).events)
        stories.append(
            [
                event.data if isinstance(event, Fragment) else event
                for event in events
                if not isinstance(event, Fragment) or event.final
            ]
        )
    assert stories[0] == stories[1] == stories[2]
