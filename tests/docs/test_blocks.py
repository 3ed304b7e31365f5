"""Every Python block of every page runs, and prints what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .blocks import blocks

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "bench/README.md")
)
# The reader has started the echo server in another terminal.
BESIDE_AN_ECHO_SERVER = {"README.md"}
MARKS = {"docs/rules.md": pytest.mark.edge, "docs/uvicorn.md": pytest.mark.peers}
# What has a test of its own.
ELSEWHERE = {"docs/from-wsproto.md"}
# Blocks of these languages hold nothing that Python could run.
OTHERS = {"", "c", "console", "http", "ini", "output", "sh", "text", "toml", "json", "{eval-rst}"}

TIMEOUT = 120


def contents(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=MARKS.get(page, ()))
        for page in PAGES
        if page not in ELSEWHERE and "```python\n" in contents(page)
    ],
)
def test_the_blocks_of_a_page_run(page: str) -> None:
    environment = os.environ | ({"SERVE_ECHO": "1"} if page in BESIDE_AN_ECHO_SERVER else {})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.blocks", page],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_hides_from_this_test(page: str) -> None:
    """Python under another name would not be run, nor would an `output` that no block stands in front of."""
    before = ""
    for block in blocks(contents(page)):
        assert block.kind in OTHERS | {"python"} or block.kind.startswith("{"), f"line {block.line}"
        assert block.kind not in {"{code-block}", "{code}", "{doctest}"}, f"line {block.line}"
        assert block.kind != "output" or before == "python", f"line {block.line}"
        before = block.kind


def test_a_wrong_block_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nprint(1)\n```\n\n```output\n2\n```\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.blocks", str(page)], cwd=ROOT, capture_output=True, text=True
    )
    assert "line 8: the block in front of it printed '1\\n'" in done.stderr
    assert done.returncode == 1
    page.write_text(
        "# Page\n\n```{tab} asyncio\n```python\nawait missing()\n```\n```\n".replace("```{", "````{").replace(
            "```\n```\n", "```\n````\n"
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.blocks", str(page)], cwd=ROOT, capture_output=True, text=True
    )
    assert f'"{page}", line 5' in done.stderr
    assert done.returncode == 1
