"""Collect nothing where the libraries are not installed; `script/test` then says so."""

from __future__ import annotations

from importlib.util import find_spec

# Every test here, too, leaves no thread and no descriptor behind.
from tests.sync.conftest import nothing_left

__all__ = ["nothing_left"]

collect_ignore_glob = [] if find_spec("websockets") and find_spec("wsproto") else ["test_*.py"]
