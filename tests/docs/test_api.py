"""The API reference has every public name."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from edgews import RemoteProtocolError

API = Path(__file__).parents[2] / "docs/api"
DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:\w+|currentmodule):: ([\w.]+)$", re.M)
# Those are the same in all adapters, and stand in one place.
SHARED = {"Attempt", "Backoff", "ConnectionClosed", "InvalidHandshake", "MissingExtraError", "ProxyError"}


def documented() -> set[str]:
    """Return the names that the directives of all pages name, each with its module."""
    found = set()
    for page in API.glob("*.md"):
        module = ""
        for match in DIRECTIVE.finditer(page.read_text(encoding="utf-8")):
            name = match[1]
            if "currentmodule" in match[0] or "automodule" in match[0]:
                module = name
            else:
                found.add(name if name.startswith("edgews.") else f"{module}.{name}")
    return found


@pytest.mark.parametrize("module", ["edgews", "edgews.asyncio", "edgews.sync", "edgews.trio"])
def test_each_public_name_is_there(module: str) -> None:
    names = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    if module in {"edgews.sync", "edgews.trio"}:
        names -= {f"{module}.{name}" for name in SHARED}
    assert names - documented() == set()


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_is_shared_is_the_same(name: str) -> None:
    adapters = [importlib.import_module(f"edgews.{adapter}") for adapter in ("asyncio", "sync", "trio")]
    assert len({getattr(adapter, name) for adapter in adapters}) == 1


def test_each_rule_of_the_peer_is_there() -> None:
    page = (API / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", page, re.M)
    assert {name: (int(code), section) for name, code, section in rows} == {
        error.__name__: (error.default_code, error.section) for error in RemoteProtocolError.__subclasses__()
    }
