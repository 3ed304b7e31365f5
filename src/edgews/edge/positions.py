"""In which line of a TOML document a key stands. The document is known to be valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

# What can hide brackets, equals signs and line ends: strings and comments.
_OPAQUE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
_PART = re.compile(r"""\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.|$)""")


def line_of(text: str, path: Path) -> int:
    """Return the line, counted from 1, of a key or of the table that comes nearest to it.

    A value within an array or an inline table has the line of the key in front of it.
    """
    best, length = 1, 0
    for line, found in _keys(text):
        if found == path:
            return line
        shared = 0
        while shared < min(len(found), len(path)) and found[shared] == path[shared]:
            shared += 1
        # What only has a beginning in common is no place for it.
        if shared == len(found) and shared > length:
            best, length = line, shared
    return best


def _keys(text: str) -> Iterator[tuple[int, Path]]:
    """Yield line and path of each header of a table and of each key outside of values."""
    table: Path = ()
    counts: dict[Path, int] = {}
    for line, statement in _statements(text):
        if statement.startswith("["):
            array = statement.startswith("[[")
            names = _names(statement.strip("[] \t"))
            table = _resolve(names[:-1] if array else names, counts)
            if array:
                place = (*table, names[-1])
                counts[place] = counts.get(place, -1) + 1
                table = (*place, counts[place])
            yield line, table
        else:
            yield (
                line,
                (
                    *table,
                    *_names(statement.partition("=")[0] if statement[0] not in "\"'" else _left(statement)),
                ),
            )


def _left(statement: str) -> str:
    """Return the key in front of the equals sign, where the key may have one in quotation marks."""
    quoted = _OPAQUE.match(statement)
    end = quoted.end() if quoted else 0
    return statement[:end] + statement[end:].partition("=")[0]


def _resolve(names: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """Return the path that the names of a header lead to: into the last element of each array."""
    path: Path = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    return path


def _names(key: str) -> tuple[str, ...]:
    return tuple(next(filter(None, part.groups()[:3]), "") for part in _PART.finditer(key))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line of each statement with its number; values over several lines are left out."""
    depth = 0
    start, begin = 1, 0
    line = 1
    at = 0
    while at <= len(text):
        character = text[at] if at < len(text) else "\n"
        opaque = _OPAQUE.match(text, at)
        if opaque is not None:
            line += opaque[0].count("\n")
            at = opaque.end()
            continue
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "\n":
            if depth == 0:
                statement = text[begin:at].strip()
                if statement and not statement.startswith("#"):
                    yield start, statement
                begin, start = at + 1, line + 1
            line += 1
        at += 1
