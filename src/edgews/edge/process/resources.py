"""What the system allows a process: cores and descriptors."""

from __future__ import annotations

import os
import resource
from typing import Final

from edgews.edge.config.processes import ALL_CORES
from edgews.edge.config.tables import Config
from edgews.edge.gateway.arrivals import places

# A connection's own, and its origin's.
_DESCRIPTORS_A_CONNECTION: Final = 2
# Listeners, the log, the loop, certificates that are read, and whoever is about to be refused.
_DESCRIPTORS_BESIDE: Final = 64


def worker_count(config: Config) -> int:
    """Return as how many processes a configuration wants to be served."""
    if config.workers != ALL_CORES:
        return config.workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def raise_limit() -> int:
    """Let this process have as many descriptors as it may; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def shortage(config: Config, workers: int, descriptors: int) -> str | None:
    """Say what is wrong if there are fewer descriptors than the allowed connections need."""
    connections = -(-config.max_connections // workers)
    beside = places(config, descriptors) + _DESCRIPTORS_BESIDE
    needed = connections * _DESCRIPTORS_A_CONNECTION + beside
    if descriptors == resource.RLIM_INFINITY or needed <= descriptors:
        return None
    possible = max(descriptors - beside, 0) // _DESCRIPTORS_A_CONNECTION * workers
    return (
        f"max_connections = {config.max_connections} needs {needed} descriptors in each process, and the "
        f"system allows {descriptors} (ulimit -n): from about {possible} connections on, further ones have "
        "to wait. Raise the limit, or workers, or lower max_connections."
    )
