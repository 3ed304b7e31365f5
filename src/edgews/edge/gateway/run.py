"""A gateway as a process: the loop, signals, and where the log goes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from edgews.edge.admin.server import open_admin
from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import load_config
from edgews.edge.config.tables import Config

from .accesslog import AccessLog
from .server import Gateway
from .tls import stamps

# How often to look whether certificates have changed (seconds).
WATCH_INTERVAL: Final = 2.0


def run(command: str, config: Config, file: Path | None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code.

    SIGTERM and the first Ctrl-C drain, another one of either stops at once. SIGHUP reads `file` again.
    """
    name, factory = _loop(config.loop)
    if factory is None:
        print(f"edgews {command}: {config.loop} is not installed: pip install {config.loop}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        try:
            log = _log(config.access_log, stack)
        except OSError as error:
            print(f"edgews {command}: cannot write {config.access_log}: {error.strerror}", file=sys.stderr)
            return 2
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(_serve(command, config, file, log, name))


def _loop(wish: str) -> tuple[str, Callable[[], asyncio.AbstractEventLoop] | None]:
    if wish != "asyncio":
        try:
            import uvloop
        except ImportError:
            if wish == "uvloop":
                return wish, None
        else:
            return "asyncio on uvloop", uvloop.new_event_loop
    return "asyncio", asyncio.new_event_loop


def _log(target: str, stack: ExitStack) -> AccessLog:
    if target == "off":
        return AccessLog(None)
    if target == "-":
        return AccessLog(sys.stdout)
    return AccessLog(stack.enter_context(open(target, "a", encoding="utf-8")))


async def _serve(command: str, config: Config, file: Path | None, log: AccessLog, name: str) -> int:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        gateway = Gateway(config, log=log)
        await gateway.start()
        admin = await open_admin(gateway, lambda: _reload(gateway, file))
    except ConfigError as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(f"edgews {command}: cannot listen: {error.strerror or error}")
        return 2
    for address in gateway.addresses:
        _say(f"gateway: {address}")
    for address in () if admin is None else admin.addresses:
        _say(f"live page and metrics: {address}")
    _say(f"{name} serves; Ctrl-C stops it.")
    watching = loop.create_task(_watch(gateway))
    while await signals.get() == signal.SIGHUP:
        await _reload(gateway, file)
    watching.cancel()
    _say("draining.")
    draining = loop.create_task(gateway.drain(gateway.config.drain_time))
    await _first(draining, signals)
    if not draining.done():
        for proxied in list(gateway.connections):
            proxied.abort()
        await draining
    if admin is not None:
        await admin.close()
    _say("stopped.")
    return 0


async def _watch(gateway: Gateway) -> None:
    """Read certificates again when their files change and fit together."""
    known = stamps(gateway.config)
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        found = stamps(gateway.config)
        if found != known:
            known = found
            try:
                gateway.renew()
            except ConfigError as error:
                _say(f"{error}\nthe certificates from before stay.")
            else:
                _say("certificates read again.")


async def _first(draining: asyncio.Task[None], signals: asyncio.Queue[int]) -> None:
    """Wait for the end of the drain, or for somebody who does not want to."""
    hurry: asyncio.Task[Any] = asyncio.create_task(signals.get())
    await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()


async def _reload(gateway: Gateway, file: Path | None) -> list[str]:
    """Read the file again; return what is wrong with it."""
    if file is None:
        return ["there is no file"]
    try:
        await gateway.reload(load_config(file))
    except ConfigError as error:
        _say(f"{error}\nnot reloaded, nothing has changed.")
        return error.lines()
    except OSError as error:
        fault = f"cannot listen: {os.strerror(error.errno or 0)}"
        _say(f"not reloaded, nothing has changed: {fault}")
        return [fault]
    _say(f"reloaded {file}.")
    return []


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
