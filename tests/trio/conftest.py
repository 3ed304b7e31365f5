"""How the tests run: each `async def` in `trio.run`, with a clock that jumps where it asks for `clock`."""

from __future__ import annotations

import functools
import inspect

import pytest
import trio
import trio.testing

from tests.trio.harness import run


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Time passes whenever all tasks wait."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    run(functools.partial(pyfuncitem.obj, **arguments), arguments.get("clock"))
    return True
