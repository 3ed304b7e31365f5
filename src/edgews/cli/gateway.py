"""`edgews proxy`, `edgews serve` and `edgews check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgews.edge.config.tables import Config


def proxy(origin: str, listen: str, *, access_log: str) -> int:
    """Relay to one origin until Ctrl-C or SIGTERM; return the exit code."""
    if not _available("proxy"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import check_values

    values = {
        "listen": [{"address": listen}],
        "route": [{"name": "proxy", "origins": [origin]}],
        "access_log": access_log,
    }
    try:
        config = check_values(values, "", "edgews proxy")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return _run("proxy", config, None)


def serve(config: Path) -> int:
    """Serve what a file says until Ctrl-C or SIGTERM; return the exit code."""
    if not _available("serve"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import load_config

    try:
        loaded = load_config(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return _run("serve", loaded, config)


def check(config: Path) -> int:
    """Check a file; return 0 if nothing is wrong with it."""
    if not _available("check"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import load_config
    from edgews.edge.gateway.prepare import prepare

    try:
        prepare(load_config(config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{config}: nothing is wrong")
    return 0


def _available(command: str) -> bool:
    try:
        import pydantic  # noqa: F401
    except ModuleNotFoundError:
        print(f"edgews {command}: pydantic is not installed: pip install 'edgews[edge]'", file=sys.stderr)
        return False
    return True


def _run(command: str, config: Config, file: Path | None) -> int:
    from edgews.edge.gateway.run import run

    return run(command, config, file)
