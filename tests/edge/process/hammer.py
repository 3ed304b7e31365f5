"""A process that asks a limiter in shared memory without end, and tells what it was granted.

`python -m tests.edge.process.hammer DESCRIPTOR KEYS REQUESTS COUNT`: a line with a key for each request that
was granted, after so many requests for each key in turn a last line.
"""

from __future__ import annotations

import os
import sys

from edgews.edge.policy.ratelimit import RateLimit
from edgews.edge.policy.ratetable import RateTable, table_size
from edgews.edge.process.memory import attach, create

SALT = b"salt"


def limit(requests: int) -> RateLimit:
    return RateLimit(requests, 1e9, max_keys=100)


def memory(requests: int):
    return create(table_size(limit(requests)))


def main(descriptor: int, keys: int, requests: int, count: int) -> None:
    table = RateTable(limit(requests), attach(descriptor), salt=SALT)
    for _ in range(count):
        for key in range(keys):
            # It is always the same moment, so nothing comes back.
            if table.decide((str(key),), 1.0).allowed:
                os.write(1, b"%d\n" % key)
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
