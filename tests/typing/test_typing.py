"""The types, as a user's checker sees them: complete code is clean, and what is wrong is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from edgews.events import Event

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
FILES = ("exhaustive.py", "calls.py")
EVENTS = [event.__name__ for event in get_args(Event)]


def write_variants(folder: Path) -> None:
    """Write a copy of `exhaustive.py` for each event, without its two cases, and the files as they are."""
    for name in FILES:
        (folder / name).write_text((HERE / name).read_text())
    whole = (HERE / "exhaustive.py").read_text()
    for event in EVENTS:
        pattern = rf"^        case {event}\(.*\n(?:            .*\n)+"
        variant, removed = re.subn(pattern, "", whole, flags=re.MULTILINE)
        assert removed == 2, event
        (folder / f"without_{event}.py").write_text(variant)
    # Uses that are wrong in `calls.py` are so without its comments, too.
    bare = re.sub(r"  # type: ignore.*", "", (HERE / "calls.py").read_text())
    (folder / "wrong_calls.py").write_text(bare)


def mypy(folder: Path) -> Counter[str]:
    """Return how many errors mypy finds in each file."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "."]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "MYPYPATH": str(SOURCE)}, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return Counter(re.findall(r"^([^:\n]+):\d+: error:", done.stdout, flags=re.MULTILINE))


def pyright(folder: Path) -> Counter[str]:
    """Return how many errors pyright finds in each file."""
    config = {
        "extraPaths": [str(SOURCE)],
        "typeCheckingMode": "standard",
        "reportUnnecessaryTypeIgnoreComment": "error",
        # They are in `calls.py` on purpose.
        "enableTypeIgnoreComments": True,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=folder,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)["generalDiagnostics"]
    return Counter(Path(entry["file"]).name for entry in found if entry["severity"] == "error")


@pytest.mark.parametrize("check", [mypy, pytest.param(pyright, marks=pytest.mark.node)])
def test_wrong_code_is_found_and_right_code_is_clean(
    check: Callable[[Path], Counter[str]], tmp_path: Path
) -> None:
    write_variants(tmp_path)
    found = check(tmp_path)
    wrong = (tmp_path / "calls.py").read_text().count("# type: ignore")
    assert found == {**{f"without_{event}.py": 2 for event in EVENTS}, "wrong_calls.py": wrong}


def test_each_event_has_a_case() -> None:
    assert len(EVENTS) == 10
    assert {"str", "bytes", "Disconnected"} < set(EVENTS)
