"""`edgews echo` with a thread for each connection."""

from __future__ import annotations

from contextlib import suppress

from edgews.cli.echo import BREAK_PATH, SHUTDOWN_TIMEOUT, Echo
from edgews.sync import ConnectionClosed, WebSocket, serve


def run(echo: Echo) -> None:
    """Serve until Ctrl-C."""

    def handle(ws: WebSocket) -> None:
        assert ws.request is not None
        if ws.request.path == BREAK_PATH:
            for rule in ws:
                ws.send(echo.breaker.break_rule(str(rule)))
            return
        try:
            for message in ws:
                ws.send(message)
        except ConnectionClosed:
            pass
        finally:
            echo.breaker.report(ws.remote_address, ws.closed)

    server = serve(handle, sock=echo.sock, **echo.serving)
    echo.ready("sync")
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    server.shutdown(SHUTDOWN_TIMEOUT)
