"""What limits on connections are held against: a list of all, and every second looked at one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import strategies as st

from edgews.edge.policy.conngauge import ConnectionLimit, State
from edgews.edge.policy.connlimit import Kind, Scope, Standing

# Whole seconds, so that the model can take them one by one.
connection_limits = st.builds(
    ConnectionLimit,
    soft=st.integers(1, 3),
    burst=st.integers(0, 2),
    allowance=st.integers(0, 5).map(float),
    patience=st.integers(0, 5).map(float) | st.just(math.inf),
    retry_after=st.integers(0, 9),
)
HOSTS = ("a", "b")
CLIENTS = ("1", "2", "3")
NAMES = range(12)


@dataclass
class Model:
    """Everything that is open, in order, and what each scope has spent."""

    limits: dict[Kind, ConnectionLimit]
    overrides: dict[Scope, ConnectionLimit]
    now: int = 0
    # With all its scopes: those without a limit may get one.
    open: dict[int, list[Scope]] = field(default_factory=dict)
    spent: dict[Scope, int] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    def limit(self, scope: Scope) -> ConnectionLimit | None:
        return self.overrides.get(scope, self.limits.get(scope[0]))

    def members(self, scope: Scope) -> list[int]:
        return [name for name, scopes in self.open.items() if scope in scopes]

    def scopes(self) -> list[Scope]:
        """Return what may be above its limit or has been."""
        found = [(Kind.ALL, ""), (Kind.ROUTE, "r")]
        found += [(Kind.HOST, host) for host in HOSTS] + [(Kind.CLIENT, client) for client in CLIENTS]
        return [scope for scope in found if self.limit(scope)]

    def second(self) -> None:
        self.now += 1
        for scope in self.scopes():
            limit = self.limit(scope)
            assert limit is not None
            above = self.above(scope)
            most = limit.allowance + (0 if limit.patience == math.inf else limit.patience)
            spent = self.spent.get(scope, 0) + (1 if above else -1)
            self.spent[scope] = int(min(max(spent, 0), most))

    def change(self, limits: dict[Kind, ConnectionLimit]) -> None:
        """Have other limits; what has none any more forgets what it has spent."""
        self.limits = limits
        spent, self.spent = self.spent, {}
        for scope in self.scopes():
            limit = self.limit(scope)
            assert limit is not None
            most = limit.allowance + (0 if limit.patience == math.inf else limit.patience)
            self.spent[scope] = int(min(spent.get(scope, 0), most))

    def above(self, scope: Scope) -> bool:
        limit = self.limit(scope)
        assert limit is not None
        return len(self.members(scope)) > limit.soft

    def state(self, scope: Scope) -> State:
        limit = self.limit(scope)
        assert limit is not None
        if not self.above(scope):
            return State.OK
        return State.BURST if self.spent.get(scope, 0) < limit.allowance else State.OVER

    def standing(self, scope: Scope) -> Standing:
        limit = self.limit(scope)
        assert limit is not None
        spent = float(self.spent.get(scope, 0))
        return Standing(scope, self.state(scope), len(self.members(scope)), limit.soft, limit.burst, spent)

    def refuses(self, scope: Scope) -> bool:
        limit = self.limit(scope)
        assert limit is not None
        count = len(self.members(scope)) + 1
        if count <= limit.soft:
            return False
        return count > limit.soft + limit.burst or self.spent.get(scope, 0) >= limit.allowance

    def excess(self, scope: Scope) -> int:
        """Return how many more have to be told to go."""
        limit = self.limit(scope)
        assert limit is not None
        if self.spent.get(scope, 0) < limit.allowance + limit.patience:
            return 0
        members = self.members(scope)
        return max(len(members) - limit.soft - len(self.told & set(members)), 0)
