"""Real uvicorn servers on loopback, each in a thread, and ASGI applications that remember what they saw."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from importlib.util import find_spec
from typing import Any

import uvicorn

from edgews.compat.uvicorn import EdgewsProtocol
from tests.raw import TIMEOUT, check
from tests.sync.harness import HOST

OURS = "edgews.compat.uvicorn:EdgewsProtocol"
# Their class of the same kind says what an application expects.
THEIRS = "websockets-sansio"

LOOPS = ("asyncio", "uvloop") if find_spec("uvloop") else ("asyncio",)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[Any]]

# How long to wait between two looks at something that gives no sign (seconds).
LOOK = 0.002


class Impatient(EdgewsProtocol):
    """For peers that never say Close: the wait for it passes within a test."""

    __slots__ = ()

    close_timeout = 0.3


class Serving:
    """A server in a thread of its own."""

    def __init__(self, app: Any, options: dict[str, Any]) -> None:
        options = {"ws": OURS, "lifespan": "off", "log_config": None, "log_level": "info", **options}
        # The loop of the thread belongs to uvicorn.
        self.config = uvicorn.Config(app, **options)
        self.server = uvicorn.Server(self.config)
        self.state = self.server.server_state
        self._sock = socket.create_server((HOST, 0))
        self.address = self._sock.getsockname()
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._sock]})

    def uri(self, path: str = "/") -> str:
        scheme = "wss" if self.config.is_ssl else "ws"
        return f"{scheme}://{HOST}:{self.address[1]}{path}"

    def start(self) -> None:
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive(), "uvicorn does not start")
        check(self.server.started, "uvicorn did not start")

    def shut(self) -> None:
        """Ask for the end, as a signal does."""
        self.server.should_exit = True

    def wait_idle(self) -> None:
        """Wait until uvicorn knows of no connection and no task."""
        until(
            lambda: not self.state.connections and not self.state.tasks,
            f"left behind: {self.state.connections} {self.state.tasks}",
        )

    def end(self) -> None:
        self.shut()
        self.thread.join(TIMEOUT)
        check(not self.thread.is_alive(), "uvicorn does not end")
        self._sock.close()
        check(not self.state.connections, "connections are left behind")
        check(not self.state.tasks, "tasks are left behind")


def until(condition: Callable[[], object], message: str) -> None:
    """Wait for something that another thread does without a sign."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        check(time.monotonic() < end, message)
        time.sleep(LOOK)


@contextlib.contextmanager
def running(app: Any, **options: Any) -> Iterator[Serving]:
    """Serve an application; at the end nothing may be left of any connection."""
    served = Serving(app, options)
    served.start()
    try:
        yield served
        served.wait_idle()
    finally:
        served.end()


async def silent(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Refuse every connection."""
    await receive()
    await send({"type": "websocket.close"})


class Seen:
    """An application whose test is told what it receives, and what its calls raise.

    Args:
        app: the application.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._log: queue.Queue[Any] = queue.Queue()
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Any:
        self.scope = dict(scope)

        async def received() -> Message:
            message = await receive()
            self._log.put(dict(message))
            return message

        async def sent(message: Message) -> None:
            try:
                await send(message)
            except Exception as error:
                self._log.put(error)
                raise
            self._log.put(message["type"])

        try:
            return await self._app(scope, received, sent)
        finally:
            self._log.put(None)

    def next(self) -> Any:
        """Wait for the next message that was received, type that was sent, or exception that was raised."""
        return self._log.get(timeout=TIMEOUT)

    def rest(self) -> list[Any]:
        """Wait for the end of the application; return all that was not looked at."""
        return list(iter(self.next, None))
