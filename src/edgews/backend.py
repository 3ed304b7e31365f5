"""Which kernels are in use: C where the extension was built, Python elsewhere or on request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

Backend = Literal["c", "python"]


def _choose(wish: str | None) -> Backend:
    """Return the backend for the value of EDGEWS_BACKEND, None where it is not set.

    Raises:
        ImportError: the value is unknown, or it is `c` and the extension is missing.
    """
    if wish not in (None, "", "c", "python"):
        raise ImportError(f"EDGEWS_BACKEND is {wish!r}; use 'c' or 'python', or leave it unset")
    if wish == "python":
        return "python"
    try:
        from ._kernels import lib  # noqa: F401
    except ImportError as error:
        if wish == "c":
            raise ImportError(
                "EDGEWS_BACKEND is 'c', but edgews was installed without its extension"
            ) from error
        return "python"
    return "c"


BACKEND: Backend = _choose(os.environ.get("EDGEWS_BACKEND"))

if TYPE_CHECKING or BACKEND == "python":
    from .backend_python import (
        build_masked,
        decode,
        give_scratch,
        mask,
        mask_into,
        new_reader,
        new_scanner,
        new_scratch,
        read_one,
        read_run,
        reserve,
        scan,
        take_scratch,
    )
else:
    from .backend_c import (
        build_masked,
        decode,
        give_scratch,
        mask,
        mask_into,
        new_reader,
        new_scanner,
        new_scratch,
        read_one,
        read_run,
        reserve,
        scan,
        take_scratch,
    )

__all__ = [
    "BACKEND",
    "Backend",
    "build_masked",
    "decode",
    "give_scratch",
    "mask",
    "mask_into",
    "new_reader",
    "new_scanner",
    "new_scratch",
    "read_one",
    "read_run",
    "reserve",
    "scan",
    "take_scratch",
]
