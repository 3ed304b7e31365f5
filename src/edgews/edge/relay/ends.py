"""How a relayed connection ends: who ended it, with which code, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Party(Enum):
    """Who ended a relayed connection."""

    CLIENT = "client"
    ORIGIN = "origin"
    GATEWAY = "gateway"


class Why(Enum):
    """Why a relayed connection ended, in a word for counting."""

    CLOSE = "close"
    """A peer sent a Close."""
    LOST = "lost"
    """A stream ended without one."""
    VIOLATION = "violation"
    """A peer broke a rule of the protocol."""
    PING = "ping timeout"
    """A peer did not answer a Ping."""
    IDLE = "idle timeout"
    """No message for too long."""
    AGE = "max age"
    """The connection was too old."""
    DRAIN = "drain"
    """The gateway stops."""
    LIMIT = "limit"
    """There were too many connections, or too many messages."""
    RULE = "rule"
    """A rule of the gateway's configuration."""
    OPERATOR = "operator"
    """Somebody asked for it."""
    DROPPED = "dropped"
    """The gateway dropped both streams."""
    DIED = "worker died"
    """The process of the gateway that held it has died; nobody is left who could log it."""
    GATEWAY = "gateway"
    """Another reason of the gateway's."""


@dataclass(slots=True, frozen=True)
class End:
    """Why a relayed connection ended.

    Attributes:
        party: who began the end.
        code: the first close code that was seen or sent; 1006 if a stream just ended, 1005 for an
            empty Close.
        cause: a sentence for a person.
        why: the same in a word.
    """

    party: Party
    code: int
    cause: str
    why: Why
