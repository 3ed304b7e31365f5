"""What is asked about each upgrade, and what may be answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edgews.events import Request


@dataclass(slots=True, frozen=True, kw_only=True)
class Facts:
    """What is known of a request before any origin hears of it.

    Attributes:
        request: as the client sent it, checked by the rules of the opening handshake.
        client: the address of the client, without a port; empty for a Unix socket.
        secure: it came through TLS.
        ray: what the log calls this request.
        route: the name of its route.
        now: the time in seconds, in the clock of whoever asks.
    """

    request: Request
    client: str
    secure: bool
    ray: str
    route: str
    now: float


@dataclass(slots=True, frozen=True)
class Allow:
    """Let it go to the next policy, and in the end to the origin."""


@dataclass(slots=True, frozen=True)
class Refuse:
    """Answer the client instead.

    Attributes:
        status: 400-599.
        body: one sentence for the client.
        reason: one or a few words for the log.
        headers: further fields of the answer, such as Retry-After.
    """

    status: int
    body: str
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


Decision: TypeAlias = Allow | Refuse
Policy: TypeAlias = Callable[[Facts], Decision]

ALLOW = Allow()


def decide(policies: tuple[Policy, ...], facts: Facts) -> Decision:
    """Ask each policy in turn; the first that refuses decides."""
    for policy in policies:
        decision = policy(facts)
        if isinstance(decision, Refuse):
            return decision
    return ALLOW
