"""The arguments of the commands, and what their help says; each has the name of a parameter of `run`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import edgews
from edgews.cli.arguments_admin import add_completion, add_ray, add_top
from edgews.cli.echo import ADAPTERS
from edgews.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS

_EXAMPLES = """\
examples:
  edgews echo                              an echo server, and a page to try it in a browser
  edgews connect ws://127.0.0.1:8765/      type lines, see what comes; Ctrl-D closes
  echo hi | edgews connect wss://example.com/
  edgews doctor wss://example.com/         what is wrong with this server, and what to change
  edgews proxy ws://127.0.0.1:9000         a gateway in front of this server
  edgews top                               what the gateway of this machine does

`edgews COMMAND --help` has more of them.

exit codes:
  0    closed with 1000, 1001 or no code; nothing is wrong
  1    the connection failed or was refused; something is wrong
  2    wrong arguments, no such address, or a package is missing
  130  Ctrl-C, except in `edgews echo`, `proxy`, `serve` and `top`
"""

_ECHO_EXAMPLES = """\
examples:
  edgews echo                              on 127.0.0.1 port 8765, for this machine alone
  edgews echo --host 0.0.0.0 --port 80     for everyone
  edgews echo --port 0 --deflate           on a free port, with compression
  edgews echo --adapter sync               with a thread for each connection
"""

_CONNECT_EXAMPLES = """\
examples:
  edgews connect ws://127.0.0.1:8765/
  edgews connect --subprotocol chat --header 'Authorization: Bearer abc' wss://example.com/
  echo hi | edgews connect wss://example.com/              prints the reply
  tail -f log | edgews connect --wait 0 ws://127.0.0.1/    sends lines as they come
  edgews connect ws://127.0.0.1/ < requests > replies

Line editing, history and colours come with: pip install 'edgews[cli]'. NO_COLOR=1 turns colours off.
What is typed is kept in ~/.local/state/edgews/connect_history, readable for you alone.

exit codes: 0 closed with 1000, 1001 or no code, 1 any other end, 2 wrong arguments, 130 Ctrl-C.
"""


_DOCTOR_EXAMPLES = """\
examples:
  edgews doctor wss://example.com/chat
  edgews doctor --origin https://example.com wss://example.com/chat   as a page of that site
  edgews doctor --idle 120 wss://example.com/     does it survive two minutes of silence?
  edgews doctor --json ws://127.0.0.1:8765/ | jq .findings
  edgews doctor --ray fa92758e958bfe85            what the gateway of this machine did to this request

exit codes: 0 nothing is wrong (notes and warnings do not count), 1 something is, 2 wrong arguments.
The page "doctor" of the documentation has all findings, with what they mean and what to change.
"""


_PROXY_EXAMPLES = """\
examples:
  edgews proxy ws://127.0.0.1:9000                            on 127.0.0.1 port 8080
  edgews proxy --listen 0.0.0.0:80 wss://chat.example.com     for everyone, to a server with TLS
  edgews proxy --access-log - unix:/run/chat.sock             a line of JSON for each opening and end
  edgews proxy --admin 127.0.0.1:9901 ws://127.0.0.1:9000     with a live page
  edgews proxy --workers auto ws://127.0.0.1:9000             a process for each core
"""

_SERVE_EXAMPLES = """\
example of a file:
  workers = "auto"                          # a process for each core
  control = "/run/edgews/control.sock"      # for `edgews reload` and `edgews serve --takeover`

  [admin]
  address = "127.0.0.1:9901"                # the live page, /metrics, `edgews top`

  [[listen]]
  address = "0.0.0.0:443"
  certificate = "/etc/edgews/cert.pem"
  key = "/etc/edgews/key.pem"

  [[route]]
  host = "example.com"
  path = "/chat"
  origins = ["ws://127.0.0.1:9000", "unix:/run/chat.sock"]
  max_message_size = 65536

SIGTERM and Ctrl-C close all connections with 1001 and stop, a second one stops at once. SIGHUP reads the file
again, SIGUSR1 opens the access log again. The page "gateway" of the documentation has all keys.
"""


_RULES_EXAMPLES = """\
example of a request; only "uri" has to be there:
  {
    "uri": "/chat?room=1",
    "headers": {"Host": "example.com", "User-Agent": "curl/8.14", "Cookie": "session=1"},
    "peer": "198.51.100.7",
    "tls": true,
    "country": "DE",
    "message": {"text": "hello", "messages": 3, "age": 12.5}
  }

  edgews rules test request.json
  edgews rules test request.json -c edgews.toml --json | jq .explanation

