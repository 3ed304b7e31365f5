"""Checks of the origins: one task for each, which waits, looks, and counts what it saw."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import aiohttp

from edgews.asyncio import ConnectionClosed, InvalidHandshake, connect
from edgews.edge.forwarding.health import Kind, Plan
from edgews.edge.forwarding.origins import Origin
from edgews.limits import Timeouts

from .failures import connect_failure
from .upstream import unreached

if TYPE_CHECKING:
    from .routes import Route

_log = logging.getLogger("edgews.edge")


class Checks:
    """The checks of all origins that are to be checked, one at a time for each."""

    def __init__(self) -> None:
        self._running: dict[Origin, _Check] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def use(self, routes: Iterable[Route]) -> None:
        """Check the origins of these routes and no others; those that stay keep their rhythm."""
        wanted = {origin: route for route in routes if route.pool.plan for origin in route.pool.origins}
        for origin in self._running.keys() - wanted.keys():
            self._end(self._running.pop(origin))
        for origin, route in wanted.items():
            check = self._running.get(origin)
            if check is not None and check.plan == route.pool.plan:
                check.route = route
                continue
            if check is not None:
                self._end(check)
            self._running[origin] = _Check(origin, route)

    def _end(self, check: _Check) -> None:
        check.task.cancel()
        self._ending.add(check.task)
        check.task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """End all checks, and wait until nothing is left of them."""
        self.use(())
        if self._ending:
            await asyncio.wait(self._ending)


class _Check:
    """The checks of one origin, for a route that may be replaced by one with another context."""

    def __init__(self, origin: Origin, route: Route) -> None:
        assert route.pool.plan is not None
        self.origin = origin
        self.route = route
        self.plan: Plan = route.pool.plan
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        health = self.origin.health
        await asyncio.sleep(health.first_wait(random.random()))
        while True:
            cause = await self._look()
            health.checks += 1
            changed = health.failed(cause, loop.time()) if cause else health.passed(loop.time())
            if changed:
                word = "up" if health.up else f"down: {cause}"
                _log.warning("%s of route %s is %s", self.origin.text, self.route.name, word)
            await asyncio.sleep(health.wait(random.random()))

    async def _look(self) -> str:
        """Check once; return what is wrong, or nothing."""
        try:
            async with asyncio.timeout(self.plan.timeout):
                match self.plan.kind:
                    case Kind.TCP:
                        return await self._connect()
                    case Kind.HTTP:
                        return await self._get()
                    case Kind.WEBSOCKET:
                        return await self._ping()
        except TimeoutError:
            return "no answer in time"
        except InvalidHandshake as error:
            return f"no WebSocket: {error}"
        except ConnectionClosed:
            return "the connection ended before the Pong"
        except aiohttp.ClientError as error:
            failure = unreached(error)
            return "no HTTP answer" if failure is None else failure.cause
        except OSError as error:
            return connect_failure(error).cause

    async def _connect(self) -> str:
        loop = asyncio.get_running_loop()
        knock = _Knock(loop)
        try:
            await self.route.connect(loop, self.origin, knock)
            await knock.lost
        finally:
            knock.abort()
        return ""

    async def _get(self) -> str:
        async with self.route.upstreams.get(self.origin, self.plan.path) as response:
            return "" if 200 <= response.status < 400 else f"answered with {response.status}"

    async def _ping(self) -> str:
        origin = self.origin
        scheme = "wss" if origin.secure else "ws"
        where = "localhost" if origin.path is not None else origin.authority
        # What the check itself may take is `timeout`; this is for the end of a connection that has done.
        timeouts = Timeouts(open=None, close=1.0, ping_interval=None)
        ssl_context = self.route.context if origin.secure else None
        uri = f"{scheme}://{where}{self.plan.path}"
        async with connect(uri, ssl=ssl_context, path=origin.path, proxy=None, timeouts=timeouts) as ws:
            await ws.ping()
        return ""


class _Knock(asyncio.Protocol):
    """A connection that is closed as soon as it is there; in order, for TLS would complain."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's have no class in common with asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def abort(self) -> None:
        """Drop what is left."""
        if self._transport is not None:
            self._transport.abort()
