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
            yield line, (*table, *_names(_left(statement)))


def _left(statement: str) -> str:
    """Return what stands in front of the equals sign, which may also stand in a quoted part of a key."""
    at = 0
    while statement[at] != "=":
        quoted = _OPAQUE.match(statement, at)
        at = at + 1 if quoted is None else quoted.end()
    return statement[:at]


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
    """Yield each statement without its comments, with the number of its first line."""
    depth = at = 0
    line = start = 1
    pieces: list[str] = []
    text += "\n"
    while at < len(text):
        opaque = _OPAQUE.match(text, at)
        piece = text[at] if opaque is None else opaque[0]
        at += len(piece)
        line += piece.count("\n")
        if piece == "\n" and depth == 0:
            statement = "".join(pieces).strip()
            if statement:
                yield start, statement
            pieces.clear()
            start = line
        elif not piece.startswith("#"):
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
            pieces.append(piece)
