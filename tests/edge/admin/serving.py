"""The admin address of a gateway in the harness."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from edgews.edge.admin.answers import Asked
from edgews.edge.admin.local import Local
from edgews.edge.admin.server import AdminServer
from edgews.edge.config.file import check_values
from edgews.edge.config.tables import Config
from edgews.sync import WebSocket, connect
from tests.edge.harness import Running
from tests.raw import TIMEOUT

TOKEN = "0123456789abcdef"


class Admin:
    """Asks an admin address as a program does."""

    def __init__(self, server: AdminServer, config: Config) -> None:
        self.server = server
        self.config = config
        self.url = server.addresses[0]
        # None of a Unix socket.
        port = self.url.rstrip("/").rpartition(":")[2]
        self.port = int(port) if port.isdigit() else 0

    def get(self, path: str, method: str = "GET", **fields: str) -> tuple[HTTPResponse, str]:
        """Ask for something; return the answer and its body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(
                method, path, headers={name.replace("_", "-"): value for name, value in fields.items()}
            )
            response = connection.getresponse()
            return response, response.read().decode()
        finally:
            connection.close()

    def status(self, path: str, **fields: str) -> int:
        return self.get(path, **fields)[0].status

    def end_feeds(self, gateway: Running) -> None:
        """End the feeds of all pages, as a process that goes does."""
        serving = self.server._server
        for ws in [] if serving is None else serving.connections:
            gateway.call(ws.close(1001))

    def json(self, path: str, **fields: str) -> Any:
        return json.loads(self.get(path, **fields)[1])

    def live(self, **fields: str) -> WebSocket:
        """Open the feed."""
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        return connect(f"ws://127.0.0.1:{self.port}/live", headers=headers)


@contextlib.contextmanager
def admin(gateway: Running, reloaded: list[str] | None = None, **values: Any) -> Iterator[Admin]:
    """Serve the admin address of a gateway."""

    async def reload() -> list[str]:
        return reloaded or []

    async def start() -> AdminServer:
        server = AdminServer(Asked(Local(gateway.gateway), reload), config)
        await server.start()
        return server

    config = check_values(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "route": [{"origins": ["ws://o"]}],
            "admin": {"address": "127.0.0.1:0", **values},
        },
        "",
        "test",
    )
    server = gateway.call(start())
    try:
        yield Admin(server, config)
    finally:
        gateway.call(server.close())


def hear(ws: WebSocket, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(ws.recv(timeout=TIMEOUT))
        if message["type"] == kind:
            return message
