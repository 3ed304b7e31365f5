"""Who has to go, against a plain model: a list of everybody in the order in which they came."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgews.edge.policy.openings import Crowd, Openings

NAMES = st.integers(0, 15)
# Nobody knows the first one.
CLIENTS = st.sampled_from(["", "a", "b", "c"])
NUMBERS = st.integers(1, 6)


class Model:
    """Lists that are searched from the beginning, whatever is asked."""

    def __init__(self, most: int, share: int) -> None:
        self.most, self.share = most, share
        self.there: list[tuple[int, str]] = []
        # How many each client has had, the latest at the end.
        self.had: list[tuple[str, int]] = []

    @staticmethod
    def who(one: int, client: str) -> str:
        return client or f"nobody {one}"

    def number(self, who: str) -> int:
        return sum(self.who(*entry) == who for entry in self.there)

    def note(self, who: str) -> None:
        self.had = [entry for entry in self.had if entry[0] != who]
        self.had.append((who, self.number(who)))

    def leave(self, one: int) -> bool:
        left = [entry for entry in self.there if entry[0] == one]
        self.there = [entry for entry in self.there if entry[0] != one]
        for entry in left:
            self.note(self.who(*entry))
        return bool(left)

    def enter(self, one: int, client: str) -> list[tuple[int, Crowd]]:
        if any(one == other for other, _ in self.there):
            return []
        self.there.append((one, client))
        self.note(self.who(one, client))
        return self.squeeze()

    def squeeze(self) -> list[tuple[int, Crowd]]:
        gone: list[tuple[int, Crowd]] = []
        while True:
            most = max((number for _, number in self.had), default=0)
            if most <= self.share and len(self.there) <= self.most:
                return gone
            who = next(who for who, number in self.had if number == most)
            oldest = next(one for one, client in self.there if self.who(one, client) == who)
            gone.append((oldest, Crowd.CLIENT if most > self.share else Crowd.ALL))
            self.leave(oldest)


class Machine(RuleBasedStateMachine):
    """Connections that come, get to be known, ask and go."""

    @initialize(most=NUMBERS, share=NUMBERS)
    def begin(self, most: int, share: int) -> None:
        self.model = Model(most, share)
        self.openings: Openings[int] = Openings(most, share)

    @rule(one=NAMES, client=CLIENTS)
    def enter(self, one: int, client: str) -> None:
        assert self.openings.enter(one, client) == self.model.enter(one, client)

    @rule(one=NAMES, client=CLIENTS)
    def know(self, one: int, client: str) -> None:
        expected = self.model.enter(one, client) if self.model.leave(one) else []
        assert self.openings.know(one, client) == expected

    @rule(one=NAMES)
    def leave(self, one: int) -> None:
        assert self.openings.leave(one) is self.model.leave(one)

    @rule(most=NUMBERS, share=NUMBERS)
    def change(self, most: int, share: int) -> None:
        self.model.most, self.model.share = most, share
        assert self.openings.change(most, share) == self.model.squeeze()

    @invariant()
    def is_as_it_should_be(self) -> None:
        if not hasattr(self, "model"):
            return
        there = [one for one, _ in self.model.there]
        assert len(self.openings) == len(there) <= self.model.most
        assert [one for one in range(16) if one in self.openings] == sorted(there)
        numbers = Counter(client for _, client in self.model.there if client)
        assert max(numbers.values(), default=0) <= self.model.share
        full = [client for client, number in numbers.items() if number == self.model.share]
        assert sorted(self.openings.full()) == sorted(full)


TestOpenings = Machine.TestCase


@given(most=st.integers(2, 40), share=st.integers(1, 40), silent=st.integers(0, 200))
def test_one_client_cannot_have_another_one_go(most: int, share: int, silent: int) -> None:
    openings: Openings[object] = Openings(most, share)
    openings.enter("other", "b")
    gone = [one for at in range(silent) for one, _ in openings.enter(at, "a")]
    assert gone == list(range(len(gone)))


@given(most=st.integers(1, 40), silent=st.integers(0, 200))
def test_of_many_clients_the_longest_silent_goes(most: int, silent: int) -> None:
    openings: Openings[int] = Openings(most, 1)
    gone = [found for at in range(silent) for found in openings.enter(at, str(at))]
    assert gone == [(at, Crowd.ALL) for at in range(max(silent - most, 0))]
