"""`edgews completion`: what a shell has to know to complete the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from edgews.cli.arguments import parser


def run(shell: str) -> int:
    """Print the script for a shell; return the exit code."""
    try:
        import shtab
    except ModuleNotFoundError:
        print("edgews completion: shtab is not installed: pip install 'edgews[cli]'", file=sys.stderr)
        return 2
    whole = parser()
    for action in _actions(whole):
        if action.type is Path:
            # shtab looks for it there.
            vars(action)["complete"] = shtab.FILE
    print(shtab.complete(whole, shell=shell))
    return 0


def _actions(whole: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser, and of the commands that it has."""
    for action in whole._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
