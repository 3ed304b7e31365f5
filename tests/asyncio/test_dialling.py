"""Several addresses of a host: which one is taken, and what becomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.asyncio.dialling import dial, in_turn, race
from tests.asyncio.harness import turns
from tests.raw import TIMEOUT

HOST = "127.0.0.1"
# Of a race in which nobody shall be tried because time is up.
NEVER = 2 * TIMEOUT
Address = tuple[int, int, int, str, Any]


def address(where: Any, family: int = socket.AF_INET) -> Address:
    return (family, socket.SOCK_STREAM, 0, "", where)


class Listening:
    """An address that answers."""

    def __init__(self) -> None:
        self._sock = socket.create_server((HOST, 0), backlog=socket.SOMAXCONN)
        self.address = address(self._sock.getsockname())

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def check_ends(self) -> None:
        """See that every connection that came has ended."""
        self._sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._sock.accept()
                with sock:
                    sock.settimeout(TIMEOUT)
                    assert sock.recv(1) == b""


@contextlib.contextmanager
def refusing() -> Iterator[Address]:
    """An address that is taken, so that nobody listens there meanwhile."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        yield address(sock.getsockname())


@contextlib.contextmanager
def silent() -> Iterator[Address]:
    """An address whose queue is full: Linux does not answer there."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(8):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield address(listener.getsockname())


families = st.sampled_from([socket.AF_INET, socket.AF_INET6])


@given(st.lists(families).map(lambda found: [address(n, family) for n, family in enumerate(found)]))
def test_families_take_turns(addresses: list[Address]) -> None:
    turned = in_turn(addresses)
    assert sorted(turned, key=lambda found: found[4]) == addresses
    for family in {found[0] for found in addresses}:
        of_family = [found for found in addresses if found[0] == family]
        assert [found for found in turned if found[0] == family] == of_family
    # As long as there are others, the same family never comes twice.
    assert turned[:1] == addresses[:1]
    for place, (one, next_one) in enumerate(pairwise(turned)):
        if one[0] == next_one[0]:
            assert {found[0] for found in turned[place:]} == {one[0]}


async def test_the_first_that_answers_is_taken() -> None:
    loop = asyncio.get_running_loop()
    with Listening() as one, Listening() as other:
        for first, second in ((one, other), (other, one)):
            with await race(loop, [first.address, second.address], NEVER) as sock:
                assert sock.getpeername() == first.address[4]


async def test_one_that_refuses_does_not_keep_the_next_waiting() -> None:
    loop = asyncio.get_running_loop()
    with refusing() as closed, Listening() as one:
        async with asyncio.timeout(TIMEOUT):
            with await race(loop, [closed, closed, one.address], NEVER) as sock:
                assert sock.getpeername() == one.address[4]


async def test_one_that_says_nothing_keeps_the_next_waiting_for_a_while() -> None:
    loop = asyncio.get_running_loop()
    with silent() as mute, refusing() as closed, Listening() as one:
        sock = await race(loop, [mute, closed, mute, one.address], 0.01)
        assert sock.getpeername() == one.address[4]
        sock.close()
        one.check_ends()


async def test_all_fail() -> None:
    loop = asyncio.get_running_loop()
    with refusing() as closed, pytest.raises(ConnectionRefusedError):
        await race(loop, [closed, closed], NEVER)
    with pytest.raises(OSError, match="no address"):
        await race(loop, [], NEVER)


async def test_a_name() -> None:
    with Listening() as one:
        sock = await dial(asyncio.get_running_loop(), "localhost", one.address[4][1])
        assert sock.getpeername()[1] == one.address[4][1]
        sock.close()


@pytest.mark.parametrize("course", ["answers", "refuses", "silent"])
async def test_a_race_that_is_cancelled_leaves_no_socket(course: str) -> None:
    """At each turn of the loop; in the last ones it is over. A socket that is lost makes a warning."""
    loop = asyncio.get_running_loop()
    with Listening() as one, refusing() as closed, silent() as mute:
        first = {"answers": one.address, "refuses": closed, "silent": mute}[course]
        for count in range(30):
            racing = asyncio.create_task(race(loop, [first, one.address], 0.0))
            await turns(count)
            racing.cancel()
            await asyncio.wait([racing])
            if not racing.cancelled():
                racing.result().close()
            del racing
            await turns(2)
            one.check_ends()
    gc.collect()
