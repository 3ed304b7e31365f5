"""edgews with its pure-Python backend, in a process of its own that takes its turn like any contender.

The two talk in lines of JSON: `[row, passes]` goes in, the seconds come out. Passes 0 asks for the check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent.parent


class PurePython:
    """The process, started on entry."""

    def __enter__(self) -> PurePython:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "EDGEWS_BACKEND": "python"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, row: str, passes: int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([row, passes]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the process with the pure-Python backend has ended")
        return float(json.loads(answer))

    def contender(self, row: str) -> Remote:
        self.ask(row, 0)
        return Remote(self, row)


class Remote:
    def __init__(self, process: PurePython, row: str) -> None:
        self._process = process
        self._row = row

    def seconds(self, passes: int) -> float:
        return self._process.ask(self._row, passes)


def serve() -> None:
    import edgews

    from .rounds import no_garbage_collection
    from .rows import EDGEWS, find

    if edgews.BACKEND != "python":
        raise RuntimeError(f"this process has the backend {edgews.BACKEND!r}")
    with no_garbage_collection():
        row = contender = None
        for line in sys.stdin:
            key, passes = json.loads(line)
            if contender is None or row is None or row.key != key:
                row = find(key)
                contender = row.contenders[EDGEWS]()
            if not passes and not row.right(contender.produced()):
                raise RuntimeError(f"{key}: the pure-Python backend does not produce what it should")
            print(json.dumps(contender.seconds(passes) if passes else 0.0), flush=True)


if __name__ == "__main__":
    serve()
