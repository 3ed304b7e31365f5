"""To the first origin that can be reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgews.edge.policy.decisions import Failure
from edgews.http1 import ResponseReader

from .failures import connect_failure
from .streams import OriginStream

if TYPE_CHECKING:
    from .proxied import Proxied
    from .routes import Route


async def dial(proxied: Proxied, route: Route, reader: ResponseReader) -> Failure | None:
    """Connect to an origin of a route; return why there is none.

    Args:
        reader: takes the origin's answer.
    """
    loop = proxied.loop
    failure = connect_failure(OSError())
    for origin in route.pool.candidates():
        stream = OriginStream(proxied, reader)
        proxied.origin, proxied.origin_stream = origin, stream
        origin.active += 1
        try:
            async with asyncio.timeout(route.connect_timeout):
                await route.connect(loop, origin, stream)
        except OSError as error:
            origin.active -= 1
            proxied.origin = proxied.origin_stream = None
            failure = connect_failure(error)
            origin.health.failed(failure.cause, loop.time())
            proxied.unreachable = (*proxied.unreachable, f"{origin.text}: {failure.text}")
            proxied.gateway.observer.unreachable(origin, failure)
        except asyncio.CancelledError:
            stream.abort()
            raise
        else:
            origin.health.passed(loop.time())
            return None
    return failure
