"""Policies at work against a plain model: rules one by one, and a list of every request that was granted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.actions import (
    Action,
    Block,
    Close,
    Drop,
    Log,
    RateLimit,
    RequireToken,
    Rule,
    Skip,
    Stage,
)
from edgews.edge.policy.conngauge import ConnectionLimit
from edgews.edge.policy.connlimit import Kind
from edgews.edge.policy.conntable import ConnectionTable, Shape
from edgews.edge.policy.fields import MessageFacts, UpgradeFacts
from edgews.edge.policy.normalize import normalize
from edgews.edge.policy.policies import PASSED, Definition, Limiter, Policies
from edgews.edge.policy.ratelimit import RateLimit as Rate
from edgews.edge.policy.ratetable import table_size
from edgews.edge.policy.rules import Ruleset
from edgews.edge.policy.sharing import Sharing
from edgews.edge.policy.storage import Storage
from edgews.edge.policy.tokens import Claims, Key, make
from edgews.headers import Headers
from tests.edge.policy.memory import storage

pytestmark = pytest.mark.edge

KEY = Key("main", b"k" * 32)
OTHER = Key("other", b"o" * 32)
KEYS = {"default": {"main": KEY}, "second": {"other": OTHER}}
# So long that nothing comes back while a test runs.
LONG = 1e9
LIMITERS = {"by client": (("ip.src",), 2), "all": ((), 3), "by host": (("http.host",), 1)}
WALL = 1000.0

Predicate = Callable[[UpgradeFacts], "bool | None"]
# What an expression says, None if it has no answer.
EXPRESSIONS: dict[str, Predicate] = {
    "true": lambda facts: True,
    "ssl": lambda facts: facts.secure,
    "http.host == 'a'": lambda facts: facts.headers.get("Host") == "a",
    "ip.src == '192.0.2.1'": lambda facts: facts.client == "192.0.2.1",
    "ip.src.asnum > 5": lambda facts: None if facts.asn is None else facts.asn > 5,
}
TOKENS = {
    None: 401,
    "nonsense": 401,
    make(KEY, Claims(2000)): None,
    make(KEY, Claims(1000)): 401,
    make(KEY, Claims(2000, host="b")): 403,
    make(KEY, Claims(2000, path="/elsewhere")): 403,
    make(OTHER, Claims(2000)): 401,
}

actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Block, st.sampled_from([403, 451]), st.sampled_from(["", "no"])),
    st.just(Log()),
    st.just(Skip()),
    st.just(RequireToken()),
    st.sampled_from(sorted(LIMITERS)).map(RateLimit),
)
rules = st.lists(st.tuples(st.sampled_from(sorted(EXPRESSIONS)), actions), min_size=1, max_size=5)
facts = st.builds(
    UpgradeFacts,
    method=st.just("GET"),
    target=st.just(normalize("/chat")),
    headers=st.sampled_from(["a", "b"]).map(lambda host: Headers([("Host", host)])),
    client=st.sampled_from([None, "192.0.2.1", "192.0.2.2"]),
    secure=st.booleans(),
    ray_id=st.just("ray"),
    asn=st.sampled_from([None, 3, 7]),
)


def definition(*made: Rule, **more: Any) -> Definition:
    limiters = {name: Limiter(by, Rate(count, LONG)) for name, (by, count) in LIMITERS.items()}
    return Definition(rules=Ruleset(made) if made else None, limiters=limiters, keys=KEYS, **more)


def numbered(pairs: list[tuple[str, Action]], stage: Stage = Stage.UPGRADE) -> list[Rule]:
    return [Rule(f"r{number}", text, action, stage) for number, (text, action) in enumerate(pairs)]


@dataclass
class Model:
    """Rules one after the other, and everything that was granted."""

    rules: list[Rule]
    granted: list[tuple[str, object]] = field(default_factory=list)
    matches: Counter[str] = field(default_factory=Counter)

    def judge(self, facts: UpgradeFacts, token: str | None) -> tuple[int | None, list[str]]:
        """Return the status of a refusal, and who had a say."""
        matched: list[str] = []
        for rule in self.rules:
            said = EXPRESSIONS[rule.expression](facts)
            if not (said if said is not None else not isinstance(rule.action, Log | Skip)):
                continue
            matched.append(rule.name)
            self.matches[rule.name] += 1
            match rule.action:
                case Skip():
                    break
                case Block(status):
                    return status, matched
                case RequireToken():
                    status = (
                        TOKENS[token] if token not in OF_HOST else (None if facts.headers == HOST_B else 403)
                    )
                    if status is not None:
                        return status, matched
                case RateLimit(limiter):
                    by, count = LIMITERS[limiter]
                    who = [facts.client, facts.headers.get("Host")][by == ("http.host",)] if by else None
                    if self.granted.count((limiter, who)) == count:
                        return 429, matched
                    self.granted.append((limiter, who))
        return None, matched


OF_HOST = {make(KEY, Claims(2000, host="b"))}
HOST_B = Headers([("Host", "b")])


@given(
    rules, st.lists(st.tuples(facts, st.sampled_from(sorted(TOKENS, key=str))), max_size=8), st.integers(0, 8)
)
def test_rules_are_acted_upon_in_their_order(
    pairs: list[tuple[str, Action]], asked: list[tuple[UpgradeFacts, str | None]], reload_at: int
) -> None:
    model = Model(numbered(pairs))
    policies = Policies(definition(*numbered(pairs)), salt=b"s")
    for number, (one, token) in enumerate(asked):
        if number == reload_at:
            # The same again: limiters and counts go on.
            policies = Policies(definition(*numbered(pairs)), before=policies)
        status, matched = model.judge(one, token)
        verdict = policies.admit(number, one, route="r", token=token, now=0.0, wall=WALL)
        assert (verdict.failure and verdict.failure.status) == status
        assert list(verdict.matched) == matched
        assert verdict.rule == (None if status is None else matched[-1])
        assert len(verdict.explain()) >= len(matched)
        assert not any(str(token) in line for line in verdict.explain())
        if status == 429:
            assert verdict.failure is not None
            ((name, value),) = verdict.failure.headers
            assert (name, int(value) > 1e8) == ("Retry-After", True)
    assert policies.matches == model.matches


@given(rules, facts)
def test_to_judge_takes_no_place(pairs: list[tuple[str, Action]], one: UpgradeFacts) -> None:
    policies, other = (Policies(definition(*numbered(pairs))) for _ in range(2))
    judged = policies.judge(one, token=None, now=0.0, wall=WALL)
    admitted = other.admit("c", one, route="r", token=None, now=0.0, wall=WALL)
    assert (judged.failure, judged.matched) == (admitted.failure, admitted.matched)
    assert len(policies.connections) == 0
    assert len(other.connections) == (admitted.failure is None)


REQUEST = UpgradeFacts("GET", normalize("/chat?q=secret"), Headers([("Host", "a")]), "192.0.2.1", True, "ray")


def admit(policies: Policies, connection: object = "c", one: UpgradeFacts = REQUEST, now: float = 0.0):
    return policies.admit(connection, one, route="r", token=None, now=now, wall=WALL)


def test_without_policies_everybody_comes_in() -> None:
    policies = Policies(Definition())
    assert admit(policies) is PASSED
    assert policies.judge(REQUEST, token=None, now=0.0, wall=WALL) is PASSED
    assert policies.messages_for(REQUEST) is None
    assert PASSED.explain() == []


def test_errors_are_counted() -> None:
    policies = Policies(definition(Rule("failing", "ip.src.asnum > 5", Block())))
    verdict = admit(policies)
    assert verdict.failure is not None
    assert policies.errors == {"failing": 1}
    assert "counts as matching, for it failed" in verdict.explain()[0]


@pytest.mark.parametrize(
    ("kind", "text", "other"),
    [
        (Kind.ALL, "Too many connections, try again in 30 s", None),
        (Kind.HOST, "Too many connections of this host, try again in 30 s", {"headers": HOST_B}),
        (Kind.CLIENT, "Too many connections of this client, try again in 30 s", {"client": "192.0.2.2"}),
    ],
)
def test_connections_are_counted_before_any_rule(kind: Kind, text: str, other: dict[str, Any] | None) -> None:
    made = [Rule("all", "true", Log())]
    policies = Policies(definition(*made, connections={kind: ConnectionLimit(1)}))
    assert admit(policies, 1).failure is None
    verdict = admit(policies, 2)
    assert verdict.failure is not None
    assert (verdict.failure.status, verdict.failure.text) == (503, text)
    assert verdict.failure.headers == (("Retry-After", "30"),)
    assert verdict.failure.cause == f"connection limit {kind.value}"
    assert verdict.scope is not None
    assert verdict.scope[0] is kind
    assert verdict.explain()[0].startswith("too many connections")
    assert policies.matches == {"all": 1}
    if other is not None:
        assert admit(policies, 3, UpgradeFacts(**{**_values(REQUEST), **other})).failure is None
    policies.release(1, 0.0)
    assert admit(policies, 4).failure is None


def _values(one: UpgradeFacts) -> dict[str, Any]:
    return {
        name: getattr(one, name) for name, known in UpgradeFacts.__dataclass_fields__.items() if known.init
    }


def test_clients_are_counted_by_their_network() -> None:
    policies = Policies(definition(connections={Kind.CLIENT: ConnectionLimit(1)}))
    for number, (client, comes_in) in enumerate(
        [("2001:db8::1", True), ("2001:db8::2", False), ("2001:db8:0:1::1", True), (None, True), (None, True)]
    ):
        one = UpgradeFacts(**{**_values(REQUEST), "client": client})
        assert (admit(policies, number, one).failure is None) is comes_in


def test_who_is_refused_by_a_rule_has_no_place() -> None:
    made = Rule("none", "true", Block(403, "x"))
    policies = Policies(definition(made, connections={Kind.ALL: ConnectionLimit(1)}))
    for _ in range(3):
        verdict = admit(policies)
        assert verdict.failure is not None
        assert (verdict.failure.status, verdict.failure.body) == (403, "x")


def test_what_a_reload_keeps() -> None:
    by_client = Limiter(("ip.src",), Rate(1, LONG))
    made = Ruleset([Rule("r", "true", RateLimit("l")), Rule("log", "true", Log())])
    limits = {Kind.ALL: ConnectionLimit(5)}
    policies = Policies(Definition(rules=made, limiters={"l": by_client}, connections=limits))
    assert admit(policies, 1).failure is None
    same = Policies(
        Definition(rules=made, limiters={"l": by_client}, connections={Kind.ALL: ConnectionLimit(1)}),
        before=policies,
    )
    verdict = admit(same, 2)
    assert verdict.failure is not None
    assert verdict.failure.status == 503
    policies.release(1, 0.0)
    verdict = admit(same, 2)
    assert verdict.failure is not None
    assert verdict.failure.status == 429
    assert (same.usage["l"].allowed, same.usage["l"].refused) == (1, 1)
    assert same.keys(1.0) == {"l": (1, 1, 100_000)}
    changed = Policies(
        Definition(rules=made, limiters={"l": Limiter(("ip.src",), Rate(2, LONG))}), before=same
    )
    assert admit(changed, 3).failure is None
    assert changed.matches == {"r": 3, "log": 2}
    # Whom it limits now is forgotten with its table; what it has said is not.
    assert changed.keys(1.0) == {"l": (0, 1, 100_000)}
    without = Policies(Definition(), before=changed)
    assert without.keys(1.0) == {}
    assert (without.usage["l"].allowed, without.usage["l"].refused) == (2, 1)


def sharing(
    definition: Definition, process: int, table: ConnectionTable, *, memories: dict[str, Storage]
) -> Sharing:
    """Return what a process shares; a limiter that is new gets memory."""
    for name, limiter in definition.limiters.items():
        memories.setdefault(name, storage(table_size(limiter.rate)))
    return Sharing(b"salt", process, memories, table)


def make_table() -> ConnectionTable:
    shape = Shape(2, 100)
    return ConnectionTable(shape, storage(shape.size), b"salt")


def test_processes_count_together_whatever_is_loaded() -> None:
    def made(requests: int) -> Definition:
        return Definition(
            rules=Ruleset([Rule("r", "true", RateLimit("l"))]),
            limiters={"l": Limiter(("ip.src",), Rate(requests, LONG))},
            connections={Kind.ALL: ConnectionLimit(3)},
        )

    def statuses(policies: list[Policies], names: str) -> list[int]:
        """Have connections come to the processes in turns."""
        found = []
        for number, name in enumerate(names):
            failure = admit(policies[number % 2], name).failure
            found.append(0 if failure is None else failure.status)
        return found

    memories: dict[str, Storage] = {}
    one = made(5)
    table = make_table()
    first = [Policies(one, sharing=sharing(one, process, table, memories=memories)) for process in range(2)]
    assert statuses(first, "abcd") == [0, 0, 0, 503]
    first[0].release("a", 0.0)
    # The same limiter in the same memory, and another table of connections that knows them all.
    larger = make_table()
    larger.adopt(table, 0.0)
    second = [
        Policies(one, before=before, sharing=sharing(one, process, larger, memories=memories))
        for process, before in enumerate(first)
    ]
    assert second[0].limiters == first[0].limiters
    assert statuses(second, "ef") == [0, 503]
    for name in "bce":
        for policies in second:
            policies.release(name, 0.0)
    assert statuses(second, "ghi") == [0, 429, 429]
    # Another limiter, and hence other memory.
    other = made(6)
    memories = {}
    third = [
        Policies(other, before=before, sharing=sharing(other, process, larger, memories=memories))
        for process, before in enumerate(second)
    ]
    assert statuses(third, "jkl") == [0, 0, 503]
    assert third[0].connections is first[0].connections


def test_what_is_kept_of_a_verdict() -> None:
    policies = Policies(definition(Rule("log", "true", Log()), Rule("block", "!ssl", Block())))
    verdict = admit(policies)
    assert verdict.outcome is not None
    assert len(verdict.explain()) == 2
    kept = verdict.brief()
    assert (kept.matched, kept.outcome, kept.explain()) == (("log",), None, [])
    assert (
        Policies(definition(Rule("no", "!ssl", Log())))
        .admit(1, REQUEST, route="r", token=None, now=0.0, wall=0.0)
        .brief()
        is PASSED
    )


def test_an_explanation_ends_with_who_refused() -> None:
    made = [Rule("a", "true", RateLimit("by host")), Rule("b", "http.request.uri != ''", Log())]
    policies = Policies(definition(*made))
    first, second = admit(policies, 1), admit(policies, 2)
    assert len(first.explain()) == 2
    assert "secret" not in "".join(first.explain())
    assert len(second.explain()) == 2
    assert second.explain()[1].startswith(
        "limiter by host: too many requests, allowed again in 1000000000.0 s"
    )


def test_a_full_table_is_told() -> None:
    limiter = Limiter(("http.host",), Rate(1, LONG, max_keys=1))
    policies = Policies(
        Definition(rules=Ruleset([Rule("r", "true", RateLimit("l"))]), limiters={"l": limiter})
    )
    hosts = [UpgradeFacts(**{**_values(REQUEST), "headers": Headers([("Host", name)])}) for name in "abc"]
    verdicts = [admit(policies, number, one) for number, one in enumerate(hosts)]
    assert [verdict.failure is None for verdict in verdicts] == [True, True, False]
    assert verdicts[2].explain()[-1].endswith("; its table was full")


def test_a_challenge_says_whether_there_was_a_token() -> None:
    policies = Policies(definition(Rule("t", "true", RequireToken("second"))))
    for token, challenge in ((None, "Bearer"), ("x", 'Bearer error="invalid_token"')):
        verdict = policies.judge(REQUEST, token=token, now=0.0, wall=WALL)
        assert verdict.failure is not None
        assert verdict.failure.headers == (("WWW-Authenticate", challenge),)
    assert policies.judge(REQUEST, token=make(OTHER, Claims(2000)), now=0.0, wall=WALL).failure is None


def test_tokens_for_too_long() -> None:
    policies = Policies(definition(Rule("t", "true", RequireToken()), max_lifetime=10.0))
    verdict = policies.judge(REQUEST, token=make(KEY, Claims(1011)), now=0.0, wall=WALL)
    assert verdict.failure is not None
    assert verdict.failure.cause == "token: too long"


# Messages

on_messages: st.SearchStrategy[Action] = st.sampled_from(
    [Drop(), Close(4000, "no"), Log(), Skip(), RateLimit("all", 1013, "slower"), RateLimit("by client")]
)
OF_MESSAGES: dict[str, Callable[[MessageFacts], bool]] = {
    "true": lambda facts: True,
    "message.size > 2": lambda facts: facts.size > 2,
    "message.text == 'a'": lambda facts: facts.data == "a",
}
messages = st.builds(
    MessageFacts, st.sampled_from(["a", "b", b"a"]), st.integers(0, 4), st.just(1), st.just(0.0)
)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(OF_MESSAGES)), on_messages), min_size=1, max_size=4),
    st.lists(messages, max_size=6),
)
def test_messages(pairs: list[tuple[str, Action]], sent: list[MessageFacts]) -> None:
    made = numbered(pairs, Stage.MESSAGE)
    policies = Policies(definition(*made))
    asked = policies.messages_for(REQUEST)
    assert asked is not None
    granted: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for one in sent:
        refusal: Drop | Close | None = None
        matched: list[str] = []
        for rule in made:
            if not OF_MESSAGES[rule.expression](one):
                continue
            matched.append(rule.name)
            match rule.action:
                case Drop() | Close():
                    refusal = rule.action
                case RateLimit(limiter, code, reason):
                    granted[limiter] += 1
                    if granted[limiter] > LIMITERS[limiter][1]:
                        refusal = Close(code, reason)
                case _:
                    pass
            if refusal is not None or isinstance(rule.action, Skip):
                break
        counted.update(matched)
        verdict = asked.judge(one, 0.0)
        assert (verdict.refusal, list(verdict.matched)) == (refusal, matched)
        assert verdict.rule == (None if refusal is None else matched[-1])
        assert len(verdict.explain()) >= len(matched)
    assert policies.matches == counted


def test_a_meter_counts_for_whoever_sent_the_request() -> None:
    policies = Policies(definition())
    one, other = policies.meter("by client", REQUEST), policies.meter("by client", REQUEST)
    assert [one(0.0), other(0.0), one(0.0)] == [True, True, False]
    assert policies.meter("by host", REQUEST)(0.0)


def test_rules_on_upgrades_alone_ask_no_message() -> None:
    assert Policies(definition(Rule("log", "true", Log()))).messages_for(REQUEST) is None
