"""The package as others meet it: sdist, wheel, editable install, with and without a compiler.

Everything is built and installed away from the checkout and without a network. What edgews
depends on is copied from the environment that runs the tests, so pip gets `--no-index` and
fails if the package asked for anything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest

# One worker, so that the sdist is built once.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]

MakeEnvironment = Callable[..., "Environment"]
BuildWheel = Callable[..., Path]

CHECKOUT = Path(__file__).resolve().parents[2]
# fmt: off
NOT_SOURCE = shutil.ignore_patterns(
    ".*_cache", ".benchmarks", ".coverage*", ".git", ".hypothesis", ".venv", "*.egg-info", "*.o", "*.pyc",
    "*.pyd", "*.so", "__pycache__", "build", "dist", "htmlcov", "venv", "wheelhouse",
)
# fmt: on

RUNTIME = ("cffi", "h11", "pycparser")
BUILD = ("setuptools",)

# What decides about the build must come from the test alone.
INHERITED = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("EDGEWS_", "PIP_", "PYTHON")) and name not in ("CC", "CFLAGS", "LDSHARED")
}


def run(command: Sequence[str | Path], *, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, its two outputs joined."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**INHERITED, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def checked(done: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a command that must have succeeded."""
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_distributions(names: Iterable[str], target: Path) -> Path:
    """Copy installed distributions, with their metadata, into `target`."""
    for name in names:
        for file in distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), copy)
    return target


