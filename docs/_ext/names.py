"""Names of edgews lead to where they are documented: `edgews.events.Request` to `edgews.Request`.

Type hints name the module in which a class is written, docstrings the class alone, and the pages the module
from which it is imported.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

RFC = re.compile(r"RFC (\d{4}) (§(\d[\d.]*\d|\d))")

# Of signatures: another name of a module, what is for derived classes alone, and what the docstring says.
REWORDED = [
    (r"tls\.SSLContext", "ssl.SSLContext"),
    (r", _connecting: bool = False", ""),
    (r"\*\*arguments: .*Arguments\]", "**arguments"),
]
MADE_BY_OTHERS = {
    "edgews.asyncio.Server",
    "edgews.asyncio.WebSocket",
    "edgews.compat.uvicorn.EdgewsProtocol",
    "edgews.fragments.MessagePieces",
    "edgews.sync.Server",
    "edgews.sync.WebSocket",
    "edgews.trio.WebSocket",
}


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Look for an object with the same last names, first in the module that the page speaks of."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not re.fullmatch(r"[\w.]+", target):
        return None
    objects = env.domains.python_domain.objects
    module = node.get("py:module") or "edgews"
    names = target.removeprefix("edgews.").split(".")
    # With the class it belongs to, or alone.
    for count in (2, 1):
        name = ".".join(names[-count:])
        adapter = f"edgews.{names[0]}" if len(names) > count else module
        near = [f"{adapter}.{name}", f"{module}.{name}", f"edgews.{name}"]
        for full in [*near, *(full for full in objects if full.endswith(f".{name}") and count == 1)]:
            if full in objects:
                found = objects[full]
                return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content, full)
    return None


def change_signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Leave out the arguments of classes that applications do not call, and call modules by their names."""
    if signature is None:
        return None
    if name in MADE_BY_OTHERS or (isinstance(obj, type) and issubclass(obj, Enum | Exception)):
        return "", None
    for pattern, instead in REWORDED:
        signature = re.sub(pattern, instead, signature)
    # The union of all events has a name.
    return signature, returns and re.sub(r"str \| bytes \| .*?Disconnected", "edgews.Event", returns)


def link_sections(
    app: Sphinx, what: str, name: str, obj: object, options: dict[str, Any], lines: list[str]
) -> None:
    """Let the RFC's section that a docstring ends with be a link to it."""
    for at, line in enumerate(lines):
        lines[at] = RFC.sub(r"`RFC \1 \2 <https://www.rfc-editor.org/rfc/rfc\1#section-\3>`__", line)


def mark_code(
    app: Sphinx, what: str, name: str, obj: object, options: dict[str, Any], lines: list[str]
) -> None:
    """Let an indented block between paragraphs be code; in a docstring nobody needs a mark to see that."""
    for at in range(len(lines) - 1, 1, -1):
        before = next((line for line in reversed(lines[:at]) if line), "")
        begins = lines[at].startswith("    ") and not lines[at - 1]
        if begins and before and not before.startswith((" ", ":", "..")):
            lines[at:at] = ["::", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", mark_code)
    app.connect("autodoc-process-docstring", link_sections)
    app.connect("autodoc-process-signature", change_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
