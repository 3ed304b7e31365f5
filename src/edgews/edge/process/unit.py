"""A gateway in this process, with its configuration and its log."""

from __future__ import annotations

from typing import Any

from edgews.edge.admin.local import Local
from edgews.edge.config.faults import ConfigError
from edgews.edge.config.tables import Config
from edgews.edge.gateway.accesslog import AccessLog, Stream
from edgews.edge.gateway.prepare import Prepared, prepare
from edgews.edge.gateway.server import Gateway
from edgews.edge.gateway.sockets import ByAddress, Sockets
from edgews.edge.policy.sharing import Sharing

from .channel import Refused
from .logfile import LogFile, open_log
from .source import Source


class Unit:
    """A gateway, and what it writes to.

    Args:
        sharing: what it has in common with other processes; None if there are none.

    Raises:
        ConfigError: a file that the configuration names cannot be used.
    """

    def __init__(self, config: Config, sharing: Sharing | None = None) -> None:
        self._stream = _open(config)
        self._next: tuple[Prepared, Stream | None, Sharing | None] | None = None
        try:
            self.gateway = Gateway(config, log=AccessLog(self._stream), sharing=sharing)
        except BaseException:
            _close(self._stream)
            raise
        self._local = Local(self.gateway)

    @property
    def config(self) -> Config:
        """What holds now."""
        return self.gateway.config

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return self.gateway.addresses

    @property
    def sockets(self) -> Sockets:
        """What it listens on."""
        return self.gateway.sockets

    async def start(self, sockets: ByAddress | None = None) -> None:
        """Listen.

        Raises:
            OSError: an address cannot be had.
        """
        await self.gateway.start(sockets)

    async def reload(self, source: Source) -> None:
        """Go on with another configuration, where no other process has a part in it.

        Raises:
            ConfigError, OSError: something that it names cannot be had; nothing has changed.
        """
        config = source.config()
        self.prepare(config)
        try:
            planned = await self.sockets.plan(listen.address for listen in config.listen)
        except BaseException:
            self.forget()
            raise
        self.apply(planned)

    def prepare(self, config: Config, sharing: Sharing | None = None) -> None:
        """Read what a configuration names, for `apply`.

        Raises:
            ConfigError: a file cannot be used.
        """
        self.forget()
        prepared = prepare(config)
        same = config.access_log == self.config.access_log
        self._next = prepared, self._stream if same else _open(config), sharing

    def forget(self) -> None:
        """What was prepared is not to be applied."""
        if self._next is not None:
            stream = self._next[1]
            self._next = None
            if stream is not self._stream:
                _close(stream)

    def apply(self, sockets: ByAddress) -> None:
        """Go on with what was prepared last, on these sockets."""
        if self._next is None:
            raise Refused(["nothing was prepared"])
        (prepared, stream, sharing), self._next = self._next, None
        self.gateway.apply(prepared, sockets, sharing)
        if stream is not self._stream:
            before, self._stream = self._stream, stream
            self.gateway.observer.log.use(stream)
            _close(before)

    async def renew(self) -> None:
        """Read the certificates again.

        Raises:
            ConfigError: one cannot be used; nothing has changed.
        """
        self.gateway.renew()

    async def reopen(self) -> None:
        """Go on with the file that has the log's name now.

        Raises:
            Refused: it cannot be opened.
        """
        if isinstance(self._stream, LogFile):
            try:
                self._stream.reopen()
            except OSError as error:
                raise Refused([_unwritable(self.config, error)]) from None
            self.gateway.observer.log.use(self._stream)

    async def answer(self, question: str, values: dict[str, Any]) -> Any:
        """Answer a question of the admin address; see `Asked`."""
        return await self._local.answer(question, values)

    async def drain(self, *, handed_over: bool = False) -> None:
        """Stop accepting, and end all connections."""
        await self.gateway.drain(self.config.drain_time, handed_over=handed_over)
        _close(self._stream)
        self._stream = None

    def abort(self) -> None:
        """Drop all connections."""
        for proxied in list(self.gateway.connections):
            proxied.abort()


def _open(config: Config) -> Stream | None:
    try:
        return open_log(config.access_log)
    except OSError as error:
        fault = config.fault(("access_log",), _unwritable(config, error))
        raise ConfigError(config.file, [fault]) from None


def _unwritable(config: Config, error: OSError) -> str:
    return f"cannot write {config.access_log}: {error.strerror}"


def _close(stream: Stream | None) -> None:
    if isinstance(stream, LogFile):
        stream.close()
