"""A process that serves on sockets which another one has bound: `python -m edgews.edge.process.worker`."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from edgews.edge.config.faults import ConfigError
from edgews.edge.gateway.sockets import ByAddress

from .channel import Channel, Refused
from .loops import loop_factory
from .resources import raise_limit
from .shared import Attached
from .source import Source
from .unit import Unit

# The supervisor decides; a signal to the whole group is meant for it.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def main(descriptor: int, loop: str) -> None:
    """Do what the supervisor says, until it says drain or is gone.

    Args:
        descriptor: of the socket on which it speaks.
        loop: as in the configuration.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    # Where it hangs is told when it is ended for that.
    faulthandler.enable()
    raise_limit()
    factory = loop_factory(loop)
    with asyncio.Runner(loop_factory=None if factory is None else factory[1]) as runner:
        runner.run(_serve(socket.socket(fileno=descriptor)))


async def _serve(sock: socket.socket) -> None:
    worker = Worker()
    channel = Channel(sock, worker.handle)
    ended = asyncio.ensure_future(worker.ended.wait())
    await asyncio.wait((channel.closed, ended), return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        # Nobody is left who could say what to do.
        ended.cancel()
        await worker.drain()
    await channel.flushed()
    channel.close()


class Worker:
    """What the supervisor can ask for: each `do` is the name of a method that takes what comes with it."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._unit: Unit | None = None
        self._attached = Attached()
        self._work: dict[str, Callable[[dict[str, Any], list[socket.socket]], Awaitable[Any]]] = {
            "start": self._start,
            "prepare": self._prepare,
            "apply": self._apply,
            "forget": self._forget,
            "renew": self._renew,
            "reopen": self._reopen,
            "drain": self._drain,
            "abort": self._abort,
            "answer": self._answer,
        }

    async def handle(self, message: dict[str, Any], sockets: list[socket.socket]) -> Any:
        """Do what a message says."""
        try:
            return await self._work[message["do"]](message, sockets)
        except ConfigError as error:
            raise Refused(error.lines()) from None

    @property
    def unit(self) -> Unit:
        """The gateway, once it has been started."""
        if self._unit is None:
            raise Refused(["not started"])
        return self._unit

    async def drain(self, *, handed_over: bool = False) -> None:
        """End everything."""
        if self._unit is not None:
            await self._unit.drain(handed_over=handed_over)
        self.ended.set()

    async def _start(self, message: dict[str, Any], sockets: list[socket.socket]) -> list[str]:
        sharing = self._attached.take(message["shared"], message["files"])
        self._unit = Unit(Source(**message["source"]).config(), sharing)
        await self._unit.start(_by_address(message["shares"], sockets))
        return self._unit.addresses

    async def _prepare(self, message: dict[str, Any], _: list[socket.socket]) -> None:
        sharing = self._attached.take(message["shared"], message["files"])
        self.unit.prepare(Source(**message["source"]).config(), sharing)

    async def _apply(self, message: dict[str, Any], sockets: list[socket.socket]) -> list[str]:
        self.unit.apply(_by_address(message["shares"], sockets))
        return self.unit.addresses

    async def _forget(self, _: dict[str, Any], __: list[socket.socket]) -> None:
        self.unit.forget()

    async def _renew(self, _: dict[str, Any], __: list[socket.socket]) -> None:
        await self.unit.renew()

    async def _reopen(self, _: dict[str, Any], __: list[socket.socket]) -> None:
        await self.unit.reopen()

    async def _drain(self, message: dict[str, Any], _: list[socket.socket]) -> Any:
        await self.drain(handed_over=message["handed_over"])
        # What it has counted is told once more: nobody can ask later.
        return await self.unit.answer("report", {})

    async def _answer(self, message: dict[str, Any], _: list[socket.socket]) -> Any:
        return await self.unit.answer(message["question"], message["values"])

    async def _abort(self, _: dict[str, Any], __: list[socket.socket]) -> None:
        self.unit.abort()


def _by_address(shares: list[tuple[str, int]], sockets: list[socket.socket]) -> ByAddress:
    """Put sockets to their addresses again."""
    found: ByAddress = {}
    for address, count in shares:
        found[address], sockets = sockets[:count], sockets[count:]
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
