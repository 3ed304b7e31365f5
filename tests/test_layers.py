"""Every layer works alone and looks down only: checked on the imports of each module, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgews

ROOT = Path(edgews.__file__).parent

# From the ground up. A package stands for all its modules; `__init__` is what `import edgews` gives.
LAYERS: dict[str, set[str]] = {
    "A: values and wire format": {
        "arguments",
        "backend",
        "backend_c",
        "backend_python",
        "banners",
        "deflate",
        "errors",
        "events",
        "extensions",
        "frames",
        "headers",
        "limits",
        "masking",
        "messages",
        "uri",
        "utf8",
    },
    "B: the protocol": {
        "assembly",
        "buffers",
        "client",
        "closing",
        "connection",
        "handshake",
        "heads",
        "http1",
        "incoming",
        "outgoing",
        "server",
        "states",
        "timers",
    },
    "what the package exports": {"__init__"},
    "C: sessions": {
        "attempts",
        "backoff",
        "broadcasting",
        "fragments",
        "outcomes",
        "proxies",
        "redirects",
        "requests",
        "serving",
        "session",
        "status",
    },
    "what adapters share of the machine": {"endpoints", "tunnels"},
    "D: adapters": {"asyncio", "sync", "trio"},
    "E: what the gateway decides": {
        "edge.analytics",
        "edge.config",
        "edge.forwarding",
        "edge.policy",
        "edge.relay",
    },
    "E: the gateway": {"edge", "edge.gateway", "edge.admin"},
    "E: its processes": {"edge.process"},
    "F: commands, and what other packages expect": {"__main__", "cli", "compat"},
}
# Built from C.
COMPILED = {"_kernels"}

WITHOUT_IO = (
    "A: values and wire format",
    "B: the protocol",
    "what the package exports",
    "C: sessions",
    "E: what the gateway decides",
)
NO_IO = {"asyncio", "logging", "select", "selectors", "socket", "ssl", "threading", "time", "trio"}

LEVEL = {module: level for level, modules in enumerate(LAYERS.values()) for module in modules}
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """Return the dotted name below `edgews`, in parts."""
    return path.relative_to(ROOT).with_suffix("").parts


def place(parts: tuple[str, ...]) -> str:
    """Return the entry of the table that a module belongs to: in `edge`, its package."""
    return (
        ".".join(parts[:2])
        if parts[0] == "edge" and parts[1:2] != ("__init__",) and len(parts) > 1
        else parts[0]
    )


def is_module(parts: tuple[str, ...]) -> bool:
    return ROOT.joinpath(*parts).with_suffix(".py").exists() or ROOT.joinpath(*parts, "__init__.py").exists()


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the full name of everything a module imports, wherever in it, in parts.

    A relative import becomes absolute; of `from x import y` y is named where it is a module.
    """
    package = ("edgews", *module_of(path)[:-1])
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                within = (*base[1:], alias.name)
                named = base[:1] == ("edgews",) and (is_module(within) or alias.name in COMPILED)
                yield (*base, alias.name) if named else base


def test_every_module_has_a_place_and_every_place_a_module() -> None:
    """A new module has to be put into the table above, and thereby into a layer."""
    assert {place(module_of(path)) for path in FILES} == set(LEVEL)
    assert sum(map(len, LAYERS.values())) == len(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(module_of(path)))
def test_no_module_looks_up(path: Path) -> None:
    own = LEVEL[place(module_of(path))]
    for name in imports(path):
        if name[0] == "edgews" and not set(name) & COMPILED:
            target = place(name[1:] or ("__init__",))
            assert LEVEL[target] <= own, f"it imports {'.'.join(name)}, from a layer above"


def is_without_io(parts: tuple[str, ...]) -> bool:
    return any(place(parts) in LAYERS[layer] for layer in WITHOUT_IO)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if is_without_io(module_of(path))],
    ids=lambda path: ".".join(module_of(path)),
)
def test_the_engine_has_no_io_no_clock_and_no_thread(path: Path) -> None:
    assert {name[0] for name in imports(path)} & NO_IO == set()


def test_imports_are_found_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk itself, on a module that has every kind of import."""
    package = tmp_path / "cli"
    package.mkdir()
    for name in ("frames.py", "cli/echo.py"):
        (tmp_path / name).touch()
    source = package / "probe.py"
    source.write_text(
        "import socket as s, os.path\n"
        "from ..frames import FIN\n"
        "from .. import frames, BACKEND\n"
        "from . import echo\n"
        "from edgews.cli.echo import run\n"
        "def late():\n"
        "    if True:\n"
        "        from time import monotonic\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert list(imports(source)) == [
        ("socket",),
        ("os", "path"),
        ("edgews", "frames"),
        ("edgews", "frames"),
        ("edgews",),
        ("edgews", "cli", "echo"),
        ("edgews", "cli", "echo"),
        ("time",),
    ]
