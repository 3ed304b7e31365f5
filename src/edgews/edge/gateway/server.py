"""The gateway on asyncio: listeners, routes, reload and drain."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from typing import Any

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.tables import Config, Listen
from edgews.edge.config.tables import Route as RouteConfig
from edgews.edge.config.values import parse_address
from edgews.edge.forwarding.origins import Origin, Pool
from edgews.edge.forwarding.routing import find
from edgews.edge.policy.decisions import Facts, Policy, Refuse, decide
from edgews.edge.relay.ends import Why
from edgews.frames import CloseCode
from edgews.limits import Limits, Timeouts

from . import tls
from .accesslog import AccessLog
from .failures import DRAINING, NO_ROUTE, Failure
from .observer import Observer
from .proxied import Proxied
from .streams import OriginStream
from .tls import Contexts, contexts

# How long a stream may take to get rid of its last bytes (seconds).
_LINGER = 5.0
_RAY_BYTES = 8
_BACKLOG = 1024


@dataclass(slots=True, eq=False)
class Listening:
    """A socket that listens, or several for one name."""

    address: str
    server: asyncio.Server
    context: ssl.SSLContext | None

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.context is not None


@dataclass(slots=True, eq=False)
class Route:
    """A route at work; connections keep theirs when another file is read."""

    name: str
    host: str | None
    path: str
    pool: Pool
    limits: Limits
    timeouts: Timeouts
    max_age: float | None
    connect_timeout: float
    answer_timeout: float
    context: ssl.SSLContext | None

    async def connect(self, loop: asyncio.AbstractEventLoop, origin: Origin, stream: OriginStream) -> None:
        """Connect to an origin.

        Raises:
            OSError: that is not possible.
        """
        context = self.context if origin.secure else None
        if origin.path is not None:
            await loop.create_unix_connection(lambda: stream, origin.path)
        else:
            await loop.create_connection(
                lambda: stream,
                origin.host,
                origin.port,
                ssl=context,
                server_hostname=origin.host if context is not None else None,
            )


class Gateway:
    """A gateway; make it in a running loop, and `start` it.

    Args:
        config: checked already; the files that it names are read here.
        policies: asked about each upgrade, in order.
        log: where records go.

    Raises:
        ConfigError: a certificate cannot be used.
    """

    def __init__(
        self, config: Config, *, policies: tuple[Policy, ...] = (), log: AccessLog | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.policies = policies
        self.observer = Observer(self, AccessLog(None) if log is None else log)
        self.linger = _LINGER
        self.connections: set[Proxied] = set()
        self.listening: dict[str, Listening] = {}
        self.draining = False
        self._empty: asyncio.Future[None] | None = None
        self._contexts = contexts(config)
        self._use(config, self._contexts)

    def _use(self, config: Config, found: Contexts) -> None:
        self.config = config
        self.routes = tuple(map(_route, config.route, found.route))
        self.limits = Limits(max_header_size=config.max_header_size)
        self.header_prefix = config.header_prefix
        self.open_timeout = config.open_timeout

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the ports that the system chose."""
        found = []
        for listening in self.listening.values():
            scheme = "wss" if listening.secure else "ws"
            for sock in listening.server.sockets:
                name = sock.getsockname()
                if isinstance(name, tuple):
                    host = f"[{name[0]}]" if ":" in name[0] else name[0]
                    found.append(f"{scheme}://{host}:{name[1]}")
                else:
                    found.append(f"unix:{name}")
        return found

    async def start(self) -> None:
        """Listen on all addresses, or on none.

        Raises:
            OSError: one cannot be had.
        """
        await self._listen(self.config, self._contexts)
        self.observer.start()

    async def reload(self, config: Config) -> None:
        """Go on with another configuration; open connections keep theirs.

        Raises:
            ConfigError, OSError: a file that it names, or an address, cannot be had. Nothing has changed.
        """
        found = contexts(config)
        await self._listen(config, found)
        self._use(config, found)

    def renew(self) -> None:
        """Read the listeners' certificates again; connections from now on get them.

        Raises:
            ConfigError: one cannot be used. Nothing has changed.
        """
        contexts(self.config)
        self._load(self.config)

    def _load(self, config: Config) -> None:
        """Load what has just been found to be right into the contexts that listeners have."""
        for listen in config.listen:
            context = self.listening[listen.address].context
            if context is not None:
                tls.load(context, listen)

    async def _listen(self, config: Config, found: Contexts) -> None:
        """Listen where it does not yet, and nowhere else any more."""
        wanted = {listen.address: listen for listen in config.listen}
        added: list[Listening] = []
        try:
            for at, listen in enumerate(config.listen):
                old = self.listening.get(listen.address)
                context = found.listen[listen.address]
                if old is None:
                    added.append(await self._bind(listen, context))
                elif old.secure is not (context is not None):
                    wish = "a restart: a listener cannot begin or cease to speak TLS"
                    raise ConfigError(config.file, [config.fault(("listen", at), wish)])
        except BaseException:
            for listening in added:
                listening.server.close()
            raise
        for address in set(self.listening) - set(wanted):
            self.listening.pop(address).server.close()
        for listening in added:
            self.listening[listening.address] = listening
        self._load(config)

    async def _bind(self, listen: Listen, context: ssl.SSLContext | None) -> Listening:
        def accept() -> asyncio.Protocol:
            return Proxied(self, secure=context is not None).client

        options: dict[str, Any] = {"ssl": context, "backlog": _BACKLOG}
        if context is not None:
            options |= {"ssl_handshake_timeout": self.open_timeout, "ssl_shutdown_timeout": self.linger}
        address = parse_address(listen.address)
        if isinstance(address, str):
            server = await self.loop.create_unix_server(accept, address, **options)
        else:
            server = await self.loop.create_server(accept, address[0] or None, address[1], **options)
        return Listening(listen.address, server, context)

    async def drain(self, seconds: float) -> None:
        """Stop accepting, close all connections with 1001, spread over a time, and drop what is then left."""
        self.draining = True
        for listening in self.listening.values():
            listening.server.close()
        self.listening.clear()
        end = self.loop.time() + seconds
        # The last half is for the answers.
        waiting = list(self.connections)
        for left, proxied in zip(range(len(waiting), 0, -1), waiting, strict=True):
            if proxied in self.connections:
                proxied.finish(CloseCode.GOING_AWAY, "the gateway is shutting down", Why.DRAIN)
            spread = (end - seconds / 2 - self.loop.time()) / left
            if spread > 0:
                await asyncio.sleep(min(spread, 0.05))
        try:
            async with asyncio.timeout_at(end):
                await self.wait_empty()
        except TimeoutError:
            for proxied in list(self.connections):
                proxied.abort()
            await self.wait_empty()
        self.observer.stop()

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""
        while self.connections:
            if self._empty is None:
                self._empty = self.loop.create_future()
            await asyncio.shield(self._empty)

    # What connections ask and tell

    def new_ray(self) -> str:
        """Return a name for a request that nobody can guess."""
        return os.urandom(_RAY_BYTES).hex()

    def admit(self, proxied: Proxied) -> Route | Failure | Refuse:
        """Say where a request goes, or why it goes nowhere."""
        request = proxied.request
        assert request is not None
        if self.draining:
            return DRAINING
        if len(self.connections) > self.config.max_connections:
            return Failure(503, "too many connections", "The gateway has too many connections")
        route = find(self.routes, request.headers.get("Host") or "", request.path)
        if route is None:
            return NO_ROUTE
        facts = Facts(
            request=request,
            client=proxied.peername,
            secure=proxied.secure,
            ray=proxied.ray,
            route=route.name,
            now=self.loop.time(),
        )
        decision = decide(self.policies, facts)
        return decision if isinstance(decision, Refuse) else route

    def came(self, proxied: Proxied) -> None:
        """Keep a connection."""
        self.connections.add(proxied)

    def gone(self, proxied: Proxied) -> None:
        """Forget a connection, and log and count its end."""
        if proxied not in self.connections:
            return
        self.connections.discard(proxied)
        self.observer.gone(proxied)
        if not self.connections and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None


def _route(route: RouteConfig, context: ssl.SSLContext | None) -> Route:
    return Route(
        name=route.name or f"{route.host or '*'}{route.path}",
        host=route.host,
        path=route.path,
        pool=Pool(route.parsed_origins()),
        limits=route.limits(),
        timeouts=route.timeouts(),
        max_age=route.max_age,
        connect_timeout=route.connect_timeout,
        answer_timeout=route.answer_timeout,
        context=context,
    )
