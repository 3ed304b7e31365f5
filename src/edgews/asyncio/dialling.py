"""Sockets that lead to a host, whichever of its addresses answers first.

asyncio's own race forgets a socket that has just connected when it is cancelled, up to CPython 3.13; and
uvloop has none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias

# What `getaddrinfo` gives: family, kind, protocol, name, address.
_Address: TypeAlias = "tuple[int, int, int, str, Any]"

_Attempt: TypeAlias = "asyncio.Task[socket.socket]"

# After so many seconds without an answer the next address is tried beside the others. RFC 8305 §5.
NEXT_ADDRESS = 0.25


async def dial(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Return a socket that is connected.

    Raises:
        OSError: no address answers, or there is none.

    RFC 8305.
    """
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await race(loop, in_turn(addresses))


def in_turn(addresses: Iterable[_Address]) -> list[_Address]:
    """Have the families take turns, the preferred one first. RFC 8305 §4."""
    families: dict[int, list[_Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


async def race(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[_Address], delay: float = NEXT_ADDRESS
) -> socket.socket:
    """Connect to one address after the other, beside those that have not answered; return the first socket.

    Every other socket is closed, also when the call is cancelled.

    Args:
        delay: seconds until the next one is tried, unless one fails before.

    Raises:
        OSError: no address answers; it is what the last one has failed with.
    """
    attempts: list[_Attempt] = []
    try:
        won = await _first(loop, addresses, delay, attempts)
        await _stop([attempt for attempt in attempts if attempt is not won])
        return won.result()
    except BaseException:
        await _stop(attempts)
        raise


async def _first(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[_Address], delay: float, attempts: list[_Attempt]
) -> _Attempt:
    """Return the first attempt that connects; all that were begun are in `attempts`."""
    running: set[_Attempt] = set()
    for behind, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        attempts.append(loop.create_task(_connect(loop, address)))
        running.add(attempts[-1])
        while running:
            done, running = await asyncio.wait(
                running, timeout=delay if behind else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in attempts:
                if attempt in done and attempt.exception() is None:
                    return attempt
            if behind:
                # One has failed, or its time is up.
                break
    failures = [attempt.exception() for attempt in attempts]
    raise failures[-1] if failures and failures[-1] else OSError("the host has no address")


async def _stop(attempts: Sequence[_Attempt]) -> None:
    for attempt in attempts:
        attempt.cancel()
        # This holds also if nobody waits any longer.
        attempt.add_done_callback(_drop)
    if pending := [attempt for attempt in attempts if not attempt.done()]:
        await asyncio.wait(pending)


async def _connect(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _drop(attempt: _Attempt) -> None:
    """Close the socket of an attempt that nobody needs any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
