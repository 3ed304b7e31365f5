"""The gateway on asyncio: listeners, routes, reload and drain."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass
from typing import Any

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.tables import Config, Listen
from edgews.edge.config.tables import Route as RouteConfig
from edgews.edge.config.values import parse_address
from edgews.edge.forwarding.origins import Origin, Pool
from edgews.edge.policy.decisions import Failure
from edgews.frames import CloseCode
from edgews.limits import Limits, Timeouts

from . import accesslog, tls
from .accesslog import AccessLog
from .admission import Admission
from .checks import Checks
from .failures import DRAINING, TOO_MANY
from .plain import Plain
from .prepare import Prepared, prepare
from .proxied import Proxied
from .tls import Contexts, contexts
from .upstream import Upstreams

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
    http: bool
    max_body_size: int
    stream_timeout: float
    upstreams: Upstreams

    async def connect(
        self, loop: asyncio.AbstractEventLoop, origin: Origin, stream: asyncio.Protocol
    ) -> None:
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
        log: where records go.

    Raises:
        ConfigError: one of them cannot be used.
    """

    def __init__(self, config: Config, *, log: AccessLog | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = AccessLog(None) if log is None else log
        self.linger = _LINGER
        self.connections: set[Proxied] = set()
        self.listening: dict[str, Listening] = {}
        self.draining = False
        self._empty: asyncio.Future[None] | None = None
        self.routes: tuple[Route, ...] = ()
        self._retired: list[Upstreams] = []
        self._checks = Checks()
        prepared = prepare(config)
        self._contexts = prepared.contexts
        self._configure(prepared)
        self.admission = Admission(self, prepared)

    def _configure(self, prepared: Prepared) -> None:
        config = self.config = prepared.config
        before = self.routes
        self.routes = _routes(config, prepared.contexts, before)
        for route in before:
            route.upstreams.retire()
        self._retired = [one for one in self._retired if not one.closed]
        self._retired += [route.upstreams for route in before]
        self.limits = Limits(max_header_size=config.max_header_size)
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
        self._checks.use(self.routes)

    async def reload(self, config: Config) -> None:
        """Go on with another configuration; open connections keep theirs.

        Raises:
            ConfigError, OSError: a file that it names, or an address, cannot be had. Nothing has changed.
        """
        prepared = prepare(config)
        await self._listen(config, prepared.contexts)
        self._configure(prepared)
        self.admission.use(prepared)
        self._checks.use(self.routes)

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
        self.admission.close()
        for listening in self.listening.values():
            listening.server.close()
        self.listening.clear()
        await self._checks.stop()
        end = self.loop.time() + seconds
        # The last half is for the answers.
        waiting = list(self.connections)
        for left, proxied in zip(range(len(waiting), 0, -1), waiting, strict=True):
            if proxied in self.connections:
                proxied.finish(CloseCode.GOING_AWAY, "the gateway is shutting down")
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
        for upstreams in (*self._retired, *(route.upstreams for route in self.routes)):
            await upstreams.close()

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

    def admit(self, proxied: Proxied) -> Route | Failure:
        """Say where a request goes, or why it goes nowhere."""
        if self.draining:
            return DRAINING
        if len(self.connections) > self.config.max_connections:
            return TOO_MANY
        return self.admission.admit(proxied)

    def came(self, proxied: Proxied) -> None:
        """Keep a connection."""
        self.connections.add(proxied)

    def opened(self, proxied: Proxied) -> None:
        """Log a connection that is open."""
        request = proxied.request
        assert request is not None
        self.log.write(
            accesslog.opened(
                ray=proxied.ray,
                time=time.time(),
                client=proxied.address,
                route=_name(proxied.route),
                origin=_text(proxied.origin),
                target=request.path,
                host=request.headers.get("Host") or "",
            )
        )
        # An idle connection is to be small.
        proxied.request = proxied.entry = None
        proxied.verdict = proxied.verdict.brief()

    def refused(self, proxied: Proxied, status: int, cause: str) -> None:
        """Log a request that opened nothing."""
        self.admission.release(proxied)
        self.log.write(
            accesslog.refused(
                ray=proxied.ray,
                time=time.time(),
                client=proxied.address,
                route=_name(proxied.route),
                status=status,
                cause=cause,
                duration=self.loop.time() - proxied.started,
            )
        )

    def answered(self, proxied: Proxied, plain: Plain) -> None:
        """Log a plain request that has been answered by an origin."""
        self.admission.release(proxied)
        request = plain.exchange.request
        self.log.write(
            accesslog.answered(
                ray=proxied.ray,
                time=time.time(),
                client=proxied.address,
                route=_name(proxied.route),
                origin=_text(plain.origin),
                method=request.method,
                target=request.path,
                host=request.headers.get("Host") or "",
                status=plain.status,
                cause="" if plain.failure is None else plain.failure.cause,
                bytes_up=plain.exchange.received,
                bytes_down=plain.exchange.sent,
                duration=self.loop.time() - proxied.started,
            )
        )

    def health(self) -> list[dict[str, Any]]:
        """Return what is known of each origin of each route: plain values."""
        now = self.loop.time()
        return [
            {"route": route.name, "origin": origin.text, "active": origin.active, **origin.health.report(now)}
            for route in self.routes
            for origin in dict.fromkeys(route.pool.origins)
        ]

    def gone(self, proxied: Proxied) -> None:
        """Forget a connection, and log its end."""
        if proxied not in self.connections:
            return
        self.connections.discard(proxied)
        self.admission.release(proxied)
        tunnel = proxied.tunnel
        if tunnel is not None and tunnel.end is not None:
            self.log.write(
                accesslog.ended(
                    ray=proxied.ray,
                    time=time.time(),
                    client=proxied.address,
                    route=_name(proxied.route),
                    origin=_text(proxied.origin),
                    tunnel=tunnel,
                    end=tunnel.end,
                    duration=self.loop.time() - proxied.opened,
                )
            )
        if not self.connections and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None


def _name(route: Route | None) -> str:
    return "" if route is None else route.name


def _text(origin: Origin | None) -> str:
    return "" if origin is None else origin.text


def _routes(config: Config, found: Contexts, before: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes of a configuration; origins that stay keep what is known of them."""
    known: dict[str, list[Origin]] = {}
    for old in before:
        known.setdefault(old.name, []).extend(old.pool.origins)
    return tuple(
        _route(config, route, context, known.get(route.title, []))
        for route, context in zip(config.route, found.route, strict=True)
    )


def _route(config: Config, route: RouteConfig, context: ssl.SSLContext | None, before: list[Origin]) -> Route:
    return Route(
        name=route.title,
        host=route.host,
        path=route.path,
        pool=Pool(
            route.parsed_origins(),
            before=before,
            plan=None if route.health is None else route.health.plan(),
        ),
        limits=route.limits(),
        timeouts=route.timeouts(),
        max_age=route.max_age,
        connect_timeout=route.connect_timeout,
        answer_timeout=route.answer_timeout,
        context=context,
        http=route.http,
        max_body_size=route.max_body_size,
        stream_timeout=route.stream_timeout,
        upstreams=Upstreams(
            context, connect_timeout=route.connect_timeout, max_header_size=config.max_header_size
        ),
    )
