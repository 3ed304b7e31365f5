"""`edgews echo`: a server that sends back what comes, and a page to try it in a browser."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from importlib.resources import files

from edgews.cli.rules import RULES, Breaker
from edgews.events import Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.frames import CLOSE_CODE_MEANINGS
from edgews.headers import Headers
from edgews.limits import Limits
from edgews.sync import ConnectionClosed, WebSocket, serve

# How long clients may take to answer our Close when the server stops (seconds).
_SHUTDOWN_TIMEOUT = 5.0

# Where the page asks for wrong frames; every other path echoes.
BREAK_PATH = "/break"

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


def run(host: str, port: int, *, deflate: bool, max_size: int | None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    breaker = Breaker()
    try:
        server = serve(
            partial(_handle, breaker),
            host,
            port,
            process_request=partial(answer, page(deflate=deflate, max_size=max_size)),
            compression=PerMessageDeflate() if deflate else None,
            limits=Limits(max_message_size=max_size),
        )
    except OSError as error:
        reason = str(error) if error.errno is None else os.strerror(error.errno)
        print(f"edgews echo: cannot listen on {host} port {port}: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    breaker.address = server.address
    place = f"[{host}]" if ":" in host else host or "localhost"
    print(f"echo server:       ws://{place}:{server.address[1]}/")
    print(f"a page to try it:  http://{place}:{server.address[1]}/")
    print("Ctrl-C stops it.", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    # A second Ctrl-C does not wait for the clients' answers, and a third one is too late to matter.
    with suppress(KeyboardInterrupt):
        server.shutdown(_SHUTDOWN_TIMEOUT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stopped.", flush=True)
    return 0


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


def _handle(breaker: Breaker, ws: WebSocket) -> None:
    assert ws.request is not None
    if ws.request.path == BREAK_PATH:
        for rule in ws:
            ws.send(json.dumps(breaker.break_rule(str(rule))))
        return
    try:
        for message in ws:
            ws.send(message)
    except ConnectionClosed:
        pass
    finally:
        breaker.report(ws)
