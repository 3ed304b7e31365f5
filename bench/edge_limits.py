"""What a decision of the gateway's limits costs, and a key in memory: `python -m bench.edge_limits`.

Keys are addresses. One process, one run; read ratios. Linux only, for it asks /proc what is resident.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from pathlib import Path

from edgews.edge.policy.conngauge import ConnectionLimit, Plan
from edgews.edge.policy.connlimit import ConnectionLimiter, Kind
from edgews.edge.policy.ratelimit import RateLimit, RateLimiter

KEYS = 1_000_000
CONNECTIONS = 100_000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def address(number: int) -> str:
    return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"


def decisions(title: str, limiter: RateLimiter, keys: Iterable[str], now: float) -> None:
    count, worst = 0, 0.0
    start = time.perf_counter()
    for key in keys:
        before = time.perf_counter()
        limiter.decide((key,), now)
        worst = max(worst, time.perf_counter() - before)
        count += 1
    mean = (time.perf_counter() - start) / count
    print(f"{title:40}{mean * 1e6:8.2f} us, at worst {worst * 1e3:.1f} ms")


def rate_limits() -> None:
    limiter = RateLimiter(RateLimit(10, 60, max_keys=KEYS), salt=b"salt")
    before = resident()
    decisions("a key that is new", limiter, map(address, range(KEYS)), 1.0)
    print(f"{'memory of a key':40}{(resident() - before) / KEYS:8.0f} B")
    decisions("a key that is known", limiter, map(address, range(200_000)), 1.5)
    decisions("a key for which there is no room", limiter, map(address, range(KEYS, KEYS + 200_000)), 2.0)
    decisions("a new key, when others can be forgotten", limiter, map(address, range(200_000)), 100.0)


def connection_limits() -> None:
    limiter = ConnectionLimiter(
        {
            Kind.ALL: ConnectionLimit.of_plan(Plan.FREE),
            Kind.HOST: ConnectionLimit(CONNECTIONS),
            Kind.CLIENT: ConnectionLimit(10),
        }
    )
    before = resident()
    start = time.perf_counter()
    for number in range(CONNECTIONS):
        limiter.admit(number, 0.0, host="example.com", client=address(number // 5))
    taken = time.perf_counter()
    print(f"{'a connection that is taken':40}{(taken - start) / CONNECTIONS * 1e6:8.2f} us")
    print(f"{'memory of a connection':40}{(resident() - before) / CONNECTIONS:8.0f} B")
    start = time.perf_counter()
    for number in range(CONNECTIONS):
        limiter.release(number, 1.0)
    print(f"{'a connection that ends':40}{(time.perf_counter() - start) / CONNECTIONS * 1e6:8.2f} us")


def main() -> None:
    rate_limits()
    connection_limits()


if __name__ == "__main__":
    main()
