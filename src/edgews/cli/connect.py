"""`edgews connect`: lines that are typed go out as messages, what arrives is shown."""

from __future__ import annotations

import os
import ssl
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from edgews.cli.console import Span, say, show, shown
from edgews.cli.failures import explain
from edgews.cli.lines import STDIN, Editor, editor, read_lines
from edgews.errors import InvalidValueError
from edgews.events import Disconnected
from edgews.extensions import PerMessageDeflate
from edgews.frames import CloseCode, close_code_meaning
from edgews.limits import Limits, Timeouts
from edgews.sync import ConnectionClosed, InvalidHandshake, WebSocket, connect
from edgews.uri import parse_uri

# Nobody says when a server has answered everything. After the end of a file or pipe, and at least one message
# behind the last line, the connection is closed when nothing has arrived for this long (seconds).
QUIET: Final = 0.5

_HEX_PREVIEW = 32
# Characters of a text that a terminal shows; a file or pipe gets all of it.
_TEXT_PREVIEW = 2000
_GOOD_CODES = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RECEIVED)


def run(
    uri: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    insecure: bool = False,
    proxy: str | None = None,
    deflate: bool,
    max_size: int | None,
    timeout: float,
    binary: bool = False,
    wait: float | None = None,
) -> int:
    """Hold a conversation; return the exit code."""
    # Without the option, what `connect` does by itself.
    further: dict[str, Any] = {} if proxy is None else {"proxy": proxy}
    try:
        # Without TLS there is no certificate that could be checked.
        insecure = insecure and parse_uri(uri).secure
        ws = connect(
            uri,
            ssl=unchecked() if insecure else None,
            origin=origin,
            subprotocols=subprotocols,
            headers=headers,
            compression=PerMessageDeflate() if deflate else None,
            limits=Limits(max_message_size=max_size),
            timeouts=Timeouts(open=timeout, close=timeout),
            **further,
        )
    except (InvalidValueError, InvalidHandshake, OSError, ImportError) as error:
        # An ImportError: a proxy may need a package that is not there.
        say(("edgews connect: ", "bad"), f"{shown(uri)}: {explain(error)}")
        if isinstance(error, InvalidValueError | ImportError):
            return 2
        if sys.stderr.isatty():
            say(("`edgews doctor` with this URI says more.", "dim"))
        return 1
    try:
        _greet(uri, ws, insecure=insecure)
        edited = editor()
        if edited is None:
            _converse(ws, binary=binary, wait=wait, first=timeout)
        else:
            _converse_edited(ws, edited, binary=binary)
        ws.close()
    except KeyboardInterrupt:
        _leave(ws)
        return 130
    except BrokenPipeError:
        _leave(ws)
        raise
    assert ws.closed is not None
    return _conclude(ws.closed)


def unchecked() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def describe(message: str | bytes, *, cut: bool) -> list[Span]:
    """Return the line that shows a message."""
    if isinstance(message, str):
        rest = len(message) - _TEXT_PREVIEW if cut else 0
        text = shown(message[:_TEXT_PREVIEW] if rest > 0 else message)
        more = f" ... and {rest} characters" if rest > 0 else ""
        return [("text  ", "text"), (f"  {len(message.encode())} bytes: ", "dim"), (text, ""), (more, "dim")]
    more = " ..." if len(message) > _HEX_PREVIEW else ""
    head = message[:_HEX_PREVIEW].hex(" ")
    return [("binary", "binary"), (f"  {len(message)} bytes: ", "dim"), (head, ""), (more, "dim")]


def _converse(ws: WebSocket, *, binary: bool, wait: float | None, first: float) -> None:
    """Show what arrives until the connection ends, while another thread reads the input."""
    arrived = threading.Event()

    def send() -> None:
        with suppress(ConnectionClosed):
            sent = _send(ws, read_lines(), arrived, binary=binary)
            if not os.isatty(STDIN):
                least = QUIET if wait is None else wait
                _wait_for_silence(arrived, first if sent and wait is None else least, least)
            ws.close()

    # A daemon: it may wait for a line that never comes, when the server has closed.
    threading.Thread(target=send, daemon=True).start()
    _receive(ws, arrived)


def _converse_edited(ws: WebSocket, edited: Editor, *, binary: bool) -> None:
    """Send what is typed until the connection ends, while another thread shows what arrives."""
    arrived = threading.Event()

    def receive() -> None:
        try:
            _receive(ws, arrived)
        finally:
            edited.stop()

    thread = threading.Thread(target=receive, daemon=True)
    with edited.beside():
        thread.start()
        try:
            with suppress(ConnectionClosed):
                _send(ws, edited.lines(), arrived, binary=binary)
            ws.close()
        except KeyboardInterrupt:
            _leave(ws)
            raise
        finally:
            if ws.closed is not None:
                thread.join()


def _send(ws: WebSocket, lines: Iterable[bytes], arrived: threading.Event, *, binary: bool) -> bool:
    """Send each line as a message; say whether there was one."""
    sent = False
    for number, line in enumerate(lines, 1):
        try:
            message = line if binary else line.decode()
        except UnicodeDecodeError:
            say(("not sent", "warning"), f": line {number} is not UTF-8; --binary sends any bytes")
            continue
        arrived.clear()
        ws.send(message)
        sent = True
    return sent


def _wait_for_silence(arrived: threading.Event, first: float, then: float) -> None:
    """Return when no message has come for `first` seconds, or for `then` seconds behind one."""
    seconds = first
    while arrived.wait(seconds):
        arrived.clear()
        seconds = then


def _receive(ws: WebSocket, arrived: threading.Event) -> None:
    cut = sys.stdout.isatty()
    # `_conclude` says how it ended.
    with suppress(ConnectionClosed):
        for message in ws:
            arrived.set()
            now = datetime.now().strftime("%H:%M:%S.%f")[:-3]
            show([(f"{now}  ", "dim"), *describe(message, cut=cut)])


def _greet(uri: str, ws: WebSocket, *, insecure: bool) -> None:
    extensions = None if ws.response is None else ws.response.headers.get("Sec-WebSocket-Extensions")
    say(
        ("connected", "good"),
        f" to {uri}",
        f" as {shown(ws.subprotocol)}" if ws.subprotocol else "",
        f" with {shown(extensions)}" if extensions else "",
    )
    if insecure:
        say(("the certificate was not checked", "warning"), ": anyone may be at the other end (--insecure)")
    if os.isatty(STDIN):
        say(("Each line is sent as a message. Ctrl-D closes.", "dim"))


def _conclude(end: Disconnected) -> int:
    good = end.clean and end.code in _GOOD_CODES
    reason = f" ({shown(end.reason)})" if end.reason else ""
    say((f"closed with {end.code}", "good" if good else "bad"), f"{reason}: {close_code_meaning(end.code)}")
    say(f"cause: {shown(str(end.cause))}")
    return 0 if good else 1


def _leave(ws: WebSocket) -> None:
    """Close because the user goes; a second Ctrl-C does not wait for the server."""
    with suppress(KeyboardInterrupt):
        ws.close(CloseCode.GOING_AWAY)
