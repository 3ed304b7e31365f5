"""Run every check and every test that this machine can run: what `script/test` does without arguments.

Each part runs to its end, whatever became of the one before. The last lines name what
could not run here and why, what failed, and how many tests passed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Their tests look at edgews from outside, where neither the backend nor `python -O` makes a
# difference: they run once.
OUTSIDE = ("browser", "foreign", "interop", "node", "npm", "packaging", "sanitizer")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
COMPILERS = ("clang", "gcc", "cc")
# What tests with the marker `peers` import; uvloop is not everywhere.
PEERS = (
    "aiohttp",
    "fastapi",
    "httptools",
    "hypercorn",
    "starlette",
    "tiny_proxy",
    "trio_websocket",
    "uvicorn",
    "websockets",
    "wsproto",
)
# What the extra `edge` brings.
EDGE = ("cel", "re2")
# What tests with the marker `npm` require; script/node-packages puts it into .node.
NODE_PACKAGES = ("ws",)

# Seconds for one part; one that takes this long hangs.
TIMEOUT = 900


@dataclass
class Part:
    """One command, and what its success says."""

    title: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    pytest: bool = False


@dataclass
class Totals:
    """What the parts left behind."""

    passed: int = 0
    failed: int = 0
    bad_parts: list[str] = field(default_factory=list)


def sanitizes(compiler: str) -> bool:
    """Say whether `compiler` builds programs with both sanitizers that also start."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "probe")
        build = [compiler, "-x", "c", "-fsanitize=address,undefined", "-o", program, "-"]
        try:
            built = subprocess.run(build, input=b"int main(void) { return 0; }", capture_output=True)
            return built.returncode == 0 and subprocess.run([program], capture_output=True).returncode == 0
        except OSError:
            return False


def fetches(package: str) -> bool:
    """Say whether pip gets a package from its index, which mostly is somewhere in a network."""
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--quiet",
            "--no-deps",
            "--no-cache-dir",
            "--retries=0",
            "--timeout=10",
            f"--dest={folder}",
        ]
        command = [sys.executable, "-m", "pip", "download", *options, package]
        try:
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def absent() -> Iterator[tuple[str, str]]:
    """Yield each marker whose tests cannot run here, with the reason."""
    if not any(map(shutil.which, CHROMIUM)):
        yield "browser", "no chromium on PATH"
    elif find_spec("playwright") is None:
        yield "browser", "not installed: playwright"
    if not any(map(shutil.which, COMPILERS)):
        yield "compiler", "no C compiler on PATH"
    if missing := [name for name in EDGE if find_spec(name) is None]:
        yield "edge", f"not installed: {', '.join(missing)}"
    if find_spec("edgews._kernels") is None:
        yield "extension", "edgews was installed without its C extension"
    if not fetches("wsproto"):
        yield "foreign", "pip cannot fetch a package from its index"
    if not shutil.which("node"):
        yield "node", "no node on PATH"
        yield "npm", "no node on PATH"
    elif missing := [name for name in NODE_PACKAGES if not (ROOT / ".node/node_modules" / name).exists()]:
        yield "npm", f"not in .node: {', '.join(missing)} (script/node-packages)"
    if missing := [name for name in PEERS if find_spec(name) is None]:
        yield "peers", f"not installed: {', '.join(missing)}"
    if not any(map(sanitizes, COMPILERS)):
        yield "sanitizer", "no C compiler with the address sanitizer"


