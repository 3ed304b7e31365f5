"""Run the code blocks of one page, in a process of its own: `python -m tests.docs.blocks PAGE`.

The `python` blocks of a page are one program that may wait (`await`) at its top level, so a later block can
use what an earlier one has made. A block of `output` has what the block in front of it printed. An error
names page and line.

Readers try a server on port 8765; here it is another one, for that one may be taken. `SERVE_ECHO` in the
environment has an echo server there, where the page says that one runs.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import os
import random
import re
import socket
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(\s*)(`{3,}|:{3,})\s*(\S*)[^\n]*\n(.*?)^\1\2\s*$", re.M | re.S)
PORT = "8765"


@dataclass
class Block:
    """A fenced block: its language or directive, its text, the line in which its text begins."""

    kind: str
    text: str
    line: int


def blocks(text: str, line: int = 1) -> Iterator[Block]:
    """Yield all blocks of a page in their order, those inside of other ones too."""
    for match in FENCE.finditer(text):
        indent, _, kind, body = match.groups()
        begin = line + text.count("\n", 0, match.start(4))
        if kind.startswith("{") and kind != "{eval-rst}":
            yield Block(kind, body, begin)
            yield from blocks(body, begin)
        else:
            yield Block(kind, "".join(part.removeprefix(indent) for part in body.splitlines(True)), begin)


def free_port() -> int:
    """Return a port that is free, below those that the system gives out by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def run(page: Path, port: str, runner: asyncio.Runner) -> None:
    """Run the page's blocks, one after the other in one namespace."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    printed: str | None = None
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.kind == "output" and printed != block.text:
            raise SystemExit(f"{page}, line {block.line}: the block in front of it printed {printed!r}")
        if block.kind != "python":
            continue
        source = "\n" * (block.line - 1) + block.text.replace(PORT, port)
        # What a page asserts is checked under `python -O`, too.
        code = compile(source, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, optimize=0)
        with redirect_stdout(io.StringIO()) as out:
            result = types.FunctionType(code, vars(module))()
            if inspect.iscoroutine(result):
                runner.run(result)
        printed = out.getvalue().replace(port, PORT)


def main(page: str) -> None:
    port = free_port()
    with asyncio.Runner() as runner, echo(port) if os.environ.get("SERVE_ECHO") else nullcontext():
        run(Path(page), str(port), runner)


@contextmanager
def echo(port: int) -> Iterator[None]:
    """Serve what a reader has started in another terminal."""
    from edgews.sync import WebSocket, serve

    def handler(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    with serve(handler, "127.0.0.1", port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
