"""`edgews connect`: lines that are typed go out as text messages, what arrives is shown."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from edgews.errors import InvalidValueError
from edgews.events import Disconnected
from edgews.extensions import PerMessageDeflate
from edgews.frames import CloseCode, close_code_meaning
from edgews.limits import Limits, Timeouts
from edgews.sync import ConnectionClosed, InvalidHandshake, WebSocket, connect

# Nobody says when a server has answered everything. After the end of a file or pipe the connection is closed
# when nothing has arrived for this long (seconds).
QUIET = 0.5

_STDIN = 0
_HEX_PREVIEW = 32
# Characters of a text that a terminal shows; a file or pipe gets all of it.
_TEXT_PREVIEW = 2000
_GOOD_CODES = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RECEIVED)


def run(uri: str, *, deflate: bool, max_size: int | None, timeout: float | None) -> int:
    """Hold a conversation; return the exit code."""
    try:
        ws = connect(
            uri,
            compression=PerMessageDeflate() if deflate else None,
            limits=Limits(max_message_size=max_size),
            timeouts=Timeouts(open=timeout, close=timeout),
        )
    except (InvalidValueError, InvalidHandshake, OSError) as error:
        _say(f"edgews connect: {uri}: {explain(error)}")
        return 2 if isinstance(error, InvalidValueError) else 1
    try:
        _greet(uri, ws)
        _converse(ws)
        ws.close()
    except KeyboardInterrupt:
        _leave(ws)
        return 130
    except BrokenPipeError:
        # Nobody reads what we show; the interpreter must not try again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(ws)
        return 1
    assert ws.closed is not None
    return _conclude(ws.closed)


def explain(error: Exception) -> str:
    """Say in one line, or a few, why there is no connection."""
    match error:
        case InvalidHandshake(cause=cause, response=response):
            header = f" (header {cause.header})" if cause.header else ""
            body = "" if response is None else shown(response.body.decode("utf-8", "replace").strip()[:200])
            return f"{cause}{header}" + (f"\n  {body}" if body else "")
        case ssl.SSLCertVerificationError():
            return (
                f"the server's certificate is not acceptable: {error.verify_message}\n"
                "  To trust another authority, name its file in the environment variable SSL_CERT_FILE."
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "the server does not speak TLS there; without TLS the URI begins with ws://"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case socket.gaierror():
            return f"there is no such host: {error.strerror}"
        case ConnectionRefusedError():
            return "connection refused: no server listens there"
        case TimeoutError():
            return f"no answer in time: {error}"
        case OSError():
            return f"cannot connect: {error.strerror or error}"
        case _:
            return str(error)


def shown(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe(message: str | bytes, *, cut: bool) -> str:
    """Return the line that shows a message."""
    if isinstance(message, str):
        rest = len(message) - _TEXT_PREVIEW if cut else 0
        text = shown(message[:_TEXT_PREVIEW] if rest > 0 else message)
        more = f" ... and {rest} characters" if rest > 0 else ""
        return f"text    {len(message.encode())} bytes: {text}{more}"
    more = " ..." if len(message) > _HEX_PREVIEW else ""
    return f"binary  {len(message)} bytes: {message[:_HEX_PREVIEW].hex(' ')}{more}"


def _converse(ws: WebSocket) -> None:
    """Show what arrives until the connection ends, while another thread reads the input."""
    arrived = threading.Event()
    # A daemon: it may wait for a line that never comes, when the server has closed.
    threading.Thread(target=_send_lines, args=(ws, arrived), daemon=True).start()
    cut = sys.stdout.isatty()
    try:
        for message in ws:
            arrived.set()
            now = datetime.now().strftime("%H:%M:%S.%f")[:-3]
            print(f"{now}  {describe(message, cut=cut)}", flush=True)
    except ConnectionClosed:
        # `_conclude` says it.
        pass


def _send_lines(ws: WebSocket, arrived: threading.Event) -> None:
    try:
        for number, line in enumerate(_lines(), 1):
            try:
                ws.send(line.decode())
            except UnicodeDecodeError:
                _say(f"line {number} is not UTF-8 and was not sent")
        if not os.isatty(_STDIN):
            arrived.set()
            while arrived.wait(QUIET):
                arrived.clear()
        ws.close()
    except ConnectionClosed:
        pass


def _lines() -> Iterator[bytes]:
    """Yield the lines of the input without their ends.

    Not through `sys.stdin`, whose lock the interpreter needs at its end, while a line is still waited for.
    """
    waiting = bytearray()
    try:
        while data := os.read(_STDIN, 65536):
            first, *more = data.split(b"\n")
            waiting += first
            for piece in more:
                yield bytes(waiting.removesuffix(b"\r"))
                waiting = bytearray(piece)
    except OSError:
        # There is no input, or its terminal has gone.
        pass
    if waiting:
        yield bytes(waiting)


def _greet(uri: str, ws: WebSocket) -> None:
    extensions = None if ws.response is None else ws.response.headers.get("Sec-WebSocket-Extensions")
    _say(f"connected to {uri}" + (f" with {extensions}" if extensions else ""))
    if os.isatty(_STDIN):
        _say("Each line is sent as a text message. Ctrl-D closes.")


def _conclude(end: Disconnected) -> int:
    reason = f" ({shown(end.reason)})" if end.reason else ""
    _say(f"closed with {end.code}{reason}: {close_code_meaning(end.code)}")
    _say(f"cause: {shown(str(end.cause))}")
    return 0 if end.clean and end.code in _GOOD_CODES else 1


def _leave(ws: WebSocket) -> None:
    """Close because the user goes; a second Ctrl-C does not wait for the server."""
    with suppress(KeyboardInterrupt):
        ws.close(CloseCode.GOING_AWAY)


def _say(text: str) -> None:
    """Tell something about the connection; the standard output is for messages."""
    print(text, file=sys.stderr, flush=True)
