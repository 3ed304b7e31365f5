"""Search for inputs that break the invariant: `python -m fuzz --seconds 30`.

Exit code 0 if none was found in the time, 1 if one was; it is then in a file, and
`python -m fuzz --target TARGET --reproduce FILE` runs it again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

NAMES = ("server", "client", "frames", "http")
BACKENDS = ("c", "python")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=sys.modules["fuzz"].__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long, all targets together")
    parser.add_argument("--backend", choices=BACKENDS, help="default: each that is there, in turn")
    parser.add_argument("--target", choices=NAMES, help="default: all, in turn")
    parser.add_argument(
        "--engine", choices=("atheris", "loop"), help="default: atheris where it is installed"
    )
    parser.add_argument(
        "--seed", type=int, help="start of the random numbers, to repeat a search of the loop"
    )
    parser.add_argument("--artifacts", type=Path, default=Path("fuzz-failures"), help="where failures go")
    parser.add_argument(
        "--reproduce", type=Path, metavar="FILE", help="run one input and show what comes of it"
    )
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    asked = arguments()
    if asked.reproduce is not None:
        return reproduce(asked)
    backends = [asked.backend] if asked.backend else [name for name in BACKENDS if is_there(name)]
    targets = [asked.target] if asked.target else list(NAMES)
    guided = find_spec("atheris") is not None if asked.engine is None else asked.engine == "atheris"
    # The loop runs here; a backend is chosen at import, so there is one process for each.
    if not guided and len(backends) == 1:
        os.environ["EDGEWS_BACKEND"] = backends[0]
        return loop(asked, targets, asked.seconds)
    share = asked.seconds / len(backends)
    failed = 0
    for backend in backends:
        environment = {**os.environ, "EDGEWS_BACKEND": backend}
        if guided:
            for target in targets:
                print(f"{target}, backend {backend}: atheris", flush=True)
                failed |= guide(target, share / len(targets), asked.artifacts, environment)
        else:
            command = [sys.executable, "-m", "fuzz", "--backend", backend, "--engine", "loop"]
            command += [f"--seconds={share}", f"--artifacts={asked.artifacts}"]
            command += [f"--target={asked.target}"] if asked.target else []
            command += [f"--seed={asked.seed}"] if asked.seed is not None else []
            failed |= subprocess.run(command, env=environment).returncode
    return 1 if failed else 0


def is_there(backend: str) -> bool:
    """Say whether a backend can be used."""
    return backend == "python" or find_spec("edgews._kernels") is not None


def loop(asked: argparse.Namespace, targets: list[str], seconds: float) -> int:
    """Search with our own loop, in this process."""
    from edgews import BACKEND

    from .loop import search
    from .seeds import seeds
    from .targets import TARGETS

    seed = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
    first = seeds()
    for name in targets:
        found = search(name, TARGETS[name], first[name], seconds / len(targets), seed, asked.artifacts)
        print(
            f"{name}, backend {BACKEND}: {found.executions} executions in {found.seconds:.1f} s, "
            f"{found.rate:.0f} per second; {len(first[name])} seeds, {found.corpus} inputs kept; "
            f"--seed {seed}",
            flush=True,
        )
        if found.failure is not None:
            print(f"FAILED: python -m fuzz --backend {BACKEND} --target {name} --reproduce {found.failure}")
            return 1
    return 0


def guide(target: str, seconds: float, artifacts: Path, environment: dict[str, str]) -> int:
    """Search with atheris, in a process of its own."""
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        command = [sys.executable, "-m", "fuzz.guided", target, str(corpus)]
        command += ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={artifacts}/{target}-"]
        command += [f"-max_total_time={max(1, round(seconds))}"]
        code = subprocess.run(command, env=environment).returncode
    if not any(artifacts.iterdir()):
        artifacts.rmdir()
    return code


def reproduce(asked: argparse.Namespace) -> int:
    """Run one input; what is wrong shows as a traceback."""
    if asked.target is None:
        sys.exit("--reproduce needs --target")
    if asked.backend is not None:
        os.environ["EDGEWS_BACKEND"] = asked.backend
    from .targets import TARGETS

    print(TARGETS[asked.target](asked.reproduce.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
