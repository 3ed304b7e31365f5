"""What is asked before a request goes on: limits of connections, then the rules in order with what they do.

Rules say what matches (`rules`); here it is acted upon: matches are counted, limiters asked, tokens checked,
and the first that says no has the last word. The same for messages.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from .actions import Block, Close, Drop, RateLimit, RequireToken, Rule
from .bearer import Places
from .conngauge import ConnectionLimit
from .connlimit import ConnectionLimiter, Kind, Scope, crowd
from .connshared import SharedConnectionLimiter
from .decisions import Failure
from .fields import Characteristics, MessageFacts, UpgradeFacts
from .lists import client_group
from .ratelimit import Decision, RateLimiter
from .ratelimit import Key as LimiterKey
from .ratelimit import RateLimit as Rate
from .ratetable import RateTable
from .sharing import Sharing
from .storage import Storage
from .tokens import Fault, Key, check
from .usage import Usage

if TYPE_CHECKING:
    from .rules import MessageRules, Outcome, Ruleset

# A token that is right elsewhere does not become right by logging in once more: RFC 9110 §15.5.2, §15.5.4.
_ELSEWHERE: Final = (Fault.OTHER_HOST, Fault.OTHER_PATH)

KeySets: TypeAlias = "Mapping[str, Mapping[str, Key]]"


@dataclass(frozen=True, slots=True)
class Limiter:
    """What a limiter counts by, and how much it allows."""

    characteristics: tuple[str, ...]
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """All policies as they were configured; what rules name is there.

    Attributes:
        rules: None without any.
        limiters: by their names.
        connections: limits of each scope of a kind.
        overrides: limits of single scopes.
        keys: for tokens, by the name of their set and their own.
        places: where tokens stand; None if nobody may take any out of requests.
        max_lifetime: of tokens, seconds; None for any.
        conditions: of each route, in order; None for one without.
    """

    rules: Ruleset | None = None
    limiters: Mapping[str, Limiter] = field(default_factory=lambda: MappingProxyType({}))
    connections: Mapping[Kind, ConnectionLimit] = field(default_factory=lambda: MappingProxyType({}))
    overrides: Mapping[Scope, ConnectionLimit] = field(default_factory=lambda: MappingProxyType({}))
    keys: KeySets = field(default_factory=lambda: MappingProxyType({}), repr=False)
    places: Places | None = None
    max_lifetime: float | None = None
    conditions: Sequence[Callable[[UpgradeFacts], bool] | None] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request.

    Attributes:
        failure: what to answer; None lets it go on.
        matched: names of the rules that were acted upon, in order.
        rule: the one that refused.
        scope: of which there are too many connections.
        outcome: what the rules said.
        note: what the limiter or the token had to do with it.
    """

    failure: Failure | None = None
    matched: tuple[str, ...] = ()
    rule: str | None = None
    scope: Scope | None = None
    outcome: Outcome | None = None
    note: str | None = None

    def explain(self) -> list[str]:
        """Return a line for each thing that had a say, up to what refused; none of them has a secret."""
        return _explain(self.outcome, self.rule) + ([] if self.note is None else [self.note])

    def brief(self) -> Verdict:
        """Return what is worth keeping as long as the connection is open."""
        return PASSED if not self.matched else replace(self, outcome=None)


PASSED: Final = Verdict()


@dataclass(frozen=True, slots=True)
class MessageVerdict:
    """What becomes of a message: `refusal` is None if it passes, and `rule` is who refused."""

    refusal: Drop | Close | None = None
    matched: tuple[str, ...] = ()
    rule: str | None = None
    outcome: Outcome | None = None

    def explain(self) -> list[str]:
        """Return a line for each rule that had a say; none of them has a secret."""
        return _explain(self.outcome, self.rule)


def _explain(outcome: Outcome | None, last: str | None) -> list[str]:
    lines: list[str] = []
    if outcome is not None:
        for evaluation, line in zip(outcome.evaluations, outcome.explain(), strict=True):
            lines.append(line)
            if evaluation.rule.name == last:
                break
    return lines


