"""`edgews proxy`, `serve`, `reload` and `check`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

# What of the extra `edge` each of these commands imports.
_NEEDED: Final = ("pydantic", "prometheus_client")


# What of the configuration each argument of `edgews proxy` is.
_ARGUMENTS: Final = {
    "route[0].origins[0]": "ORIGIN",
    "listen[0].address": "--listen",
    "access_log": "--access-log",
    "workers": "--workers",
    "admin.address": "--admin",
}


def proxy(origin: str, listen: str, *, access_log: str, workers: int | str, admin: str | None) -> int:
    """Relay to one origin until Ctrl-C or SIGTERM; return the exit code."""
    if not _available("proxy"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.process.run import run
    from edgews.edge.process.source import Source

    values: dict[str, Any] = {
        "listen": [{"address": listen}],
        "route": [{"name": "proxy", "origins": [origin]}],
        "access_log": access_log,
        "workers": workers,
    }
    if admin is not None:
        values["admin"] = {"address": admin}
    source = Source("edgews proxy", values=values)
    try:
        config = source.config()
    except ConfigError as error:
        for fault in error.faults:
            print(f"edgews proxy: {_ARGUMENTS.get(fault.key, fault.key)}: {fault.expected}", file=sys.stderr)
        return 2
    return run("proxy", source, config)


def serve(config: Path, *, takeover: bool) -> int:
    """Serve what a file says until Ctrl-C or SIGTERM; return the exit code."""
    if not _available("serve"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.process.run import run
    from edgews.edge.process.source import read_source

    try:
        source = read_source(config)
        loaded = source.config()
    except ConfigError as error:
        complain(error, config)
        return 1
    if takeover and loaded.control == "off":
        print(f"edgews serve: {config} names no control socket, over which to take over", file=sys.stderr)
        return 2
    return run("serve", source, loaded, takeover=takeover)


def reload(config: Path) -> int:
    """Have the gateway that runs read its file again; return 0 if it goes on with what that says."""
    if not _available("reload"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import load_config
    from edgews.edge.process.control import ask_reload

    try:
        path = load_config(config).control
    except ConfigError as error:
        print(f"{error}\nnot reloaded, nothing has changed.", file=sys.stderr)
        return 1
    if path == "off":
        print(
            f"edgews reload: {config} names no control socket; SIGHUP does the same",
            file=sys.stderr,
        )
        return 2
    try:
        faults = ask_reload(path)
    except OSError as error:
        print(f"edgews reload: no gateway answers at {path}: {error.strerror or error}", file=sys.stderr)
        return 2
    if faults:
        print("\n".join([*faults, "not reloaded, nothing has changed."]), file=sys.stderr)
        return 1
    print(f"reloaded {config}")
    return 0


def check(config: Path) -> int:
    """Check a file; return 0 if nothing is wrong with it."""
    if not _available("check"):
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import load_config
    from edgews.edge.process.trial import rehearse

    try:
        rehearse(load_config(config))
    except ConfigError as error:
        complain(error, config)
        return 1
    print(f"{config}: nothing is wrong")
    return 0


def complain(error: Exception, config: Path) -> None:
    """Say what is wrong with a file, or how to come by one."""
    print(error, file=sys.stderr)
    if not config.exists():
        print(
            "  -c FILE names the file; `edgews serve --help` has an example, and `edgews proxy` needs none.",
            file=sys.stderr,
        )


def _available(command: str) -> bool:
    for name in _NEEDED:
        try:
            import_module(name)
        except ModuleNotFoundError:
            print(f"edgews {command}: {name} is not installed: pip install 'edgews[edge]'", file=sys.stderr)
            return False
    return True
