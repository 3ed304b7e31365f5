"""One way to speak to all adapters: every operation is a coroutine.

For asyncio and trio it awaits the adapter's own call. For the blocking adapter it just blocks, so a scenario
never waits there, and one `send(None)` runs it to its end; what it spawns gets a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import math
import socket
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import pytest
import trio

import edgews.asyncio
import edgews.sync
import edgews.trio
from edgews import Disconnected
from edgews.outcomes import ConnectionClosed
from tests.raw import TIMEOUT, check
from tests.sync.harness import HOST

T = TypeVar("T")
Scenario = Callable[[], Coroutine[Any, Any, None]]

# How long a scenario may take, and how long it waits for one thing.
OVERALL = 240.0
PATIENCE = 60.0
# How often a condition is looked at.
LOOK = 0.002

FAILURES = (Exception, pytest.fail.Exception)


class Event:
    """Something that happens once; `native` is the event of the driver's library."""

    def __init__(self, driver: Driver, native: Any) -> None:
        self._driver = driver
        self._native = native

    def set(self) -> None:
        self._native.set()

    async def wait(self) -> None:
        await self._driver.wait_for(self._native)


class Task:
    """Something that runs beside the scenario; its failure is raised where it is joined."""

    def __init__(self, done: Event) -> None:
        self._done = done
        self._value: Any = None
        self._failure: BaseException | None = None

    async def run(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        try:
            self._value = await function(*args)
        except FAILURES as failure:
            self._failure = failure
        finally:
            self._done.set()

    async def join(self) -> Any:
        await self._done.wait()
        if self._failure is not None:
            raise self._failure
        return self._value


class Serving:
    """A server that runs; `address` is where."""

    def __init__(self, driver: Driver, server: Any, address: Any) -> None:
        self.driver = driver
        self.server = server
        self.address = address[:2]

    def uri(self, path: str = "/", scheme: str = "ws") -> str:
        return f"{scheme}://{HOST}:{self.address[1]}{path}"

    async def close(self, timeout: float | None = None, **how: Any) -> None:
        await self.driver.close_server(self.server, timeout, **how)


class Driver:
    """What all drivers have; those below say how it is done."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    # For each library

    def run(self, scenario: Scenario) -> None:
        """Run a scenario and what it spawns to their ends, in `OVERALL` seconds at most."""
        raise NotImplementedError

    def start(self, work: Scenario) -> None:
        """Let something run beside the scenario."""
        raise NotImplementedError

    def event(self) -> Event:
        raise NotImplementedError

    async def wait_for(self, event: Any) -> None:
        raise NotImplementedError

    async def pause(self) -> None:
        """Let others run, for so long that looking again makes sense."""
        raise NotImplementedError

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Call something that blocks, as a raw peer does."""
        raise NotImplementedError

    def serving(
        self, handler: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Serving]:
        raise NotImplementedError

    async def close_server(self, server: Any, timeout: float | None, **how: Any) -> None:
        raise NotImplementedError

    def connecting(self, uri: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        raise NotImplementedError

    def reconnect(self, uri: str, **options: Any) -> Any:
        raise NotImplementedError

    async def over(self, address: Any) -> dict[str, Any]:
        """Return the option of `connect` that has it use a connection which is there already."""
        return {"sock": await self.blocking(socket.create_connection, address, TIMEOUT)}

    async def recv(self, ws: Any, timeout: float | None = None) -> str | bytes:
        raise NotImplementedError

    async def ping(self, ws: Any, timeout: float | None = None) -> float:
        raise NotImplementedError

    # The same for those that have `await`

    async def send(self, ws: Any, message: Any, **options: Any) -> None:
        await ws.send(message, **options)

    async def close(self, ws: Any, code: int = 1000, reason: str = "") -> None:
        await ws.close(code, reason)

    def messages(self, ws: Any) -> AsyncIterator[str | bytes]:
        """Iterate over a connection."""
        return aiter(ws)

    def pieces(self, ws: Any) -> AsyncIterator[str | bytes]:
        """Iterate over the pieces of the next message."""
        return ws.recv_streaming()  # type: ignore[no-any-return]

    # The same for all

    def spawn(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Task:
        task = Task(self.event())
        self._tasks.append(task)
        self.start(lambda: task.run(function, *args))
        return task

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            check(time.monotonic() < deadline, "what was waited for has not happened")
            await self.pause()

    async def all(self, ws: Any) -> list[str | bytes]:
        """Return all messages up to the end of a connection, however it ends."""
        found = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                found.append(await self.recv(ws, PATIENCE))
        return found

    async def end(self, ws: Any) -> Disconnected:
        """Receive until the connection has ended, and return how it did."""
        await self.all(ws)
        check(ws.closed is not None, "the end was raised, and is not there")
        return ws.closed  # type: ignore[no-any-return]

    async def flood(self, ws: Any, message: Any) -> None:
        """Send until that raises."""
        while True:
            await self.send(ws, message)

    async def iterate(self, ws: Any, into: list[Any]) -> None:
        """Put all messages into a list that is the caller's also where the end raises."""
        async for message in self.messages(ws):
            into.append(message)  # noqa: PERF401 - see above

    async def echo(self, ws: Any) -> None:
        async for message in self.messages(ws):
            await self.send(ws, message)

    async def _whole(self, scenario: Scenario) -> None:
        await scenario()
        for task in self._tasks:
            await task.join()


class AsyncioDriver(Driver):
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None

    def run(self, scenario: Scenario) -> None:
        self._running: set[asyncio.Task[None]] = set()

        async def main() -> None:
            whole = asyncio.create_task(self._whole(scenario))
            await asyncio.wait([whole], timeout=OVERALL)
            if not whole.done():
                where = io.StringIO()
                whole.print_stack(file=where)
                # Whatever it waits for at its end shall not hold it either.
                while not whole.done():
                    whole.cancel()
                    await asyncio.wait([whole], timeout=1.0)
                raise TimeoutError(f"the scenario has not ended:\n{where.getvalue()}")
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await whole

        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.run(main())

    def start(self, work: Scenario) -> None:
        self._running.add(asyncio.get_running_loop().create_task(work()))

    def event(self) -> Event:
        return Event(self, asyncio.Event())

    async def wait_for(self, event: Any) -> None:
        await event.wait()

    async def pause(self) -> None:
        await asyncio.sleep(LOOK)

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(function, *args)

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
    ) -> AsyncIterator[Serving]:
        async with edgews.asyncio.serve(handler, HOST, options.pop("port", 0), **options) as server:
            yield Serving(self, server, server.sockets[0].getsockname())

    async def close_server(self, server: Any, timeout: float | None, **how: Any) -> None:
        await server.close(timeout, **how)

    def connecting(self, uri: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        return edgews.asyncio.connect(uri, **options)

    def reconnect(self, uri: str, **options: Any) -> Any:
        return edgews.asyncio.reconnect(uri, **options)

    async def recv(self, ws: Any, timeout: float | None = None) -> str | bytes:
        async with asyncio.timeout(timeout):
            return await ws.recv()  # type: ignore[no-any-return]

    async def ping(self, ws: Any, timeout: float | None = None) -> float:
        async with asyncio.timeout(timeout):
            return await ws.ping()  # type: ignore[no-any-return]


class TrioDriver(Driver):
    def run(self, scenario: Scenario) -> None:
        # A cancellation that was none of ours ends in the nursery, and must not look like success.
        outcome: BaseException | None = AssertionError("something has cancelled the scenario")

        async def main() -> None:
            nonlocal outcome
            async with trio.open_nursery() as self._nursery:
                try:
                    with trio.fail_after(OVERALL):
                        await self._whole(scenario)
                    outcome = None
                except FAILURES as failure:
                    # Not through the nursery, which would put it into a group.
                    outcome = failure
                self._nursery.cancel_scope.cancel()

        trio.run(main)
        if outcome is not None:
            raise outcome

    def start(self, work: Scenario) -> None:
        self._nursery.start_soon(work)

    def event(self) -> Event:
        return Event(self, trio.Event())

    async def wait_for(self, event: Any) -> None:
        await event.wait()

    async def pause(self) -> None:
        await trio.sleep(LOOK)

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(function, *args, abandon_on_cancel=True)

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
    ) -> AsyncIterator[Serving]:
        async with edgews.trio.serve(handler, HOST, options.pop("port", 0), **options) as server:
            listener: Any = server.listeners[0]
            while isinstance(listener, trio.SSLListener):
                listener = listener.transport_listener
            yield Serving(self, server, listener.socket.getsockname())

    async def close_server(self, server: Any, timeout: float | None, **how: Any) -> None:
        await server.close(timeout, **how)

    def connecting(self, uri: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        return edgews.trio.connect(uri, **options)

    def reconnect(self, uri: str, **options: Any) -> Any:
        return edgews.trio.reconnect(uri, **options)

    async def over(self, address: Any) -> dict[str, Any]:
        return {"stream": await trio.open_tcp_stream(*address)}

    async def recv(self, ws: Any, timeout: float | None = None) -> str | bytes:
        with self._fail_after(timeout):
            return await ws.recv()  # type: ignore[no-any-return]

    async def ping(self, ws: Any, timeout: float | None = None) -> float:
        with self._fail_after(timeout):
            return await ws.ping()  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def _fail_after(self, timeout: float | None) -> Iterator[None]:
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                yield
        except trio.TooSlowError:
            raise TimeoutError from None


def blocked(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that blocks instead of waiting."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the coroutine waits for a loop that is not there")


class _Iteration:
    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> _Iteration:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


class _Reconnect(_Iteration):
    def __init__(self, block: edgews.sync.reconnect) -> None:
        super().__init__(block)
        self._block = block

    async def __aenter__(self) -> _Reconnect:
        self._block.__enter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        self._block.__exit__(*failure)


class SyncDriver(Driver):
    def run(self, scenario: Scenario) -> None:
        task = Task(self.event())
        thread = threading.Thread(target=lambda: blocked(task.run(self._whole, scenario)), daemon=True)
        thread.start()
        thread.join(OVERALL)
        if thread.is_alive():
            frames = sys._current_frames()
            assert thread.ident is not None
            where = "".join(traceback.format_stack(frames[thread.ident]))
            raise TimeoutError(f"the scenario has not ended:\n{where}")
        blocked(task.join())

    def start(self, work: Scenario) -> None:
        threading.Thread(target=lambda: blocked(work()), daemon=True).start()

    def event(self) -> Event:
        return Event(self, threading.Event())

    async def wait_for(self, event: Any) -> None:
        check(event.wait(OVERALL), "what was waited for has not happened")

    async def pause(self) -> None:
        time.sleep(LOOK)

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
    ) -> AsyncIterator[Serving]:
        port = options.pop("port", 0)
        server = edgews.sync.serve(lambda ws: blocked(handler(ws)), HOST, port, **options)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with server:
            yield Serving(self, server, server.address)
        thread.join(TIMEOUT)
        check(not thread.is_alive(), "serve_forever goes on after shutdown")

    async def close_server(self, server: Any, timeout: float | None, **how: Any) -> None:
        server.shutdown(timeout, **how)

    @contextlib.asynccontextmanager
    async def connecting(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        with edgews.sync.connect(uri, **options) as ws:
            yield ws

    def reconnect(self, uri: str, **options: Any) -> Any:
        return _Reconnect(edgews.sync.reconnect(uri, **options))

    async def recv(self, ws: Any, timeout: float | None = None) -> str | bytes:
        return ws.recv(timeout)  # type: ignore[no-any-return]

    async def ping(self, ws: Any, timeout: float | None = None) -> float:
        return ws.ping(timeout)  # type: ignore[no-any-return]

    async def send(self, ws: Any, message: Any, **options: Any) -> None:
        ws.send(message, **options)

    async def close(self, ws: Any, code: int = 1000, reason: str = "") -> None:
        ws.close(code, reason)

    def messages(self, ws: Any) -> AsyncIterator[str | bytes]:
        return _Iteration(iter(ws))

    def pieces(self, ws: Any) -> AsyncIterator[str | bytes]:
        return _Iteration(ws.recv_streaming())


DRIVERS: dict[str, type[Driver]] = {"sync": SyncDriver, "asyncio": AsyncioDriver, "trio": TrioDriver}

# It has no wheels for some platforms, and none at all for Windows.
if importlib.util.find_spec("uvloop") is not None:
    import uvloop

    class UvloopDriver(AsyncioDriver):
        loop_factory = staticmethod(uvloop.new_event_loop)

    DRIVERS["uvloop"] = UvloopDriver
