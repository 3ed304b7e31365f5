"""The kernels in C stay inside their buffers and say what is true: `harness.c`, under sanitizers.

Each compiler of this machine that has the address and undefined behaviour sanitizers builds it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sanitizer, pytest.mark.xdist_group("sanitizer")]

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "csrc"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# The harness frees what it takes, and leak detection does not work under every tracer.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=0"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)


def compilers() -> list[str]:
    """Return one path for each compiler; `cc` is mostly another name for one of the others."""
    found = {os.path.realpath(path): path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))}
    return list(found.values())


@pytest.fixture(scope="module")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build the harness with every compiler that can; there is at least one."""
    folder = tmp_path_factory.mktemp("harness")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    built = []
    for number, compiler in enumerate(compilers()):
        probed = run(compiler, *SANITIZERS, probe, "-o", folder / "probe")
        if probed.returncode == 0 and run(folder / "probe").returncode == 0:
            program = folder / f"harness{number}"
            sources = [HERE / "harness.c", SOURCE / "kernels.c"]
            done = run(compiler, *WARNINGS, *SANITIZERS, "-I", SOURCE, *sources, "-o", program)
            assert (done.returncode, done.stderr) == (0, "")
            built.append(program)
    assert built, "no C compiler with the address sanitizer"
    return built


@pytest.mark.parametrize(
    ("mode", "least"),
    [
        ("mask", 77_000),
        ("build", 600),
        ("small", 1_600_000),
        ("runs", 200_000),
        ("hostile", 500_000),
        ("capacity", 700),
    ],
)
def test_the_kernels_are_right_and_stay_inside(harnesses, mode, least):
    for program in harnesses:
        done = run(program, mode)
        assert (done.returncode, done.stderr) == (0, "")
        assert int(done.stdout) >= least


@pytest.mark.parametrize(
    ("mode", "found"), [("overrun", "heap-buffer-overflow"), ("undefined", "signed integer overflow")]
)
def test_the_sanitizers_would_find_it(harnesses, mode, found):
    for program in harnesses:
        done = run(program, mode)
        assert done.returncode != 0
        assert found in done.stderr


def test_the_kernels_compile_without_a_warning_as_they_are_shipped(tmp_path):
    for compiler in compilers():
        for level in ("-O0", "-O3"):
            flags = [*WARNINGS, "-Wsign-conversion", "-Wshadow", "-Wpedantic", level]
            done = run(compiler, *flags, "-c", SOURCE / "kernels.c", "-o", tmp_path / "kernels.o")
            assert (done.returncode, done.stderr) == (0, ""), compiler
