"""Run other projects' tests on the facade: `pytest -p edgews.compat.wsproto.pytest_plugin`.

It is installed when pytest loads the plugin, before any test or `conftest.py` imports wsproto.
"""

from __future__ import annotations

from edgews import __version__

from . import install

install()


def pytest_report_header() -> str:
    """Say in the head of the report what is under test."""
    return f"wsproto: the facade of edgews {__version__}"
