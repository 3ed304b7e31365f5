"""The command `edgews`.

Exit codes:
    0: all went well; the connection was closed with 1000, 1001 or no code; the doctor found nothing wrong.
    1: the connection failed, could not be opened, or was closed with any other code; the doctor found
        something wrong; a configuration file has errors.
    2: the command cannot start: wrong arguments, an address that cannot be had, or a package that is missing.
    130: Ctrl-C; for `edgews echo`, `proxy`, `serve` and `top` it is the way to stop, with 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from edgews.cli.arguments import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: without the name of the command; None takes them from the command line.
    """
    _stand_in()
    options = vars(parser().parse_args(arguments))
    module, function = _COMMANDS[options.pop("command")]
    try:
        code: int = getattr(import_module(f"edgews.cli.{module}"), function)(**options)
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads what we show; the interpreter must not try again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _stand_in() -> None:
    """Put the null device in the place of standard streams that are closed, as in `edgews echo >&-`.

    Otherwise Python has none, and the first socket would get their number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


# Where each command is: its module is imported when it is asked for, so that no command waits for the others.
_COMMANDS: Final = {
    "check": ("gateway", "check"),
    "completion": ("completion", "run"),
    "connect": ("connect", "run"),
    "doctor": ("doctor", "run"),
    "echo": ("echo", "run"),
    "proxy": ("gateway", "proxy"),
    "reload": ("gateway", "reload"),
    "rules": ("trial", "rules"),
    "serve": ("gateway", "serve"),
    "top": ("top", "run"),
}
