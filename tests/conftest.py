"""Settings shared by all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# What these modules assert is checked under `python -O`, too.
pytest.register_assert_rewrite(
    "tests.backends",
    "tests.engines",
    "tests.handshakes",
    "tests.interop",
    "tests.peers",
    "tests.properties",
    "tests.sync",
)

# A shell that starts something in the background of a script has it ignore SIGINT, and so would all the
# commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines measure the machine, not the code; what must be linear has a test of its own.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
# For what runs beside the whole suite: `python -O`, and the measurement of coverage, which must not vary.
settings.register_profile("brief", parent=settings.get_profile("ci"), max_examples=20)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage after the tests are collected, not meanwhile: there is little, and much to look at.

    What is there for all tests is spared from each later search, for many tests ask for one.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