def checks() -> Iterator[Part]:
    """Yield what runs no servers: what keeps one core busy, and the measurement of coverage."""
    # The longest first, so that the others are done beside it.
    yield Part(
        "layers A to C, policies: 100 % branch coverage of each module by its own test file",
        [sys.executable, "script/coverage"],
    )
    yield from fuzzing()
    yield Part(
        "types (pyright)", ["pyright", "--project", "pyproject.toml"], {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    )
    typed = ["src", *(["tests/typing"] if (ROOT / "tests/typing").exists() else [])]
    yield Part("types (mypy --strict)", ["mypy", "--strict", *typed])
    yield Part("style and common mistakes (ruff check)", ["ruff", "check", "."])
    yield Part("layout of the code (ruff format)", ["ruff", "format", "--check", "."])
    if find_spec("sphinx") is not None:
        build = ["--quiet", "--fail-on-warning", "--keep-going", "--fresh-env", "--builder", "html"]
        yield Part(
            "documentation, warnings as errors",
            [sys.executable, "-m", "sphinx", *build, "docs", "build/docs"],
        )


def tests(missing: set[str]) -> Iterator[Part]:
    """Yield what runs the code."""
    backends = ("python",) if "extension" in missing else ("c", "python")
    # In runs of neighbours, which share what their module has started; who is done early takes over some.
    inside = suite("worksteal", without={*OUTSIDE, *missing})
    yield Part(f"whole suite, backend {backends[0]}", inside, {"EDGEWS_BACKEND": backends[0]}, pytest=True)
    # Each backend has run all tests after this, and `python -O` as well, in two runs.
    # The variable, not the option: pytest-xdist does not hand options of the interpreter on.
    optimized = {"EDGEWS_BACKEND": backends[-1], "PYTHONOPTIMIZE": "1", "HYPOTHESIS_PROFILE": "brief"}
    title = f"whole suite under python -O, backend {backends[-1]}"
    warning = "-Wignore:assertions not in test modules:pytest.PytestConfigWarning"
    yield Part(title, [*inside, warning], optimized, pytest=True)
    if outside := [name for name in OUTSIDE if name not in missing]:
        # By group, so that the packaging tests share one set of built files.
        command = suite("loadgroup", only=outside, without=missing)
        yield Part(f"from outside: {', '.join(outside)}", command, pytest=True)


def fuzzing() -> Iterator[Part]:
    """Yield a bounded run of the fuzzer."""
    for package in ("fuzz", "tests.fuzz"):
        if (ROOT / package.replace(".", "/") / "__main__.py").exists():
            yield Part("fuzzing, 30 s", [sys.executable, "-m", package, "--seconds", "30"])


def suite(spread: str, *, only: list[str] | None = None, without: set[str]) -> list[str]:
    """Return the pytest command for the tests with one of the markers `only`, and none of `without`.

    Args:
        spread: how pytest-xdist divides the tests (--dist).
    """
    wanted = [f"({' or '.join(only)})"] if only else []
    unwanted = [f"not ({' or '.join(sorted(without))})"] if without else []
    select = " and ".join([*wanted, *unwanted])
    # Two for each core, as half of them wait for a peer.
    workers = ["-n", str(2 * (os.cpu_count() or 2)), "--dist", spread]
    return [sys.executable, "-m", "pytest", "-q", *workers, *(["-m", select] if select else [])]


@dataclass
class Ended:
    """What became of a part."""

    code: int
    seconds: float
    said: str
    report: bytes


def execute(part: Part, output: int | None = None) -> Ended:
    """Run one part.

    Args:
        output: `subprocess.PIPE` keeps what it says, None shows it at once.
    """
    start = time.monotonic()
    environment = {**os.environ, **part.env}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [*part.command, f"--junit-xml={report}"] if part.pytest else part.command
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
            )
            code, said = done.returncode, done.stdout or ""
        except subprocess.TimeoutExpired as late:
            before = late.stdout or b""
            said = before.decode(errors="replace") if isinstance(before, bytes) else before
            code, said = 1, f"{said}\nnot done after {TIMEOUT} s\n"
        written = report.read_bytes() if report.exists() else b""
    return Ended(code, time.monotonic() - start, said, written)


def conclude(part: Part, ended: Ended, totals: Totals) -> None:
    """Show how a part ended, and add what became of it to `totals`."""
    print(ended.said, end="")
    outcome = f"FAILED ({ended.code})" if ended.code else "passed"
    print(f"--- {outcome} after {ended.seconds:.0f} s", flush=True)
    if ended.report:
        count(ended.report, totals)
    if ended.code:
        totals.bad_parts.append(part.title)


def run(part: Part, totals: Totals) -> None:
    """Run one part, which keeps all cores busy, and show what it says meanwhile."""
    print(f"\n=== {part.title}", flush=True)
    conclude(part, execute(part), totals)


def run_beside(parts: Iterable[Part], totals: Totals) -> None:
    """Run parts beside each other, as many at a time as there are cores; show each as it ends."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        running = {pool.submit(execute, part, subprocess.PIPE): part for part in parts}
        for future in as_completed(running):
            print(f"\n=== {running[future].title}")
            conclude(running[future], future.result(), totals)


def count(report: bytes, totals: Totals) -> None:
    """Add the figures of a JUnit report to `totals`."""
    for result in ET.fromstring(report).iter("testsuite"):
        tests, failed, skipped = (int(result.get(name, "0")) for name in ("tests", "failures", "skipped"))
        failed += int(result.get("errors", "0"))
        totals.failed += failed
        totals.passed += tests - failed - skipped


def main() -> int:
    """Run all parts; return 0 if all of them passed."""
    missing = dict(absent())
    totals = Totals()
    run_beside(checks(), totals)
    for part in tests(set(missing)):
        run(part, totals)
    if missing and os.environ.get("EDGEWS_TEST_REQUIRE") == "all":
        totals.bad_parts.append(f"EDGEWS_TEST_REQUIRE=all, but not run: {', '.join(missing)}")
    print("\n=== in short")
    for title in totals.bad_parts:
        print(f"failed: {title}")
    for name, reason in missing.items():
        print(f"not run here: {name} ({reason})")
    print(f"{totals.passed} passed, {totals.failed} failed", flush=True)
    return 1 if totals.bad_parts else 0


if __name__ == "__main__":
    sys.exit(main())
