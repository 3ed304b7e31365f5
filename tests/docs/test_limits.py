"""Every default and constant on the page of limits is what the code has, and none is missing there."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import edgews
from edgews.asyncio import Backoff

PAGE = Path(__file__).parents[2] / "docs/limits.md"
ROW = re.compile(r"^\| `(edgews\.[\w.]+?)(?:\((\w+)\))?` \| (\S+) \| (.+) \|$", re.M)

# Where a number is a limit of a connection, a client or a server.
SCANNED = {"asyncio", "attempts", "backoff", "redirects", "serving", "session"}
SCANNED |= {"edge.process", "sync", "timers", "trio", "tunnels"}
# Numbers there that limit nothing a user could notice.
INNER = {
    "edgews.asyncio.link._CORKED": "frames of one write",
    "edgews.asyncio.link._LARGE": "the frame that ends one write",
    "edgews.asyncio.link._NEVER": "stands for no timeout",
    "edgews.asyncio.link.CORKED": "frames of one write",
    "edgews.asyncio.link.LARGE": "the frame that ends one write",
    "edgews.asyncio.websocket._TURN": "when a task that only sends lets others run",
    "edgews.asyncio.websocket.TURN": "when a task that only sends lets others run",
    "edgews.edge.process.channel._READ_SIZE": "one read",
    "edgews.edge.process.channel._SOCKETS_AT_ONCE": "sockets of one write",
    "edgews.edge.process.resources._DESCRIPTORS_A_CONNECTION": "what a connection needs",
    "edgews.edge.process.resources._DESCRIPTORS_BESIDE": "what a gateway needs beside",
    "edgews.edge.process.run._TAKEN": "stands for a successor",
    "edgews.edge.process.shared._SALT_BYTES": "as long as what it salts",
    "edgews.edge.process.shared._SCOPES_A_CONNECTION": "what a connection needs",
    "edgews.edge.process.shared._SPARE": "when there is larger memory",
    "edgews.session._TAKEN": "when the list of messages is moved up",
    "edgews.sync.poller._LONGEST": "whoever waits looks again anyway",
    "edgews.timers.ASAP": "stands for at once",
    "edgews.tunnels.NEVER": "stands for no timeout",
}


def rows() -> list[tuple[str, str, str]]:
    return [row[:3] for row in ROW.findall(PAGE.read_text(encoding="utf-8"))]


def find(name: str) -> object:
    """Import as much of a dotted name as is a module, and look up the rest."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:-1]:
            value = getattr(value, part)
        if count == len(parts):
            return value
        if isinstance(value, type) and is_dataclass(value):
            return next(field.default for field in fields(value) if field.name == parts[-1])
        return getattr(value, parts[-1])
    raise AssertionError(name)


def test_each_row_is_what_the_code_has() -> None:
    assert len(rows()) > 15
    for name, parameter, value in rows():
        real = inspect.signature(find(name)).parameters[parameter].default if parameter else find(name)  # type: ignore[arg-type]
        assert (name, parameter, real) == (name, parameter, ast.literal_eval(value))


def test_no_constant_is_missing() -> None:
    documented = {name for name, parameter, _ in rows() if not parameter}
    missing = [name for name in constants() if name not in documented and name not in INNER]
    assert missing == [], "a limit belongs into docs/limits.md"


def test_no_setting_is_missing() -> None:
    documented = {name for name, *_ in rows()}
    wanted = {f"edgews.PerMessageDeflate.{field.name}" for field in fields(edgews.PerMessageDeflate)}
    wanted |= {f"edgews.asyncio.Backoff.{field.name}" for field in fields(Backoff) if field.name != "random"}
    assert wanted - documented == set()


def constants() -> list[str]:
    """Return the numbers that the modules scanned define at their top."""
    found = []
    for module in pkgutil.walk_packages(edgews.__path__, "edgews."):
        if not any(f"{module.name}.".startswith(f"edgews.{name}.") for name in SCANNED):
            continue
        spec = module.module_finder.find_spec(module.name, None)
        assert spec is not None
        assert spec.origin is not None
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.lstrip("_").isupper():
                    value = find(f"{module.name}.{target.id}")
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        found.append(f"{module.name}.{target.id}")
    return found
