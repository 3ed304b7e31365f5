"""`edgews completion`: what a shell has to know to complete the commands."""

from __future__ import annotations

import sys

from edgews.cli.arguments import parser


def run(shell: str) -> int:
    """Print the script for a shell; return the exit code."""
    try:
        import shtab
    except ModuleNotFoundError:
        print("edgews completion: shtab is not installed: pip install 'edgews[cli]'", file=sys.stderr)
        return 2
    print(shtab.complete(parser(), shell=shell))
    return 0
