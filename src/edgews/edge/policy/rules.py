"""The firewall: ordered rules on the opening handshake and on messages.

Rules run in order. Those that match are given in order as well, and whoever asked acts on them: counts
for `rate_limit`, looks for the token of `require_token`, and stops where one of these says no. `skip`
and the ones that refuse are the last.

A rule that cannot be evaluated for a request counts as matching if it restricts, and as not matching if
it is `log` or `skip`: what a rule was to keep out is not let in by an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgews.headers import Headers

from .actions import Block, Close, Drop, Log, Refusal, Rule, Sender, Skip, Stage
from .cel import EvaluationError, Scope, Value
from .expressions import Compiled, ExpressionError, compile_expression, functions
from .fields import Field, Kind, MessageFacts, UpgradeFacts
from .lists import NO_LISTS, Lists
from .normalize import Target

# Values of a map that rules look through: macros take a time that grows with the square of their number, and
# clients send as many as fit into a request.
MAX_VALUES = 128
# Characters of a value that an explanation shows.
SHOWN = 80
# Fields of which an explanation shows the beginning only, or nothing.
_WITH_QUERY = frozenset({"http.request.uri", "http.referer"})
_SECRET = frozenset({"http.request.uri.query", "message.text"})

_REFUSALS = (Block, Drop, Close)
_LAST = (*_REFUSALS, Skip)
# A rule with one of these opens nothing by not matching.
_HARMLESS = (Log, Skip)


class RuleError(ValueError):
    """A rule that does not compile; `line` and `column` are within its expression, from 1."""

    def __init__(self, rule: Rule, error: ExpressionError) -> None:
        super().__init__(f"rule {rule.name!r}: {error}")
        self.rule = rule
        self.problem = error.problem
        self.line = error.line
        self.column = error.column


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of one rule: whether it counts as matching, and what kept it from being evaluated."""

    rule: Rule
    matched: bool
    error: str | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say, and why.

    Attributes:
        evaluations: the rules that ran, in order; those behind the last one did not.
        values: of the fields that any rule asks for, by their names.
    """

    evaluations: tuple[Evaluation, ...]
    values: dict[str, Value]

    @property
    def matched(self) -> list[Rule]:
        """The rules to act on, in order."""
        return [one.rule for one in self.evaluations if one.matched]

    @property
    def errors(self) -> list[Evaluation]:
        """The rules that could not be evaluated."""
        return [one for one in self.evaluations if one.error is not None]

    @property
    def refusal(self) -> Refusal | None:
        """What the last rule refuses with; None if no rule does."""
        last = self.evaluations[-1:]
        if last and last[0].matched and isinstance(last[0].rule.action, _REFUSALS):
            return last[0].rule.action
        return None

    def explain(self) -> list[str]:
        """Return a line for each rule that ran: what it said, and the values it asked for.

        Of header fields, cookies and arguments only the names are shown, of URIs only what stands in front
        of a query, and of a message its length: the rest may be secret.
        """
        return [self._line(one) for one in self.evaluations]

    def _line(self, one: Evaluation) -> str:
        rule = one.rule
        said = "matches" if one.matched else "does not match"
        if one.error is not None:
            said = f"counts as {'matching' if one.matched else 'not matching'}, for it failed: {one.error}"
        asked = "".join(f"; {field.name} is {_shown(field, self.values)}" for field in one.fields)
        return f"{rule.name} ({rule.word}) {said}{asked}"


def _shown(field: Field, values: dict[str, Value]) -> str:
    value: Any = values[field.name]
    if field.kind is Kind.MAP:
        text = f"a map with {', '.join(sorted(value)) or 'nothing'}"
    elif field.name in _WITH_QUERY:
        path, mark, _ = value.partition("?")
        text = repr(f"{path}?..." if mark else path)
    elif field.name in _SECRET:
        text = f"a text of {len(value)} characters"
    else:
        # As in an expression.
        text = {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


class _Compiled:
    """A rule that is ready to run, and what mostly becomes of it, made once."""

    __slots__ = ("expression", "is_last", "matching", "other", "restricts", "rule")

    def __init__(self, rule: Rule, expression: Compiled) -> None:
        self.rule = rule
        self.expression = expression
        self.restricts = not isinstance(rule.action, _HARMLESS)
        self.is_last = isinstance(rule.action, _LAST)
        self.matching = Evaluation(rule, True, None, expression.fields)
        self.other = Evaluation(rule, False, None, expression.fields)

    def run(self, scope: Scope) -> Evaluation:
        try:
            value = self.expression.evaluate(scope)
        except EvaluationError as failure:
            return self._failed(_named(str(failure), self.expression.fields))
        if value is True:
            return self.matching
        return self.other if value is False else self._failed(f"it is {_kind(value)}, not true or false")

    def _failed(self, error: str) -> Evaluation:
        return Evaluation(self.rule, self.restricts, error, self.expression.fields)


class Ruleset:
    """Rules that are ready to run.

    Raises:
        RuleError: an expression is wrong; the first one in order.
    """

    def __init__(self, rules: Iterable[Rule], lists: Lists = NO_LISTS) -> None:
        self._functions = functions(lists)
        self._stages: dict[Stage, list[_Compiled]] = {stage: [] for stage in Stage}
        for rule in rules:
            self._stages[rule.stage].append(self._compile(rule, lists))
        self._of_upgrade = _wants(self._stages[Stage.UPGRADE])
        messages = self._stages[Stage.MESSAGE]
        self._of_sender = {
            sender: _OfSender([one for one in messages if sender in one.rule.senders]) for sender in Sender
        }

    @property
    def words(self) -> dict[str, str]:
        """The action of each rule in the words of a configuration, by its name."""
        return {one.rule.name: one.rule.word for stage in self._stages.values() for one in stage}

    @property
    def judges_messages(self) -> bool:
        """Whether there are rules for messages; without, nobody needs to look into them."""
        return bool(self.senders)

    @property
    def senders(self) -> frozenset[Sender]:
        """For whose messages there are rules."""
        return frozenset(sender for sender, found in self._of_sender.items() if found.rules)

    def judge(self, facts: UpgradeFacts) -> Outcome:
        """Run the rules on an opening handshake."""
        scope = Scope(self._functions)
        values: dict[str, Value] = {}
        _load(scope, values, self._of_upgrade, facts)
        return _run(self._stages[Stage.UPGRADE], scope, values)

    def for_messages(self, facts: UpgradeFacts) -> MessageRules:
        """Return the rules for the messages of one connection, which began with `facts`."""
        return MessageRules(self, facts)

    def _compile(self, rule: Rule, lists: Lists) -> _Compiled:
        of_message = rule.stage is Stage.MESSAGE
        try:
            compiled = compile_expression(rule.expression, of_message=of_message, lists=lists)
            self._try(compiled, rule)
        except ExpressionError as error:
            raise RuleError(rule, error) from None
        return _Compiled(rule, compiled)

    def _try(self, compiled: Compiled, rule: Rule) -> None:
        """Refuse an expression that gives something else than true or false for an ordinary request."""
        scope = Scope(self._functions)
        for field in compiled.fields:
            _load(
                scope,
                {},
                [_Want(field, None, field.variable)],
                _ORDINARY_MESSAGE if field.of_message else _ORDINARY,
            )
        try:
            value = compiled.evaluate(scope)
        except EvaluationError:
            return
        if not isinstance(value, bool):
            raise ExpressionError(rule.expression, f"this is {_kind(value)}, not true or false", 1, 1)


class _OfSender:
    """The rules for the messages of one sender, and what they ask for."""

    __slots__ = ("asked", "kept", "rules")

    def __init__(self, rules: list[_Compiled]) -> None:
        self.rules = rules
        wants = _wants(rules)
        # What of the request they ask for is found once for all messages.
        self.kept = [want for want in wants if not want.field.of_message]
        self.asked = [want for want in wants if want.field.of_message]


class MessageRules:
    """The rules for messages, and what the request of one connection was."""

    __slots__ = ("_ruleset", "_values", "senders")

    def __init__(self, ruleset: Ruleset, facts: UpgradeFacts) -> None:
        self._ruleset = ruleset
        self.senders = ruleset.senders
        # Of the request nothing is kept but what rules ask for.
        self._values: dict[Sender, dict[str, Value]] = {
            sender: {want.field.name: want.field.read(facts) for want in found.kept}
            for sender, found in ruleset._of_sender.items()
        }

    def judge(self, facts: MessageFacts) -> Outcome:
        """Run the rules on a message."""
        scope = Scope(self._ruleset._functions)
        found, values = self._ruleset._of_sender[facts.sender], dict(self._values[facts.sender])
        for want in found.kept:
            _set(scope, want, values[want.field.name])
        _load(scope, values, found.asked, facts)
        return _run(found.rules, scope, values)


_ORDINARY = UpgradeFacts(
    method="GET",
    target=Target("/"),
    headers=Headers([("Host", "localhost")]),
    client="127.0.0.1",
    secure=True,
    ray_id="ray",
    country="AQ",
    asn=64496,
)
_ORDINARY_MESSAGE = MessageFacts("text", 4, 1, 1.0)


@dataclass(frozen=True, slots=True)
class _Want:
    """A field that rules ask for, and if it is a map, the entries; None for all of them."""

    field: Field
    entries: frozenset[str] | None
    variable: str


def _wants(rules: Sequence[_Compiled]) -> list[_Want]:
    uses: dict[Field, list[frozenset[str] | None]] = {}
    for one in rules:
        for field in one.expression.fields:
            uses.setdefault(field, []).append(one.expression.entries.get(field))
    return [
        _Want(field, None if None in entries else frozenset().union(*filter(None, entries)), field.variable)
        for field, entries in uses.items()
    ]


def _load(scope: Scope, values: dict[str, Value], wants: Iterable[_Want], facts: Any) -> None:
    for want in wants:
        value = values[want.field.name] = want.field.read(facts)
        _set(scope, want, value)


def _set(scope: Scope, want: _Want, value: Any) -> None:
    if want.entries is not None:
        # To hand over a map costs more than all rules together, so only what somebody asks for.
        value = {name: value[name] for name in want.entries if name in value}
    if want.field.kind is Kind.MAP and sum(map(len, value.values())) > MAX_VALUES:
        # It has no value, so whoever asks for it fails.
        return
    try:
        scope.set(want.variable, value)
    except EvaluationError:
        # Likewise: it is no Unicode.
        return


def _run(rules: Sequence[_Compiled], scope: Scope, values: dict[str, Value]) -> Outcome:
    evaluations: list[Evaluation] = []
    for one in rules:
        evaluation = one.run(scope)
        evaluations.append(evaluation)
        if evaluation.matched and one.is_last:
            break
    return Outcome(tuple(evaluations), values)


def _named(error: str, fields: Iterable[Field]) -> str:
    """Return what an error says, of a variable that has no value by the name of its field."""
    found = [field.name for field in fields if f"'{field.variable}'" in error]
    return f"{found[0]} has no value that rules can look at" if found else error


def _kind(value: object) -> str:
    return "null" if value is None else f"a value of the type {type(value).__name__}"
