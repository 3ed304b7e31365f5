"""A Starlette application, unchanged, talked to by two clients."""

from __future__ import annotations

import asyncio
import json
import os
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.compat.uvicorn.clients import KINDS, Closed, Kind, Refused
from tests.compat.uvicorn.serving import LOOPS, Serving, running, until
from tests.raw import TIMEOUT

pytestmark = pytest.mark.peers

# What the application saw, for the test.
seen: queue.Queue[Any] = queue.Queue()

# What no compression makes smaller.
NOISE = os.urandom(65536)


async def echo_text(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_text(await ws.receive_text())
    except WebSocketDisconnect as end:
        seen.put((end.code, end.reason))


async def echo_bytes(ws: WebSocket) -> None:
    await ws.accept()
    async for data in ws.iter_bytes():
        await ws.send_bytes(data)


async def echo_json(ws: WebSocket) -> None:
    await ws.accept()
    async for data in ws.iter_json():
        await ws.send_json({"got": data, "room": ws.path_params["room"], "query": ws.query_params["q"]})


class Endpoint(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(f"{data}!")

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        seen.put(close_code)


async def chosen(ws: WebSocket) -> None:
    await ws.accept(subprotocol=ws.scope["subprotocols"][-1], headers=[(b"x-own", b"1")])
    await ws.send_text(ws.headers["host"])
    await ws.close(3001, "that was all")


async def denied(ws: WebSocket) -> None:
    await ws.send_denial_response(JSONResponse({"why": "no token"}, status_code=401))


async def denied_slowly(ws: WebSocket) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number

    await ws.send_denial_response(StreamingResponse(pieces(), status_code=503))


async def forbidden(ws: WebSocket) -> None:
    await ws.close()


async def not_found(ws: WebSocket) -> None:
    raise HTTPException(404, "no such room")


async def not_allowed(ws: WebSocket) -> None:
    await ws.accept()
    raise WebSocketException(1008, "not you")


async def broken(ws: WebSocket) -> None:
    if ws.query_params.get("after"):
        await ws.accept()
    raise ValueError("broken")


async def leaves(ws: WebSocket) -> None:
    await ws.accept()


async def ticks(ws: WebSocket) -> None:
    """Send in the background, and receive at the same time."""
    await ws.accept()

    async def tick() -> None:
        for number in range(1000):
            await ws.send_text(f"tick {number}")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        seen.put(await ws.receive_text())


async def floods(ws: WebSocket) -> None:
    """Send until the client has gone, which ends the sending."""
    await ws.accept()
    sent = 0
    try:
        while True:
            await ws.send_bytes(NOISE)
            sent += 1
            seen.put(sent)
    except WebSocketDisconnect as end:
        seen.put(end.code)


async def page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("a page")


APP = Starlette(
    routes=[
        Route("/", page),
        WebSocketRoute("/text", echo_text),
        WebSocketRoute("/bytes", echo_bytes),
        Mount("/in", routes=[WebSocketRoute("/{room}/json", echo_json)]),
        WebSocketRoute("/endpoint", Endpoint),
        WebSocketRoute("/chosen", chosen),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/denied-slowly", denied_slowly),
        WebSocketRoute("/forbidden", forbidden),
        WebSocketRoute("/not-found", not_found),
        WebSocketRoute("/not-allowed", not_allowed),
        WebSocketRoute("/broken", broken),
        WebSocketRoute("/leaves", leaves),
        WebSocketRoute("/ticks", ticks),
        WebSocketRoute("/floods", floods),
    ],
    middleware=[Middleware(GZipMiddleware)],
)


@pytest.fixture(scope="module", params=LOOPS)
def served(request: pytest.FixtureRequest) -> Iterator[Serving]:
    with running(APP, loop=request.param, http="auto") as serving:
        yield serving


@pytest.fixture(autouse=True)
def nothing_left(served: Serving) -> Iterator[None]:
    """See that every test leaves nothing with the server, which outlives it."""
    yield
    served.wait_idle()
    assert seen.empty()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def saw() -> Any:
    return seen.get(timeout=TIMEOUT)


MESSAGES = ["", "a", "häß", "x" * 125, "y" * 126, "z" * 70000, "😀" * 1000]


def test_text(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/text")) as client:
            assert client.compressed is kind.deflate
            for message in MESSAGES:
                await client.send(message)
                assert await client.recv() == message
            # And all of them at once.
            for message in MESSAGES:
                await client.send(message)
            assert [await client.recv() for _ in MESSAGES] == MESSAGES
            await client.close(4000, "böse")
            assert (await client.ended())[0] == 4000

    asyncio.run(main())
    assert saw() == (4000, "böse")


def test_bytes(served: Serving, kind: Kind) -> None:
    messages = [message.encode() for message in MESSAGES]

    async def main() -> None:
        async with kind.open(served.uri("/bytes")) as client:
            for message in messages:
                await client.send(message)
            assert [await client.recv() for _ in messages] == messages

    asyncio.run(main())


def test_json_below_a_mount(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/in/r%C3%A4um/json?q=a%20b")) as client:
            await client.send(json.dumps({"a": [1, None]}))
            answer = json.loads(await client.recv())
            assert answer == {"got": {"a": [1, None]}, "room": "räum", "query": "a b"}

    asyncio.run(main())


def test_an_endpoint_class(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/endpoint")) as client:
            await client.send("hello")
            assert await client.recv() == "hello!"

    asyncio.run(main())
    assert saw() == 1000


def test_a_subprotocol_and_the_end(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/chosen"), subprotocols=["a", "b"]) as client:
            assert client.subprotocol == "b"
            assert await client.recv()
            with pytest.raises(Closed):
                await client.recv()
            assert await client.ended() == (3001, "that was all")

    asyncio.run(main())


REFUSALS = {
    "/denied": (401, b'{"why":"no token"}'),
    "/denied-slowly": (503, b"".join(b"%d\n" % number for number in range(100))),
    "/forbidden": (403, b""),
    "/not-found": (404, b"no such room"),
    "/nowhere": (403, b""),
    "/broken": (500, b"Internal Server Error"),
}


@pytest.mark.parametrize("path", REFUSALS)
def test_a_refusal(served: Serving, kind: Kind, path: str) -> None:
    async def main() -> Refused:
        with pytest.raises(Refused) as refused:
            async with kind.open(served.uri(path)):
                pass
        return refused.value

    refused = asyncio.run(main())
    assert (refused.status, refused.body) == REFUSALS[path]


@pytest.mark.parametrize(
    ("path", "end"),
    [("/not-allowed", (1008, "not you")), ("/broken?after=1", (1011, "")), ("/leaves", (1000, ""))],
)
def test_an_end_that_the_application_does_not_say_itself(
    served: Serving, kind: Kind, path: str, end: tuple[int, str]
) -> None:
    async def main() -> None:
        async with kind.open(served.uri(path)) as client:
            with pytest.raises(Closed):
                await client.recv()
            assert await client.ended() == end

    asyncio.run(main())


def test_sending_in_the_background(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/ticks")) as client:
            assert [await client.recv() for _ in range(1000)] == [f"tick {number}" for number in range(1000)]
            await client.send("enough")
            with pytest.raises(Closed):
                await client.recv()

    asyncio.run(main())
    assert saw() == "enough"


def test_a_client_that_reads_nothing_stops_the_application_until_it_goes(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/floods")) as client:
            # The first one comes, so there is a connection with room in it; then nothing is read any more.
            assert await client.recv() == NOISE
            last = 0

            def standstill() -> bool:
                nonlocal last
                before, last = last, max([last, *(seen.get() for _ in range(seen.qsize()))])
                return before == last and last > 1

            for _ in range(3):
                await asyncio.to_thread(until, standstill, "the application goes on sending")
            # Far less than it would send, if nothing stopped it.
            assert last < 2000
            client.drop()

    asyncio.run(main())
    while saw() != 1006:
        pass


def test_http_goes_on_beside_it(served: Serving) -> None:
    import urllib.request

    with urllib.request.urlopen(served.uri("/").replace("ws:", "http:"), timeout=TIMEOUT) as answer:
        assert answer.read() == b"a page"
