"""Fixtures of the tests of edgews.asyncio, and how their coroutine functions are run."""

from __future__ import annotations

import inspect

import pytest

from tests.asyncio.harness import LINKS, LOOPS, Link, NewLoop, run


@pytest.fixture(params=LOOPS, scope="session", autouse=True)
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """Every test runs on every loop."""
    return LOOPS[request.param]


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    run(test, pyfuncitem.funcargs["new_loop"])
    return True
