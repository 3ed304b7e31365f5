"""Contenders in processes of their own, which take turns.

So none of them works in a heap that another one has left, and none shares the backend of edgews with another.
Parent and worker talk in lines of JSON: `[row, passes]` goes in, the seconds come out. Passes 0 asks for the
check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from .rows import EDGEWS, PYTHON, Row, find

ROOT = Path(__file__).resolve().parent.parent.parent


class Worker:
    """One process, for the contender of this name."""

    def __init__(self, name: str) -> None:
        self._name = name
        backend = {"EDGEWS_BACKEND": "python"} if name == PYTHON else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, EDGEWS if name == PYTHON else name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **backend},
        )

    def ask(self, row: str, passes: int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([row, passes]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process of {self._name} has ended")
        return float(json.loads(answer))

    def end(self) -> None:
        self._process.communicate()


class Remote:
    """A contender of a row, as `race` takes it."""

    def __init__(self, worker: Worker, row: str) -> None:
        self._worker = worker
        self._row = row

    def check(self) -> None:
        self._worker.ask(self._row, 0)

    def seconds(self, passes: int) -> float:
        return self._worker.ask(self._row, passes)


class Workers:
    """The processes for one row: fresh ones, for a heap remembers the row before. They end with the block."""

    def __init__(self, row: Row) -> None:
        self._row = row
        names = [*row.contenders, *([] if row.native else [PYTHON])]
        self._workers = {name: Worker(name) for name in names}

    def __enter__(self) -> dict[str, Remote]:
        """Return all contenders of the row, and beside them edgews with its pure-Python backend."""
        return {name: Remote(worker, self._row.key) for name, worker in self._workers.items()}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.end()


def serve(name: str) -> None:
    """Work for the parent until it ends."""
    from .rounds import no_garbage_collection

    with no_garbage_collection():
        row = contender = None
        for line in sys.stdin:
            key, passes = json.loads(line)
            if contender is None or row is None or row.key != key:
                row = find(key)
                contender = row.contenders[name]()
            if not passes and not row.right(contender.produced()):
                raise RuntimeError(f"{key}: {name} does not produce what it should")
            print(json.dumps(contender.seconds(passes) if passes else 0.0), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
