"""A gateway as a command: signals, the control socket, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from edgews.edge.admin.answers import Asked
from edgews.edge.admin.server import AdminServer, read_token
from edgews.edge.config.faults import ConfigError
from edgews.edge.config.tables import Config
from edgews.edge.gateway.sockets import Sockets
from edgews.edge.gateway.tls import stamps

from .channel import Channel, Refused, With
from .control import Control, Predecessor, Work, handed_over, is_taken, take_over
from .loops import loop_factory
from .resources import raise_limit, shortage, worker_count
from .source import Source
from .supervisor import Supervisor
from .unit import Unit

# How often to look whether certificates have changed (seconds).
WATCH_INTERVAL: Final = 2.0
# How long a successor waits for the admin address, and how often it tries (seconds).
ADMIN_PATIENCE: Final = 10.0
ADMIN_PAUSE: Final = 0.05
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# Stands for a successor that accepts.
_TAKEN: Final = 0
_ENOUGH: Final = (signal.SIGINT, signal.SIGTERM, _TAKEN)


class Service(Protocol):
    """A gateway, in this process or in several."""

    @property
    def config(self) -> Config: ...
    @property
    def sockets(self) -> Sockets: ...
    @property
    def addresses(self) -> list[str]: ...
    async def start(self) -> None: ...
    async def reload(self, source: Source) -> None: ...
    async def renew(self) -> None: ...
    async def reopen(self) -> None: ...
    async def answer(self, question: str, values: dict[str, Any]) -> Any: ...
    async def drain(self, *, handed_over: bool = False) -> None: ...
    def abort(self) -> None: ...


def run(command: str, source: Source, config: Config, *, takeover: bool = False) -> int:
    """Serve until Ctrl-C or SIGTERM, or until a successor has taken over; return the exit code.

    SIGTERM and the first Ctrl-C drain, another one of either stops at once. SIGHUP reads the file again,
    SIGUSR1 opens the log again.

    Args:
        config: what `source` says.
        takeover: take the sockets of the gateway that runs, and have it drain.
    """
    found = loop_factory(config.loop)
    if found is None:
        say(f"edgews {command}: {config.loop} is not installed: pip install {config.loop}")
        return 2
    name, factory = found
    count = worker_count(config)
    if "max_connections" in config.model_fields_set:
        if warning := shortage(config, count, raise_limit()):
            say(f"warning: {warning}")
    else:
        raise_limit()
    # The one that supervises relays nothing.
    with asyncio.Runner(loop_factory=factory if count == 1 else asyncio.new_event_loop) as runner:
        return runner.run(_main(command, source, config, name, takeover))


async def _main(command: str, source: Source, config: Config, name: str, takeover: bool) -> int:
    try:
        running = Running(source, config, name)
        await running.start(takeover)
    except ConfigError as error:
        say(str(error))
        # `edgews proxy` has no file: its arguments are wrong.
        return 2 if source.values is not None else 1
    except OSError as error:
        say(f"edgews {command}: cannot listen: {error.strerror or error}")
        return 2
    except Refused as refused:
        say(f"edgews {command}: {refused}")
        return 2
    await running.serve()
    return 0


class Running:
    """A gateway from its start to its end."""

    def __init__(self, source: Source, config: Config, name: str) -> None:
        self._source = source
        self._name = name
        self._count = worker_count(config)
        self._service: Service = Unit(config) if self._count == 1 else Supervisor(source, config, say)
        self._control: Control | None = None
        self._admin = None if config.admin is None else AdminServer(Asked(self._service, self.reload), config)
        self._successor: Channel | None = None
        self._handed_over = False
        self._events: asyncio.Queue[int] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changing = asyncio.Lock()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if number == signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                # A shell has started us in the background: Ctrl-C is none of our business.
                continue
            loop.add_signal_handler(number, self._events.put_nowait, number)

    async def start(self, takeover: bool) -> None:
        """Listen, and have the gateway before, if there is one, drain once that is so.

        Raises:
            ConfigError, OSError, Refused: this cannot be. Everything is as it was.
        """
        path = self._service.config.control
        predecessor: Predecessor | None = None
        if path != "off":
            if takeover:
                predecessor = await take_over(path)
            elif is_taken(path):
                raise Refused([f"a gateway runs already, and answers at {path}; --takeover takes its place"])
        try:
            if predecessor is not None:
                self._service.sockets.keep(predecessor.sockets)
            await self._service.start()
            if predecessor is None and self._admin is not None:
                await self._start_admin(self._admin)
            if path != "off":
                self._control = Control(path, self._work())
                self._control.start()
        except BaseException:
            if self._admin is not None:
                await self._admin.close()
            await self._service.drain(handed_over=predecessor is not None)
            if predecessor is not None:
                predecessor.close()
            raise
        if predecessor is not None:
            try:
                await predecessor.retire()
            except Refused as refused:
                say(f"process {predecessor.process}, which served before: {refused}")
            else:
                say(f"taken over from process {predecessor.process}.")
            await self._open_admin()

    async def _start_admin(self, admin: AdminServer) -> None:
        try:
            await admin.start()
        except OSError as error:
            raise Refused([self._no_admin(error)]) from None

    async def _open_admin(self) -> None:
        """Listen at the admin address once the gateway before has let go of it."""
        if self._admin is None:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + ADMIN_PATIENCE
        while True:
            try:
                await self._admin.start()
            except OSError as error:
                if loop.time() > end:
                    say(f"there is no live page: {self._no_admin(error)}")
                    return
                await asyncio.sleep(ADMIN_PAUSE)
            else:
                return

    def _no_admin(self, error: OSError) -> str:
        admin = self._service.config.admin
        assert admin is not None
        # asyncio says more, and that in its own words.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        return f"cannot listen at the admin address {admin.address}: {why}"

    async def serve(self) -> None:
        """Serve until somebody says that it is enough, and drain."""
        for address in self._service.addresses:
            say(f"gateway: {address}")
        for address in () if self._admin is None else self._admin.addresses:
            say(f"live page and metrics: {address}")
        processes = "" if self._count == 1 else f" in {self._count} processes"
        say(f"{self._name} serves{processes}; Ctrl-C stops it.")
        self._spawn(self._watch())
        while (event := await self._events.get()) not in _ENOUGH:
            self._spawn(self.reload() if event == signal.SIGHUP else self._reopen())
        for task in self._tasks:
            task.cancel()
        if self._control is not None:
            await self._control.flushed()
            self._control.close(unlink=not self._handed_over)
        if self._handed_over and self._admin is not None:
            # The successor waits for the address.
            await self._admin.close()
        say("another process has taken over, draining." if self._handed_over else "draining.")
        await self._drain()
        if self._admin is not None:
            await self._admin.close()
        say("stopped.")

    async def reload(self) -> list[str]:
        """Read the file again, and go on with what it says; return what is wrong with it."""
        if self._successor is not None:
            return ["another process is about to take over"]
        async with self._changing:
            try:
                source = self._source.again()
                config = source.config()
                self._check(config)
                if config.admin is not None:
                    # What is wrong with it is known before anything changes; certificates are `prepare`'s.
                    read_token(config, config.admin)
                await self._service.reload(source)
                if self._admin is not None:
                    self._admin.use(config)
            except ConfigError as error:
                faults = error.lines()
            except Refused as refused:
                faults = refused.faults
            except OSError as error:
                faults = [f"cannot listen: {error.strerror or error}"]
            else:
                self._source = source
                say(f"reloaded {source.file}.")
                return []
            say("\n".join([*faults, "not reloaded, nothing has changed."]))
            return faults

    def _check(self, config: Config) -> None:
        """Refuse what cannot change while the gateway runs."""
        now = self._service.config
        fixed = [key for key in ("control", "loop") if getattr(config, key) != getattr(now, key)]
        if _place(config) != _place(now):
            fixed.append("admin")
        if (worker_count(config) == 1) is not (self._count == 1):
            fixed.append("workers")
        if fixed:
            wish = "a restart, or a second process with --takeover: this cannot change meanwhile"
            raise ConfigError(config.file, [config.fault((key,), wish) for key in fixed])

    def _work(self) -> dict[str, Work]:
        """Return what can be asked for at the control socket."""

        async def reload(_: Channel) -> list[str]:
            return await self.reload()

        async def hand_over(channel: Channel) -> With:
            if self._successor is not None and not self._successor.closed.done():
                raise Refused(["another process is already about to take over"])
            # Not while it changes what listens.
            async with self._changing:
                self._successor = channel
                channel.closed.add_done_callback(lambda _: self._stay(channel))
                return handed_over(self._service.sockets.held)

        async def ready(channel: Channel) -> None:
            if channel is not self._successor:
                raise Refused(["nothing was handed over"])
            self._handed_over = True
            self._events.put_nowait(_TAKEN)

        return {"reload": reload, "takeover": hand_over, "ready": ready}

    def _stay(self, channel: Channel) -> None:
        """Forget a successor that has gone before it was ready."""
        if self._successor is channel and not self._handed_over:
            self._successor = None

    async def _reopen(self) -> None:
        try:
            await self._service.reopen()
        except Refused as refused:
            say(f"{refused}\nthe log goes where it went.")

    async def _watch(self) -> None:
        """Read certificates again when their files change and fit together."""
        known = stamps(self._service.config)
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            found = stamps(self._service.config)
            if found != known:
                known = found
                try:
                    async with self._changing:
                        await self._service.renew()
                        if self._admin is not None:
                            self._admin.renew(self._service.config)
                except (ConfigError, Refused) as error:
                    say(f"{error}\nthe certificates from before stay.")
                else:
                    say("certificates read again.")

    async def _drain(self) -> None:
        """Drain, until somebody does not want to wait."""
        draining = asyncio.ensure_future(self._service.drain(handed_over=self._handed_over))
        hurry = asyncio.ensure_future(self._impatience())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not draining.done():
            self._service.abort()
        await draining

    async def _impatience(self) -> None:
        while await self._events.get() not in (signal.SIGINT, signal.SIGTERM):
            pass

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _place(config: Config) -> tuple[str, bool] | None:
    """Return where the admin address is, and whether it speaks TLS."""
    return None if config.admin is None else (config.admin.address, config.admin.certificate is not None)


def say(text: str) -> None:
    """Tell whoever runs the gateway."""
    print(text, file=sys.stderr, flush=True)
