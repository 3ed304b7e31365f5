"""`edgews top`: what a gateway does, in a terminal."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from edgews.cli.admin import AdminClient, AdminError, complain, to_output
from edgews.cli.console import STYLES, show
from edgews.cli.screen import Line, screen, summary, summary_head
from edgews.outcomes import ConnectionClosed
from edgews.sync import WebSocket

# Longer than between two reports of a gateway with very many connections (seconds).
_TIMEOUT: Final = 60.0
# How many lines of a page that is no terminal's.
_HEIGHT: Final = 1000
_WIDTH: Final = 128


def run(address: str, *, token_file: Path | None, once: bool, as_json: bool, sort: str, match: str) -> int:
    """Show what a gateway does until Ctrl-C; return the exit code."""
    view = {"do": "view", "sort": sort, "down": sort not in ("client", "route", "origin"), "match": match}
    try:
        client = AdminClient(address, token_file)
        with client.live() as ws:
            ws.send(json.dumps({**view, "limit": 200}))
            with suppress(KeyboardInterrupt):
                _run(ws, once=once, as_json=as_json)
    except KeyboardInterrupt:
        # There was nothing to show yet.
        pass
    except AdminError as error:
        return complain("top", error)
    except (ConnectionClosed, TimeoutError) as error:
        return complain("top", AdminError(f"the gateway at {address} has gone: {error}"))
    return 0


def _run(ws: WebSocket, *, once: bool, as_json: bool) -> None:
    reader = _Reader(ws)
    if as_json:
        while True:
            to_output(reader.next())
            if once:
                return
    elif once:
        reader.next()
        update = reader.next()
        for line in screen(update["report"], update["connections"], width=_WIDTH, height=_HEIGHT):
            show(line)
    elif sys.stdout.isatty() and _live(reader):
        pass
    else:
        print(summary_head(), flush=True)
        while True:
            update = reader.next()
            print(summary(update["report"], time.strftime("%H:%M:%S")), flush=True)


def _live(reader: _Reader) -> bool:
    """Show the whole screen again and again; False where rich is not installed."""
    try:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        return False

    def text(line: Line) -> Text:
        return Text.assemble(*((part, STYLES[style]) for part, style in line), no_wrap=True)

    console = Console()
    # Before it ends, the terminal gets its own screen back.
    with _ending_in_order(signal.SIGTERM), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            update = reader.next()
            width, height = console.size
            lines = screen(update["report"], update["connections"], width=width, height=height - 1)
            live.update(Group(*map(text, lines)), refresh=True)


@contextmanager
def _ending_in_order(number: signal.Signals) -> Iterator[None]:
    """Have a signal that would end the process at once raise SystemExit instead, with the code of a shell."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)


class _Reader:
    """Puts the feed's updates together: each tells only what is new of the series."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._series: dict[str, Any] = {}

    def next(self) -> dict[str, Any]:
        """Return the next update, with the whole series.

        Raises:
            AdminError: who is asked is no gateway.
        """
        while True:
            try:
                message: dict[str, Any] = json.loads(self._ws.recv(timeout=_TIMEOUT))
                if message.pop("type") == "update":
                    self._series = joined(self._series, message["report"]["series"])
                    message["report"]["series"] = self._series
                    return message
            except (AttributeError, KeyError, TypeError, ValueError):
                raise AdminError("that is no gateway's admin address: it says something else") from None


def joined(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a series that goes on with what came since: its first second may have been there, unfinished."""
    if not before:
        return dict(new)
    passed = new["end"] - before["end"]
    found: dict[str, Any] = {"end": new["end"]}
    for field, values in new.items():
        if field != "end":
            length = len(before[field])
            moved = [*before[field], *[0] * passed][-length:]
            found[field] = moved[: length - len(values)] + list(values)
    return found
