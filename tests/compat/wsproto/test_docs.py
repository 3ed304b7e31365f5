"""What the guide for users of wsproto says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgews
import edgews.compat.wsproto
from tests.raw import TIMEOUT

GUIDE = (Path(__file__).parents[3] / "docs" / "from-wsproto.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_code_blocks_run(block: str) -> None:
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.stderr, done.returncode) == ("", 0)


def test_there_are_code_blocks() -> None:
    assert len(BLOCKS) == 2


def test_the_modules_have_the_names_that_stand_there() -> None:
    rows = re.findall(r"^\| `(wsproto(?:\.\w+)?)` \| (.*) \|$", GUIDE, re.MULTILINE)
    assert len(rows) == 8
    for module, names in rows:
        found = sys.modules[f"edgews.compat.{module}"]
        for name in re.findall(r"`(\w+)`", names):
            assert hasattr(found, name), f"{module}.{name}"


def test_the_engine_has_the_names_that_stand_there() -> None:
    """Of the right column of the second table: what is capitalized is exported."""
    table = GUIDE.partition("## Move to the engine")[2].partition("One round")[0]
    right = " ".join(line.split(" | ")[-1] for line in table.splitlines() if line.startswith("| `"))
    names = set(re.findall(r"`([A-Z]\w+)", right))
    assert len(names) > 10
    assert {name for name in names if not hasattr(edgews, name)} == set()
