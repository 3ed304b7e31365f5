"""The search without atheris: mutate, run, keep what behaves in a new way."""

from __future__ import annotations

import hashlib
import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .mutate import mutate
from .seeds import WORDS
from .targets import Target

# The clock is looked at once in so many inputs.
_ROUND = 50


@dataclass
class Outcome:
    """How a search went; `failure` is the file with the input that broke the invariant."""

    executions: int
    seconds: float
    corpus: int
    failure: Path | None = None

    @property
    def rate(self) -> float:
        """Executions per second."""
        return self.executions / max(self.seconds, 1e-9)


def search(
    name: str, target: Target, seeds: Sequence[bytes], seconds: float, seed: int, artifacts: Path
) -> Outcome:
    """Run `target` on the seeds and then on mutations of them, until it fails or time is up."""
    chance = random.Random(f"{name} {seed}")
    corpus = list(seeds)
    seen = set()
    start = time.monotonic()
    executions = 0

    def outcome(failure: Path | None = None) -> Outcome:
        return Outcome(executions, time.monotonic() - start, len(corpus), failure)

    while executions < len(seeds) or executions % _ROUND or time.monotonic() - start < seconds:
        first = executions < len(seeds)
        data = seeds[executions] if first else mutate(chance, corpus, WORDS)
        executions += 1
        try:
            behaviour = target(data)
        except Exception:
            traceback.print_exc()
            return outcome(keep(name, data, artifacts))
        if behaviour not in seen:
            seen.add(behaviour)
            if not first:
                corpus.append(data)
    return outcome()


def keep(name: str, data: bytes, artifacts: Path) -> Path:
    """Write an input where it can be run again from."""
    artifacts.mkdir(parents=True, exist_ok=True)
    path = artifacts / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path
