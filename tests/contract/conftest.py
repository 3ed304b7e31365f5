"""How scenarios run: each is an `async def` with a driver `d`, once for each adapter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator

import pytest

from tests.contract.drivers import DRIVERS, Driver
from tests.raw import TIMEOUT
from tests.sync.harness import descriptors, edgews_threads


@pytest.fixture(scope="session", autouse=True)
def _once_in_a_process() -> None:
    """Let every loop open what it keeps as long as the process lives, as libuv does for signals."""

    async def nothing() -> None:
        pass

    for driver in DRIVERS.values():
        driver().run(nothing)


@pytest.fixture(params=DRIVERS)
def d(request: pytest.FixtureRequest) -> Driver:
    return DRIVERS[request.param]()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    pyfuncitem.funcargs["d"].run(functools.partial(pyfuncitem.obj, **arguments))
    return True


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After every scenario: no thread of a connection, and no descriptor more than before."""
    before = descriptors()
    yield
    for thread in edgews_threads():
        thread.join(TIMEOUT)
    assert not edgews_threads()
    assert descriptors() <= before
