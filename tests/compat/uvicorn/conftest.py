"""Collect nothing where the libraries are not installed; `script/test` then says so."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# Every test here, too, leaves no descriptor behind.
from tests.sync.conftest import nothing_left

__all__ = ["nothing_left"]

NEEDED = ("fastapi", "httptools", "starlette", "uvicorn", "websockets", "wsproto")

collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def _once_in_a_process() -> None:
    """Let uvloop open what it keeps as long as the process lives, and the libraries load what they load."""
    if collect_ignore_glob:
        return
    from tests.compat.uvicorn.serving import LOOPS, running, silent
    from tests.raw import Raw

    for loop in LOOPS:
        for http in ("h11", "httptools"):
            with running(silent, loop=loop, http=http) as served, Raw.open(served.address) as raw:
                raw.read_until_gone()
