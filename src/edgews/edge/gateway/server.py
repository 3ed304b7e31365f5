"""The gateway on asyncio: listeners, routes, reload and drain."""

from __future__ import annotations

import asyncio
from typing import Any

from edgews.edge.config.tables import Config
from edgews.edge.forwarding.proxypeers import ProxyPeers
from edgews.edge.forwarding.routing import RouteTable
from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.sharing import Sharing
from edgews.edge.relay.ends import Why
from edgews.frames import CloseCode
from edgews.limits import Limits
from edgews.masking import new_key

from .accesslog import AccessLog
from .admission import Admission
from .arrivals import Arrivals
from .checks import Checks
from .failures import DRAINING, TOO_MANY
from .listening import Listening
from .observer import Observer
from .plain import Plain
from .prepare import Prepared, prepare
from .proxied import Proxied
from .routes import Route, make_routes
from .sockets import ByAddress, Sockets
from .timers import Timers
from .tls import Contexts, contexts
from .upstream import Upstreams

# How long a stream may take to get rid of its last bytes (seconds).
_LINGER = 5.0


class Gateway:
    """A gateway; make it in a running loop, and `start` it.

    Args:
        config: checked already; the files that it names are read here.
        log: where records go.
        sharing: what it has in common with other processes; None if there are none.

    Raises:
        ConfigError: one of them cannot be used.
    """

    def __init__(
        self, config: Config, *, log: AccessLog | None = None, sharing: Sharing | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.timers = Timers(self.loop)
        self.observer = Observer(self, AccessLog(None) if log is None else log)
        self.linger = _LINGER
        self.connections: set[Proxied] = set()
        self.listening: dict[str, Listening] = {}
        self.sockets = Sockets()
        self.sharing = sharing
        self.draining = False
        self._leaving = False
        # Of the drain.
        self._end = 0.0
        self._empty: asyncio.Future[None] | None = None
        self.routes: tuple[Route, ...] = ()
        self._retired: list[Upstreams] = []
        self._checks = Checks()
        prepared = prepare(config)
        self._contexts = prepared.contexts
        self._configure(prepared)
        self.admission = Admission(self, prepared)
        self.arrivals = Arrivals(config, self.observer)

    def _configure(self, prepared: Prepared) -> None:
        config = self.config = prepared.config
        before = self.routes
        self.routes = make_routes(config, prepared.contexts, prepared.definition.conditions, before)
        self.table = RouteTable(self.routes)
        for route in before:
            route.upstreams.retire()
        self._retired = [one for one in self._retired if not one.closed]
        self._retired += [route.upstreams for route in before]
        self.limits = Limits(max_header_size=config.max_header_size)
        self.open_timeout = config.open_timeout
        self.max_connections = config.max_connections

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the ports that the system chose."""
        return [name for listening in self.listening.values() for name in listening.addresses]

    async def start(self, sockets: ByAddress | None = None) -> None:
        """Listen on all addresses, or on none.

        Args:
            sockets: those of each address; None binds what is not there yet.

        Raises:
            OSError: one cannot be had.
        """
        self._listen(
            self.config, self._contexts, await self._plan(self.config) if sockets is None else sockets
        )
        self.observer.start()
        self._checks.use(self.routes)

    def apply(self, prepared: Prepared, sockets: ByAddress, sharing: Sharing | None = None) -> None:
        """Go on with another configuration, and on these sockets; open connections keep theirs."""
        self.sharing = sharing
        self._listen(prepared.config, prepared.contexts, sockets)
        self._configure(prepared)
        self.admission.use(prepared)
        self.arrivals.use(prepared.config)
        self._checks.use(self.routes)

    def _listen(self, config: Config, found: Contexts, sockets: ByAddress) -> None:
        """Listen on these sockets, and on no others any more."""
        for address in set(self.listening).difference(listen.address for listen in config.listen):
            self.listening.pop(address).stop(last=True)
        for listen in config.listen:
            address = listen.address
            listening = self.listening.get(address)
            if listening is None:
                listening = self.listening[address] = Listening(self, address)
            listening.context = found.listen[address]
            listening.proxies = ProxyPeers(listen.proxy_protocol)
            listening.use(sockets[address])
        self.sockets.keep(sockets)

    async def reload(self, config: Config) -> None:
        """Go on with another configuration, where no other process has a part in it.

        Raises:
            ConfigError, OSError: a file that it names, or an address, cannot be had. Nothing has changed.
        """
        prepared = prepare(config)
        self.apply(prepared, await self._plan(config))

    async def _plan(self, config: Config) -> ByAddress:
        return await self.sockets.plan(listen.address for listen in config.listen)

    def renew(self) -> None:
        """Read the listeners' certificates again; connections from now on get them.

        Raises:
            ConfigError: one cannot be used. Nothing has changed.
        """
        found = contexts(self.config).listen
        for address, listening in self.listening.items():
            listening.context = found[address]

    async def drain(self, seconds: float, *, handed_over: bool = False) -> None:
        """Stop accepting, close all connections with 1001, spread over a time, and drop what is then left.

        Args:
            handed_over: another process listens on the same sockets. Who has come here already is served as
                if nothing had happened.
        """
        self.admission.close()
        end = self._end = self.loop.time() + seconds
        self.draining = not handed_over
        left = list(self.listening.values())
        self.listening.clear()
        for listening in left:
            listening.stop(last=not handed_over)
        self.sockets.close(unlink=not handed_over)
        await self._checks.stop()
        # The last half is for the answers.
        try:
            async with asyncio.timeout_at(end - seconds / 2):
                await self._spread(end - seconds / 2, handed_over)
        except TimeoutError:
            pass
        self._leaving = True
        for proxied in list(self.connections):
            if proxied.tunnel is not None or not handed_over:
                self._leave(proxied)
        try:
            async with asyncio.timeout_at(end):
                for listening in left:
                    await listening.settle()
                await self.wait_empty()
        except TimeoutError:
            for listening in left:
                listening.abort()
                await listening.settle()
            for proxied in list(self.connections):
                proxied.abort()
            await self.wait_empty()
        self.observer.stop()
        self.timers.close()
        for upstreams in (*self._retired, *(route.upstreams for route in self.routes)):
            await upstreams.close()

    async def _spread(self, end: float, handed_over: bool) -> None:
        """End the connections that are there, one after the other."""
        waiting = list(self.connections)
        for left, proxied in zip(range(len(waiting), 0, -1), waiting, strict=True):
            if proxied in self.connections and (proxied.tunnel is not None or not handed_over):
                self._leave(proxied)
            pause = (end - self.loop.time()) / left
            if pause > 0:
                await asyncio.sleep(min(pause, 0.05))

    def _leave(self, proxied: Proxied) -> None:
        # Of what is left, an origin that does not answer has one half, the client has the other.
        patience = max(0.0, (self._end - self.loop.time()) / 2)
        proxied.finish(CloseCode.GOING_AWAY, "the gateway is shutting down", Why.DRAIN, patience=patience)

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""
        while self.connections:
            if self._empty is None:
                self._empty = self.loop.create_future()
            await asyncio.shield(self._empty)

    # What connections ask and tell

    def new_ray(self) -> str:
        """Return a name for a request that nobody can guess: 64 random bits."""
        return (new_key() + new_key()).hex()

    def admit(self, proxied: Proxied) -> Route | Failure:
        """Say where a request goes, or why it goes nowhere."""
        if self.draining:
            return DRAINING
        if self.admission.present(1) > self.max_connections:
            return TOO_MANY
        found = self.admission.admit(proxied)
        if not isinstance(found, Failure):
            self.arrivals.leave(proxied)
        return found

    def came(self, proxied: Proxied) -> None:
        """Keep a connection."""
        self.connections.add(proxied)

    def opened(self, proxied: Proxied) -> None:
        """Take a connection that is open."""
        self.observer.opened(proxied)
        # An idle connection is to be small.
        proxied.request = proxied.entry = None
        proxied.verdict = proxied.verdict.brief()
        if self._leaving:
            self.loop.call_soon(self._leave, proxied)

    def refused(self, proxied: Proxied, status: int, cause: str, reason: str, header: str = "") -> None:
        """Take a request that opened nothing; see `Observer.refused`."""
        self._release(proxied)
        self.observer.refused(proxied, status, cause, reason, header)

    def answered(self, proxied: Proxied, plain: Plain) -> None:
        """Take a plain request that has been answered by an origin."""
        self._release(proxied)
        self.observer.answered(proxied, plain)

    def _release(self, proxied: Proxied) -> None:
        """Nothing is done any more for a connection, which is still there."""
        self.admission.release(proxied)
        if proxied in self.connections:
            self.arrivals.enter(proxied)

    def health(self) -> list[dict[str, Any]]:
        """Return what is known of each origin of each route: plain values."""
        now = self.loop.time()
        return [
            {"route": route.name, "origin": origin.text, "active": origin.active, **origin.health.report(now)}
            for route in self.routes
            for origin in dict.fromkeys(route.pool.origins)
        ]

    def gone(self, proxied: Proxied) -> None:
        """Forget a connection that has ended."""
        if proxied not in self.connections:
            return
        self.connections.discard(proxied)
        self.arrivals.leave(proxied)
        self.admission.release(proxied)
        self.observer.gone(proxied)
        if not self.connections and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None
