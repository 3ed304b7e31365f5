"""The fuzzer itself: its seeds are clean, it finds what is planted, and it says what it did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from edgews import BACKEND, Connection, Disconnected, Event, Role
from edgews.events import Cause, CauseKind, Side
from fuzz.loop import search
from fuzz.seeds import seeds
from fuzz.targets import CLIENT, TARGETS, Wrong, cut, frames, play

ROOT = Path(__file__).parents[1]
SEEDS = seeds()
END = Disconnected(1006, "", False, Cause(CauseKind.CLOSED, Side.PEER, "planted"))


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_clean_and_differ(name: str) -> None:
    behaviours = {TARGETS[name](seed) for seed in SEEDS[name]}
    assert len(behaviours) > 8


@pytest.mark.parametrize("sizes", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\2\x10\x01", b"", b"\x05"])
def test_pieces_are_the_whole(sizes: bytes) -> None:
    data = bytes(range(256)) * 3
    pieces = list(cut(data, sizes))
    assert b"".join(pieces) == data
    assert all(pieces)


def test_a_planted_fault_is_found_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def target(data: bytes) -> str:
        # As deep as a fault that needs two mutations of a seed.
        if b"\xff\xff" in data[5:] and b"websocket" not in data:
            raise KeyError("planted")
        return "fine"

    found = search("planted", target, SEEDS["http"], 60, 1, tmp_path)
    assert found.failure is not None
    assert found.executions > len(SEEDS["http"])
    with pytest.raises(KeyError, match="planted"):
        target(found.failure.read_bytes())
    assert "KeyError: 'planted'" in capsys.readouterr().err


def test_new_behaviour_is_kept(tmp_path: Path) -> None:
    found = search("frames", frames, SEEDS["frames"], 0.5, 1, tmp_path)
    assert found.failure is None
    assert found.corpus > len(SEEDS["frames"])
    assert list(tmp_path.iterdir()) == []


class Planted(Connection):
    """A connection that ends in a way of its own."""

    __slots__ = ("after", "last")

    def __init__(self, last: list[Event], after: list[Event]) -> None:
        super().__init__(Role.SERVER)
        self.last = last
        self.after = after

    def receive_eof(self) -> Iterable[Event]:
        list(super().receive_eof())
        events, self.last = self.last, self.after
        return events


@pytest.mark.parametrize(
    ("last", "after", "complaint"),
    [
        ([], [], "exactly once"),
        ([END, END], [], "exactly once"),
        ([END, "late"], [], "last event"),
        ([END], ["late"], "after Disconnected"),
    ],
)
def test_the_invariant_is_held_up(last: list[Event], after: list[Event], complaint: str) -> None:
    with pytest.raises(Wrong, match=complaint):
        play(Planted(last, after), [], 0)
    assert play(Planted([END], []), [], 0) == [END]


def test_a_difference_between_splits_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Connection.receive_data

    def forgetful(self: Connection, data: bytes) -> Iterator[Event]:
        # It loses a message that comes in one piece with another.
        events = list(original(self, data))
        return iter(events[:1] if events[1:] == ["b"] else events)

    two = bytes([CLIENT]) + b"\2\2\2\2" + b"\x81\x01a\x81\x01b"
    frames(two)
    monkeypatch.setattr(Connection, "receive_data", forgetful)
    with pytest.raises(Wrong, match="split made a difference"):
        frames(two)


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", "--engine", "loop", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)


def test_the_command(tmp_path: Path) -> None:
    done = fuzz("--seconds", "1", "--backend", BACKEND, f"--artifacts={tmp_path}", "--seed=1")
    assert done.returncode == 0, done.stderr
    found = re.findall(
        r"^(\w+), backend (\w+): (\d+) executions in .* s, \d+ per second; ", done.stdout, re.M
    )
    assert [(name, backend) for name, backend, _ in found] == [(name, BACKEND) for name in TARGETS]
    assert all(int(executions) > len(SEEDS[name]) for name, _, executions in found)


def test_a_failure_of_the_command_ends_with_1_and_can_be_repeated(tmp_path: Path) -> None:
    # A module that is found before the real one, and breaks the engine.
    (tmp_path / "sitecustomize.py").write_text(
        "import edgews.incoming as incoming\n"
        "def broken(*_):\n"
        "    raise ZeroDivisionError('planted')\n"
        "incoming.parse_close = broken\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "EDGEWS_BACKEND": BACKEND}
    command = [sys.executable, "-m", "fuzz", "--backend", BACKEND, "--target", "frames"]
    search_command = [*command, "--engine=loop", "--seconds=60", f"--artifacts={tmp_path / 'found'}"]
    done = subprocess.run(search_command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ZeroDivisionError: planted" in done.stderr
    (path,) = (tmp_path / "found").iterdir()
    assert f"--target frames --reproduce {path}" in done.stdout
    again = [*command, "--reproduce", str(path)]
    broken = subprocess.run(again, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert broken.returncode == 1
    assert "ZeroDivisionError: planted" in broken.stderr
    # Without the fault the same input is fine.
    mended = subprocess.run(again, cwd=ROOT, capture_output=True, text=True)
    assert mended.returncode == 0, mended.stderr
