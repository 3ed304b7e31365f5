"""Fixtures of the tests of edgews.sync."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.raw import TIMEOUT
from tests.sync.harness import LINKS, Link, descriptors, edgews_threads


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After every test: no thread and no descriptor more than before."""
    before = descriptors()
    assert not edgews_threads()
    yield
    for thread in edgews_threads():
        thread.join(TIMEOUT)
    assert not edgews_threads()
    assert descriptors() <= before


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()
