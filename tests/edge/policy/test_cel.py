"""The evaluator through its one door: values out, two kinds of errors, and nothing else."""

from __future__ import annotations

import logging
import math
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.cel import MAX_EXPRESSION, EvaluationError, Expression, Scope, SyntaxFault, pattern

pytestmark = pytest.mark.edge

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def scope(**variables: object) -> Scope:
    made = Scope({})
    for name, value in variables.items():
        made.set(name, value)  # type: ignore[arg-type]
    return made


@given(values)
def test_values_come_back_as_they_went(value: object) -> None:
    assert Expression("x").evaluate(scope(x=value)) == value


@given(st.text(max_size=30) | st.text("ab.()[]{}\"'+!&|?:,0\\ $\n", max_size=30))
def test_any_text_has_a_value_or_one_of_two_errors(text: str) -> None:
    with suppress(SyntaxFault, EvaluationError):
        Expression(text).evaluate(scope(a=1, b="x"))


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("a in", 1, 5), ("a == $", 1, 6), ("é", 1, 1), ("a &&\n  ]", 2, 3), ("", 1, 1), ("a.?b", 1, 2)],
)
def test_a_fault_has_a_place(source: str, line: int, column: int) -> None:
    with pytest.raises(SyntaxFault) as caught:
        Expression(source)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "<input>" not in caught.value.problem


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "it ends too early"),
        ("a &&", "it ends too early"),
        ("a and b", "unexpected and"),
        ("not a", "unexpected a"),
        ("a = b", "unexpected ="),
        ("a | b", "unexpected |"),
        ("a |\nb", "unexpected |"),
        ("(a", "missing ')' at the end"),
        ("a == 'b", "a text that does not end"),
        ('a == "b\n"', "a text that does not end"),
        ("a.?b", "unsupported syntax '.?'"),
        ("[" * 100, "it is nested too deep"),
    ],
)
def test_a_fault_is_told_in_plain_words(source: str, says: str) -> None:
    with pytest.raises(SyntaxFault) as caught:
        Expression(source)
    assert caught.value.problem == says


def test_what_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(SyntaxFault, match="longer"):
        Expression(" " * MAX_EXPRESSION + "1")
    with pytest.raises(SyntaxFault):
        Expression("(" * 2000 + "1" + ")" * 2000)
    longest = "1" + "+1" * (MAX_EXPRESSION // 2 - 1)
    assert Expression(longest).evaluate(scope()) == MAX_EXPRESSION // 2


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("unknown", "unknown"),
        ("m.none", "no key 'none'"),
        ("1 / 0", "division"),
        ("n > 5", "overload"),
        ("9223372036854775807 + 1", "overflow"),
        ("boom()", "boom"),
    ],
)
def test_what_has_no_value_says_why(source: str, says: str, caplog: pytest.LogCaptureFixture) -> None:
    made = Scope({"boom": lambda: math.sqrt(-1)})
    made.set("m", {})
    made.set("n", None)
    with caplog.at_level(logging.CRITICAL), pytest.raises(EvaluationError, match=f"(?i){says}"):
        Expression(source).evaluate(made)


def test_values_that_the_evaluator_does_not_know() -> None:
    made = scope(x="before")
    for value in (object(), "\ud800"):
        with pytest.raises(EvaluationError):
            made.set("x", value)  # type: ignore[arg-type]
    assert Expression("x").evaluate(made) == "before"


class Panic(BaseException):
    """As the evaluator raises when it finds a bug in itself."""


class Failing:
    """A program that fails in a way that no expression can be made to."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def execute(self, context: object) -> None:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_meant_for_the_interpreter_goes_there(error: type[BaseException]) -> None:
    expression = Expression("1")
    expression._program = Failing(error)  # type: ignore[assignment]
    with pytest.raises(error):
        expression.evaluate(scope())


def test_a_panic_is_an_error_like_others() -> None:
    expression = Expression("1")
    expression._program = Failing(Panic)  # type: ignore[assignment]
    with pytest.raises(EvaluationError):
        expression.evaluate(scope())


def test_a_text_that_is_no_unicode_is_no_expression() -> None:
    with pytest.raises(SyntaxFault) as caught:
        Expression("'\ud800'")
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_an_expression_knows_its_names() -> None:
    assert Expression("a.b == c && [1].exists(x, x > d)").names == {"a", "c", "d", "x"}


@given(st.text("ab01.", max_size=12))
def test_patterns_are_those_of_the_standard_library(subject: str) -> None:
    for text in ("^a", "b$", "[01]+\\.", "(?i)AB", "a|^$"):
        assert pattern(text)(subject) is (re.search(text, subject) is not None)


def test_what_is_no_pattern(capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("(a", "(?=a)", "a**", "\\1"):
        with pytest.raises(ValueError, match=r"\w"):
            pattern(text)
    assert capfd.readouterr() == ("", "")


def test_no_pattern_takes_long() -> None:
    """One that takes others as many steps as there are atoms in the universe."""
    assert not pattern("^(a+)+$")("a" * 100_000 + "b")
