"""Limits on connections of several processes against the model of one, also when one dies."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgews.edge.policy.conngauge import ConnectionLimit, State
from edgews.edge.policy.connlimit import REFUSED_STATUS, Admission, Kind, Scope
from edgews.edge.policy.connshared import SharedConnectionLimiter
from edgews.edge.policy.conntable import ConnectionTable, Shape
from tests.edge.policy.crowds import CLIENTS, HOSTS, NAMES, Model, connection_limits
from tests.edge.policy.memory import storage

PROCESSES = 3
ALL: Scope = (Kind.ALL, "")


def table(processes: int = PROCESSES, scopes: int = 100) -> ConnectionTable:
    shape = Shape(processes, scopes)
    return ConnectionTable(shape, storage(shape.size), b"salt")


def of(name: int) -> int:
    """Return the process that a connection came to."""
    return name % PROCESSES


class Whole(Model):
    """The model; a scope without a limit gets back what it has spent, as if nobody were in it."""

    def second(self) -> None:
        for scope in self.spent:
            if not self.limit(scope):
                self.spent[scope] = max(self.spent[scope] - 1, 0)
        super().second()


class Machine(RuleBasedStateMachine):
    """Connections that come to one of three processes, go, and stay too long; processes that die."""

    @initialize(
        limits=st.dictionaries(st.sampled_from(Kind), connection_limits, min_size=1),
        override=st.none() | connection_limits,
    )
    def begin(self, limits: dict[Kind, ConnectionLimit], override: ConnectionLimit | None) -> None:
        overrides = {(Kind.HOST, "a"): override} if override else {}
        self.model = Whole(limits, overrides)
        self.table = table()
        self.limiters = [self.limiter(process) for process in range(PROCESSES)]
        self.active: dict[int, float] = {}

    def limiter(self, process: int) -> SharedConnectionLimiter:
        return SharedConnectionLimiter(self.model.limits, self.model.overrides, self.table, process)

    @rule(name=st.sampled_from(NAMES), host=st.sampled_from(HOSTS), client=st.sampled_from(CLIENTS))
    def admit(self, name: int, host: str, client: str) -> None:
        if name in self.model.open:
            return
        now = float(self.model.now)
        admission = self.limiters[of(name)].admit(name, now, host=host, route="r", client=client)
        place: list[Scope] = [ALL, (Kind.HOST, host), (Kind.ROUTE, "r"), (Kind.CLIENT, client)]
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
        worst = max((order.index(self.model.state(scope)) for scope in scopes), default=0)
        assert admission == Admission(True, order[worst])

    @rule(name=st.sampled_from(NAMES))
    def release(self, name: int) -> None:
        self.limiters[of(name)].release(name, float(self.model.now))
        self.forget(name)

    def forget(self, name: int) -> None:
        self.model.open.pop(name, None)
        self.model.told.discard(name)
        self.active.pop(name, None)

    @rule(process=st.integers(0, PROCESSES - 1))
    def die(self, process: int) -> None:
        """Its connections count no more, and another one has its number."""
        for name in [name for name in self.model.open if of(name) == process]:
            self.forget(name)
        self.table.clear(process, float(self.model.now))
        self.limiters[process] = self.limiter(process)

    @rule(limits=st.dictionaries(st.sampled_from(Kind), connection_limits))
    def change(self, limits: dict[Kind, ConnectionLimit]) -> None:
        now = float(self.model.now)
        for limiter in self.limiters:
            limiter.change(limits, self.model.overrides, now)
        self.model.limits = limits
        for scope in list(self.model.spent):
            limit = self.model.limit(scope)
            if limit is not None:
                patience = 0.0 if limit.patience == math.inf else limit.patience
                self.model.spent[scope] = int(min(self.model.spent[scope], limit.allowance + patience))

    @rule(grow=st.integers(0, 2))
    def move(self, grow: int) -> None:
        """All go to a larger table, one after the other."""
        before, now = self.table, float(self.model.now)
        self.table = table(before.shape.processes + grow, before.shape.scopes + 40 * grow)
        self.table.adopt(before, now)
        for limiter in self.limiters:
            limiter.move(self.table, now)

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.model.second()

    @rule()
    def shed(self) -> None:
        now = float(self.model.now)
        for limiter in self.limiters:
            limiter.heed()
        wanted = {scope: self.model.excess(scope) for scope in self.model.scopes()}
        due = [due for limiter in self.limiters if (due := limiter.next_shed()) is not None]
        assert (bool(due) and min(due) <= now) is any(wanted.values())
        for process, limiter in enumerate(self.limiters):
            for one in limiter.shed(now, self.active):
                assert isinstance(one.connection, int)
                assert self.model.excess(one.scope) > 0
                assert of(one.connection) == process
                assert one.connection not in self.model.told
                staying = set(self.model.members(one.scope)) - self.model.told
                here = [self.active[name] for name in staying if of(name) == process]
                assert self.active[one.connection] == min(here)
                self.model.told.add(one.connection)
        assert not any(self.model.excess(scope) for scope in self.model.scopes())

    @invariant()
    def stands_as_it_should(self) -> None:
        if not hasattr(self, "model"):
            return
        now = float(self.model.now)
        above = [scope for scope in self.model.scopes() if self.model.above(scope)]
        for process, limiter in enumerate(self.limiters):
            mine = {name for name in self.model.open if of(name) == process}
            assert len(limiter) == len(mine)
            limiter.heed()
            assert set(limiter.crowded()) == {s for s in above if mine & set(self.model.members(s))}
            for standing in limiter.standing(now, self.model.scopes()):
                assert standing == self.model.standing(standing.scope)


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=30)


def pair(limit: ConnectionLimit, kind: Kind = Kind.CLIENT, scopes: int = 40) -> list[SharedConnectionLimiter]:
    one = table(2, scopes)
    return [SharedConnectionLimiter({kind: limit}, {}, one, process) for process in range(2)]


def test_each_process_sheds_its_part() -> None:
    """Of six in one and two in the other, four too many, those are three and one: the idlest of each."""
    first, second = pair(ConnectionLimit(4, burst=9, allowance=1, patience=1), Kind.ALL)
    for name in range(6):
        assert first.admit(name, 0.0).allowed
    for name in range(6, 8):
        assert second.admit(name, 0.0).allowed
    activity = {name: float(name) for name in range(8)}
    assert (first.next_shed(), second.next_shed()) == (2.0, 2.0)
    assert [one.connection for one in first.shed(2.0, activity)] == [0, 1, 2]
    assert [one.connection for one in second.shed(2.0, activity)] == [6]
    assert first.shed(2.0, activity) == second.shed(2.0, activity) == []
    assert first.next_shed() is None


def test_who_is_crowded_by_others_hears_of_it() -> None:
    first, second = pair(ConnectionLimit(1, burst=9, allowance=9), scopes=400)
    for name in range(200):
        assert first.admit((name, 0), 0.0, client=str(name)).allowed
    second.admit("one", 0.0, client="7")
    assert first.next_shed() is None
    first.heed()
    assert first.crowded() == [(Kind.CLIENT, "7")]
    assert first.next_shed() == 69.0
    # It goes, and more happens elsewhere than anybody remembers.
    second.release("one", 1.0)
    for _ in range(200):
        second.admit("other", 1.0, client="x")
        second.admit("another", 1.0, client="x")
        second.release("other", 1.0)
        second.release("another", 1.0)
    second.admit("one", 1.0, client="9")
    first.heed()
    assert first.crowded() == [(Kind.CLIENT, "9")]


def test_a_table_without_room_lets_nobody_in_it_cannot_count() -> None:
    first, second = pair(ConnectionLimit(3), scopes=1)
    taken = [first.admit(name, 0.0, client=str(name)).allowed for name in range(100)]
    assert sum(taken) == 61
    # Who has a place there goes on.
    assert second.admit("again", 0.0, client="0").allowed
    refused = second.admit("new", 0.0, client="new")
    assert refused == Admission(False, State.OK, (Kind.CLIENT, "new"), REFUSED_STATUS, 30)
    first.release(0, 0.0)
    assert not second.admit("new", 0.0, client="new").allowed
    first.release(1, 0.0)
    assert second.admit("new", 0.0, client="new").allowed


def test_a_limit_that_comes_when_there_is_no_room_counts_whom_it_can() -> None:
    limiters = pair(ConnectionLimit(200), Kind.ROUTE, scopes=1)
    for name in range(100):
        for one in "ab":
            limiters[name % 2].admit((name, one), 0.0, client=str(name))
    for limiter in limiters:
        limiter.change({Kind.CLIENT: ConnectionLimit(1, burst=2, allowance=9)}, {}, 1.0)
    more = [
        [limiter.admit((name, limiter), 1.0, client=str(name)).allowed for limiter in limiters]
        for name in range(100)
    ]
    # Those of the first have a place, and some of the second; the others have no more than they had.
    assert all(sum(allowed) == 1 for allowed in more[::2])
    assert Counter(map(sum, more)) == {1: 61, 0: 39}
    for name in range(100):
        for limiter in limiters:
            for one in ("a", "b", limiter):
                limiter.release((name, one), 2.0)
    assert [len(limiter) for limiter in limiters] == [0, 0]


def test_everybody_is_counted_by_all() -> None:
    first, second = pair(ConnectionLimit(1))
    assert first.present(3) == 3
    assert second.present(4) == 7
    assert first.present(0) == 4


def test_to_move_to_the_same_table_is_nothing() -> None:
    (first, _) = pair(ConnectionLimit(1))
    assert first.admit("a", 0.0, client="c").allowed
    before = first.table
    first.move(before, 1.0)
    assert first.table is before
    assert not first.admit("b", 1.0, client="c").allowed
