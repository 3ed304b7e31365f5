"""What is wrong with a file: each mistake with its line, its key and what should stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from .positions import Path as KeyPath
from .positions import line_of


@dataclass(slots=True, frozen=True)
class Fault:
    """Something that is wrong with a file.

    Attributes:
        line: counted from 1; 0 where it is not the fault of one line.
        key: such as `route[0].origins[1]`; empty for the file as a whole.
        expected: what should stand there.
    """

    line: int
    key: str
    expected: str


class ConfigError(Exception):
    """A file that cannot be used, with all its faults; their texts have no values, which may be secret."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each fault: file, line, key, what was expected."""
        return [
            ":".join([self.file, *([str(fault.line)] if fault.line else [])])
            + ": "
            + (f"{fault.key}: " if fault.key else "")
            + fault.expected
            for fault in self.faults
        ]


# How much a key has to be like another one to be taken for it.
_NEAR: Final = 0.7

# What pydantic calls a mistake -> what was expected, with its own words in between.
_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": 'a number, or "off" where that is allowed',
    "list_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "bool_type": "true or false",
    "too_short": "at least one",
    "string_too_short": "a text that is not empty",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "value_error": "{error}",
}


def fault_of(text: str, details: Any, known: Callable[[KeyPath], Iterable[str]]) -> Fault:
    """Say what pydantic found, in words for whoever wrote the file.

    Args:
        text: the file.
        details: one of pydantic's errors.
        known: returns the keys of the table that a path leads into.
    """
    path = tuple(details["loc"])
    if path[-1:] == ("[key]",):
        # The name of a table is wrong.
        path = path[:-1]
    if details["type"] == "extra_forbidden":
        return Fault(line_of(text, path), key_of(path), f"no such key here; {_advice(path, known)}")
    if details["type"] == "missing":
        tables = f": there has to be a [[{path[0]}]]" if _are_tables(path, known) else ""
        return Fault(line_of(text, path[:-1]), key_of(path), f"this key is missing{tables}")
    if details["type"] == "list_type" and _are_tables(path, known):
        return Fault(line_of(text, path), key_of(path), f"expected tables, each below a [[{path[0]}]]")
    expected = str(_EXPECTED.get(details["type"], details["msg"])).format_map(details.get("ctx") or {})
    return Fault(line_of(text, path), key_of(path), f"expected {expected}")


def _advice(path: KeyPath, known: Callable[[KeyPath], Iterable[str]]) -> str:
    """Say what somebody may have meant by a key that is not there."""
    name, keys = str(path[-1]), list(known(path))
    advice = f"known are {', '.join(keys)}"
    if near := get_close_matches(name, keys, 1, _NEAR):
        return f"did you mean {near[0]}? {advice[0].upper()}{advice[1:]}"
    if len(path) > 1 and name in known(path[-1:]):
        return f"{name} belongs to the top of the file, above all tables. {advice[0].upper()}{advice[1:]}"
    return advice


def _are_tables(path: KeyPath, known: Callable[[KeyPath], Iterable[str]]) -> bool:
    """Say whether a key at the top of the file is for tables."""
    if len(path) > 1:
        return False
    try:
        return bool(known((*path, 0, "")))
    except ValueError:
        # There is no table to know the keys of.
        return False


def key_of(path: KeyPath) -> str:
    """Write a path as people do: `route[0].origins`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if written else step
    return written


def read_text(path: Path, kind: str) -> str:
    """Return what a file says.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        # Some editors begin a file with a mark of the encoding.
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(str(path), [Fault(0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [Fault(line, "", f"{kind} is written in UTF-8")]) from None
