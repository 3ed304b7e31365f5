"""The table, played: every row in its roles, and in every style of delivery."""

from __future__ import annotations

import pytest

from tests.conformance.delivery import styles, write
from tests.conformance.expect import Mismatch
from tests.conformance.rows import Row
from tests.conformance.runner import play
from tests.conformance.table import TABLE


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in TABLE])
def test_row(row: Row) -> None:
    found = []
    for role in row.roles:
        script = write(row, role)
        for style in styles(row):
            try:
                play(row, role, style, script)
            except Mismatch as mismatch:
                found.append(f"as {role.value}, {style.name}: {mismatch}")
    if found:
        pytest.fail("\n".join([f"{row.id} ({row.section})", *found]), pytrace=False)
