"""The arguments of the commands that ask the admin address of a gateway, and of `edgews completion`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

# Here, where every command passes, and not with what asks: that imports TLS and HTTP.
DEFAULT_ADDRESS: Final = "127.0.0.1:9901"
TOKEN_VARIABLE: Final = "EDGEWS_ADMIN_TOKEN"

# As the feed knows them; a test compares.
SORTS: Final = ("age", "bytes", "client", "messages", "origin", "ping", "route")

# What `edgews completion` has something for.
SHELLS: Final = ("bash", "zsh", "fish")

_TOP_EXAMPLES: Final = f"""\
examples:
  edgews top                                   the gateway of this machine, at {DEFAULT_ADDRESS}
  edgews top --sort bytes --match /chat        connections of a path, the busiest first
  edgews top --once unix:/run/edgews-admin.sock
  edgews top https://gateway.example.com:9901  over TLS; SSL_CERT_FILE says whom to trust
  edgews top --json --once | jq .report.counters
  edgews top | tee log                         a line for each second

The address is the one of [admin] in the gateway's file. Ctrl-C ends it, with exit code 0.
"""

_COMPLETION_EXAMPLES: Final = """\
examples:
  eval "$(edgews completion bash)"                                     for this shell
  edgews completion bash > ~/.local/share/bash-completion/completions/edgews
  edgews completion zsh > "${fpath[1]}/_edgews"
  edgews completion fish > ~/.config/fish/completions/edgews.fish
"""


def add_top(commands: Any) -> None:
    """Add `edgews top`."""
    command = commands.add_parser(
        "top",
        help="what a gateway does, live",
        description="Show what a gateway does: connections, rates, closes, refusals, limits and origins.",
        epilog=_TOP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "address",
        nargs="?",
        default=DEFAULT_ADDRESS,
        metavar="ADDRESS",
        help="host:port, https://host:port or unix:/path of the admin address (default: %(default)s)",
    )
    _token(command)
    command.add_argument("--once", action="store_true", help="show it once and end")
    command.add_argument("--json", dest="as_json", action="store_true", help="print reports as JSON")
    command.add_argument(
        "--sort", choices=SORTS, default="bytes", help="order of the connections (default: %(default)s)"
    )
    command.add_argument(
        "--match", default="", metavar="WORDS", help="only connections in which all these words are found"
    )


def add_ray(command: argparse.ArgumentParser) -> None:
    """Add what `edgews doctor` takes to ask a gateway about a request."""
    command.add_argument(
        "--ray",
        metavar="ID",
        help="ask a gateway what it did to this request, and why; answers have the ID as X-Edgews-Ray",
    )
    command.add_argument(
        "--admin",
        default=DEFAULT_ADDRESS,
        metavar="ADDRESS",
        help="with --ray: the admin address, as in edgews top (default: %(default)s)",
    )
    _token(command)


def add_completion(commands: Any) -> None:
    """Add `edgews completion`."""
    command = commands.add_parser(
        "completion",
        help="complete commands in a shell",
        description="Print a script that lets a shell complete commands and options.",
        epilog=_COMPLETION_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def _token(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"a file with the token of the admin address (default: what {TOKEN_VARIABLE} says)",
    )
