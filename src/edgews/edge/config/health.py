"""The table `route.health`: how origins are checked."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from edgews.edge.forwarding.health import Kind, Plan
from edgews.edge.policy.normalize import TargetError, normalize

from .values import Seconds, Table

_DEFAULT = Plan()


def _target(value: str) -> str:
    try:
        return str(normalize(value))
    except TargetError:
        raise ValueError("a path such as /health, maybe with a query") from None


Count: TypeAlias = Annotated[int, Field(ge=1, le=1000)]


class Health(Table):
    """Checks of a route's origins."""

    kind: Literal["tcp", "http", "websocket"] = "tcp"
    path: Annotated[str, AfterValidator(_target)] = _DEFAULT.path
    # A check is a connection; nobody needs more than ten in a second.
    interval: Annotated[float, Field(ge=0.1, lt=1e9)] = _DEFAULT.interval
    timeout: Seconds = _DEFAULT.timeout
    rise: Count = _DEFAULT.rise
    fall: Count = _DEFAULT.fall
    jitter: Annotated[float, Field(ge=0, le=1)] = _DEFAULT.jitter

    def plan(self) -> Plan:
        """Return what it means."""
        return Plan(
            kind=Kind(self.kind),
            path=self.path,
            interval=self.interval,
            timeout=self.timeout,
            rise=self.rise,
            fall=self.fall,
            jitter=self.jitter,
        )
