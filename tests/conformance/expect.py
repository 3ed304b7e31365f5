"""One comparison for all that is checked: it is no `assert`, so it also works under `python -O`."""

from __future__ import annotations


class Mismatch(AssertionError):
    """The engine does not do what the row says."""


def expect(actual: object, expected: object, what: str) -> None:
    if actual != expected or type(actual) is not type(expected):
        raise Mismatch(f"{what}: {_short(actual)}, not {_short(expected)}")


def _short(value: object) -> str:
    described = repr(value)
    return described if len(described) < 400 else f"{described[:200]} ... {described[-200:]}"
