"""What the supervisor hands out, and what workers make of it: in one process, over a real channel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Iterator

import pytest

from edgews.edge.config.file import check_values
from edgews.edge.config.tables import Config
from edgews.edge.policy.policies import Definition, Limiter
from edgews.edge.policy.ratelimit import RateLimit
from edgews.edge.policy.ratetable import RateTable
from edgews.edge.policy.sharing import Sharing
from edgews.edge.process.channel import Channel, Refused, nothing
from edgews.edge.process.shared import Attached, Shared
from tests.raw import TIMEOUT, check


def config(max_connections: int = 100) -> Config:
    return check_values(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "max_connections": max_connections,
            "route": [{"origins": ["ws://127.0.0.1:1"]}],
        },
        "",
        "test",
    )


def definition(**requests: int) -> Definition:
    return Definition(
        limiters={name: Limiter(("ip.src",), RateLimit(number, 1e6)) for name, number in requests.items()}
    )


def take(shared: Shared, attached: Attached, number: int) -> Sharing:
    """Have a worker take what it is told, as if the descriptors had been sent."""
    told, descriptors = shared.told(number)
    return attached.take(told, [os.dup(descriptor) for descriptor in descriptors])


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Look whether all descriptors are closed again."""
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_has_not_changed_stays_where_it_is():
    with nothing_left():
        shared = Shared()
        numbers = [shared.enter() for _ in range(2)]
        assert numbers == [0, 1]
        shared.plan(definition(a=1, b=2), config(), 2)
        shared.keep()
        attached = Attached()
        first = take(shared, attached, 1)
        shared.plan(definition(a=1, b=3, c=4), config(), 0)
        second = take(shared, attached, 1)
        assert second.limiters["a"] is first.limiters["a"]
        assert second.limiters["b"] is not first.limiters["b"]
        assert second.connections.storage is first.connections.storage
        # It was not to be: all is as it was.
        shared.forget()
        third = take(shared, attached, 1)
        assert third.limiters["b"] is first.limiters["b"]
        assert set(third.limiters) == {"a", "b"}
        assert (third.process, third.salt) == (1, first.salt)
        # What nothing uses any more is closed; what the worker still uses stays.
        limiter = RateTable(RateLimit(2, 1e6), first.limiters["b"], salt=first.salt)
        shared.plan(definition(), config(), 0)
        shared.keep()
        del first, second, third
        take(shared, attached, 1)
        assert limiter.decide((), 1.0).allowed
        del limiter, shared, attached


def test_more_connections_or_workers_need_another_table_which_knows_the_old_one():
    shared = Shared()
    attached = [Attached(), Attached()]
    for number in range(2):
        assert shared.enter() == number
    shared.plan(definition(), config(), 2)
    shared.keep()
    for number, one in enumerate(attached):
        take(shared, one, number).connections.present(number, 10)
    before = take(shared, attached[0], 0).connections
    # As long as there is room, the table is the same.
    shared.plan(definition(), config(90), 5)
    shared.keep()
    assert take(shared, attached[0], 0).connections.storage is before.storage
    shared.plan(definition(), config(101), 0)
    # Who ends now is in neither.
    shared.clear(1)
    shared.keep()
    larger = take(shared, attached[0], 0).connections
    assert larger.storage is not before.storage
    assert larger.present(0, 10) == before.present(0, 10) == 10
    numbers = [shared.enter() for _ in range(100)]
    shared.plan(definition(), config(), 50)
    shared.keep()
    assert take(shared, attached[0], 0).connections.shape.processes > max(numbers) + 50
    shared.leave(numbers[7])
    assert shared.enter() == numbers[7]


def test_what_does_not_fit_is_refused():
    shared = Shared()
    with pytest.raises(Refused, match="no memory for limiter huge"):
        shared._create(1 << 62, "limiter huge")
    with nothing_left(), pytest.raises(Refused, match="no memory that is shared"):
        Attached().take(
            {"memories": [1, 2], "limiters": [], "salt": "", "shape": [1, 1], "process": 0},
            [os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)],
        )


def test_it_goes_through_a_channel():
    """The same memory comes out at the other end, and a descriptor that nobody takes is closed."""
    attached = Attached()
    found: list[Sharing] = []

    async def handle(message, sockets):
        check(not sockets, "no sockets were sent")
        found.append(attached.take(message["shared"], message["files"]))
        return len(message["files"])

    async def main() -> None:
        shared = Shared()
        shared.plan(definition(a=1), config(), 1)
        shared.keep()
        told, files = shared.told(0)
        one, other = socket.socketpair()
        channels = Channel(one, nothing), Channel(other, handle)
        try:
            async with asyncio.timeout(TIMEOUT):
                for _ in range(2):
                    assert await channels[0].ask("take", timeout=TIMEOUT, files=files, shared=told) == 2
                with pytest.raises(Refused, match="nothing can be asked"):
                    await channels[1].ask("take", timeout=TIMEOUT, files=files)
        finally:
            for channel in channels:
                channel.close()
        assert found[0].limiters["a"] is found[1].limiters["a"]
        found[0].connections.present(0, 5)
        plan = shared._plan
        check(plan is not None, "something is in use")
        if plan is not None:
            assert plan.table.present(1, 1) == 6

    with nothing_left():
        asyncio.run(main())
        found.clear()
