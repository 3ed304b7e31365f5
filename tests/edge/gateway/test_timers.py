"""Timers that are set and cancelled by the thousand, on a loop's clock."""

from __future__ import annotations

import asyncio

import pytest

from edgews.edge.gateway.timers import Timers

# Longer than any test lasts (seconds).
NEVER = 3600.0


def test_they_fire_in_order_and_not_before_they_are_due() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        start = loop.time()
        dues = [start + 0.02, start, start + 0.01, start + 0.02]
        fired: list[tuple[int, float]] = []
        done = loop.create_future()

        def fire(number: int) -> None:
            fired.append((number, loop.time()))
            if len(fired) == len(dues):
                done.set_result(None)

        for number, due in enumerate(dues):
            timers.call_at(due, lambda number=number: fire(number))
        await done
        assert [number for number, _ in fired] == [1, 2, 0, 3]
        assert all(at >= dues[number] for number, at in fired)
        assert not len(timers)
        timers.close()

    asyncio.run(main())


def test_one_that_is_cancelled_does_not_fire_even_in_the_same_turn() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        fired: list[str] = []
        done = loop.create_future()
        now = loop.time()
        first = timers.call_at(now, lambda: (fired.append("first"), timers.cancel(second)))
        second = timers.call_at(now, lambda: fired.append("second"))
        timers.call_at(now, lambda: done.set_result(None))
        await done
        assert fired == ["first"]
        # One that has fired is none any more.
        timers.cancel(first)
        assert not len(timers)
        timers.close()

    asyncio.run(main())


def test_those_that_are_cancelled_are_forgotten_long_before_they_are_due() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        kept = [timers.call_at(loop.time() + NEVER, lambda: None) for _ in range(10)]
        for _ in range(10_000):
            timers.cancel(timers.call_at(loop.time() + NEVER, lambda: None))
            assert len(timers) < 200
        assert all(timer.callback is not None for timer in kept)
        timers.close()
        assert not len(timers)

    asyncio.run(main())


def test_one_that_fails_keeps_no_other_from_firing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[object] = []
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        timers = Timers(loop)
        done = loop.create_future()
        error = ValueError("wrong")

        def fail() -> None:
            raise error

        timers.call_at(loop.time(), fail)
        timers.call_at(loop.time(), lambda: done.set_result(None))
        await done
        assert told == [error]
        timers.close()

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_one_that_is_set_when_another_fires_has_its_turn(seconds: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        done = loop.create_future()

        def again() -> None:
            timers.call_at(loop.time() + seconds, lambda: done.set_result(None))

        timers.call_at(loop.time(), again)
        await done
        timers.close()

    asyncio.run(main())
