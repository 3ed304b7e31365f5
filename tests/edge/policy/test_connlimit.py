"""Connection limits against a plain model: a list of connections, and every second looked at one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgews.edge.policy.conngauge import ConnectionLimit, State
from edgews.edge.policy.connlimit import (
    REFUSED_STATUS,
    SHED_CODE,
    Admission,
    ConnectionLimiter,
    Kind,
    Scope,
    Shed,
    Standing,
)
from tests.edge.policy.crowds import CLIENTS, HOSTS, NAMES, Model, connection_limits


class Machine(RuleBasedStateMachine):
    """Connections that come, go and stay too long."""

    @initialize(
        limits=st.dictionaries(st.sampled_from(Kind), connection_limits, min_size=1),
        override=st.none() | connection_limits,
    )
    def begin(self, limits: dict[Kind, ConnectionLimit], override: ConnectionLimit | None) -> None:
        overrides = {(Kind.HOST, "a"): override} if override else {}
        self.model = Model(limits, overrides)
        self.limiter = ConnectionLimiter(limits, overrides)
        self.active: dict[int, float] = {}

    @rule(name=st.sampled_from(NAMES), host=st.sampled_from(HOSTS), client=st.sampled_from(CLIENTS))
    def admit(self, name: int, host: str, client: str) -> None:
        now = float(self.model.now)
        if name in self.model.open:
            with pytest.raises(ValueError, match="there already"):
                self.limiter.admit(name, now, host=host, route="r", client=client)
            return
        admission = self.limiter.admit(name, now, host=host, route="r", client=client)
        place: list[Scope] = [(Kind.ALL, ""), (Kind.HOST, host), (Kind.ROUTE, "r"), (Kind.CLIENT, client)]
        scopes = [scope for scope in place if self.model.limit(scope)]
        for scope in scopes:
            if self.model.refuses(scope):
                limit = self.model.limit(scope)
                assert limit is not None
                state = self.model.state(scope)
                assert admission == Admission(False, state, scope, REFUSED_STATUS, limit.retry_after)
                return
        self.model.open[name] = place
        self.active[name] = now
        order = [State.OK, State.BURST, State.OVER]
        worst = max(order.index(self.model.state(scope)) for scope in [*scopes]) if scopes else 0
        assert admission == Admission(True, order[worst])

    @rule(name=st.sampled_from(NAMES))
    def release(self, name: int) -> None:
        self.limiter.release(name, float(self.model.now))
        self.model.open.pop(name, None)
        self.model.told.discard(name)
        self.active.pop(name, None)

    @rule(name=st.sampled_from(NAMES))
    def be_active(self, name: int) -> None:
        if name in self.model.open:
            self.active[name] = float(self.model.now)

    @rule(limits=st.dictionaries(st.sampled_from(Kind), connection_limits))
    def change(self, limits: dict[Kind, ConnectionLimit]) -> None:
        self.limiter.change(limits, self.model.overrides, float(self.model.now))
        self.model.change(limits)

    @rule()
    def change_nothing(self) -> None:
        self.limiter.change(self.model.limits, self.model.overrides, float(self.model.now))

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.model.second()

    @precondition(lambda self: self.model.open)
    @rule()
    def shed(self) -> None:
        due = self.limiter.next_shed()
        wanted = {scope: self.model.excess(scope) for scope in self.model.scopes()}
        assert (due is not None and due <= self.model.now) is any(wanted.values())
        for one in self.limiter.shed(float(self.model.now), self.active):
            assert isinstance(one.connection, int)
            assert one.code == SHED_CODE
            assert self.model.excess(one.scope) > 0
            assert one.connection not in self.model.told
            staying = set(self.model.members(one.scope)) - self.model.told
            assert self.active[one.connection] == min(self.active[name] for name in staying)
            self.model.told.add(one.connection)
        assert not any(self.model.excess(scope) for scope in self.model.scopes())

    @invariant()
    def stands_as_it_should(self) -> None:
        if not hasattr(self, "model"):
            return
        now = float(self.model.now)
        assert len(self.limiter) == len(self.model.open)
        # Only these are looked at when it is time to shed.
        above = [scope for scope in self.model.scopes() if self.model.above(scope)]
        assert set(self.limiter.crowded()) == set(above)
        wanted = {name for scope in above for name in self.model.members(scope)}
        assert sorted(map(str, self.limiter.excessive())) == sorted(map(str, wanted))
        for standing in self.limiter.standing(now, self.model.scopes()):
            assert standing == self.model.standing(standing.scope)


TestMachine = Machine.TestCase


def crowd(limit: ConnectionLimit, count: int) -> ConnectionLimiter:
    limiter = ConnectionLimiter({Kind.ALL: limit})
    for name in range(count):
        assert limiter.admit(name, 0).allowed
    return limiter


def test_a_burst_that_lasts_is_refused_and_then_shed() -> None:
    limiter = crowd(ConnectionLimit(2, burst=2, allowance=10, patience=20), 4)
    everything: Scope = (Kind.ALL, "")
    # At the burst limit.
    assert limiter.admit(4, 1) == Admission(False, State.BURST, everything, 503, 30)
    limiter.release(3, 1)
    assert limiter.admit(4, 10) == Admission(False, State.OVER, everything, 503, 30)
    assert limiter.next_shed() == 30
    activity = {0: 5.0, 1: 3.0, 2: 4.0}
    assert limiter.shed(29, activity) == []
    assert limiter.shed(30, activity) == [Shed(1, everything)]
    assert limiter.shed(31, activity) == []
    assert limiter.next_shed() is None
    limiter.release(1, 31)
    assert limiter.standing(31) == [Standing(everything, State.OK, 2, 2, 2, 30.0)]
    # The allowance comes back as fast as it went.
    assert not limiter.admit(5, 51).allowed
    assert limiter.admit(5, 51.5) == Admission(True, State.BURST)


@pytest.mark.parametrize("kind", Kind)
def test_who_is_told_to_go_is_told_on_whose_account(kind: Kind) -> None:
    limiter = ConnectionLimiter({kind: ConnectionLimit(1, burst=1, allowance=1, patience=0)})
    for name in range(2):
        assert limiter.admit(name, 0, host="secret", route="secret", client="secret").allowed
    (shed,) = limiter.shed(1, {})
    assert ("all" if " of this " not in shed.reason else shed.reason.split(",")[0].split()[-1]) == kind.value
    assert "secret" not in shed.reason


def test_who_was_never_active_is_the_idlest() -> None:
    limiter = crowd(ConnectionLimit(1, burst=1, allowance=0, patience=0), 1)
    # An allowance of nothing takes nobody above the soft limit.
    assert limiter.admit(1, 0) == Admission(False, State.OK, (Kind.ALL, ""), 503, 30)
    limiter = crowd(ConnectionLimit(1, burst=1, allowance=1, patience=0), 2)
    assert [shed.connection for shed in limiter.shed(1, {0: 0.0})] == [1]


@given(st.integers(1, 50))
def test_scopes_that_nobody_is_in_are_forgotten(count: int) -> None:
    limiter = ConnectionLimiter({Kind.CLIENT: ConnectionLimit(1, burst=1, allowance=9, patience=0)})
    for client in range(count):
        limiter.admit((client, 0), 0, client=str(client))
        limiter.admit((client, 1), 0, client=str(client))
    for client in range(count):
        limiter.release((client, 0), 5)
        limiter.release((client, 1), 5)
    # They have spent something, and that is remembered until it has come back.
    assert len(limiter.standing(5)) == count
    for _ in range(count):
        limiter.release("nobody", 10)
    assert limiter.standing(10) == []


def test_a_scope_that_somebody_comes_back_to_is_not_forgotten() -> None:
    limiter = ConnectionLimiter({Kind.CLIENT: ConnectionLimit(1, burst=1, allowance=9, patience=0)})
    limiter.admit("a", 0, client="c")
    limiter.admit("b", 0, client="c")
    limiter.release("a", 5)
    limiter.release("b", 5)
    assert limiter.admit("d", 6, client="c").allowed
    # By now its allowance is back.
    limiter.release("nobody", 100)
    (standing,) = limiter.standing(100)
    assert standing.count == 1


def test_who_has_no_name_has_no_limit_as_a_client() -> None:
    limiter = ConnectionLimiter({Kind.CLIENT: ConnectionLimit(1)})
    assert all(limiter.admit(name, 0).allowed for name in range(3))
    assert limiter.standing(0) == []


def test_a_limit_that_comes_later_counts_who_is_there() -> None:
    limiter = ConnectionLimiter({})
    for name in range(3):
        limiter.admit(name, 0, host="h")
    limiter.change({Kind.HOST: ConnectionLimit(3)}, {}, 1)
    assert not limiter.admit(3, 1, host="h").allowed
    limiter.release(0, 1)
    assert limiter.admit(3, 1, host="h").allowed
    limiter.change({}, {(Kind.HOST, "h"): ConnectionLimit(1)}, 2)
    assert limiter.standing(2) == [Standing((Kind.HOST, "h"), State.BURST, 3, 1, 0, 0.0)]
    limiter.change({}, {}, 3)
    assert limiter.standing(3) == []
    for name in range(1, 4):
        limiter.release(name, 3)
    assert len(limiter) == 0


def test_without_limits_everybody_is_welcome() -> None:
    limiter = ConnectionLimiter({})
    assert all(limiter.admit(name, 0) == Admission(True, State.OK) for name in range(100))
    assert limiter.standing(0, [(Kind.ALL, "")]) == []
    # There are no other processes.
    limiter.heed()
    assert limiter.present(7) == 7
    assert limiter.next_shed() is None
    assert limiter.shed(1e9, {}) == []
