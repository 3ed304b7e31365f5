"""`edgews echo` on trio."""

from __future__ import annotations

import trio

from edgews.cli.echo import BREAK_PATH, SHUTDOWN_TIMEOUT, Echo
from edgews.trio import ConnectionClosed, WebSocket, serve


def run(echo: Echo) -> None:
    """Serve until Ctrl-C."""
    trio.run(_serve, echo, restrict_keyboard_interrupt_to_checkpoints=True)


async def _serve(echo: Echo) -> None:
    async def handle(ws: WebSocket) -> None:
        if ws.request.path == BREAK_PATH:
            async for rule in ws:
                await ws.send(await trio.to_thread.run_sync(echo.breaker.break_rule, str(rule)))
            return
        try:
            async for message in ws:
                await ws.send(message)
        except ConnectionClosed:
            pass
        finally:
            echo.breaker.report(ws.remote_address, ws.closed)

    listener = trio.SocketListener(trio.socket.from_stdlib_socket(echo.sock))
    async with serve(handle, listeners=[listener], **echo.serving) as server:
        try:
            echo.ready("trio")
            await trio.sleep_forever()
        except KeyboardInterrupt:
            await server.close(SHUTDOWN_TIMEOUT)
