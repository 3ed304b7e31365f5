"""`edgews.toml`: what it may say, checked as a whole. No file but this one is opened."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .admin import contradictions as admin_contradictions
from .faults import ConfigError, Fault, fault_of
from .positions import Path as KeyPath
from .tables import DEFAULT_FILE, Config

_TOML_AT = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")


def parse_config(text: str, file: str = DEFAULT_FILE) -> Config:
    """Check a file as a whole.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_AT.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        raise ConfigError(file, [Fault(line, "", f"TOML: {_TOML_AT.sub('', str(error))}")]) from None
    return check_values(values, text, file)


def check_values(values: dict[str, Any], text: str, file: str) -> Config:
    """Check what a file says.

    Args:
        text: the file, to find the lines of mistakes; empty if there is none.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        faults = [
            fault_of(text, details, _known)
            for details in error.errors(include_url=False, include_input=False)
        ]
    else:
        config.come_from(text, file)
        faults = [config.fault(path, expected) for path, expected in _contradictions(config)]
        if not faults:
            return config
    raise ConfigError(file, sorted(faults, key=lambda fault: fault.line))


def load_config(path: Path) -> Config:
    """Read and check a file.

    Raises:
        ConfigError: it cannot be read, or with everything that is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(str(path), [Fault(0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [Fault(line, "", "TOML is written in UTF-8")]) from None
    return parse_config(text, str(path))


def _contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    """Return what is wrong although each value for itself is right."""
    found: list[tuple[KeyPath, str]] = []
    addresses: set[str] = set()
    for at, listen in enumerate(config.listen):
        if listen.address in addresses:
            found.append((("listen", at, "address"), "each address once"))
        addresses.add(listen.address)
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if getattr(listen, one) is not None and getattr(listen, other) is None:
                found.append((("listen", at, one), f"{other} beside it: TLS needs both"))
    if config.admin is not None:
        found += admin_contradictions(config.admin, addresses)
    places: set[tuple[str | None, str]] = set()
    for at, route in enumerate(config.route):
        place = (route.host, route.path.rstrip("/"))
        if place in places:
            found.append((("route", at), "another host or path: an earlier route has the same"))
        places.add(place)
        if route.max_frame_size is not None and route.max_frame_size > route.max_message_size:
            found.append((("route", at, "max_frame_size"), "at most max_message_size"))
    return found


def _known(path: KeyPath) -> list[str]:
    """Return the keys that the table has where the last step of a path is none of them."""
    table: type[BaseModel] = Config
    for step in path[:-1]:
        if isinstance(step, str):
            (table,) = _tables(table.model_fields[step].annotation)
    return list(table.model_fields)


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables that a key may have as its value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables(part)]
