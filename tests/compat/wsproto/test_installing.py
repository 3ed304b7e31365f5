"""`install` and the plugin, each in an interpreter of its own: what is under a name stays there."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgews.compat.wsproto
from tests.raw import TIMEOUT

INSTALL = "import sys, edgews.compat.wsproto as facade\nfacade.install()\n"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=3 * TIMEOUT)


def program(text: str) -> str:
    """Run a program, and return what it prints."""
    done = run("-c", text)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def test_every_module_is_the_facades() -> None:
    """Also those that nobody has imported yet: a second copy would have classes of its own."""
    modules = [module.name for module in pkgutil.iter_modules(edgews.compat.wsproto.__path__)]
    ours = {"hooks", "installing", "pytest_plugin"}
    assert ours < set(modules)
    lines = "".join(
        f"import wsproto.{name}\nassert wsproto.{name} is facade.{name} is sys.modules['wsproto.{name}']\n"
        for name in modules
        if name not in ours
    )
    assert program(f"{INSTALL}{lines}from wsproto import WSConnection\nprint(WSConnection.__module__)") == (
        "edgews.compat.wsproto\n"
    )


def test_again() -> None:
    program(f"{INSTALL}facade.install()\nimport wsproto\nassert wsproto is facade")


def test_limits() -> None:
    assert program(
        "from edgews import Limits\nimport edgews.compat.wsproto as facade\n"
        "facade.install(limits=Limits(max_message_size=5))\nimport wsproto.connection\n"
        "print(wsproto.connection.default_limits().max_message_size)"
    ) == ("5\n")


@pytest.mark.peers
def test_too_late() -> None:
    done = run("-c", f"import wsproto\n{INSTALL}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: wsproto is loaded already, from ")
    assert "call edgews.compat.wsproto.install() before anything imports it" in done.stderr


def test_the_plugin(tmp_path: Path) -> None:
    """In front of `conftest.py`, and said in the head of the report."""
    (tmp_path / "conftest.py").write_text("import wsproto\nfrom wsproto.events import Ping\n")
    (tmp_path / "test_it.py").write_text(
        "from wsproto.events import Ping\n\n\ndef test() -> None:\n"
        "    assert Ping.__module__ == 'edgews.compat.wsproto.events'\n"
    )
    options = ("-c", "/dev/null", "-p", "no:cacheprovider", f"--rootdir={tmp_path}")
    done = run("-m", "pytest", "-p", "edgews.compat.wsproto.pytest_plugin", *options, str(tmp_path))
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert f"wsproto: the facade of edgews {edgews.__version__}" in done.stdout
