"""What a process has in common with the others of its gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .conntable import ConnectionTable
from .storage import Storage


@dataclass(frozen=True, slots=True)
class Sharing:
    """Memory, and what to find it by.

    Attributes:
        salt: mixed into keys, by all in the same way.
        process: the number of this one.
        limiters: memory of each limiter, by its name.
        connections: where connections count.
    """

    salt: bytes = field(repr=False)
    process: int
    limiters: Mapping[str, Storage]
    connections: ConnectionTable
