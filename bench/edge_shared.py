"""What a decision costs when several workers count together: `python -m bench.edge_shared`.

A limiter in memory of its own, the same in shared memory by one process, and by two to four that ask at the
same time: about keys of their own, and all about one key. Then connections that come and go. CPU time of a
decision, in turns with the others; read ratios.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from edgews.edge.policy.conngauge import ConnectionLimit
from edgews.edge.policy.connlimit import ConnectionLimiter, Kind
from edgews.edge.policy.connshared import SharedConnectionLimiter
from edgews.edge.policy.conntable import ConnectionTable, Shape
from edgews.edge.policy.ratelimit import RateLimit, RateLimiter
from edgews.edge.policy.ratetable import RateTable, table_size
from edgews.edge.process.memory import FileLock, attach, create

LIMIT = RateLimit(10, 60, max_keys=100_000)
SHAPE = Shape(8, 40_000)
LIMITS = {
    Kind.ALL: ConnectionLimit(100_000),
    Kind.HOST: ConnectionLimit(100_000),
    Kind.CLIENT: ConnectionLimit(10),
}
COUNT = 20_000
ROUNDS = 5
SALT = b"salt"


def address(number: int) -> str:
    return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"


def decisions(limiter: RateLimiter | RateTable, first: int, keys: int) -> None:
    for number in range(COUNT):
        limiter.decide((address(first + number % keys),), 1.0)


def connections(limiter: ConnectionLimiter, first: int) -> None:
    for number in range(COUNT):
        limiter.admit(number, 0.0, host="example.com", client=address(first + number // 5))
    for number in range(COUNT):
        limiter.release(number, 1.0)


def cost(work: Callable[[], None]) -> tuple[float, float]:
    """Return the CPU time and the time of one piece of work, in microseconds."""
    cpu, start = time.process_time(), time.perf_counter()
    work()
    return (time.process_time() - cpu) / COUNT * 1e6, (time.perf_counter() - start) / COUNT * 1e6


def shared(what: str, descriptor: int, process: int) -> Callable[[], None]:
    """Return one piece of work in shared memory."""
    first = process * COUNT
    if what == "connections":
        table = ConnectionTable(SHAPE, attach(descriptor), SALT)
        return lambda: connections(SharedConnectionLimiter(LIMITS, {}, table, process), first)
    limiter = RateTable(LIMIT, attach(descriptor), salt=SALT)
    return lambda: decisions(limiter, 0 if what == "one" else first, 1 if what == "one" else COUNT)


def run(what: str, processes: int) -> tuple[float, float]:
    """Have processes work at the same time; return the means of their best rounds."""
    storage = create(SHAPE.size if what == "connections" else table_size(LIMIT))
    lock = storage.lock
    assert isinstance(lock, FileLock)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.edge_shared", what, str(lock.fileno()), str(process)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[lock.fileno()],
            text=True,
        )
        for process in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [tuple(map(float, process.communicate()[0].split())) for process in started]
    return sum(cpu for cpu, _ in found) / processes, sum(taken for _, taken in found) / processes


def main() -> None:
    if len(sys.argv) > 1:
        work = shared(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
        work()
        print("ready", flush=True)
        sys.stdin.readline()
        print(*min(cost(work) for _ in range(ROUNDS)))
        return
    limiter = RateLimiter(LIMIT, salt=SALT)
    works: list[Callable[[], None]] = [
        lambda: decisions(limiter, 0, COUNT),
        lambda: decisions(limiter, 0, 1),
        lambda: connections(ConnectionLimiter(LIMITS), 0),
    ]
    alone = [min(cost(work) for _ in range(ROUNDS)) for work in works]
    titles = {"many": "a decision, many keys", "one": "a decision, one key", "connections": "in and out"}
    for (what, title), (base, taken) in zip(titles.items(), alone, strict=True):
        print(f"{title:26}alone{base:30.2f} us CPU {taken:8.2f} us")
        for processes in (1, 2, 3, 4):
            cpu, taken = run(what, processes)
            print(f"{'':26}shared by {processes}{cpu:24.2f} us CPU {taken:8.2f} us{cpu / base:8.2f}x CPU")


if __name__ == "__main__":
    main()