exit codes: 0 allowed, 1 refused, 2 the request or the file of the gateway is wrong.
The page "rules" of the documentation has all keys of a request.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; `command` is the name of the command."""
    top = argparse.ArgumentParser(
        prog="edgews",
        description="WebSocket servers and clients from the command line.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--version", action="version", version=f"edgews {edgews.__version__} (backend: {edgews.BACKEND})"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _echo(commands)
    _connect(commands)
    _doctor(commands)
    _gateway(commands)
    add_top(commands)
    add_completion(commands)
    return top


def _echo(commands: Any) -> None:
    command = commands.add_parser(
        "echo",
        help="serve: send back what comes",
        description="Send back every message that comes. A browser that opens the same address gets a page "
        "to try it. Ctrl-C stops the server, with exit code 0.",
        epilog=_ECHO_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _messages(command)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port",
        type=_port,
        default=8765,
        help="port to listen on (default: %(default)s); 0: a free one",
    )
    command.add_argument(
        "--adapter",
        choices=ADAPTERS,
        default=ADAPTERS[0],
        help="what serves: asyncio, on uvloop where that is installed; trio, which needs edgews[trio]; or a "
        "thread for each connection (default: %(default)s)",
    )


def _connect(commands: Any) -> None:
    command = commands.add_parser(
        "connect",
        help="connect: type lines, see what comes",
        description="Send each line of the input as a message, and show what comes with its time, type\n"
        "and size. Ctrl-D closes the connection. So does the end of a file or pipe, as soon as\n"
        "the last line seems to be answered: see --wait.",
        epilog=_CONNECT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _messages(command)
    _request(command)
    command.add_argument(
        "--proxy", metavar="URI", help="reach the server through this proxy, such as http://127.0.0.1:3128"
    )
    command.add_argument("--binary", action="store_true", help="send the lines as binary messages")
    command.add_argument(
        "--wait",
        type=_pause,
        metavar="SECONDS",
        help="after the end of a file or pipe, close when nothing has come for so long; 0: at once (default: "
        "as long as --timeout for the first message behind the last line, then half a second)",
    )


def _doctor(commands: Any) -> None:
    command = commands.add_parser(
        "doctor",
        help="examine a server: what is wrong, and what to change",
        description="Resolve the name, connect, do TLS, upgrade, ping, send a message, close, and knock "
        "with\n"
        "other Origins. For each step, say what was found, what is wrong and what to change.",
        epilog=_DOCTOR_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _request(command, optional=True)
    add_ray(command)
    sending = command.add_mutually_exclusive_group()
    sending.add_argument(
        "--message",
        default="Hello from edgews doctor",
        metavar="TEXT",
        help="the text message to send (default: %(default)s)",
    )
    sending.add_argument(
        "--no-message", dest="message", action="store_const", const=None, help="send no message"
    )
    command.add_argument(
        "--idle",
        type=_pause,
        default=0.0,
        metavar="SECONDS",
        help="also stay silent for so long, and see whether the connection is still there",
    )
    command.add_argument("--json", dest="as_json", action="store_true", help="print the report as JSON")


def _gateway(commands: Any) -> None:
    proxy = commands.add_parser(
        "proxy",
        help="relay to one server",
        description="Relay WebSocket connections to a server, with limits, pings and a log.",
        epilog=_PROXY_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    proxy.add_argument("origin", metavar="ORIGIN", help="ws://host:port, wss://host:port or unix:/path")
    proxy.add_argument(
        "--listen",
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="address to listen on, or unix:/path (default: %(default)s)",
    )
    proxy.add_argument(
        "--access-log",
        default="off",
        metavar="FILE",
        help="where to log; -: the standard output (default: off)",
    )
    proxy.add_argument(
        "--admin",
        metavar="ADDRESS",
        help="serve a live page and metrics there, such as 127.0.0.1:9901 (default: off)",
    )
    proxy.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help='processes; "auto": one for each core (default: %(default)s)',
    )
    rules = commands.add_parser(
        "rules",
        help="try the rules of `serve` on a request",
        description="Say which rules of a file match a request and why, and what becomes of it.",
        epilog=_RULES_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rules.add_argument("action", choices=("test",), help="what to do")
    rules.add_argument("request", type=Path, metavar="REQUEST.json", help="the request")
    rules.add_argument("--json", dest="as_json", action="store_true", help="print the report as JSON")
    _config(rules)
    for name, help_, description in (
        ("serve", "relay as a file says", "Relay WebSocket connections to servers, as a file says."),
        (
            "check",
            "check the file of `serve`",
            "Check the file of `edgews serve` as a whole, and do nothing.",
        ),
        (
            "reload",
            "have a gateway read its file again",
            "Have the gateway that runs with this file read it again. If anything is wrong with it, nothing\n"
            "changes. The gateway is found at the file's `control` socket.",
        ),
    ):
        command = commands.add_parser(
            name,
            help=help_,
            description=description,
            epilog=_SERVE_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _config(command)
        if name == "serve":
            command.add_argument(
                "--takeover",
                action="store_true",
                help="take the place of the gateway that runs, if there is one: it drains, nobody is refused",
            )


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path("edgews.toml"),
        metavar="FILE",
        help="the file of the gateway (default: %(default)s)",
    )


def _messages(command: argparse.ArgumentParser) -> None:
    """What a server and a client agree on."""
    command.add_argument("--deflate", action="store_true", help="compress with permessage-deflate")
    command.add_argument(
        "--max-size",
        type=_size,
        default=DEFAULT_LIMITS.max_message_size,
        metavar="BYTES",
        help="longest message to receive (default: %(default)s); a longer one is refused with 1009",
    )


def _request(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """What every client sends."""
    command.add_argument(
        "uri", metavar="URI", nargs="?" if optional else None, help="ws://host:port/path or wss://..."
    )
    command.add_argument(
        "--header",
        dest="headers",
        type=_header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a further field of the request; may be given more than once",
    )
    command.add_argument(
        "--subprotocol",
        dest="subprotocols",
        action="append",
        default=[],
        metavar="NAME",
        help="offer this subprotocol; may be given more than once, the preferred one first",
    )
    command.add_argument("--origin", metavar="ORIGIN", help="the page that asks, such as https://example.com")
    command.add_argument(
        "--insecure", action="store_true", help="take any certificate: whoever answers may be someone else"
    )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUTS.open,
        metavar="SECONDS",
        help="how long each step, such as opening and closing, may take (default: %(default)s)",
    )


def _size(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give a number of bytes, such as 65536")
    return int(text)


def _workers(text: str) -> int | str:
    if text != "auto" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is no number of processes, and not "auto"')
    return text if text == "auto" else int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in range(65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports go from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    seconds = _pause(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give a number of seconds above 0")
    return seconds


def _pause(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give a number of seconds")
    return seconds


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is no header field; write it as 'Name: value'")
    return name.strip(), value.strip()
