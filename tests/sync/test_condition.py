"""What waits under a lock has it afterwards, whatever came meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgews.sync.condition import Condition
from tests.raw import TIMEOUT
from tests.sync.harness import until
from tests.sync.signals import Interruption


class Guarded:
    """A lock, a condition of it, and what is waited for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.condition = Condition(self.lock)
        self.there = False

    def come(self) -> None:
        with self.lock:
            self.there = True
            self.condition.notify_all()

    def wait(self, timeout: float | None = TIMEOUT) -> bool:
        with self.lock:
            return self.condition.wait_for(lambda: self.there, timeout)

    def come_to(self, waiting: Callable[[], object]) -> threading.Thread:
        """Come as soon as somebody waits."""

        def run() -> None:
            until(waiting)
            self.come()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


def test_what_holds_already_is_not_waited_for() -> None:
    guarded = Guarded()
    guarded.come()
    assert guarded.wait(0.0)


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.01])
def test_what_does_not_come_in_time(timeout: float) -> None:
    guarded = Guarded()
    assert not guarded.wait(timeout)
    assert not guarded.lock.locked()
    assert guarded.condition._waiters == []


@pytest.mark.parametrize("timeout", [None, TIMEOUT, 1e30])
def test_all_that_wait_are_woken(timeout: float | None) -> None:
    guarded = Guarded()
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(guarded.wait(timeout))) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(guarded.condition._waiters) == 3)
    guarded.come()
    for thread in threads:
        thread.join(TIMEOUT)
    assert found == [True, True, True]


def interrupted(point: int) -> bool:
    guarded = Guarded()
    thread = guarded.come_to(lambda: guarded.condition._waiters or guarded.there)
    outcome: list[bool] = []
    # A `RuntimeError` where the block releases a lock that it does not hold.
    came = Interruption(point)(lambda: outcome.append(guarded.wait()))
    assert guarded.lock.acquire(timeout=TIMEOUT)
    guarded.lock.release()
    # One that has not waited yet does so now.
    if not guarded.there:
        assert guarded.wait()
    thread.join(TIMEOUT)
    assert not guarded.lock.locked()
    assert guarded.condition._waiters == []
    assert outcome == ([] if came else [True])
    return came


def test_an_interruption_leaves_the_lock_with_its_block() -> None:
    point = 0
    while interrupted(point):
        point += 1
    assert point > 5
