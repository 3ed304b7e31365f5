"""Every row: what is asked of the servers, who takes part, and how much of a peer's cost is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from .loads import AUDIENCE, Pace, broadcasts, echoes, handshakes, idle

CALLBACKS, AWAIT = "edgews callbacks", "edgews async for"
LIBRARIES = (CALLBACKS, AWAIT, "picows", "aiohttp", "websockets")
STARLETTE = ("uvicorn EdgewsProtocol", "uvicorn websockets-sansio", "uvicorn wsproto")

# The handler lets its message go before it waits for the next one.
LET_GO = "edgews async for, let go"
# No library at all.
BARE = "bare echo"

SECONDS, BYTES = "s", "B"


@dataclass(frozen=True)
class Row:
    """One measurement.

    `at_most` says for each contender of ours how many times the cost of a peer it may have; `ceiling` how
    much in all, in the row's unit.
    """

    key: str
    title: str
    names: Sequence[str]
    measure: Callable[[Sequence[str], Pace], dict[str, float]]
    at_most: dict[str, dict[str, float]] = field(default_factory=dict)
    ceiling: dict[str, float] = field(default_factory=dict)
    unit: str = SECONDS


ROWS = (
    Row(
        "32-bytes",
        "echo of 32 B, 100 connections",
        LIBRARIES,
        partial(echoes, size=32, connections=100, flight=1),
        {CALLBACKS: {"picows": 1.2}, AWAIT: {"aiohttp": 1.0, "websockets": 0.6}},
    ),
    Row(
        "32-in-flight",
        "echo of 32 B, 10 connections with 32 in flight",
        LIBRARIES,
        partial(echoes, size=32, connections=10, flight=32),
        {CALLBACKS: {"picows": 0.75}},
    ),
    Row(
        "64-kib",
        "echo of 64 KiB, 100 connections",
        LIBRARIES,
        partial(echoes, size=65536, connections=100, flight=1),
        {CALLBACKS: {"picows": 1.15, "aiohttp": 0.7}, AWAIT: {"picows": 1.15, "aiohttp": 0.7}},
    ),
    Row(
        "handshake",
        "opening handshake, with TCP and the end",
        LIBRARIES,
        handshakes,
        {CALLBACKS: {"picows": 1.0, "websockets": 0.65}, AWAIT: {"websockets": 0.65}},
    ),
    Row(
        "broadcast",
        f"broadcast of 1 KiB to {AUDIENCE:,} connections",
        ("edgews", "websockets", "bare writes"),
        partial(broadcasts, compressed=False),
        {"edgews": {"websockets": 0.5}},
    ),
    Row(
        "broadcast-deflate",
        f"broadcast of 1 KiB to {AUDIENCE:,} connections, compressed",
        ("edgews", "websockets"),
        partial(broadcasts, compressed=True),
        {"edgews": {"websockets": 0.5}},
    ),
    Row(
        "bare-small",
        "echo of 32 B, 100 connections, beside a slice and a write",
        (CALLBACKS, AWAIT, "websockets", BARE),
        partial(echoes, size=32, connections=100, flight=1),
    ),
    Row(
        "bare-large",
        "echo of 64 KiB, 100 connections, beside bytes handed over as they come",
        (CALLBACKS, AWAIT, LET_GO, "aiohttp", BARE),
        partial(echoes, size=65536, connections=100, flight=1),
    ),
    Row(
        "uvicorn",
        "the same Starlette echo under uvicorn, 32 B, 100 connections",
        STARLETTE,
        partial(echoes, size=32, connections=100, flight=1),
        {STARLETTE[0]: {STARLETTE[1]: 1.0, STARLETTE[2]: 1.0}},
    ),
    Row(
        "idle",
        "idle connection, resident memory",
        LIBRARIES,
        idle,
        ceiling={AWAIT: 6 * 1024},
        unit=BYTES,
    ),
)
