"""A FastAPI application, unchanged: dependencies, validation, and the end of a connection as an exception."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException

from tests.compat.uvicorn.clients import KINDS, Closed, Kind, Refused
from tests.compat.uvicorn.serving import LOOPS, Serving, running
from tests.raw import TIMEOUT

pytestmark = pytest.mark.peers

APP = FastAPI()
seen: queue.Queue[Any] = queue.Queue()


async def session() -> AsyncIterator[str]:
    """Stand for something that is opened for a connection, and closed behind it."""
    yield "a session"
    seen.put("closed")


async def user(token: Annotated[str, Query()]) -> str:
    if token == "none":
        raise WebSocketException(1008, "no such token")
    return token.upper()


class Room:
    """Who is there, as in the example of FastAPI's documentation."""

    def __init__(self) -> None:
        self.members: list[WebSocket] = []

    async def tell(self, text: str) -> None:
        for member in self.members:
            await member.send_text(text)


ROOM = Room()


# Annotations are looked up in the module, so they cannot be local to a fixture.
@APP.websocket("/rooms/{number}")
async def chat(
    ws: WebSocket,
    number: int,
    name: Annotated[str, Depends(user)],
    opened: Annotated[str, Depends(session)],
) -> None:
    await ws.accept()
    ROOM.members.append(ws)
    await ROOM.tell(f"{name} comes to {number} with {opened}")
    try:
        while True:
            await ROOM.tell(f"{name}: {await ws.receive_text()}")
    except WebSocketDisconnect as end:
        ROOM.members.remove(ws)
        seen.put(end.code)
        await ROOM.tell(f"{name} goes")


@pytest.fixture(scope="module", params=LOOPS)
def served(request: pytest.FixtureRequest) -> Iterator[Serving]:
    with running(APP, loop=request.param) as serving:
        yield serving


@pytest.fixture(autouse=True)
def nothing_left(served: Serving) -> Iterator[None]:
    yield
    served.wait_idle()
    assert seen.empty()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_a_chat(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/rooms/7?token=ann")) as ann:
            assert await ann.recv() == "ANN comes to 7 with a session"
            async with kind.open(served.uri("/rooms/8?token=bob")) as bob:
                for client in (ann, bob):
                    assert await client.recv() == "BOB comes to 8 with a session"
                await bob.send("hello")
                for client in (ann, bob):
                    assert await client.recv() == "BOB: hello"
                await bob.close(4001)
            assert await ann.recv() == "BOB goes"

    asyncio.run(main())
    assert [seen.get(timeout=TIMEOUT) for _ in range(4)] == [4001, "closed", 1000, "closed"]


@pytest.mark.parametrize("path", ["/rooms/7", "/rooms/x?token=ann", "/rooms/7?token=none"])
def test_what_does_not_fit_is_refused(served: Serving, kind: Kind, path: str) -> None:
    async def main() -> int:
        with pytest.raises(Refused) as refused:
            async with kind.open(served.uri(path)):
                pass
        return refused.value.status

    assert asyncio.run(main()) == 403


def test_a_client_that_vanishes(served: Serving, kind: Kind) -> None:
    async def main() -> None:
        async with kind.open(served.uri("/rooms/7?token=ann")) as client:
            await client.recv()
            client.drop()
            with pytest.raises(Closed):
                await client.recv()

    asyncio.run(main())
    assert [seen.get(timeout=TIMEOUT) for _ in range(2)] == [1006, "closed"]
