"""The firewall: rules in order, against a plain walk over what each of them says alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.actions import (
    ACTIONS,
    Action,
    Block,
    Close,
    Drop,
    Log,
    RateLimit,
    RequireToken,
    Rule,
    Sender,
    Skip,
    Stage,
)
from edgews.edge.policy.cel import EvaluationError, Scope
from edgews.edge.policy.expressions import compile_expression, functions
from edgews.edge.policy.fields import FIELDS, MessageFacts, UpgradeFacts
from edgews.edge.policy.lists import NetworkList, Networks
from edgews.edge.policy.normalize import normalize
from edgews.edge.policy.rules import MAX_VALUES, SHOWN, RuleError, Ruleset
from edgews.headers import Headers

pytestmark = pytest.mark.edge

LISTS = {"office": NetworkList(Networks(["192.0.2.0/24"]))}
ON_UPGRADE: list[Action] = [Block(), Block(451, "no"), Log(), Skip(), RateLimit("slow"), RequireToken()]
ON_MESSAGE: list[Action] = [Close(), Close(4000, "no"), Drop(), Log(), Skip(), RateLimit("slow")]
# True, false, and what cannot be evaluated, for the requests below.
EXPRESSIONS = (
    "ssl",
    "ip.src in $office",
    "http.host == 'a'",
    "http.request.uri.path.startsWith('/admin')",
    "http.request.headers['x-key'] == ['k']",
    "ip.src.asnum > 5",
    "http.host in http.request.headers['x-key']",
    "ip.src.country in ['DE']",
    "has(http.request.headers.host) && http.request.headers.values('x-key').size() == 0",
    "http.request.headers.exists(name, name == 'x-key')",
)
OF_MESSAGES = (
    "message.size > 3",
    "message.text.contains('a')",
    "connection.messages > 2",
    "message.type == 'binary'",
)

requests = st.builds(
    UpgradeFacts,
    method=st.just("GET"),
    target=st.sampled_from([normalize("/admin/x"), normalize("/?q")]),
    headers=st.lists(st.sampled_from([("Host", "a"), ("Host", "b"), ("X-Key", "k")]), max_size=3).map(
        Headers
    ),
    client=st.sampled_from([None, "192.0.2.1", "198.51.100.1"]),
    secure=st.booleans(),
    ray_id=st.just("ray"),
    country=st.sampled_from([None, "DE"]),
    asn=st.sampled_from([None, 3, 7]),
)
# The evaluator does not take a lone surrogate: what asks for this text fails.
messages = st.builds(
    MessageFacts,
    data=st.sampled_from(["", "abc", b"abcd", "\ud800"]),
    size=st.integers(0, 5),
    messages=st.integers(1, 4),
    age=st.just(1.0),
    sender=st.sampled_from(Sender),
)
PLAIN = UpgradeFacts(
    "GET", normalize("/x?a=1"), Headers([("Host", "h"), ("Cookie", "id=secret")]), None, False, "r"
)


def rules(stage: Stage) -> st.SearchStrategy[list[Rule]]:
    of_message = stage is Stage.MESSAGE
    expressions = st.sampled_from(EXPRESSIONS + OF_MESSAGES if of_message else EXPRESSIONS)
    action = st.sampled_from(ON_MESSAGE if of_message else ON_UPGRADE)
    return st.lists(
        st.builds(
            Rule,
            name=st.text(),
            expression=expressions,
            action=action,
            stage=st.just(stage),
            senders=st.sampled_from([(Sender.CLIENT,), (Sender.ORIGIN,), tuple(Sender)]),
        )
    )


def alone(rule: Rule, request: UpgradeFacts, message: MessageFacts | None) -> object:
    """Return what the expression of a rule says by itself, None for an error."""
    compiled = compile_expression(rule.expression, of_message=message is not None, lists=LISTS)
    scope = Scope(functions(LISTS))
    try:
        for field in compiled.fields:
            scope.set(field.variable, field.read(message if field.of_message else request))
        return compiled.evaluate(scope)
    except EvaluationError:
        return None


def walk(
    rules: list[Rule], request: UpgradeFacts, message: MessageFacts | None
) -> list[tuple[Rule, bool, bool]]:
    """Return each rule that runs, whether it counts as matching, and whether it failed."""
    found = []
    for rule in rules:
        said = alone(rule, request, message)
        failed = said is None
        matched = said is True or (failed and not isinstance(rule.action, Log | Skip))
        found.append((rule, matched, failed))
        if matched and isinstance(rule.action, Block | Drop | Close | Skip):
            break
    return found


@given(rules(Stage.UPGRADE), rules(Stage.MESSAGE), requests, st.lists(messages, max_size=3))
def test_rules_run_in_order_until_the_last(
    upgrade: list[Rule], message: list[Rule], request: UpgradeFacts, messages: list[MessageFacts]
) -> None:
    ruleset = Ruleset([*message, *upgrade], LISTS)
    assert ruleset.judges_messages is bool(message)
    assert ruleset.words == {rule.name: rule.word for rule in (*upgrade, *message)}
    outcomes = [(ruleset.judge(request), walk(upgrade, request, None))]
    judge = ruleset.for_messages(request).judge
    for facts in messages:
        heard = [rule for rule in message if facts.sender in rule.senders]
        outcomes.append((judge(facts), walk(heard, request, facts)))
    assert ruleset.senders == {sender for rule in message for sender in rule.senders}
    for outcome, wanted in outcomes:
        assert [(one.rule, one.matched, one.error is not None) for one in outcome.evaluations] == wanted
        assert outcome.matched == [rule for rule, matched, _ in wanted if matched]
        assert [one.rule for one in outcome.errors] == [rule for rule, _, failed in wanted if failed]
        last = outcome.matched[-1].action if outcome.matched else None
        assert outcome.refusal == (last if isinstance(last, Block | Drop | Close) else None)
        assert len(outcome.explain()) == len(wanted)


@pytest.mark.parametrize("action", ON_UPGRADE, ids=repr)
@pytest.mark.parametrize(
    "expression",
    [
        "ip.src.asnum > 5",
        "http.request.headers['x'] == ['a']",
        "lower(ip.src) == 'a' || lower(ip.src)",
        "ssl ? true : http.host",
        "ssl || null",
    ],
)
def test_an_error_lets_nothing_in(action: Action, expression: str) -> None:
    outcome = Ruleset([Rule("r", expression, action)]).judge(PLAIN)
    (one,) = outcome.evaluations
    assert one.error
    restricts = not isinstance(action, Log | Skip)
    assert one.matched is restricts
    assert outcome.matched == ([one.rule] if restricts else [])
    (line,) = outcome.explain()
    assert f"counts as {'matching' if restricts else 'not matching'}, for it failed: {one.error}" in line


@given(
    st.sampled_from(["args", "headers", "cookies"]),
    st.lists(st.integers(1, 60) | st.just(MAX_VALUES + 1), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_rule_looks_through_more_values_than_it_can_in_time(
    where: str, counts: list[int], whole: bool
) -> None:
    """However they are spread over names; and where it looks at one name only, only those of it count."""
    pairs = [(f"n{at}", "v") for at, count in enumerate(counts) for _ in range(count)]
    facts = UpgradeFacts(
        method="GET",
        target=normalize("/?" + "&".join(f"{name}={value}" for name, value in pairs)),
        headers=Headers(
            [("Cookie", f"{name}={value}") for name, value in pairs] if where == "cookies" else pairs
        ),
        client=None,
        secure=True,
        ray_id="r",
    )
    field = f"http.request.{'uri.' if where == 'args' else ''}{where}"
    expression = f"{field}.all(name, name == '')" if whole else f"{field}['n0'] == []"
    (one,) = Ruleset([Rule("r", expression, Block())]).judge(facts).evaluations
    if sum(counts if whole else counts[:1]) > MAX_VALUES:
        assert (one.matched, one.error) == (True, f"{field} has no value that rules can look at")
    else:
        assert (one.matched, one.error) == (False, None)


def test_an_error_in_a_message_lets_no_later_message_in() -> None:
    rules = [Rule("r", "message.text == 'bad'", Drop(), Stage.MESSAGE)]
    judge = Ruleset(rules).for_messages(PLAIN).judge
    assert judge(MessageFacts("good", 4, 1, 0)).refusal is None
    assert judge(MessageFacts("\ud800", 3, 2, 0)).refusal == Drop()
    assert judge(MessageFacts("bad", 3, 3, 0)).refusal == Drop()


def test_an_explanation_says_what_and_why_and_no_secret() -> None:
    rules = [
        Rule("home", "ip.src in $office", Skip()),
        Rule("cookie", "has(http.request.cookies.id) && http.host == 'h'", Log()),
        Rule("args", "has(http.request.headers.nothing) || ssl", Log()),
        Rule("path", "http.request.uri.path == '/x' && http.request.uri.args['a'][0] == '1'", Block()),
        Rule("never", "ssl", Block()),
    ]
    assert Ruleset(rules, LISTS).judge(PLAIN).explain() == [
        "home (skip) does not match; ip.src is null",
        "cookie (log) matches; http.request.cookies is a map with id; http.host is 'h'",
        "args (log) does not match; http.request.headers is a map with cookie, host; ssl is false",
        "path (block) matches; http.request.uri.path is '/x'; http.request.uri.args is a map with a",
    ]


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("http.request.uri", "'/x?...'"),
        ("http.request.uri.query", "a text of 13 characters"),
        ("http.referer", "'https://a/?...'"),
        ("http.origin", "'https://a'"),
        ("message.text", "a text of 6 characters"),
    ],
)
def test_what_may_be_secret_is_not_shown(field: str, shown: str) -> None:
    facts = UpgradeFacts(
        "GET",
        normalize("/x?token=secret1"),
        Headers([("Referer", "https://a/?secret"), ("Origin", "https://a")]),
        None,
        False,
        "r",
    )
    stage = Stage.MESSAGE if field.startswith("message") else Stage.UPGRADE
    ruleset = Ruleset([Rule("r", f"{field} != ''", Log(), stage)])
    if stage is Stage.UPGRADE:
        outcome = ruleset.judge(facts)
    else:
        outcome = ruleset.for_messages(facts).judge(MessageFacts("secret", 6, 1, 0.0))
    assert outcome.explain() == [f"r (log) matches; {field} is {shown}"]
    plain = UpgradeFacts("GET", normalize("/x"), Headers(), None, False, "r")
    if field == "http.request.uri":
        assert ruleset.judge(plain).explain() == ["r (log) matches; http.request.uri is '/x'"]


def test_an_explanation_is_short() -> None:
    facts = UpgradeFacts("GET", normalize("/" + "x" * 5000), Headers(), None, False, "r")
    (line,) = Ruleset([Rule("r", "http.request.uri.path == ''", Log())]).judge(facts).explain()
    assert len(line) < SHOWN + 60
    assert line.endswith("xxx...")


def test_without_rules_everything_passes() -> None:
    outcome = Ruleset([]).judge(PLAIN)
    assert (outcome.matched, outcome.errors, outcome.refusal, outcome.explain()) == ([], [], None, [])
    assert not Ruleset([]).judges_messages
    assert Ruleset([]).words == {}


@pytest.mark.parametrize(
    ("expression", "stage", "line", "column", "says"),
    [
        ("ssl &&\n http.none", Stage.UPGRADE, 2, 2, "no field http.none"),
        ("message.size > 5", Stage.UPGRADE, 1, 1, "known of messages only"),
        ("http.host", Stage.UPGRADE, 1, 1, "a value of the type str, not true or false"),
        ("message.size", Stage.MESSAGE, 1, 1, "a value of the type int, not true or false"),
        ("cidr(ip.src)", Stage.UPGRADE, 1, 1, "null, not true or false"),
    ],
)
def test_a_rule_that_does_not_compile(
    expression: str, stage: Stage, line: int, column: int, says: str
) -> None:
    action = Log()
    good = Rule("good", "ssl", action)
    with pytest.raises(RuleError, match=f"rule 'bad': line {line}, column {column}: ") as caught:
        Ruleset([good, Rule("bad", expression, action, stage)])
    assert says in caught.value.problem
    assert (caught.value.line, caught.value.column, caught.value.rule.name) == (line, column, "bad")


@pytest.mark.parametrize(
    ("action", "stage", "says"),
    [
        (Drop(), Stage.UPGRADE, "drop is no action for the stage upgrade"),
        (Close(), Stage.UPGRADE, "close is no action for the stage upgrade"),
        (Block(), Stage.MESSAGE, "block is no action for the stage message"),
        (RequireToken(), Stage.MESSAGE, "require_token is no action for the stage message"),
        (Block(200), Stage.UPGRADE, "status from 400 to 599, not 200"),
        (Block(600), Stage.UPGRADE, "status from 400 to 599, not 600"),
        (Close(1006), Stage.MESSAGE, "close code 1006 may not be sent"),
        (Close(1008, "é" * 62), Stage.MESSAGE, "at most 123 bytes"),
    ],
)
def test_an_action_that_cannot_be_done(action: Action, stage: Stage, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rule("r", "true", action, stage)


def test_actions_have_words() -> None:
    assert {Rule("r", "ssl", action).word for action in ON_UPGRADE} | {
        Rule("r", "ssl", action, Stage.MESSAGE).word for action in ON_MESSAGE
    } == set(ACTIONS)


def test_only_what_is_asked_for_is_looked_up() -> None:
    outcome = Ruleset([Rule("r", "ssl && http.host == ''", Log())]).judge(PLAIN)
    assert outcome.values == {"ssl": False, "http.host": "h"}
    assert set(outcome.values) <= set(FIELDS)
