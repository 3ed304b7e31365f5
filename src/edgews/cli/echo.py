"""`edgews echo`: a server that sends back what comes, and a page to try it in a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.resources import files
from types import FrameType
from typing import Any, Final

from edgews.cli.rules import RULES, Breaker
from edgews.events import Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.frames import CLOSE_CODE_MEANINGS
from edgews.headers import Headers
from edgews.limits import Limits

# How long clients may take to answer our Close when the server stops (seconds).
SHUTDOWN_TIMEOUT: Final = 5.0

# Where the page asks for wrong frames; every other path echoes.
BREAK_PATH: Final = "/break"

# `edgews.cli.echo_<adapter>` has `run(echo)`, which serves until Ctrl-C.
ADAPTERS: Final = ("asyncio", "trio", "sync")

_PAGE_FIELDS = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(slots=True, kw_only=True)
class Echo:
    """What each adapter serves, and where.

    Attributes:
        sock: it listens already.
        serving: what `serve` of each adapter is told beside it.
        ready: call it with the name of what serves once Ctrl-C would end it well.
    """

    sock: socket.socket
    serving: dict[str, Any]
    ready: Callable[[str], None]
    breaker: Breaker = field(default_factory=Breaker)


def run(host: str, port: int, *, adapter: str, deflate: bool, max_size: int | None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    try:
        serve = import_module(f"edgews.cli.echo_{adapter}").run
    except ModuleNotFoundError as error:
        if error.name != adapter:
            raise
        print(
            f"edgews echo: {adapter} is not installed: pip install 'edgews[{adapter}]', "
            "or choose another --adapter",
            file=sys.stderr,
        )
        return 2
    try:
        sock = _listen(host, port)
    except OSError as error:
        reason = str(error) if error.errno is None else os.strerror(error.errno)
        print(f"edgews echo: cannot listen on {host} port {port}: {reason}", file=sys.stderr)
        return 2
    address = sock.getsockname()
    place = f"[{host}]" if ":" in host else host or "localhost"

    def ready(name: str) -> None:
        print(f"echo server:       ws://{place}:{address[1]}/")
        print(f"a page to try it:  http://{place}:{address[1]}/")
        print(f"{name} serves; Ctrl-C stops it.", flush=True)

    echo = Echo(
        sock=sock,
        serving={
            "process_request": partial(answer, page(deflate=deflate, max_size=max_size)),
            "compression": PerMessageDeflate() if deflate else None,
            "limits": Limits(max_message_size=max_size),
        },
        ready=ready,
    )
    echo.breaker.address = address
    _let_sigterm_stop()
    # The first one stops the server. A second one does not wait for the clients' answers, and a third one is
    # too late to matter.
    with suppress(KeyboardInterrupt):
        serve(echo)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stopped.", flush=True)
    return 0


def _let_sigterm_stop() -> None:
    """Have SIGTERM do what Ctrl-C does, for all adapters know what to do then."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and hasattr(signal, "pthread_sigmask"):
        # A shell has started us in the background: Ctrl-C goes on to be none of our business.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def terminate(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)

    signal.signal(signal.SIGTERM, terminate)


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=socket.SOMAXCONN)


def page(*, deflate: bool, max_size: int | None) -> bytes:
    """Return the page, with what it has to know of the server."""
    config = {
        "deflate": deflate,
        "maxSize": max_size,
        "breakPath": BREAK_PATH,
        "rules": {name: rule.title for name, rule in RULES.items()},
        "meanings": {int(code): meaning for code, meaning in CLOSE_CODE_MEANINGS.items()},
    }
    # `<` could end the script element that it stands in.
    text = json.dumps(config).replace("<", "\\u003c")
    return files("edgews").joinpath("page.html").read_text("utf-8").replace("/*config*/{}", text).encode()


def answer(page: bytes, request: Request) -> Response | None:
    """Answer plain HTTP; None lets a WebSocket connection open."""
    if request.is_upgrade:
        return None
    if request.method not in ("GET", "HEAD"):
        return Response(405, Headers([("Allow", "GET, HEAD")]), b"Only GET and HEAD are answered here.\n")
    if request.path != "/":
        return Response(404, Headers(), b"Nothing here; the page is at /.\n")
    return Response(200, Headers(_PAGE_FIELDS), page)
