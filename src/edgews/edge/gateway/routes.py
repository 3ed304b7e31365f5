"""Routes at work: what a configuration says of them, and what they have besides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgews.edge.config.tables import Config
from edgews.edge.config.tables import Route as RouteConfig
from edgews.edge.forwarding.compression import agree
from edgews.edge.forwarding.entrance import Entry
from edgews.edge.forwarding.handshake import check_switch
from edgews.edge.forwarding.origins import Origin, Pool
from edgews.edge.forwarding.routing import Condition
from edgews.edge.relay.frames import scanned
from edgews.edge.relay.inspection import inspected
from edgews.edge.relay.tunnel import Tunnel
from edgews.events import Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.limits import Limits, Timeouts

from .tls import Contexts
from .upstream import Upstreams

# What is offered and accepted where messages are inspected.
_COMPRESSION = PerMessageDeflate()


@dataclass(slots=True, eq=False)
class Route:
    """A route at work; connections keep theirs when another file is read."""

    name: str
    host: str | None
    path: str
    headers: Mapping[str, str]
    condition: Condition | None
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
    inspect: bool
    message_limiter: str | None
    client_compression: PerMessageDeflate | None
    origin_compression: PerMessageDeflate | None

    def connect(
        self, loop: asyncio.AbstractEventLoop, origin: Origin, stream: asyncio.Protocol
    ) -> Coroutine[Any, Any, object]:
        """Return what connects to an origin.

        Raises:
            OSError: when awaited: that is not possible.
        """
        if origin.path is not None:
            return loop.create_unix_connection(lambda: stream, origin.path)
        if not origin.secure:
            return loop.create_connection(lambda: stream, origin.host, origin.port)
        return loop.create_connection(
            lambda: stream, origin.host, origin.port, ssl=self.context, server_hostname=origin.host
        )

    def tunnel(
        self, entry: Entry, request: Request, asked: Request, response: Response
    ) -> tuple[Tunnel, Response]:
        """Return the tunnel that a 101 opens, and what is passed on of the 101.

        Raises:
            HandshakeError: it opens none.
        """
        if not self.inspect:
            return scanned(
                deflate=check_switch(asked, response),
                meter=entry.meter,
                limits=self.limits,
                timeouts=self.timeouts,
                max_age=self.max_age,
            ), response
        agreed = agree(
            request, asked, response, client=self.client_compression, origin=self.origin_compression
        )
        return inspected(
            client=agreed.client,
            origin=agreed.origin,
            judge=entry.judge,
            meter=entry.meter,
            limits=self.limits,
            timeouts=self.timeouts,
            max_age=self.max_age,
        ), agreed.response


def make_routes(
    config: Config, found: Contexts, conditions: Sequence[Condition | None], before: tuple[Route, ...]
) -> tuple[Route, ...]:
    """Return the routes of a configuration; origins that stay keep what is known of them."""
    known: dict[str, list[Origin]] = {}
    for old in before:
        known.setdefault(old.name, []).extend(old.pool.origins)
    return tuple(
        _route(config, route, context, condition, known.get(route.title, []))
        for route, context, condition in zip(config.route, found.route, conditions, strict=True)
    )


def _route(
    config: Config,
    route: RouteConfig,
    context: ssl.SSLContext | None,
    condition: Condition | None,
    before: list[Origin],
) -> Route:
    return Route(
        name=route.title,
        host=route.host,
        path=route.path,
        headers=route.headers,
        condition=condition,
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
        inspect=config.inspects(route),
        message_limiter=route.message_limiter,
        client_compression=_COMPRESSION if route.compression in ("both", "client") else None,
        origin_compression=_COMPRESSION if route.compression in ("both", "origin") else None,
    )
