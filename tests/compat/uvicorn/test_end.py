"""How connections end: by the client, and by the application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from tests import wire
from tests.compat.uvicorn.serving import LOOPS, App, Impatient, Receive, Seen, Send, running, until
from tests.raw import TIMEOUT, Raw

pytestmark = [pytest.mark.peers, pytest.mark.parametrize("loop", LOOPS)]

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 200, "headers": []}
HELLO = {"type": "websocket.send", "text": "hello"}


def body(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


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


def after_accepting(*messages: dict[str, Any], error: BaseException | None = None) -> App:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


def before_accepting(*messages: dict[str, Any], error: BaseException | None = None) -> App:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


def closes(raw: Raw) -> None:
    raw.send(wire.close(4000, b"bye"))


def ends(raw: Raw) -> None:
    raw.close()


def ends_in_a_frame(raw: Raw) -> None:
    raw.send(wire.frame(wire.TEXT, b"a" * 100)[:50])
    raw.close()


def ends_in_a_message(raw: Raw) -> None:
    raw.send(wire.frame(wire.TEXT, b"a", fin=False))
    raw.close()


def resets(raw: Raw) -> None:
    raw.send(wire.frame(wire.TEXT, b"a"))
    raw.reset()


def resets_in_a_frame(raw: Raw) -> None:
    raw.send(wire.frame(wire.TEXT, b"a" * 100)[:50])
    raw.reset()


# By the client


@pytest.mark.parametrize("leave", [ends, ends_in_a_frame, ends_in_a_message, resets, resets_in_a_frame])
def test_a_client_that_is_lost(
    loop: str, leave: Callable[[Raw], None], caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen(listens)
    with running(seen, loop=loop) as served, Raw.open(served.address) as raw:
        leave(raw)
        *_, end, error = seen.rest()
        assert (end["type"], end["code"]) == ("websocket.disconnect", 1006)
        assert "without a Close frame" in end["reason"]
        # As with uvicorn's classes: Starlette knows it as an OSError.
        assert type(error) is ClientDisconnected
        served.wait_idle()
    assert any('"WebSocket /chat" [closed 1006, peer vanished' in line for line in caplog.messages)
    assert "Exception in ASGI application\n" not in caplog.messages


def test_a_client_that_closes(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen(listens)
    with running(seen, loop=loop) as served, Raw.open(served.address) as raw:
        closes(raw)
        assert raw.read_frame() == (wire.CLOSE, (4000).to_bytes(2, "big"))
        assert raw.read_rest() == b""
        raw.close()
        *_, end, error = seen.rest()
        assert end == {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
        assert type(error) is ClientDisconnected
    assert any(line.endswith('"WebSocket /chat" [closed 4000]') for line in caplog.messages)


def test_sending_fails_as_soon_as_the_client_has_closed(loop: str) -> None:
    """The end of its byte stream is not waited for."""

    async def sends(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while True:
            await send(HELLO)
            await asyncio.sleep(0)

    seen = Seen(sends)
    with running(seen, loop=loop) as served, Raw.open(served.address) as raw:
        closes(raw)
        while seen.next() is not None:
            pass
        assert raw.read_rest()


@pytest.mark.parametrize("leave", [closes, resets])
def test_a_client_that_leaves_while_the_application_is_busy(
    loop: str, leave: Callable[[Raw], None], caplog: pytest.LogCaptureFixture
) -> None:
    """What it has sent is still received, and in the log is one line about the end."""
    left = threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.get_running_loop().run_in_executor(None, left.wait, TIMEOUT)
        while (await receive())["type"] == "websocket.receive":
            pass

    seen = Seen(app)
    with running(seen, loop=loop) as served, Raw.open(served.address) as raw:
        raw.send(wire.frame(wire.TEXT, b"a") * 3)
        (connection,) = list(served.state.connections)
        until(lambda: connection._session.waiting, "nothing comes")
        leave(raw)
        raw.close()
        until(lambda: not served.state.connections, "the connection is still there")
        left.set()
        *messages, end = [entry for entry in seen.rest() if isinstance(entry, dict)][1:]
        assert [message["text"] for message in messages][:3] == ["a"] * 3
        assert end["code"] == (1006 if leave is resets else 4000)
        served.wait_idle()
    assert len([line for line in caplog.messages if "[closed" in line]) == 1


def test_a_client_that_does_not_end_its_stream(loop: str) -> None:
    seen = Seen(listens)
    with running(seen, loop=loop, ws=Impatient) as served, Raw.open(served.address) as raw:
        closes(raw)
        *_, end, _ = seen.rest()
        assert (end["code"], end["reason"]) == (4000, "bye")
        served.wait_idle()


@pytest.mark.parametrize("leave", [ends, resets])
def test_a_client_that_does_not_wait_for_the_answer(loop: str, leave: Callable[[Raw], None]) -> None:
    seen = Seen(waits)
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        assert seen.next() == {"type": "websocket.connect"}
        leave(raw)
        end, error = seen.rest()
        assert (end["type"], end["code"]) == ("websocket.disconnect", 1006)
        assert type(error) is ClientDisconnected


def test_a_request_that_cannot_be_accepted_reaches_no_application(loop: str) -> None:
    seen = Seen(listens)
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request({"Sec-WebSocket-Key": None}))
        assert raw.read_head().startswith(b"HTTP/1.1 400 ")
        assert b"Sec-WebSocket-Key" in raw.read_rest()
        raw.close()
        served.wait_idle()
    assert seen.scope == {}


# By the application


@pytest.mark.parametrize(
    ("app", "code"),
    [
        (after_accepting(error=ValueError("no")), 1011),
        (after_accepting(HELLO, error=SystemExit(3)), 1011),
        (after_accepting({**CLOSE, "code": 1006}), 1011),
        (after_accepting({**CLOSE, "reason": "x" * 124}), 1011),
        (after_accepting({"type": "websocket.send"}), 1011),
        (after_accepting({"type": "websocket.send", "text": "\ud800"}), 1011),
        (after_accepting({"type": "websocket.send", "bytes": "text"}), 1011),
        (after_accepting(), 1000),
        (after_accepting(HELLO), 1000),
    ],
)
def test_the_application_ends_without_a_close(
    loop: str, app: App, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with running(app, loop=loop) as served, Raw.open(served.address) as raw:
        while (frame := raw.read_frame()) is not None and frame[0] != wire.CLOSE:
            pass
        assert frame == (wire.CLOSE, code.to_bytes(2, "big"))
        raw.send(wire.close(code))
        assert raw.read_rest() == b""
    assert ("Exception in ASGI application\n" in caplog.messages) is (code == 1011)


@pytest.mark.parametrize(
    "app",
    [
        before_accepting(error=SystemExit(3)),
        before_accepting({**ACCEPT, "subprotocol": "not offered"}),
        before_accepting({**ACCEPT, "headers": [(b"sec-websocket-protocol", b"a")]}),
        before_accepting({**ACCEPT, "headers": [(b"x", b"a\r\nb: c")]}),
        before_accepting({**START, "status": 101}),
        before_accepting({**START, "status": 204}, body(b"a", False)),
        before_accepting(START, error=ValueError("no")),
        before_accepting(START),
    ],
)
def test_the_application_ends_without_an_answer(loop: str, app: App) -> None:
    with running(app, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        assert raw.read_head().startswith(b"HTTP/1.1 500 ")
        assert raw.read_rest() == b"Internal Server Error"


def test_an_application_returns_nothing(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> str:
        await receive()
        await send(ACCEPT)
        return "what"

    with running(app, loop=loop) as served, Raw.open(served.address) as raw:
        assert raw.read_frame() == (wire.CLOSE, (1000).to_bytes(2, "big"))
    assert "ASGI callable should return None, but returned 'what'." in caplog.messages


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_a_response_that_breaks_off_is_seen_to(loop: str, error: Exception | None) -> None:
    app = before_accepting(START, body(b"a"), error=error)
    with running(app, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        raw.read_head()
        rest = b""
        try:
            while data := raw.sock.recv(100):
                rest += data
        except ConnectionResetError:
            pass
        # Without the chunk that ends it.
        assert not rest.endswith(b"0\r\n\r\n")


def test_a_client_that_goes_in_the_middle_of_a_response(loop: str) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        while True:
            await send(body(bytes(65536)))

    seen = Seen(app)
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        raw.read_head()
        raw.reset()
        *_, error = seen.rest()
        assert type(error) is ClientDisconnected


def test_nothing_may_follow_a_response(loop: str) -> None:
    seen = Seen(before_accepting(START, body(b"a", False), body(b"b", False)))
    with running(seen, loop=loop) as served, Raw.connect(served.address) as raw:
        raw.send(wire.request())
        raw.read_head()
        assert raw.read_rest() == b"a"
        *_, error = seen.rest()
        assert type(error) is RuntimeError


def test_the_client_does_not_answer_the_close_of_the_application(loop: str) -> None:
    seen = Seen(after_accepting({**CLOSE, "code": 4000}))
    with running(seen, loop=loop, ws=Impatient) as served, Raw.open(served.address) as raw:
        assert raw.read_frame() == (wire.CLOSE, (4000).to_bytes(2, "big"))
        seen.rest()
        served.wait_idle()


def test_one_task_receives_at_a_time(loop: str) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        first = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await receive()
        # One that is cancelled has taken nothing.
        first.cancel()
        await asyncio.wait([first])
        await send(HELLO)
        assert (await receive())["text"] == "answer"

    with running(app, loop=loop) as served, Raw.open(served.address) as raw:
        assert raw.read_frame() == (wire.TEXT, b"hello")
        raw.send(wire.frame(wire.TEXT, b"answer"))
        assert raw.read_frame() == (wire.CLOSE, (1000).to_bytes(2, "big"))


# Many


def test_many_that_come_and_go(loop: str) -> None:
    """However they go, nothing is left: no task, no connection, no descriptor."""
    ways = [closes, ends, ends_in_a_frame, ends_in_a_message, resets, resets_in_a_frame]
    with running(listens, loop=loop, ws=Impatient, log_level="error") as served:
        raws = [Raw.open(served.address) for _ in range(120)]
        assert len(served.state.connections) == len(served.state.tasks) == 120
        for number, raw in enumerate(raws):
            ways[number % len(ways)](raw)
        served.wait_idle()
        for raw in raws:
            raw.close()
