"""Pages that stand elsewhere in the repository, and lines that depend on what is there."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

# Where this documentation shows what the repository has elsewhere.
HERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "bench/README.md": "performance.md",
}


def turn_links(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """Let links of a file outside of docs/ lead to the same place from a page in it."""
    if path.parts[0] != "..":
        return

    def link(match: re.Match[str]) -> str:
        target = match[1]
        return f"]({HERE.get(target, target.removeprefix('docs/'))})"

    content[0] = re.sub(r"\]\(([^)#:]+)\)", link, content[0])


def choose(app: Sphinx, docname: str, content: list[str]) -> None:
    """Let comments that begin with `% if there is FILE` be text when there is such a file."""

    def decide(match: re.Match[str]) -> str:
        there = (Path(app.srcdir) / match[1]).exists()
        return re.sub(r"^% ?", "", match[2], flags=re.M) if there else ""

    content[0] = re.sub(r"^% if there is (\S+)\n((?:%.*\n)+)", decide, content[0], flags=re.M)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("include-read", turn_links)
    app.connect("source-read", choose)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
