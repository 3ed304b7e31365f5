"""Frameworks that use wsproto, on the facade: `python -m tests.compat.wsproto.frameworks NAME`.

The first line of a server's output is its port. It echoes, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import edgews.compat.wsproto

HOST = "127.0.0.1"


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Echo, as ASGI has it."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def hypercorn() -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def main() -> None:
        sock = socket.create_server((HOST, 0))
        print(sock.getsockname()[1], flush=True)
        config = Config()
        config.bind = [f"fd://{sock.detach()}"]
        config.errorlog = None
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await serve(application, config, shutdown_trigger=lambda: ended)  # type: ignore[arg-type]

    asyncio.run(main())


def uvicorn() -> None:
    from uvicorn import Config, Server

    async def main() -> None:
        sock = socket.create_server((HOST, 0))
        print(sock.getsockname()[1], flush=True)
        server = Server(Config(application, ws="wsproto", log_level="warning"))  # type: ignore[arg-type]

        def wait_for_the_end() -> None:
            sys.stdin.read()
            server.should_exit = True

        ended = asyncio.get_running_loop().run_in_executor(None, wait_for_the_end)
        await server.serve([sock])
        await ended

    asyncio.run(main())


def trio_websocket() -> None:
    import trio
    from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

    async def echo(request: WebSocketRequest) -> None:
        ws = await request.accept()
        try:
            while True:
                await ws.send_message(await ws.get_message())
        except ConnectionClosed:
            pass

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, echo, HOST, 0, None)
            print(server.port, flush=True)
            await trio.to_thread.run_sync(sys.stdin.read)
            nursery.cancel_scope.cancel()

    trio.run(main)


def trio_websocket_client() -> None:
    """Send messages to the URI in the next argument, and say whether all came back."""
    import trio
    from trio_websocket import open_websocket_url

    messages: list[str | bytes] = ["", "w\xf6rld \U0001f30d", b"\x00\xff", "x" * 200_000, bytes(900_000)]

    async def main() -> None:
        with trio.fail_after(60):
            async with open_websocket_url(sys.argv[2]) as ws:
                await ws.ping(b"there?")
                for message in messages:
                    await ws.send_message(message)
                    if await ws.get_message() != message:
                        raise AssertionError("another message came back")
        print(ws.closed.code)

    trio.run(main)


if __name__ == "__main__":
    edgews.compat.wsproto.install()
    {
        "hypercorn": hypercorn,
        "trio_websocket": trio_websocket,
        "trio_websocket_client": trio_websocket_client,
        "uvicorn": uvicorn,
    }[sys.argv[1]]()
