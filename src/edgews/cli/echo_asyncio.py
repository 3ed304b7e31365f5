"""`edgews echo` on asyncio, and on uvloop where that is installed."""

from __future__ import annotations

import asyncio

from edgews.asyncio import ConnectionClosed, WebSocket, serve
from edgews.cli.echo import BREAK_PATH, SHUTDOWN_TIMEOUT, Echo

try:
    import uvloop
except ImportError:
    NAME, new_loop = "asyncio", asyncio.new_event_loop
else:
    NAME, new_loop = "asyncio on uvloop", uvloop.new_event_loop


def run(echo: Echo) -> None:
    """Serve until Ctrl-C."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(echo))


async def _serve(echo: Echo) -> None:
    async def handle(ws: WebSocket) -> None:
        if ws.request.path == BREAK_PATH:
            async for rule in ws:
                await ws.send(await asyncio.to_thread(echo.breaker.break_rule, str(rule)))
            return
        try:
            async for message in ws:
                await ws.send(message)
        except ConnectionClosed:
            pass
        finally:
            echo.breaker.report(ws.remote_address, ws.closed)

    server = await serve(handle, sock=echo.sock, **echo.serving)
    try:
        echo.ready(NAME)
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        # So the runner hands on the first Ctrl-C; it raises KeyboardInterrupt for the second.
        await server.close(SHUTDOWN_TIMEOUT)
