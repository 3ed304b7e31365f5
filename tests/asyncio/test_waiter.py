"""The waiter by itself: one task at a time waits for it, and goes on where it is woken."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgews.asyncio.waiter import Waiter
from tests.asyncio.harness import NewLoop, run, soon, turns


async def outside(call: Callable[[], object]) -> None:
    """Call something while no task runs, as a transport does."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def now() -> None:
        try:
            call()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    loop.call_soon(now)
    await done


class Consumer:
    """A task that waits again and again, and writes down what became of it."""

    def __init__(self, waiter: Waiter) -> None:
        self.log: list[str] = []
        self.waiter = waiter
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self.waiter
                self.log.append("woken")
            except asyncio.CancelledError:
                self.log.append("cancelled")
                if len(self.log) > 1 and self.log[-2] == "stop":
                    raise

    async def stop(self) -> None:
        self.log.append("stop")
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def consumer() -> AsyncIterator[Consumer]:
    found = Consumer(Waiter(asyncio.get_running_loop()))
    await turns()
    assert found.waiter.waiting
    yield found
    await found.stop()
    assert not found.waiter.waiting


class TestWakeNow:
    async def test_outside_a_task_goes_on_within_the_call(self) -> None:
        async with consumer() as found:

            def wake() -> None:
                assert found.log == []
                found.waiter.wake_now()
                assert found.log == ["woken"]
                assert found.waiter.waiting
                assert asyncio.current_task() is None

            await outside(wake)

    async def test_inside_a_task_goes_on_at_the_next_turn(self) -> None:
        async with consumer() as found:
            found.waiter.wake_now()
            assert found.log == []
            assert not found.waiter.waiting
            await turns()
            assert found.log == ["woken"]
            assert found.waiter.waiting

    async def test_several_times_within_one_callback(self) -> None:
        async with consumer() as found:
            await outside(lambda: [found.waiter.wake_now() for _ in range(100)])
            assert found.log == ["woken"] * 100

    @pytest.mark.parametrize("name", ["wake_now", "wake_soon"])
    async def test_nobody_waits(self, name: str) -> None:
        waiter = Waiter(asyncio.get_running_loop())
        getattr(waiter, name)()
        await outside(getattr(waiter, name))
        assert not waiter.waiting

        async def wait() -> str:
            await waiter
            return "woken"

        task = asyncio.create_task(wait())
        await turns()
        assert not task.done(), "it was not woken before it waited"
        await outside(waiter.wake_now)
        assert await task == "woken"

    async def test_a_task_that_is_woken_may_end_or_fail(self) -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def fail() -> None:
            await waiter
            raise ValueError("mine")

        task = asyncio.create_task(fail())
        await turns()
        await outside(waiter.wake_now)
        with pytest.raises(ValueError, match="mine"):
            await task
        assert not waiter.waiting

    async def test_a_task_that_is_woken_is_the_current_one(self) -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def tell() -> bool:
            await waiter
            return asyncio.current_task() is task

        task = asyncio.create_task(tell())
        await turns()
        await outside(waiter.wake_now)
        assert await task

    async def test_a_task_has_the_context_it_began_with(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
        for wake in ("wake_now", "wake_soon"):
            waiter = Waiter(asyncio.get_running_loop())

            async def tell(waiter: Waiter = waiter) -> str:
                variable.set("the task's")
                await waiter
                return variable.get()

            def call(waiter: Waiter = waiter, wake: str = wake) -> None:
                variable.set("the caller's")
                getattr(waiter, wake)()
                assert variable.get() == "the caller's"

            task = asyncio.create_task(tell())
            await turns()
            await outside(call)
            assert await task == "the task's"

    async def test_the_woken_task_may_do_all_that_tasks_do(self) -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def work() -> list[int]:
            await waiter
            async with asyncio.timeout(10):
                await asyncio.sleep(0)
                return await asyncio.gather(*(asyncio.sleep(0, number) for number in range(3)))

        task = asyncio.create_task(work())
        await turns()
        await outside(waiter.wake_now)
        assert await soon(task) == [0, 1, 2]


class TestWakeSoon:
    async def test_goes_on_at_the_next_turn(self) -> None:
        async with consumer() as found:

            def wake() -> None:
                found.waiter.wake_soon()
                assert found.log == []
                assert not found.waiter.waiting

            await outside(wake)
            await turns()
            assert found.log == ["woken"]

    async def test_twice_is_once(self) -> None:
        async with consumer() as found:
            found.waiter.wake_soon()
            found.waiter.wake_soon()
            await outside(found.waiter.wake_now)
            await turns()
            assert found.log[0] == "woken"
            assert len(found.log) <= 2


class TestCancelling:
    async def test_before_it_is_woken(self) -> None:
        async with consumer() as found:
            found.task.cancel()
            found.waiter.wake_now()
            found.waiter.wake_soon()
            await turns()
            assert found.log == ["cancelled"]
            await outside(found.waiter.wake_now)
            assert found.log == ["cancelled", "woken"]

    async def test_after_it_was_woken(self) -> None:
        async with consumer() as found:
            found.waiter.wake_soon()
            found.task.cancel()
            await turns()
            assert found.log == ["cancelled"]
            await outside(found.waiter.wake_now)
            assert found.log == ["cancelled", "woken"]

    async def test_by_a_timeout(self) -> None:
        waiter = Waiter(asyncio.get_running_loop())
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await waiter
            assert not waiter.waiting

    async def test_with_a_message(self) -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def wait() -> None:
            await waiter

        task = asyncio.create_task(wait())
        await turns()
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    @pytest.mark.parametrize("woken", [False, True])
    async def test_another_task_waits_before_the_cancelled_one_has_run(self, woken: bool) -> None:
        waiter = Waiter(asyncio.get_running_loop())
        log: list[str] = []

        async def wait(name: str) -> None:
            try:
                await waiter
                log.append(f"{name} woken")
            except asyncio.CancelledError:
                log.append(f"{name} cancelled")

        first = asyncio.create_task(wait("first"))
        await turns()
        second = asyncio.create_task(wait("second"))
        if woken:
            waiter.wake_soon()
        first.cancel()
        await turns()
        assert log == ["first cancelled"]
        await outside(waiter.wake_now)
        assert log == ["first cancelled", "second woken"]
        await asyncio.gather(first, second)

    async def test_the_task_itself_waits_at_once(self) -> None:
        """As an application does that gives one `recv` up and calls the next."""
        waiter = Waiter(asyncio.get_running_loop())
        results = []

        async def wait() -> None:
            try:
                await waiter
                results.append("first woken")
            except asyncio.CancelledError:
                results.append("first cancelled")
                raise

        first = asyncio.create_task(wait())
        await turns()
        first.cancel()
        asyncio.get_running_loop().call_later(0.01, waiter.wake_now)
        await soon_here(waiter)
        assert results == ["first cancelled"]
        assert first.cancelled()


async def soon_here(waiter: Waiter) -> None:
    """Wait within this very task, without another one in between."""
    async with asyncio.timeout(10):
        await waiter


OPERATIONS = ["wake_now", "wake_soon", "cancel"]


@settings(max_examples=50)
@given(
    batches=st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from(OPERATIONS), max_size=5)), min_size=1, max_size=6
    )
)
def test_whatever_is_called_in_whatever_order(
    new_loop: NewLoop, batches: list[tuple[bool, list[str]]]
) -> None:
    """A wake counts when a task waits that was neither woken nor cancelled; a cancellation always does."""

    async def test() -> None:
        async with consumer() as found:
            for inside, operations in batches:
                expected: list[str] = []
                pending: str | None = None
                for operation in operations:
                    if operation == "cancel":
                        pending = "cancelled"
                    elif pending is None and operation == "wake_now" and not inside:
                        expected.append("woken")
                    elif pending is None:
                        pending = "woken"
                expected += [pending] if pending else []

                def work(operations: list[str] = operations) -> None:
                    for operation in operations:
                        if operation == "cancel":
                            found.task.cancel()
                        else:
                            getattr(found.waiter, operation)()

                found.log.clear()
                if inside:
                    work()
                else:
                    await outside(work)
                await turns()
                assert found.log == expected
            found.log.clear()

    run(test(), new_loop)
