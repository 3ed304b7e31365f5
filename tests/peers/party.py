"""A party as the tests see it: a process, orders, and what comes back."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.peers.matrix import OURS
from tests.raw import TIMEOUT

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "agents"


class Failed(Exception):
    """An order could not be obeyed."""


class Party:
    """One library's clients and servers, in a process that lives as long as the tests need it."""

    def __init__(self, name: str, certificates: Path) -> None:
        program = ["node", str(FOLDER / "ws.js")]
        if name != "ws":
            # What a party of ours says to standard error is a failure, so a warning is, too.
            strict = ["-W", "error"] if name in OURS else []
            program = [sys.executable, *strict, "-m", "tests.peers.agents", name]
        self.name = name
        self._errors = open(certificates / f"{name}.log", "w+")  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            [*program, str(certificates)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._writing = threading.Lock()
        self._answers: dict[int, Future[Any]] = {}
        self._events: defaultdict[str, queue.SimpleQueue[dict[str, Any]]] = defaultdict(queue.SimpleQueue)
        self._ports: dict[str, int] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def begin(self, verb: str, **arguments: Any) -> Future[Any]:
        """Give an order, and return what its answer will be in."""
        answer: Future[Any] = Future()
        with self._writing:
            number = len(self._answers)
            self._answers[number] = answer
            print(json.dumps({"number": number, "verb": verb, **arguments}), file=self._input, flush=True)
        return answer

    def order(self, verb: str, **arguments: Any) -> Any:
        """Give an order, and return its answer."""
        return self.answer(self.begin(verb, **arguments))

    def answer(self, begun: Future[Any]) -> Any:
        try:
            return begun.result(TIMEOUT)
        except TimeoutError:
            raise Failed(f"{self.name} does not answer; it has said: {self._said()}") from None

    def event(self, name: str) -> dict[str, Any]:
        """Return the next event of a connection."""
        try:
            return self._events[name].get(timeout=TIMEOUT)
        except queue.Empty:
            raise Failed(f"{self.name} tells nothing more; it has said: {self._said()}") from None

    def listen(self, **options: Any) -> int:
        """Return the port of a server with these options, which is started when it is first asked for."""
        key = json.dumps(options)
        if key not in self._ports:
            self._ports[key] = self.order("listen", **options)
        return self._ports[key]

    def end(self) -> tuple[int, str]:
        """Let the process end; return its exit code and what it said to standard error."""
        self._input.close()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(TIMEOUT)
        self._output.close()
        with self._errors:
            return self._process.wait(TIMEOUT), self._said()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def _read(self) -> None:
        for line in self._output:
            what = json.loads(line)
            if "number" not in what:
                self._events[what.pop("name")].put(what)
            elif "error" in what:
                self._answers[what["number"]].set_exception(Failed(f"{self.name}: {what['error']}"))
            else:
                self._answers[what["number"]].set_result(what["value"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Failed(f"{self.name} has ended: {self._said()}"))
