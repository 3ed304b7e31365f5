"""What a configuration would come to: all that it names is looked at, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

from edgews.edge.admin.server import read_token
from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.config.tables import Config
from edgews.edge.gateway.prepare import prepare

from .logfile import check_log


def rehearse(config: Config) -> None:
    """Read everything that a gateway reads when it starts.

    Raises:
        ConfigError: with everything that is wrong.
    """
    faults: list[Fault] = []
    for look in (prepare, _token, _log):
        faults += _faults(look, config)
    if faults:
        raise ConfigError(config.file, sorted(faults, key=lambda fault: fault.line))


def _faults(look: Callable[[Config], object], config: Config) -> list[Fault]:
    try:
        look(config)
    except ConfigError as error:
        return error.faults
    return []


def _token(config: Config) -> None:
    if config.admin is not None:
        read_token(config, config.admin)


def _log(config: Config) -> None:
    try:
        check_log(config.access_log)
    except OSError as error:
        wish = f"cannot write {config.access_log}: {error.strerror}"
        raise ConfigError(config.file, [config.fault(("access_log",), wish)]) from None
