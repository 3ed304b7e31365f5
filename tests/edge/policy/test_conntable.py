"""The table of connections: places, what is in them, and what is left by who was killed in it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.connlimit import Kind, Scope
from edgews.edge.policy.conntable import ConnectionTable, Shape
from tests.edge.policy.memory import Dying, dying, killed, storage
from tests.raw import check

# A bucket has so many places.
PLACES = 64


def table(processes: int = 2, scopes: int = 40) -> ConnectionTable:
    shape = Shape(processes, scopes)
    return ConnectionTable(shape, storage(shape.size), b"salt")


def client(number: int) -> Scope:
    return Kind.CLIENT, str(number)


def enter(table: ConnectionTable, number: int, process: int = 0, count: int = 1, now: float = 0.0) -> int:
    """Have some connections of a client."""
    digest = table.digest(client(number))
    at = table.find(digest)
    if at is None:
        at = table.take(digest, now)
        table.limit(at, 10, 60.0)
    table.put(at, process, count, 0)
    return at


def leave(table: ConnectionTable, number: int, process: int = 0) -> None:
    digest = table.digest(client(number))
    at = table.find(digest)
    check(at is not None, "it is there")
    if at is not None:
        table.put(at, process, 0, 0)
        table.leave(at, digest)


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 1), st.integers(0, 3)), max_size=200))
def test_it_is_a_counter_of_scopes(steps: list[tuple[int, int, int]]) -> None:
    counts: Counter[tuple[int, int]] = Counter()
    found = table(scopes=100)
    for number, process, count in steps:
        if count:
            enter(found, number, process, count)
        elif found.find(found.digest(client(number))) is not None:
            leave(found, number, process)
        counts[number, process] = count
    for number in range(71):
        at = found.find(found.digest(client(number)))
        here, other = counts[number, 0], counts[number, 1]
        if here or other:
            assert at is not None
            assert found.counts(at) == (here + other, 0)
            assert found.others(at, 0) == (other, 0)
        else:
            assert at is None
    for process in range(2):
        found.clear(process, 1.0)
    assert all(found.find(found.digest(client(number))) is None for number in range(71))


def test_scopes_are_told_apart() -> None:
    digests = {table().digest(scope) for scope in ((Kind.ALL, ""), (Kind.HOST, "x"), (Kind.ROUTE, "x"))}
    assert len(digests) == 3
    other = ConnectionTable(Shape(2, 40), storage(Shape(2, 40).size), b"another")
    assert other.digest((Kind.ALL, "")) not in digests


def test_a_full_bucket_forgets_whoever_has_least_to_get_back() -> None:
    found = table()
    for number in range(PLACES):
        at = enter(found, number)
        found.wind(at, 0.0, float(number + 1))
    digest = found.digest(client(PLACES))
    assert not found.has_room(digest, 10.0)
    for number in range(3, 7):
        assert not found.has_room(digest, 10.0)
        leave(found, number)
    # They are remembered for what they have spent, until others need the place.
    assert found.find(found.digest(client(3))) is not None
    assert found.has_room(digest, 10.0)
    at = found.take(digest, 10.0)
    assert found.find(digest) == at
    assert found.counts(at) == (0, 0)
    assert found.clock(at) == (10.0, 0.0)
    assert found.find(found.digest(client(3))) is None
    assert all(found.find(found.digest(client(number))) for number in range(4, 7))


def test_who_is_told_to_go() -> None:
    found = table(3)
    at = enter(found, 0, 0, 5)
    found.put(at, 1, 7, 2)
    found.put(at, 2, 1, 1)
    assert found.counts(at) == (13, 3)
    assert found.others(at, 1) == (6, 1)


def test_everybody_is_counted() -> None:
    found = table(3)
    assert [found.present(process, 10 * process) for process in range(3)] == [0, 10, 30]
    assert found.present(1, 5) == 25
    found.clear(2, 0.0)
    assert found.present(1, 5) == 5


def test_a_process_that_has_ended_has_spent_what_it_did() -> None:
    found = table()
    at = enter(found, 0, 0, 11)
    found.put(at, 1, 1, 0)
    found.clear(0, 5.0)
    # Until now there were too many, from now on not.
    assert (found.clock(at), found.counts(at)) == ((5.0, 5.0), (1, 0))
    found.put(at, 0, 3, 0)
    found.clear(0, 7.0)
    assert found.clock(at) == (7.0, 3.0)
    # A clock that is behind changes nothing, and one far ahead no more than it may.
    found.put(at, 0, 30, 0)
    found.clear(0, 1.0)
    assert found.clock(at) == (7.0, 3.0)
    found.put(at, 0, 30, 0)
    found.clear(0, 1000.0)
    assert found.clock(at) == (1000.0, 60.0)
    # It is remembered though nobody is there, until all has come back.
    found.clear(1, 1001.0)
    assert found.find(found.digest(client(0))) == at
    found.put(at, 0, 1, 0)
    found.clear(0, 2000.0)
    assert found.find(found.digest(client(0))) is None


def test_others_hear_of_scopes_above_their_limit() -> None:
    found = table()
    assert found.crossed(0) == (0, [])
    for at in range(100, 120):
        found.cross(at)
    assert found.crossed(0) == (20, list(range(100, 120)))
    assert found.crossed(19) == (20, [119])
    for at in range(1000):
        found.cross(at)
    # Too many for the ring.
    assert found.crossed(20) == (1020, None)
    assert found.crossed(1018) == (1020, [998, 999])


def test_a_larger_table_knows_what_is_in_the_one_before() -> None:
    small, large = table(2, 40), table(5, 200)
    assert large.shape.holds(small.shape)
    assert not small.shape.holds(large.shape)
    assert not Shape(5, 10).holds(small.shape)
    for number in range(50):
        at = enter(small, number, number % 2, number + 1)
        small.wind(at, 1.0, 2.0)
    small.present(1, 77)
    large.adopt(small, 3.0)
    for number in range(50):
        found = large.find(large.digest(client(number)))
        assert found is not None
        assert large.counts(found) == (number + 1, 0)
        assert large.others(found, number % 2) == (0, 0)
        assert large.clock(found) == (1.0, 2.0)
    assert large.present(0, 1) == 78


def test_a_table_that_is_full_takes_what_it_can() -> None:
    large, small = table(2, 400), table(2, 40)
    for number in range(300):
        enter(large, number)
    small.adopt(large, 0.0)
    kept = [number for number in range(300) if small.find(small.digest(client(number))) is not None]
    # Those of one connection are kept free.
    assert len(kept) == PLACES - 3


@pytest.mark.parametrize("stores", range(20))
def test_whoever_is_killed_leaves_nothing_that_counts(stores: int) -> None:
    """Its number is cleared, and then all is as if it had never been; whatever it was about to do."""
    for doing in range(3):
        found = table()
        mine = [enter(found, number, 1) for number in range(5)]
        before = found.counts(mine[0])
        if doing:
            enter(found, 7, 0)
        memory = dying(found.storage, stores)
        last = ConnectionTable(found.shape, memory, b"salt")

        def die(doing: int = doing, last: ConnectionTable = last) -> None:
            if doing == 0:
                last.cross(enter(last, 7, 0, now=3.0))
            elif doing == 1:
                leave(last, 7, 0)
            else:
                at = enter(last, 7, 0, 20)
                last.wind(at, 5.0, 5.0)

        killed(die)
        check(isinstance(memory.words, Dying), "it dies")
        found.clear(0, 5.0)
        assert found.counts(mine[0]) == before
        at = enter(found, 7, 1, 3, now=6.0)
        assert found.counts(at) == (3, 0)
        looked, spent = found.clock(at)
        assert looked in (0.0, 3.0, 5.0, 6.0)
        assert spent in (0.0, 5.0)
        leave(found, 7, 1)
        # Places it has lost are found again.
        for number in range(100, 100 + PLACES - 5 - 4):
            assert found.has_room(found.digest(client(number)), 100.0)
            enter(found, number, 1, now=100.0)
        assert found.has_room(found.digest(client(1000)), 100.0)
