"""All that a configuration names besides itself: certificates, lists, secrets, databases. Read before use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgews.edge.config.definition import define
from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.config.tables import Config
from edgews.edge.policy.policies import Definition

from .geo import Databases
from .tls import Contexts, contexts

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class Prepared:
    """A configuration, and what became of what it names."""

    config: Config
    contexts: Contexts
    definition: Definition
    databases: Databases


def prepare(config: Config) -> Prepared:
    """Read everything that a configuration names.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    faults: list[Fault] = []
    tls = _try(lambda: contexts(config), faults)
    definition = _try(lambda: policies(config), faults)
    databases = _try(lambda: Databases(config), faults)
    if tls is None or definition is None or databases is None:
        raise ConfigError(config.file, sorted(faults, key=lambda fault: fault.line))
    return Prepared(config, tls, definition, databases)


def policies(config: Config) -> Definition:
    """Read what rules and limits need.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    return define(config, lambda file: Path(file).read_bytes(), os.environ)


def _try(work: Callable[[], T], faults: list[Fault]) -> T | None:
    try:
        return work()
    except ConfigError as error:
        faults += error.faults
        return None
