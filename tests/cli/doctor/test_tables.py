"""The tables themselves, their document, and the layer that they belong to."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from edgews.cli import doctor
from edgews.cli.doctor import table_network, table_session, table_status, table_upgrade
from edgews.cli.doctor.findings import PRODUCTS, Advice, Finding, Level, finding, worst
from edgews.cli.doctor.report import Report, StepReport, to_json
from edgews.cli.doctor.tables import ADVICE
from tests.cli.doctor import reference
from tests.test_layers import NO_IO, imports

FOLDER = Path(doctor.__file__).parent
WITHOUT_IO = [
    "findings",
    "observed",
    "options",
    "report",
    "tables",
    *(path.stem for path in FOLDER.glob("table_*.py")),
]
WITHOUT_IO += [path.stem for path in FOLDER.glob("diagnose_*.py")]


def test_the_document_is_that_of_the_tables() -> None:
    made = reference.DOCUMENT.read_text("utf-8") == reference.written()
    assert made, "run python -m tests.cli.doctor.reference"


def test_every_field_of_the_json_is_documented() -> None:
    row = next(iter(ADVICE.values()))
    made = to_json(Report("ws://x/", [StepReport(row.step, "", 1.0, [finding(row, "")])]))
    names = {*made, *(f"steps[].{name}" for name in made["steps"][0])}
    names |= {f"findings[].{name}" for name in made["findings"][0]}
    documented = re.findall(
        r"^\| `([\w\[\].]+)` \| [a-z]+", reference.DOCUMENT.read_text("utf-8"), re.MULTILINE
    )
    assert set(documented) >= names
    assert {name for name in documented if "." in name} <= names


def test_no_id_twice() -> None:
    rows = [*table_network.ROWS, *table_status.ROWS, *table_upgrade.ROWS, *table_session.ROWS]
    assert len(ADVICE) == len(rows)


@pytest.mark.parametrize("advice", ADVICE.values(), ids=lambda advice: str(advice.id))
def test_every_row_says_all(advice: Advice) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", advice.id)
    assert advice.changes
    assert all(getattr(advice, field.name) != "" for field in fields(advice))
    assert not advice.title.endswith(".")
    assert advice.meaning.endswith(".")
    assert {change.product for change in advice.changes} <= {*PRODUCTS.values(), ""}


@pytest.mark.parametrize("name", WITHOUT_IO)
def test_no_io_and_no_clock(name: str) -> None:
    named = list(imports(FOLDER / f"{name}.py"))
    assert {module[0] for module in named} & NO_IO == set()
    hands = {"dial", "probe", "talk", "text"}
    assert not any(module[:3] == ("edgews", "cli", "doctor") and hands & set(module) for module in named)


def test_worst() -> None:
    def of(level: Level) -> Finding:
        return next(finding(row, "") for row in ADVICE.values() if row.level is level)

    assert worst([]) is None
    assert worst([of(Level.NOTE), of(Level.ERROR), of(Level.WARNING)]) is Level.ERROR
    assert worst([of(Level.NOTE), of(Level.WARNING)]) is Level.WARNING
