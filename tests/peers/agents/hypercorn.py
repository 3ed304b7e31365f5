"""hypercorn, a server on wsproto, with an ASGI application. It always accepts compression."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import hypercorn.asyncio
from hypercorn.config import Config

from .agent import HOST, REFUSAL, AsyncioAgent, Message, Options


class Connection:
    def __init__(self, receive: Any, send: Any) -> None:
        self.receive = receive
        self.send = send
        self.subprotocol: str | None = None
        self.code: int | None = None
        self.reason = ""


class Hypercorn(AsyncioAgent):
    def __init__(self, certificates: str) -> None:
        super().__init__(certificates)
        self._stop = asyncio.Event()

    async def listen(self, options: Options) -> int:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                for answer in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{answer}.complete"})
                return
            await receive()
            if scope["path"].startswith("/refuse"):
                await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
                await send({"type": "websocket.http.response.body", "body": REFUSAL})
                return
            ws = Connection(receive, send)
            ws.subprotocol = next(filter(scope["subprotocols"].__contains__, options.subprotocols), None)
            await send({"type": "websocket.accept", "subprotocol": ws.subprotocol})
            await self.converse(scope["path"], ws)

        listening = socket.create_server((HOST, 0))
        config = Config()
        config.bind = [f"fd://{listening.detach()}"]
        config.loglevel = "ERROR"
        config.graceful_timeout = 1
        if options.tls:
            config.certfile = config.keyfile = f"{self._certificates}/server.pem"
        if options.max_size:
            config.websocket_max_message_size = options.max_size
        config.websocket_ping_interval = options.ping_interval
        self.spawn(hypercorn.asyncio.serve(application, config, shutdown_trigger=self._stop.wait))
        with socket.socket(fileno=int(config.bind[0].removeprefix("fd://"))) as sock:
            port = sock.getsockname()[1]
            sock.detach()
        return port  # type: ignore[no-any-return]

    def connecting(self, uri: str, options: Options) -> contextlib.AbstractAsyncContextManager[Any]:
        raise NotImplementedError

    async def messages(self, ws: Connection) -> AsyncIterator[Message]:
        while (event := await ws.receive())["type"] == "websocket.receive":
            yield event["text"] if event.get("text") is not None else event["bytes"]
        ws.code = event["code"]
        ws.reason = event.get("reason") or ""

    def facts(self, ws: Connection) -> dict[str, Any]:
        return {"subprotocol": ws.subprotocol}

    def end(self, ws: Connection) -> tuple[int | None, str]:
        return ws.code, ws.reason

    async def send(self, ws: Connection, message: Message) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await ws.send({"type": "websocket.send", kind: message})

    async def close(self, ws: Connection, code: int, reason: str) -> None:
        await ws.send({"type": "websocket.close", "code": code, "reason": reason})

    async def stop(self) -> None:
        self._stop.set()
