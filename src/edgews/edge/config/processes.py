"""Values of `edgews.toml` that say as how many processes a gateway runs, and how one talks to them."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator

# More processes than any machine has cores.
MAX_WORKERS: Final = 512
# "auto", as a number.
ALL_CORES: Final = 0
# What the system takes as the name of a Unix socket (bytes), on all systems.
_MAX_PATH: Final = 100
_EXPECTED: Final = f'a whole number from 1 to {MAX_WORKERS}, or "auto"'


def _workers(value: object) -> int:
    if value == "auto":
        return ALL_CORES
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WORKERS:
        raise ValueError(_EXPECTED)
    return value


def _control(value: str) -> str:
    if value != "off" and (not value.startswith("/") or len(value.encode()) > _MAX_PATH):
        raise ValueError(f'a path from / on of at most {_MAX_PATH} bytes, or "off"')
    return value


Workers: TypeAlias = Annotated[int, BeforeValidator(_workers)]
ControlPath: TypeAlias = Annotated[str, AfterValidator(_control)]
