"""The evaluator of expressions, and all that is known of it here: the package common-expression-language.

It raises whatever suits it, down to a panic of Rust, which is no `Exception`. What leaves this module
is `SyntaxFault` or `EvaluationError`. Regular expressions are re2's: CEL asks for its syntax, it takes
linear time whatever a client sends, and it is compiled once, which the evaluator's own is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import re2
from cel import Context, compile

Value: TypeAlias = "str | int | float | bool | bytes | Sequence[Value] | Mapping[str, Value] | None"
Function: TypeAlias = "Callable[..., Value]"

# Longer ones are nested deep enough, if they like, to end the process.
MAX_EXPRESSION = 4096

_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
# What a parser says, in the words of its own grammar.
_UNEXPECTED = re.compile(
    r"(?:(?:mismatched|extraneous) input|no viable alternative at input|token recognition error at:) "
    r"'(.*?)'?(?: expecting .*)?"
)
_END = "<EOF>"


class SyntaxFault(ValueError):
    """An expression that cannot be read; `line` and `column` count characters from 1."""

    def __init__(self, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


class EvaluationError(Exception):
    """An expression that has no value for what it was asked."""


class Scope:
    """Values of variables, and functions, for any number of expressions."""

    __slots__ = ("_context",)

    def __init__(self, functions: Mapping[str, Function]) -> None:
        # Functions say None where they have no answer: an exception would be written to the log.
        self._context = Context(None, dict(functions))

    def set(self, name: str, value: Value) -> None:
        """Give a variable its value.

        Raises:
            EvaluationError: the evaluator cannot take the value; the variable keeps the one it had.
        """
        try:
            self._context.add_variable(name, value)
        except BaseException as error:
            raise _translated(error) from None


class Expression:
    """A compiled expression.

    Raises:
        SyntaxFault: it is none.
    """

    __slots__ = ("_program",)

    def __init__(self, source: str) -> None:
        if len(source) > MAX_EXPRESSION:
            raise SyntaxFault(f"the expression is longer than {MAX_EXPRESSION} characters")
        try:
            self._program = compile(source)
        except BaseException as error:
            problem = str(_translated(error))
            if match := _FAULT.search(problem):
                raise SyntaxFault(_plain(match[3]), int(match[1]), int(match[2])) from None
            raise SyntaxFault(problem) from None

    @property
    def names(self) -> set[str]:
        """Every variable in it, also those of its own macros."""
        return set(self._program.variables())

    def evaluate(self, scope: Scope) -> Any:
        """Return the value.

        Raises:
            EvaluationError: there is none.
        """
        try:
            return self._program.execute(scope._context)
        except BaseException as error:
            raise _translated(error) from None


def _plain(problem: str) -> str:
    """Return what a parser says in words for whoever has written the expression."""
    if "Recursion limit" in problem:
        return "it is nested too deep"
    found = _UNEXPECTED.fullmatch(problem)
    if found is None:
        return problem.replace(f"'{_END}'", "the end")
    if found[1] == _END:
        return "it ends too early"
    if found[1][:1] in ("'", '"'):
        return "a text that does not end"
    return f"unexpected {found[1].strip()}"


def pattern(text: str) -> Callable[[str], bool]:
    """Return a function that says whether a text has a match of the pattern.

    Raises:
        ValueError: it is no pattern.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode() if isinstance(reason, bytes) else reason) from None
    return lambda subject: compiled.search(subject) is not None


def _translated(error: BaseException) -> EvaluationError:
    """Return what an error of the evaluator says; one of the interpreter goes on its way."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    if isinstance(error, KeyError):
        return EvaluationError(f"there is no key {error.args[0]!r}")
    # The first sentence; the others are advice for another place.
    return EvaluationError(str(error).partition(". ")[0])
