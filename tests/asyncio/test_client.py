"""What a client on asyncio has of its own: Unix sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgews import Headers, Request, Response
from edgews.asyncio import InvalidHandshake, WebSocket, connect, serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def redirect(request: Request) -> Response | None:
    places = {"/": "/there", "/away": "http://server.example:8080/"}
    place = places.get(request.path)
    return None if place is None else Response(302, Headers({"Location": place}))


def test_behind_a_unix_socket_redirects_stay_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor is there a proxy on the way.
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    path = str(tmp_path / "socket")

    async def main() -> None:
        async with serve(echo, path=path, process_request=redirect):
            async with connect("ws://server.example/", path=path, redirects=1) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
                assert ws.request.target == "/there"
            with pytest.raises(InvalidHandshake, match="another origin"):
                await connect("ws://server.example/away", path=path, redirects=1)

    asyncio.run(main())
