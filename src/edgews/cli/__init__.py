"""The command `edgews`.

Exit codes:
    0: all went well; the connection was closed with 1000, 1001 or no code.
    1: the connection failed, could not be opened, or was closed with any other code.
    2: the command cannot start: wrong arguments, or an address that cannot be had.
    130: Ctrl-C in `edgews connect`; for `edgews echo` it is the way to stop, with 0.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import edgews
from edgews.cli import connect, echo
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS

_EXAMPLES = """\
examples:
  edgews echo                              an echo server, and a page to try it in a browser
  edgews echo --port 0 --deflate           on a free port, with compression
  edgews connect ws://127.0.0.1:8765/      type lines, see what comes; Ctrl-D closes
  printf 'a\\nb\\n' | edgews connect wss://example.com/

exit codes:
  0  closed with 1000, 1001 or no code     1  the connection failed or was refused
  2  wrong arguments, or no such address   130  Ctrl-C in `edgews connect`
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: without the name of the command; None takes them from the command line.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "echo":
            return echo.run(
                options.host,
                options.port,
                adapter=options.adapter,
                deflate=options.deflate,
                max_size=options.max_size,
            )
        return connect.run(
            options.uri, deflate=options.deflate, max_size=options.max_size, timeout=options.timeout
        )
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgews",
        description="WebSocket servers and clients from the command line.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"edgews {edgews.__version__} (backend: {edgews.BACKEND})"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--deflate", action="store_true", help="compress with permessage-deflate")
    both.add_argument(
        "--max-size",
        type=_size,
        default=DEFAULT_LIMITS.max_message_size,
        metavar="BYTES",
        help="longest message to receive (default: %(default)s); a longer one is refused with 1009",
    )
    server = commands.add_parser(
        "echo",
        parents=[both],
        help="serve: send back what comes",
        description="Send back every message that comes. A browser that opens the same address gets a page "
        "to try it. Ctrl-C stops the server, with exit code 0.",
    )
    server.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    server.add_argument(
        "--port",
        type=_port,
        default=8765,
        help="port to listen on (default: %(default)s); 0: a free one",
    )
    server.add_argument(
        "--adapter",
        choices=echo.ADAPTERS,
        default=echo.ADAPTERS[0],
        help="what serves: asyncio, on uvloop where that is installed; trio, which needs edgews[trio]; or a "
        "thread for each connection (default: %(default)s)",
    )
    client = commands.add_parser(
        "connect",
        parents=[both],
        help="connect: type lines, see what comes",
        description="Send each line of the input as a text message, and show what comes with its time, type "
        "and size. Ctrl-D closes the connection; so does the end of a file or pipe, once nothing has come "
        "for half a second.",
    )
    client.add_argument("uri", metavar="URI", help="ws://host:port/path or wss://...")
    client.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUTS.open,
        metavar="SECONDS",
        help="how long opening and closing may take (default: %(default)s)",
    )
    return parser


def _size(text: str) -> int:
    size = int(text)
    if size < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return size


def _port(text: str) -> int:
    port = int(text)
    if port not in range(65536):
        raise argparse.ArgumentTypeError(f"{text} is no port; ports go from 0 to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a time; give a number of seconds above 0")
    return seconds
