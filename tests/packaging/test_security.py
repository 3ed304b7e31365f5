"""SECURITY.md names every default of `Limits` and `Timeouts`, and names it right."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from edgews import Limits, Timeouts

DOCUMENT = Path(__file__).resolve().parents[2] / "SECURITY.md"
ROW = re.compile(r"^\| `(\w+\.\w+)` \| (None|(\d+) (bytes|fields|seconds)) \| (.+) \|$", re.M)


def test_the_table_of_limits_is_what_the_code_does() -> None:
    written = {name: None if value == "None" else int(number) for name, value, number, *_ in documented()}
    real = {
        f"{owner.__name__}.{field.name}": field.default
        for owner in (Limits, Timeouts)
        for field in fields(owner)
    }
    assert written == real


def test_each_setting_stands_there_once() -> None:
    names = [name for name, *_ in documented()]
    assert len(names) == len(set(names))


def documented() -> list[tuple[str, ...]]:
    return ROW.findall(DOCUMENT.read_text())
