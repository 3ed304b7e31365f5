"""The commands that pages show exist, with the options that stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.raw import TIMEOUT

from .blocks import blocks

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\bedgews (echo|connect|doctor|top|completion)\b([^|\n]*)")


@cache
def options(command: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edgews", command, "--help"], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0
    return set(re.findall(r"--[\w-]+", done.stdout))


def test_each_option_of_a_command_exists() -> None:
    seen: set[str] = set()
    for page in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")):
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.kind not in {"console", "sh"}:
                continue
            for command, rest in LINE.findall(block.text):
                seen.add(command)
                assert set(re.findall(r"(?<= )--[\w-]+", rest)) - options(command) == set(), page
    assert seen == {"echo", "connect", "doctor", "top", "completion"}
