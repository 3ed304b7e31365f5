"""Memory that real processes share, and locks that outlive none of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from edgews.edge.policy.ratetable import RateTable
from edgews.edge.policy.storage import Storage
from edgews.edge.process.memory import FileLock, attach, create
from tests.edge.process import hammer
from tests.raw import check


@contextlib.contextmanager
def hammering(storage: Storage, *arguments: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that asks without end."""
    lock = storage.lock
    check(isinstance(lock, FileLock), "it is a file")
    descriptor = lock.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.edge.process.hammer", str(descriptor), *map(str, arguments)],
        stdout=subprocess.PIPE,
        pass_fds=[descriptor],
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def granted(process: subprocess.Popen[bytes]) -> Counter[bytes]:
    """Return what a process is granted from now until its end."""
    check(process.stdout is not None, "there is a pipe")
    return Counter(process.stdout.read().split())


def test_several_processes_are_granted_what_one_would_be():
    requests, keys = 500, 4
    storage = hammer.memory(requests)
    with contextlib.ExitStack() as stack:
        count = 3
        processes = [stack.enter_context(hammering(storage, keys, requests, requests)) for _ in range(count)]
        total = sum((granted(process) for process in processes), Counter())
    assert total.pop(b"done") == count
    assert total == {b"%d" % key: requests for key in range(keys)}


def test_who_is_killed_takes_one_request_along_and_stops_nobody():
    requests, kills = 20_000, 6
    storage = hammer.memory(requests)
    total: Counter[bytes] = Counter()
    for _ in range(kills):
        with hammering(storage, 1, requests, requests) as process:
            check(process.stdout is not None, "there is a pipe")
            # Wherever it is now, for all it does is ask and tell.
            for _ in range(100):
                total[process.stdout.readline().strip()] += 1
            process.kill()
            total += granted(process)
    with hammering(storage, 1, requests, requests) as process:
        total += granted(process)
    # What was granted and not told any more is one at most for each of them.
    assert requests - kills <= total[b"0"] <= requests
    assert not RateTable(hammer.limit(requests), storage, salt=hammer.SALT).decide(("0",), 1.0).allowed


def test_memory_is_the_same_for_all_who_have_it():
    storage = create(4096)
    lock = storage.lock
    check(isinstance(lock, FileLock), "it is a file")
    other = attach(os.dup(lock.fileno()))
    storage.words[1] = 7
    assert other.raw[8] == 7
    assert other.words[511] == 0
    assert not os.get_inheritable(lock.fileno())
    descriptor = lock.fileno()
    os.fstat(descriptor)
    del storage, lock
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)
    assert other.words[1] == 7


def test_what_cannot_be_had():
    with pytest.raises((OSError, OverflowError)):
        create(1 << 62)
    with pytest.raises(ValueError, match="empty"):
        create(0)


def test_where_the_system_has_no_memory_with_a_descriptor(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    storage = create(4096)
    storage.words[3] = 7
    other = attach(os.dup(storage.lock.fileno()))
    assert len(other.raw) == 4096
    assert other.words[3] == 7


def test_more_memory_than_there_can_be():
    before = len(os.listdir("/dev/fd"))
    for size in (-1, 1 << 62):
        with pytest.raises((OSError, OverflowError, ValueError)):
            create(size)
    assert len(os.listdir("/dev/fd")) == before
