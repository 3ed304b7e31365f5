from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgews
from edgews import backend, backend_python
from edgews.backend import BACKEND, _choose

BUILT = find_spec("edgews._kernels") is not None
BEST = "c" if BUILT else "python"


def python(code: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter; None takes a variable away."""
    merged = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={name: value for name, value in merged.items() if value is not None},
        capture_output=True,
        text=True,
    )


def test_the_backend_in_use_is_the_one_that_was_asked_for():
    assert (os.environ.get("EDGEWS_BACKEND") or BEST) == BACKEND
    assert BACKEND is edgews.BACKEND


def test_the_kernels_are_those_of_the_backend():
    module = import_module(f"edgews.backend_{BACKEND}")
    for name in set(backend.__all__) - {"BACKEND", "Backend"}:
        assert getattr(backend, name) is getattr(module, name)


def test_both_backends_have_the_same_functions():
    names = set(backend.__all__) - {"BACKEND", "Backend"}
    functions = {
        name for name, value in vars(backend_python).items()
        if inspect.isfunction(value) and value.__module__ == backend_python.__name__ and name[0] != "_"
    }  # fmt: skip
    # A reader and a scanner are classes, and the scratches that are not in use are a list's.
    assert names == functions | {"new_reader", "new_scanner", "take_scratch", "give_scratch"}
    module = import_module(f"edgews.backend_{BEST}")
    for name in functions:
        function = getattr(module, name)
        if inspect.isfunction(function):
            twin = getattr(backend_python, name)
            assert list(inspect.signature(function).parameters) == list(inspect.signature(twin).parameters)


@pytest.mark.parametrize(
    ("wish", "chosen"), [(None, BEST), ("", BEST), ("python", "python"), *([("c", "c")] if BUILT else [])]
)
def test_wishes_that_can_be_met(wish, chosen):
    assert _choose(wish) == chosen


@pytest.mark.parametrize("wish", ["C", "Python", "c ", "pypy", "0", "auto"])
def test_wishes_that_nobody_knows(wish):
    with pytest.raises(ImportError, match=f"EDGEWS_BACKEND is '{wish}'; use 'c' or 'python'"):
        _choose(wish)


def test_without_the_extension(monkeypatch):
    # What Python does about a module that is None here is what it does about one that is not installed.
    monkeypatch.setitem(sys.modules, "edgews._kernels", None)
    assert _choose(None) == _choose("") == _choose("python") == "python"
    with pytest.raises(ImportError, match="was installed without its extension") as caught:
        _choose("c")
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize("wish", [None, "", "python", *(["c"] if BUILT else [])])
def test_the_variable_decides(wish):
    done = python("import edgews; print(edgews.BACKEND)", EDGEWS_BACKEND=wish)
    assert (done.stdout.strip(), done.stderr) == (wish or BEST, "")


def test_a_variable_that_nobody_knows():
    done = python("import edgews", EDGEWS_BACKEND="bad")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: EDGEWS_BACKEND is 'bad'; use 'c' or 'python', or leave it unset"
    )


def test_python_never_loads_the_extension():
    done = python(
        "import edgews, sys; print('edgews._kernels' in sys.modules, 'cffi' in sys.modules)",
        EDGEWS_BACKEND="python",
    )
    assert (done.stdout.strip(), done.stderr) == ("False False", "")


TALK = """
import edgews
client, server = edgews.Connection(edgews.Role.CLIENT), edgews.Connection(edgews.Role.SERVER)
print(edgews.BACKEND, list(server.receive_data(client.send("over") + client.send(b"and out"))))
"""


def test_a_copy_without_the_extension_works(tmp_path: Path):
    """What an install without a compiler has."""
    source = Path(edgews.__file__).parent
    shutil.copytree(source, tmp_path / "edgews", ignore=shutil.ignore_patterns("_kernels*", "__pycache__"))
    done = python(TALK, PYTHONPATH=str(tmp_path), EDGEWS_BACKEND=None)
    assert (done.stdout.strip(), done.stderr) == ("python ['over', b'and out']", "")
    done = python(TALK, PYTHONPATH=str(tmp_path), EDGEWS_BACKEND="c")
    assert done.returncode == 1
    assert "EDGEWS_BACKEND is 'c', but edgews was installed without its extension" in done.stderr
