"""Expressions over fields: checked as a whole when they are read, so that few can fail later.

An expression is CEL, with names of fields for variables, and `in $name` for lists. The evaluator knows
neither, so names become variables of the same length (columns stay what they were), and
`x in $name` becomes a call. All fields, functions, lists, patterns and networks are looked up first.

https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from .cel import Expression, Function, Scope, SyntaxFault, Value, pattern
from .fields import FIELDS, Field, Kind
from .lists import NO_LISTS, Lists, Networks, cached_address

_TOKENS = re.compile(
    r"""
    (?P<space> (?: \s | //[^\n]* )+ )
  | (?P<string> (?: [rR][bB]? | [bB][rR] ) (?: \"{3} .*? \"{3} | '{3} .*? '{3} | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: \"{3} (?: [^\\] | \\. )*? \"{3} | '{3} (?: [^\\] | \\. )*? '{3}
                | " (?: [^"\\\n] | \\. )* " | ' (?: [^'\\\n] | \\. )* ' ) )
  | (?P<number> 0x[0-9a-fA-F]+u? | [0-9]+ (?: \.[0-9]+ )? (?: [eE][+-]?[0-9]+ )? u? )
  | (?P<list> \$ [A-Za-z_][A-Za-z0-9_]* )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<sign> && | \|\| | [<>=!]= | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true", "false", "null", "in"}
_OPENING = {")": "(", "]": "[", "}": "{"}
# What may stand in front of the left side of `in $name`, so that nothing but that side is asked about.
_BEFORE_IN = {"(", "[", ",", "&&", "||", "?", ":"}
# So deep may macros stand in each other: what is done for each pair of values takes long enough.
MAX_DEPTH = 2
# They name a variable of their own.
_MACROS = {"all", "exists", "exists_one", "filter", "map"}
_METHODS = {"contains", "endsWith", "matches", "size", "startsWith", "values"} | _MACROS
_FUNCTIONS = {"cidr", "double", "has", "int", "lower", "size", "string"}
# The evaluator's own cannot be replaced, so ours has another name, of the same length.
_MATCHES = "re2find"
# How others write it, Cloudflare's own language among them.
_SPELLED = {"=": "==", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SPELLED |= {"and": "&&", "or": "||", "&": "&&", "|": "||"}
_SPELLED |= {"contains": ".contains(...)", "matches": ".matches(...)"}
_WORD = re.compile(r"[a-z]+|[=&|]")
_ROOTS = {name.partition(".")[0] for name in FIELDS}
_VARIABLES = {field.variable: field for field in FIELDS.values()}


class ExpressionError(ValueError):
    """An expression that is wrong; `line` and `column` count from 1."""

    def __init__(self, source: str, problem: str, line: int, column: int) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        text = (source.splitlines() or [""])[line - 1 : line]
        shown = f"\n  {text[0]}\n  {' ' * (column - 1)}^" if text else ""
        super().__init__(f"line {line}, column {column}: {problem}{shown}")


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that may be evaluated in a scope with its fields and the functions.

    `entries` are the only ones that it asks for in a map; a map that it looks at as a whole is not in it.
    """

    source: str
    fields: tuple[Field, ...]
    entries: Mapping[Field, frozenset[str]]
    expression: Expression

    def evaluate(self, scope: Scope) -> Any:
        """Return the value.

        Raises:
            EvaluationError: there is none.
        """
        return self.expression.evaluate(scope)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def compile_expression(source: str, *, of_message: bool = False, lists: Lists = NO_LISTS) -> Compiled:
    """Read an expression; `of_message` lets it ask about messages.

    Raises:
        ExpressionError: it is not CEL, or asks for a field, function or list that is not there.
    """
    try:
        # Length for length, for the sake of the column.
        Expression(re.sub(r"\$(?=[A-Za-z_])", "_", source))
    except SyntaxFault as fault:
        raise _not_cel(source, fault) from None
    reader = _Reader(source, of_message, lists)
    reader.read()
    try:
        expression = Expression(reader.rewritten())
    except SyntaxFault as fault:
        raise ExpressionError(source, fault.problem, 1, 1) from None
    known = {field.variable for field in reader.fields} | reader.bound
    if unknown := expression.names - known:
        raise ExpressionError(source, f"unknown: {', '.join(sorted(unknown))}", 1, 1)
    entries = {
        field: frozenset(name for name in names if name is not None)
        for field, names in reader.fields.items()
        if field.kind is Kind.MAP and None not in names
    }
    return Compiled(source, tuple(reader.fields), entries, expression)


def _not_cel(source: str, fault: SyntaxFault) -> ExpressionError:
    """Return the error, with what was meant where others spell it so."""
    line = source.split("\n")[fault.line - 1 : fault.line]
    word = _WORD.match(line[0], fault.column - 1) if line else None
    meant = _SPELLED.get(word[0]) if word else None
    hint = "" if meant is None else f", is it {meant}?"
    return ExpressionError(source, fault.problem + hint, fault.line, fault.column)


class _Reader:
    """One pass over the tokens of an expression whose syntax is known to be right."""

    def __init__(self, source: str, of_message: bool, lists: Lists) -> None:
        self.source = source
        self.of_message = of_message
        self.lists = lists
        # With the entries that each use of a map asks for, None for all.
        self.fields: dict[Field, set[str | None]] = {}
        self.bound: set[str] = set()
        self.changes: list[tuple[int, int, str]] = []
        self.tokens = [
            _Token(match.lastgroup or "", match[0], match.start(), match.end())
            for match in _TOKENS.finditer(source)
            if match.lastgroup != "space"
        ]
        self.pairs = _pairs(self.tokens)
        # Variables of macros, and the token where each ends.
        self.scopes: list[tuple[str, int]] = []

    def fail(self, at: int, problem: str) -> ExpressionError:
        start = self.tokens[at].start
        before = self.source[:start]
        return ExpressionError(self.source, problem, before.count("\n") + 1, start - before.rfind("\n"))

    def text(self, at: int) -> str:
        """Return the text of a token; empty before the first and behind the last."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def kind(self, at: int) -> str:
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else ""

    def rewritten(self) -> str:
        pieces: list[str] = []
        at = 0
        for start, end, text in sorted(self.changes):
            pieces += [self.source[at:start], text]
            at = end
        return "".join([*pieces, self.source[at:]])

    def read(self) -> None:
        at = 0
        while at < len(self.tokens):
            self.scopes = [scope for scope in self.scopes if scope[1] > at]
            kind = self.kind(at)
            if kind == "list":
                self.read_list(at)
            elif kind == "name" and self.text(at) not in _WORDS:
                at = self.read_name(at)
                continue
            at += 1

    def read_name(self, at: int) -> int:
        """Read what begins with a name; return the token to go on with."""
        name = self.text(at)
        if self.text(at - 1) == ".":
            return self.read_method(at) if self.text(at + 1) == "(" else at + 1
        if self.text(at + 1) == "(":
            self.read_function(at)
            return at + 1
        if any(name == variable for variable, _ in self.scopes):
            return at + 1
        return self.read_field(at)

    def read_field(self, at: int) -> int:
        names = [self.text(at)]
        while self.text(at + 2 * len(names) - 1) == "." and self.text(at + 2 * len(names) + 1) != "(":
            names.append(self.text(at + 2 * len(names)))
        whole = ".".join(names)
        field = next(
            (
                FIELDS[name]
                for count in range(len(names), 0, -1)
                if (name := ".".join(names[:count])) in FIELDS
            ),
            None,
        )
        if field is None or (field.name != whole and field.kind is not Kind.MAP):
            near = get_close_matches(whole, FIELDS, 1)
            raise self.fail(at, f"there is no field {whole}" + "".join(f", is it {name}?" for name in near))
        if field.of_message and not self.of_message:
            raise self.fail(at, f"{field.name} is known of messages only")
        if field.name == whole and self.text(at - 1) == "(" and self.text(at - 2) == "has":
            raise self.fail(at, "has() asks whether a map has a name, as in has(http.request.cookies.name)")
        last = at + 2 * field.name.count(".")
        self.fields.setdefault(field, set()).add(self.entry(at, last))
        self.changes.append((self.tokens[at].start, self.tokens[last].end, field.variable))
        return last + 1

    def entry(self, first: int, last: int) -> str | None:
        """Return the only entry that a use of a map asks for, None if it asks for more."""
        following = [self.text(last + step) for step in range(1, 5)]
        if following[0] == "." and self.text(last + 3) != "(":
            return following[1]
        at = None
        if self.text(first - 1) == "in" and following[0] not in (".", "["):
            # Nothing binds a text to what stands before it but an operator, and those give no text.
            at = first - 2 if self.text(first - 3) in ("", *_BEFORE_IN) else None
        elif following[0] == "[" and following[2] == "]":
            at = last + 2
        elif following[:3] == [".", "values", "("] and self.text(last + 5) == ")":
            at = last + 4
        value = _literal(self.text(at)) if at is not None and self.kind(at) == "string" else None
        return value if isinstance(value, str) else None

    def read_function(self, at: int) -> None:
        name = self.text(at)
        if name not in _FUNCTIONS:
            raise self.fail(at, _unknown("function", name, _FUNCTIONS))
        if name == "cidr":
            for inner in range(at + 2, self.pairs[at + 1]):
                if self.kind(inner) == "string":
                    try:
                        ip_network(str(_literal(self.text(inner))))
                    except ValueError as error:
                        raise self.fail(inner, str(error)) from None

    def read_method(self, at: int) -> int:
        name = self.text(at)
        if name not in _METHODS:
            raise self.fail(at, _unknown("method", name, _METHODS))
        # To call `values` the whole map is handed over, which takes as long as to look through it.
        if len(self.scopes) >= MAX_DEPTH and name in {*_MACROS, "values"}:
            many = ", ".join(sorted(_MACROS))
            raise self.fail(at, f"{name} stands too deep, in more than one of {many}")
        if name in _MACROS:
            variable = self.text(at + 2)
            if variable in _VARIABLES or variable in _ROOTS or variable.startswith("_"):
                raise self.fail(at + 2, f"{variable} cannot be the name of a variable")
            self.bound.add(variable)
            self.scopes.append((variable, self.pairs[at + 1]))
            return at + 3
        if name == "matches":
            literal = self.kind(at + 2) == "string" and self.text(at + 3) == ")"
            value = _literal(self.text(at + 2)) if literal else None
            if not isinstance(value, str):
                raise self.fail(at + 2, "matches() takes a pattern in quotes, known beforehand")
            try:
                pattern(value)
            except ValueError as error:
                raise self.fail(at + 2, f"this is no pattern: {error}") from None
            self.changes.append((self.tokens[at].start, self.tokens[at].end, _MATCHES))
        return at + 1

    def read_list(self, at: int) -> None:
        name = self.text(at)[1:]
        if self.text(at - 1) != "in":
            raise self.fail(at, f"a list stands behind `in`, as in ip.src in ${name}")
        if name not in self.lists:
            raise self.fail(at, _unknown("list", name, self.lists))
        before = self.text(self.begin_of_operand(at - 2) - 1)
        if before and before not in _BEFORE_IN:
            raise self.fail(
                at - 1, "put parentheses around `... in $list`, or around what stands before `in`"
            )
        self.changes.append((self.tokens[at - 1].start, self.tokens[at].end, f'.among("{name}")'))

    def begin_of_operand(self, at: int) -> int:
        """Return the first token of what `.` would apply to, given its last."""
        while True:
            if self.text(at) in _OPENING:
                at = self.pairs[at]
                called = self.kind(at - 1) == "name" and self.text(at - 1) not in _WORDS
                indexed = self.text(at) == "[" and (
                    self.text(at - 1) in _OPENING or self.kind(at - 1) == "string"
                )
                if called or indexed:
                    at -= 1
                    continue
            if self.kind(at) == "name" and self.text(at - 1) == ".":
                at -= 2
                continue
            return at


def _pairs(tokens: Iterable[_Token]) -> dict[int, int]:
    """Return where each bracket has its other one."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in _OPENING.values():
            stack.append(at)
        elif token.text in _OPENING:
            opening = stack.pop()
            found[opening], found[at] = at, opening
    return found


def _literal(text: str) -> Any:
    return Expression(text).evaluate(Scope({}))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"there is no {what} {name}" + "".join(f", is it {one}?" for one in near)


# What expressions call. A value of the wrong kind has no answer: null, which is an error wherever an
# answer is needed.


@lru_cache(maxsize=1024)
def _pattern(text: str) -> Callable[[str], bool]:
    return pattern(text)


def _find(subject: object = None, text: str = "") -> Value:
    return _pattern(text)(subject) if isinstance(subject, str) else None


@lru_cache(maxsize=1024)
def _networks(texts: tuple[str, ...]) -> Networks | None:
    try:
        return Networks(texts)
    except ValueError:
        return None


def _cidr(address: object = None, *texts: object) -> Value:
    """Say whether an address is in one of the networks; null is in none."""
    flat = [one for text in texts for one in (text if isinstance(text, list) else [text])]
    if not flat or not all(isinstance(text, str) for text in flat):
        return None
    networks = _networks(tuple(flat))
    if networks is None:
        return None
    if address is None:
        return False
    parsed = cached_address(address) if isinstance(address, str) else None
    return None if parsed is None else parsed in networks


def _lower(text: object = None) -> Value:
    return text.lower() if isinstance(text, str) else None


def _values(entries: object = None, name: object = None) -> Value:
    """Return the values under a name; none if it is not there."""
    return entries.get(name, []) if isinstance(entries, dict) else None


def functions(lists: Lists) -> dict[str, Function]:
    """Return the functions that expressions with these lists call."""

    def among(value: object = None, name: str = "") -> Value:
        if value is None:
            return False
        return value in lists[name] if isinstance(value, str) else None

    return {"among": among, "cidr": _cidr, "lower": _lower, _MATCHES: _find, "values": _values}