class Policies:
    """Policies at work.

    Args:
        definition: what they are.
        before: policies whose state goes on: connections, limiters that are the same, counts.
        salt: see `Gcra`; what several processes share has one of its own.
        now: seconds, of the clock that all calls use.
        sharing: what several processes share; None with a single one. Policies before had some, too, or not.

    Attributes:
        connections: who is there, and where each scope stands.
        matches: how often each rule was acted upon, by its name.
        errors: how often each rule could not be evaluated.
        usage: what each limiter has said, by its name; also of those that are not there any more.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        before: Policies | None = None,
        salt: bytes = b"",
        now: float = 0.0,
        sharing: Sharing | None = None,
    ) -> None:
        self.definition = definition
        self.usage: dict[str, Usage] = {} if before is None else before.usage
        self.limiters = {
            name: _Counting(limiter, self.usage.setdefault(name, Usage()), salt, name, sharing)
            for name, limiter in definition.limiters.items()
        }
        if before is None:
            self.connections = _connections(definition, sharing)
            self.matches: Counter[str] = Counter()
            self.errors: Counter[str] = Counter()
        else:
            self.connections = before.connections
            if sharing is not None and isinstance(self.connections, SharedConnectionLimiter):
                self.connections.move(sharing.connections, now)
            self.connections.change(definition.connections, definition.overrides, now)
            self.matches = before.matches
            self.errors = before.errors
            for name, limiter in before.limiters.items():
                if (same := self.limiters.get(name)) is not None and same.counts_with(limiter):
                    self.limiters[name] = limiter
                else:
                    limiter.usage.forget()

    def admit(
        self,
        connection: Hashable,
        facts: UpgradeFacts,
        *,
        route: str,
        token: str | None,
        now: float,
        wall: float,
    ) -> Verdict:
        """Say whether a request may go on; if so, `connection` has a place until `release`.

        Args:
            connection: anything that tells it from others.
            facts: without the token.
            route: the name of its route.
            token: as the client sent it.
            now: seconds, of a clock that never goes back.
            wall: seconds since 1970.
        """
        client = client_group(facts.client)
        admission = self.connections.admit(connection, now, host=facts.host, route=route, client=client)
        if admission.scope is not None:
            return _crowded(admission.scope, admission.retry_after)
        rules = self.definition.rules
        if rules is None:
            return PASSED
        verdict = self._act(rules.judge(facts), facts, token, now, wall)
        if verdict.failure is not None:
            self.connections.release(connection, now)
        return verdict

    def judge(self, facts: UpgradeFacts, *, token: str | None, now: float, wall: float) -> Verdict:
        """Say what the rules do with a request, which takes no place; limiters count it."""
        rules = self.definition.rules
        if rules is None:
            return PASSED
        return self._act(rules.judge(facts), facts, token, now, wall)

    def release(self, connection: Hashable, now: float) -> None:
        """Give back the place of a connection; one without a place is none of ours."""
        self.connections.release(connection, now)

    def messages_for(self, facts: UpgradeFacts) -> MessagePolicies | None:
        """Return what is asked about each message of a connection; None if nothing is."""
        rules = self.definition.rules
        if rules is None or not rules.judges_messages:
            return None
        return MessagePolicies(self, rules.for_messages(facts), facts)

    def meter(self, limiter: str, facts: UpgradeFacts) -> Callable[[float], bool]:
        """Return what counts messages for whoever sent a request; False is one too many.

        Args:
            limiter: the name of one; it is asked as it is now, whatever is loaded later.
        """
        counting = self.limiters[limiter]
        key = counting.key(facts)
        return lambda now: counting.count(key, now).allowed

    def keys(self, now: float) -> dict[str, tuple[int, int, int]]:
        """Return how many keys each limiter refuses now, how many it knows, and how many it has room for."""
        return {name: counting.standing(now) for name, counting in self.limiters.items()}

    def count(self, outcome: Outcome, matched: tuple[str, ...]) -> None:
        """Count rules that were acted upon, and those that failed."""
        self.matches.update(matched)
        self.errors.update(one.rule.name for one in outcome.errors)

    def _act(
        self, outcome: Outcome, facts: UpgradeFacts, token: str | None, now: float, wall: float
    ) -> Verdict:
        """Do what the rules that match say, in order, up to the first that refuses."""
        matched: list[str] = []
        failure: Failure | None = None
        note: str | None = None
        for rule in outcome.matched:
            matched.append(rule.name)
            match rule.action:
                case Block(status, body):
                    failure = _blocked(rule, status, body)
                case RateLimit(limiter):
                    decision = self.limiters[limiter].decide(facts, now)
                    if not decision.allowed:
                        failure, note = _limited(limiter, decision)
                case RequireToken(keys):
                    failure, note = self._token(token, keys, facts.host, facts.target.path, wall)
                case _:
                    pass
            if failure is not None:
                break
        names = tuple(matched)
        self.count(outcome, names)
        refused_by = names[-1] if failure is not None else None
        return Verdict(failure, names, refused_by, outcome=outcome, note=note)

    def _token(
        self, token: str | None, keys: str, host: str, path: str, wall: float
    ) -> tuple[Failure | None, str | None]:
        known = self.definition.keys[keys]
        found = check(token, known, wall, host=host, path=path, max_lifetime=self.definition.max_lifetime)
        if found.fault is None:
            return None, None
        cause, text = f"token: {found.fault.name.lower().replace('_', ' ')}", found.fault.value
        if found.fault in _ELSEWHERE:
            return Failure(403, cause, f"The token does not open this: {text}"), f"token: {text}"
        # RFC 6750 §3: without credentials, no code of an error.
        challenge = "Bearer" if found.fault is Fault.MISSING else 'Bearer error="invalid_token"'
        failure = Failure(401, cause, f"A token is needed: {text}", (("WWW-Authenticate", challenge),))
        return failure, f"token: {text}"


class MessagePolicies:
    """What is asked about each message of one connection.

    It goes on with the rules that there were when the connection came, whatever is loaded since.

    Attributes:
        senders: whose messages are to be judged.
    """

    __slots__ = ("_keys", "_policies", "_rules", "senders")

    def __init__(self, policies: Policies, rules: MessageRules, facts: UpgradeFacts) -> None:
        self._policies = policies
        self._rules = rules
        self.senders = rules.senders
        # A message is counted for whoever sent the request.
        self._keys = {name: limiter.key(facts) for name, limiter in policies.limiters.items()}

    def judge(self, facts: MessageFacts, now: float) -> MessageVerdict:
        """Say what becomes of a message, and count it."""
        outcome = self._rules.judge(facts)
        matched: list[str] = []
        refusal: Drop | Close | None = None
        for rule in outcome.matched:
            matched.append(rule.name)
            match rule.action:
                case Drop() | Close():
                    refusal = rule.action
                case RateLimit(limiter, code, reason):
                    counting = self._policies.limiters[limiter]
                    if not counting.count(self._keys[limiter], now).allowed:
                        refusal = Close(code, reason)
                case _:
                    pass
            if refusal is not None:
                break
        names = tuple(matched)
        self._policies.count(outcome, names)
        return MessageVerdict(refusal, names, names[-1] if refusal is not None else None, outcome)


class _Counting:
    """A limiter at work."""

    __slots__ = ("_storage", "definition", "key", "limiter", "usage")

    def __init__(
        self, definition: Limiter, usage: Usage, salt: bytes, name: str, sharing: Sharing | None
    ) -> None:
        self.definition = definition
        self.usage = usage
        self.key = Characteristics(definition.characteristics).key
        self._storage: Storage | None = None
        self.limiter: RateLimiter | RateTable
        if sharing is None:
            self.limiter = RateLimiter(definition.rate, salt=salt)
        else:
            self._storage = sharing.limiters[name]
            self.limiter = RateTable(definition.rate, self._storage, salt=sharing.salt)

    def counts_with(self, other: _Counting) -> bool:
        """Say whether both are one limiter."""
        return self.definition == other.definition and self._storage is other._storage

    def decide(self, facts: UpgradeFacts, now: float) -> Decision:
        return self.count(self.key(facts), now)

    def count(self, key: LimiterKey, now: float) -> Decision:
        decision = self.limiter.decide(key, now)
        self.usage.take(key, decision, now)
        return decision

    def standing(self, now: float) -> tuple[int, int, int]:
        return self.usage.limited(now), self.limiter.known(now), self.definition.rate.max_keys


def _connections(definition: Definition, sharing: Sharing | None) -> ConnectionLimiter:
    limits, overrides = definition.connections, definition.overrides
    if sharing is None:
        return ConnectionLimiter(limits, overrides)
    return SharedConnectionLimiter(limits, overrides, sharing.connections, sharing.process)


def _blocked(rule: Rule, status: int, body: str) -> Failure:
    text = f"The rule {rule.name!r} does not allow this request"
    return Failure(status, f"rule {rule.name}", text, body=body or None)


def _limited(limiter: str, decision: Decision) -> tuple[Failure, str]:
    seconds = max(math.ceil(decision.retry_after), 1)
    failure = Failure(
        429,
        f"rate limit {limiter}",
        f"Too many requests by the limit {limiter!r}, try again in {seconds} s",
        (("Retry-After", str(seconds)),),
    )
    note = f"limiter {limiter}: too many requests, allowed again in {decision.retry_after:.1f} s"
    return failure, f"{note}; its table was full" if decision.shared else note


def _crowded(scope: Scope, retry_after: int) -> Verdict:
    kind, _ = scope
    failure = Failure(
        503,
        f"connection limit {kind.value}",
        f"{crowd(scope).capitalize()}, try again in {retry_after} s",
        (("Retry-After", str(retry_after)),),
    )
    return Verdict(failure, scope=scope, note=crowd(scope))
