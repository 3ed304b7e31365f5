"""What becomes of connections, and of requests that wait, when uvicorn ends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from tests import wire
from tests.compat.uvicorn.serving import LOOPS, Impatient, Receive, Seen, Send, running
from tests.raw import TIMEOUT, Raw

pytestmark = [pytest.mark.peers, pytest.mark.parametrize("loop", LOOPS)]

ACCEPT = {"type": "websocket.accept"}
HELLO = {"type": "websocket.send", "text": "hello"}


async def listens(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Take messages until the end, and then try to send."""
    await receive()
    await send(ACCEPT)
    while (await receive())["type"] == "websocket.receive":
        pass
    await send(HELLO)


async def waits(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Wait for the end without an answer, and then answer."""
    await receive()
    await receive()
    await send(ACCEPT)


def test_shutting_down_closes_with_1012(loop: str) -> None:
    seen = Seen(listens)
    with running(seen, loop=loop) as served, Raw.open(served.address) as raw:
        served.shut()
        assert raw.read_frame() == (wire.CLOSE, (1012).to_bytes(2, "big"))
        raw.send(wire.close(1012))
        assert raw.read_rest() == b""
        raw.close()
        *_, end, error = seen.rest()
        assert (end["type"], end["code"]) == ("websocket.disconnect", 1012)
        assert type(error) is ClientDisconnected
        served.thread.join()


def test_shutting_down_does_not_wait_for_a_client_for_ever(loop: str) -> None:
    with running(listens, loop=loop, ws=Impatient) as served, Raw.open(served.address):
        served.shut()
        served.thread.join()


def test_shutting_down_before_the_answer(loop: str) -> None:
    seen = Seen(waits)
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        assert seen.next() == {"type": "websocket.connect"}
        served.shut()
        assert raw.read_head().startswith(b"HTTP/1.1 503 ")
        raw.read_until_gone()
        raw.close()
        end, error = seen.rest()
        assert (end["type"], end["code"]) == ("websocket.disconnect", 1006)
        assert type(error) is ClientDisconnected
        served.thread.join()


def test_accepting_after_shutting_down(loop: str) -> None:
    asked, shut = threading.Event(), threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        asked.set()
        await asyncio.get_running_loop().run_in_executor(None, shut.wait, TIMEOUT)
        await send(ACCEPT)

    seen = Seen(app)
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        assert asked.wait(TIMEOUT)
        served.shut()
        assert raw.read_head().startswith(b"HTTP/1.1 503 ")
        shut.set()
        (error,) = seen.rest()
        assert type(error) is ClientDisconnected
        raw.close()
        served.thread.join()


def test_an_application_that_does_not_end(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    """Uvicorn cancels it when its time is up; that is no fault of the application."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.get_running_loop().create_future()

    with running(app, loop=loop, timeout_graceful_shutdown=1) as served, Raw.open(served.address) as raw:
        served.shut()
        assert raw.read_frame() == (wire.CLOSE, (1012).to_bytes(2, "big"))
        raw.send(wire.close(1012))
        assert raw.read_rest() == b""
        raw.close()
        served.thread.join()
    assert "Exception in ASGI application\n" not in caplog.messages
