from __future__ import annotations

import ast
import inspect
import os
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

from edgews import masking
from edgews.masking import KEY_SIZE, new_key

# Two keys of 32 bits may be equal by chance; two pairs of neighbours are not, and a pool that is handed out
# twice repeats whole sequences.
DRAWN = 2000


def pairs(keys: list[bytes]) -> set[tuple[bytes, bytes]]:
    """Return each key with its successor."""
    return set(pairwise(keys))


def test_keys_are_four_bytes():
    keys = [new_key() for _ in range(DRAWN)]
    assert all(type(key) is bytes and len(key) == KEY_SIZE == 4 for key in keys)
    assert len(pairs(keys)) == DRAWN - 1


def test_every_octet_of_a_key_varies():
    keys = [new_key() for _ in range(DRAWN)]
    for position in range(KEY_SIZE):
        # 2,000 draws out of 256: a value is missed with a chance of 0.0004, 30 of them never.
        assert len({key[position] for key in keys}) > 226


def test_two_threads_never_get_the_same_keys():
    start = Barrier(4)

    def draw(_):
        start.wait()
        return [new_key() for _ in range(20_000)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(draw, range(4)))
    finally:
        sys.setswitchinterval(interval)
    keys = [key for part in drawn for key in part]
    assert all(len(key) == KEY_SIZE for key in keys)
    # By chance about 0.75 of 80,000 keys repeat; more than 20 do with a chance below 10^-20.
    assert len(set(keys)) > len(keys) - 20


# In a process of its own, for a fork in one that runs threads is unsafe.
FORK = """
import os
from edgews.masking import _keys, new_key
new_key()
assert len(_keys) > 100, "the pool must be filled, or the test is empty"
reader, writer = os.pipe()
child = os.fork()
keys = b"".join(new_key() for _ in range(1000))
if child == 0:
    os.write(writer, keys)
    os._exit(0)
os.close(writer)
theirs = b""
while piece := os.read(reader, 65536):
    theirs += piece
assert os.waitpid(child, 0)[1] == 0
cut = lambda octets: {octets[i : i + 4] for i in range(0, len(octets), 4)}
assert len(theirs) == len(keys) == 4000
print(len(cut(keys) & cut(theirs)))
"""


if hasattr(os, "fork"):  # Windows has none, and nothing to share

    def test_a_forked_child_does_not_repeat_its_parents_keys():
        done = subprocess.run([sys.executable, "-W", "error", "-c", FORK], capture_output=True, text=True)
        assert done.stderr == ""
        # Two random sets of 1,000 have a key in common with a chance of 0.0002.
        assert int(done.stdout) <= 1


def test_no_other_source_of_chance_is_near():
    # The module `random` can be predicted from a few of its numbers: RFC 6455 §10.3.
    nodes = list(ast.walk(ast.parse(inspect.getsource(masking))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "os" in imported
    assert not imported & {"random", "numpy.random", "uuid", "time", "hashlib"}


def test_the_pool_is_refilled_from_urandom(monkeypatch):
    masking._keys.clear()
    served = []
    urandom = os.urandom

    def counted(size):
        served.append(urandom(size))
        return served[-1]

    monkeypatch.setattr(os, "urandom", counted)
    first = new_key()
    others = [new_key() for _ in range(len(masking._keys))]
    assert len(served) == 1
    assert sorted([first, *others]) == sorted(served[0][i : i + 4] for i in range(0, len(served[0]), 4))
    assert masking._keys == []
    new_key()
    assert len(served) == 2


def test_the_module_also_loads_where_there_is_no_fork(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    loaded = runpy.run_path(masking.__file__)
    assert len(loaded["new_key"]()) == KEY_SIZE
