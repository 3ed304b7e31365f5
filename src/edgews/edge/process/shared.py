"""What workers share, as the supervisor hands it out and as a worker takes it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from edgews.edge.config.tables import Config
from edgews.edge.policy.conntable import ConnectionTable, Shape
from edgews.edge.policy.policies import Definition, Limiter
from edgews.edge.policy.ratetable import table_size
from edgews.edge.policy.sharing import Sharing
from edgews.edge.policy.storage import Storage

from .channel import Refused
from .memory import FileLock, attach, create

_SALT_BYTES: Final = 16
# Numbers for processes beside those that are needed: for workers that drain, and for more of them later.
_SPARE: Final = 8
# Each connection has a host and a client; all of them, and routes, are few.
_SCOPES_A_CONNECTION: Final = 2
# As many as no machine has, whatever `max_connections` says. A table that is full lets nobody in.
MAX_SCOPES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """Memory, and its number among all that the gateway has had."""

    number: int
    storage: Storage

    @property
    def descriptor(self) -> int:
        """Return what it is sent by."""
        lock = self.storage.lock
        assert isinstance(lock, FileLock)
        return lock.fileno()


@dataclass(frozen=True, slots=True)
class Plan:
    """All memory for one configuration."""

    limiters: Mapping[str, tuple[Limiter, Numbered]]
    connections: Numbered
    table: ConnectionTable


class Shared:
    """What the supervisor knows of the memory."""

    def __init__(self) -> None:
        self._salt = os.urandom(_SALT_BYTES)
        self._count = 0
        self._used: set[int] = set()
        self._plan: Plan | None = None
        self._next: Plan | None = None

    def plan(self, definition: Definition, config: Config, more: int) -> None:
        """Have memory for a configuration, and for so many more workers than there are now.

        What has not changed stays where it is.

        Raises:
            Refused: there is not so much memory.
        """
        before = self._plan
        limiters: dict[str, tuple[Limiter, Numbered]] = {}
        for name, limiter in definition.limiters.items():
            known = None if before is None else before.limiters.get(name)
            if known is None or known[0] != limiter:
                known = limiter, self._create(table_size(limiter.rate), f"limiter {name}")
            limiters[name] = known
        scopes = min(_SCOPES_A_CONNECTION * config.max_connections, MAX_SCOPES)
        needed = Shape(len(self._used) + more, scopes)
        if before is not None and before.table.shape.holds(needed):
            self._next = Plan(limiters, before.connections, before.table)
            return
        shape = Shape(2 * needed.processes + _SPARE, needed.scopes)
        memory = self._create(shape.size, "connections")
        table = ConnectionTable(shape, memory.storage, self._salt)
        if before is not None:
            table.adopt(before.table, time.monotonic())
        self._next = Plan(limiters, memory, table)

    def _create(self, size: int, purpose: str) -> Numbered:
        self._count += 1
        try:
            return Numbered(self._count, create(size))
        except (OSError, OverflowError, ValueError) as error:
            raise Refused([f"no memory for {purpose}: {size} bytes: {error}"]) from None

    def keep(self) -> None:
        """What was planned is in use."""
        self._plan, self._next = self._next or self._plan, None

    def forget(self) -> None:
        """What was planned is not needed."""
        self._next = None

    def enter(self) -> int:
        """Return a number for a worker, which is its own until `leave`."""
        number = next(number for number in range(len(self._used) + 1) if number not in self._used)
        self._used.add(number)
        return number

    def leave(self, number: int) -> None:
        """Give a number back, of a worker whose process has ended."""
        self.clear(number)
        self._used.discard(number)

    def clear(self, number: int) -> None:
        """Forget the connections of a process that has ended."""
        for plan in (self._plan, self._next):
            if plan is not None:
                plan.table.clear(number, time.monotonic())

    def told(self, number: int) -> tuple[dict[str, Any], list[int]]:
        """Return what a worker is told of what was planned, or else is in use; and the descriptors."""
        plan = self._next or self._plan
        assert plan is not None
        limiters = {name: memory for name, (_, memory) in plan.limiters.items()}
        memories = [plan.connections, *limiters.values()]
        shape = plan.table.shape
        return {
            "salt": self._salt.hex(),
            "process": number,
            "memories": [memory.number for memory in memories],
            "limiters": list(limiters),
            "shape": [shape.processes, shape.scopes],
        }, [memory.descriptor for memory in memories]


class Attached:
    """What a worker knows of the memory."""

    def __init__(self) -> None:
        # Nobody may have a file twice; see `FileLock`.
        self._known: WeakValueDictionary[int, Storage] = WeakValueDictionary()

    def take(self, told: Mapping[str, Any], descriptors: Sequence[int]) -> Sharing:
        """Return what the supervisor told of.

        Raises:
            Refused: it cannot be had.
        """
        found: list[Storage] = []
        left = list(descriptors)
        try:
            for number in told["memories"]:
                storage = self._known.get(number)
                descriptor = left.pop(0)
                if storage is None:
                    storage = self._known[number] = attach(descriptor)
                else:
                    os.close(descriptor)
                found.append(storage)
        except (OSError, ValueError) as error:
            raise Refused([f"no memory that is shared: {error}"]) from None
        finally:
            for descriptor in left:
                os.close(descriptor)
        connections, *limiters = found
        salt = bytes.fromhex(told["salt"])
        table = ConnectionTable(Shape(*told["shape"]), connections, salt)
        return Sharing(salt, told["process"], dict(zip(told["limiters"], limiters, strict=True)), table)
