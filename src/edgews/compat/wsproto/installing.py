"""Put the facade where `import wsproto` looks."""

from __future__ import annotations

import sys
from importlib import import_module

from edgews.limits import Limits

from .connection import set_default_limits

_HERE = __package__ or ""
_NAME = "wsproto"
# Every module that wsproto has, too.
_MODULES = ("connection", "events", "extensions", "frame_protocol", "handshake", "typing", "utilities")


def install(*, limits: Limits | None = None) -> None:
    """Let `import wsproto` give the facade, in this process and from now on.

    Another call changes nothing but the limits.

    Args:
        limits: of all connections that are made without limits of their own, as frameworks do.

    Raises:
        ImportError: wsproto itself is loaded already. Nothing has changed then.
    """
    facade = import_module(_HERE)
    present = sys.modules.get(_NAME)
    if present is not None and present is not facade:
        raise ImportError(
            f"wsproto is loaded already, from {getattr(present, '__file__', None)};"
            " call edgews.compat.wsproto.install() before anything imports it",
            name=_NAME,
        )
    if limits is not None:
        set_default_limits(limits)
    sys.modules[_NAME] = facade
    for module in _MODULES:
        sys.modules[f"{_NAME}.{module}"] = import_module(f"{_HERE}.{module}")