@dataclass
class Environment:
    """A virtual environment without pip; the pip of the test run serves it."""

    folder: Path
    python: Path

    def pip(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [sys.executable, "-m", "pip", "--python", self.python]
        # No file of settings may bring an index back.
        return run(
            [*command, *arguments],
            cwd=self.folder,
            PIP_CONFIG_FILE=os.devnull,
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            **env,
        )

    def install(self, *what: str | Path, **env: str) -> None:
        checked(self.pip("install", "--no-index", "--no-build-isolation", *what, **env))

    def ask(self, expression: str, **env: str) -> str:
        """Return what an expression about `edgews` is in a new process."""
        program = f"import edgews; print({expression})"
        return checked(run([self.python, "-W", "error", "-c", program], cwd=self.folder, **env)).strip()


@pytest.fixture(scope="session")
def runtime_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What edgews needs when it runs."""
    return copy_distributions(RUNTIME, tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="session")
def build_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What edgews needs when it is built."""
    return copy_distributions(BUILD, tmp_path_factory.mktemp("build"))


@pytest.fixture
def make_environment(tmp_path: Path) -> Callable[..., Environment]:
    """Return a function that makes an environment in which the packages in some folders are installed."""

    def make(*folders: Path) -> Environment:
        folder = tmp_path / "environment"
        venv.create(folder, symlinks=os.name != "nt")
        (site_packages,) = folder.glob("[Ll]ib/**/site-packages")
        (site_packages / "others.pth").write_text("".join(f"{path}\n" for path in folders))
        return Environment(folder, folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    return make


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout without what was built in it."""
    return shutil.copytree(CHECKOUT, tmp_path_factory.mktemp("tree") / "edgews", ignore=NOT_SOURCE)


@pytest.fixture(scope="session")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of `tree`."""
    target = tmp_path_factory.mktemp("sdist")
    checked(build("--sdist", tree, target))
    (archive,) = target.iterdir()
    return archive


@pytest.fixture
def source(sdist: Path, tmp_path: Path) -> Path:
    """The source distribution, unpacked."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (folder,) = (tmp_path / "source").iterdir()
    return folder


def build(kind: str, source: Path, target: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Build an sdist or a wheel of `source` into `target`."""
    command = [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir"]
    return run([*command, target, source], cwd=source, **env)


@pytest.fixture
def build_wheel(source: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that builds a wheel from the source distribution."""

    def make(**env: str) -> Path:
        checked(build("--wheel", source, tmp_path / "wheel", **env))
        (wheel,) = (tmp_path / "wheel").iterdir()
        return wheel

    return make


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"

# Two ways to have no compiler: the one that is named is missing, or none is on PATH.
NO_COMPILER = [
    pytest.param({"CC": "/nonexistent/cc"}, id="cc-missing"),
    pytest.param({"PATH": "/nonexistent"}, id="path-empty"),
]


def metadata(wheel: Path) -> dict[str, list[str]]:
    """Return the fields of a wheel's METADATA, and its description as `Body`."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        message = Parser().parsestr(archive.read(name).decode())
    body = message.get_payload()
    assert isinstance(body, str)
    return {**{key: message.get_all(key, []) for key in message.keys()}, "Body": [body]}  # noqa: SIM118


def test_sdist_has_all_sources(sdist: Path, tree: Path) -> None:
    with tarfile.open(sdist) as archive:
        packed = {Path(*Path(member.name).parts[1:]): member.mode for member in archive if member.isfile()}
    expected = {
        path.relative_to(tree): path.stat().st_mode
        for folder in ("src", "csrc", "tests", "script")
        for path in (tree / folder).rglob("*")
        # Building the sdist leaves its egg-info in the tree.
        if path.is_file() and "edgews.egg-info" not in path.parts
    }
    assert expected.keys() <= packed.keys()
    assert [path for path, mode in expected.items() if mode & 0o100 != packed[path] & 0o100] == []
    documents = ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
    needed = [*documents, "pyproject.toml", "setup.py", "src/edgews/py.typed", "csrc/kernels.c"]
    assert {Path(name) for name in needed} <= packed.keys()
    assert [path for path in packed if path.suffix in (".so", ".pyd", ".o", ".pyc")] == []


@pytest.mark.compiler
def test_wheel_has_the_extension(
    build_wheel: BuildWheel, make_environment: MakeEnvironment, runtime_path: Path
) -> None:
    wheel = build_wheel(EDGEWS_BUILD_EXTENSION="yes")
    interpreter, abi, platform = wheel.stem.split("-")[-3:]
    assert (interpreter, abi) == ((TAG, f"{TAG}t") if FREE_THREADED else ("cp311", "abi3"))
    assert platform != "any"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    built = [name for name in names if name.startswith("edgews/_kernels.") and not name.endswith(".pyi")]
    assert [Path(name).suffix for name in built] == [".pyd" if os.name == "nt" else ".so"]
    assert "edgews/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    # Nothing but the package: no tests, no C, no scripts.
    version = wheel.stem.split("-")[1]
    assert {name.split("/")[0] for name in names} == {"edgews", f"edgews-{version}.dist-info"}

    environment = make_environment(runtime_path)
    environment.install(wheel)
    assert environment.ask("edgews.BACKEND") == "c"
    assert environment.ask("edgews.BACKEND", EDGEWS_BACKEND="python") == "python"
    assert environment.ask("edgews.__file__").startswith(str(environment.folder))
    checked(environment.pip("check"))
    command = environment.python.with_name("edgews")
    assert "echo" in checked(run([command, "--help"], cwd=environment.folder))


def test_wheel_without_the_extension_is_pure(
    build_wheel: BuildWheel, make_environment: MakeEnvironment, runtime_path: Path
) -> None:
    wheel = build_wheel(EDGEWS_BUILD_EXTENSION="no")
    assert wheel.name.endswith("-py3-none-any.whl")
    environment = make_environment(runtime_path)
    environment.install(wheel)
    assert environment.ask("edgews.BACKEND") == "python"
    refused = run([environment.python, "-c", "import edgews"], cwd=environment.folder, EDGEWS_BACKEND="c")
    assert refused.returncode == 1
    assert "installed without its extension" in refused.stdout


@pytest.mark.parametrize("env", NO_COMPILER)
def test_auto_without_a_compiler_is_pure(
    env: dict[str, str], source: Path, make_environment: MakeEnvironment, runtime_path: Path, build_path: Path
) -> None:
    environment = make_environment(runtime_path, build_path)
    environment.install(source, **env)
    assert environment.ask("edgews.BACKEND") == "python"
    (record,) = environment.folder.glob("**/edgews-*.dist-info/WHEEL")
    assert "Tag: py3-none-any" in record.read_text()


@pytest.mark.parametrize("env", NO_COMPILER)
def test_yes_without_a_compiler_fails(env: dict[str, str], source: Path, tmp_path: Path) -> None:
    done = build("--wheel", source, tmp_path / "wheel", EDGEWS_BUILD_EXTENSION="yes", **env)
    assert done.returncode != 0
    assert "EDGEWS_BUILD_EXTENSION is 'yes', but the extension cannot be built" in done.stdout
    assert not list(tmp_path.glob("wheel/*"))


def test_another_wish_fails(source: Path, tmp_path: Path) -> None:
    done = build("--wheel", source, tmp_path / "wheel", EDGEWS_BUILD_EXTENSION="maybe")
    assert done.returncode != 0
    assert "EDGEWS_BUILD_EXTENSION is 'maybe'; use yes, no or auto" in done.stdout
    assert not list(tmp_path.glob("wheel/*"))


@pytest.mark.parametrize(
    ("wish", "backend"), [pytest.param("yes", "c", marks=pytest.mark.compiler), ("no", "python")]
)
def test_editable_install(
    wish: str,
    backend: str,
    source: Path,
    make_environment: MakeEnvironment,
    runtime_path: Path,
    build_path: Path,
) -> None:
    environment = make_environment(runtime_path, build_path)
    environment.install("--editable", source, EDGEWS_BUILD_EXTENSION=wish)
    assert environment.ask("edgews.BACKEND") == backend
    assert environment.ask("edgews.__file__") == os.fspath(source / "src" / "edgews" / "__init__.py")
    module = source / "src" / "edgews" / "backend.py"
    module.write_text(module.read_text() + "\nWRITTEN_LATER = 'seen'\n")
    assert environment.ask("__import__('edgews.backend').backend.WRITTEN_LATER") == "seen"


def test_metadata(build_wheel: BuildWheel) -> None:
    fields = metadata(build_wheel(EDGEWS_BUILD_EXTENSION="no"))
    assert fields["Name"] == ["edgews"]
    assert fields["License-Expression"] == ["MIT"]
    assert fields["Requires-Python"] == [">=3.11"]
    needed = [line.split(">=")[0] for line in fields["Requires-Dist"] if "extra ==" not in line]
    assert sorted(needed) == ["cffi", "h11"]
    assert fields["Description-Content-Type"] == ["text/markdown"]
    assert "edgews" in fields["Body"][0]
    assert "Typing :: Typed" in fields["Classifier"]
