"""A party: one library's clients and servers, which do what lines of JSON on standard input say.

An order is `{"number": 7, "verb": "send", "name": "/3", ...}`, its answer `{"number": 7, "value": ...}` or
`{"number": 7, "error": "..."}`. What happens on a connection comes unasked, as
`{"name": "/3", "event": ...}`:

    opened    subprotocol, compressed, and what else the library tells
    refused   status and error: the connection did not open
    message   text, or hex
    closed    code and reason, as the library tells them

A connection has the name of the path that was asked for. Paths that begin with /echo are for echoes,
without events for their messages; those that begin with /refuse get status 403. Every operation is a
coroutine: with a blocking library it blocks, on a thread of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
REFUSAL = b"not you\n"

Message = str | bytes
# None stands for a Ping between two fragments.
Pieces = list[str | bytes | None]


@dataclass(frozen=True)
class Options:
    """What a client or a server is told.

    Attributes:
        deflate: parameters of permessage-deflate to ask for, by the names of RFC 7692; None for none.
        trust: whether the client knows the authority that made the server's certificate.
        ping_interval: seconds between Pings that go out by themselves.
    """

    tls: bool = False
    trust: bool = True
    deflate: dict[str, Any] | None = None
    subprotocols: list[str] = field(default_factory=list)
    max_size: int | None = None
    ping_interval: float | None = None


def encoded(message: Message) -> dict[str, str]:
    return {"text": message} if isinstance(message, str) else {"hex": message.hex()}


def decoded(message: dict[str, str]) -> Message:
    return message["text"] if "text" in message else bytes.fromhex(message["hex"])


class Agent(ABC):
    def __init__(self, certificates: str) -> None:
        self._certificates = certificates
        self._connections: dict[str, Any] = {}
        self._writing = threading.Lock()

    # What each library does in its own way

    @abstractmethod
    async def listen(self, options: Options) -> int:
        """Start a server whose handler is `converse`, and return its port."""

    @abstractmethod
    def connecting(self, uri: str, options: Options) -> AbstractAsyncContextManager[Any]: ...

    @abstractmethod
    def messages(self, ws: Any) -> AsyncIterator[Message]:
        """Iterate over the messages up to the end of a connection, whatever it is."""

    @abstractmethod
    def facts(self, ws: Any) -> dict[str, Any]: ...

    @abstractmethod
    def end(self, ws: Any) -> tuple[int | None, str]:
        """Return code and reason, once `messages` has ended."""

    @abstractmethod
    async def send(self, ws: Any, message: Message) -> None: ...

    @abstractmethod
    async def close(self, ws: Any, code: int, reason: str) -> None: ...

    async def send_pieces(self, ws: Any, pieces: Pieces) -> None:
        raise NotImplementedError

    async def ping(self, ws: Any) -> None:
        """Send a Ping and wait for its Pong."""
        raise NotImplementedError

    def status(self, error: Exception) -> int | None:
        """Return the HTTP status behind a connection that did not open."""
        return None

    def left(self, port: int) -> int:
        """Return how many connections a server has."""
        raise NotImplementedError

    # What each kind of concurrency does in its own way

    @abstractmethod
    def main(self) -> None:
        """Obey until standard input ends."""

    # The same for all

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self._certificates}/server.pem")
        return context

    def client_context(self, options: Options) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if options.trust:
            context.load_verify_locations(f"{self._certificates}/authority.pem")
        return context

    def tell(self, **what: Any) -> None:
        line = json.dumps(what)
        with self._writing:
            print(line, flush=True)

    async def converse(self, name: str, ws: Any) -> None:
        """Tell everything about an open connection, up to its end."""
        self._connections[name] = ws
        self.tell(name=name, event="opened", **self.facts(ws))
        async for message in self.messages(ws):
            if name.startswith("/echo"):
                await self.send(ws, message)
            else:
                self.tell(name=name, event="message", **encoded(message))
        code, reason = self.end(ws)
        self.tell(name=name, event="closed", code=code, reason=reason)

    async def obey(self, line: str) -> None:
        order = json.loads(line)
        number = order.pop("number")
        try:
            value = await getattr(self, f"_{order.pop('verb')}")(**order)
        except Exception as error:
            self.tell(number=number, error=repr(error))
        else:
            self.tell(number=number, value=value)

    # Orders

    async def _listen(self, **options: Any) -> int:
        return await self.listen(Options(**options))

    async def _open(self, name: str, uri: str, **options: Any) -> None:
        """Connect; the answer comes when all is over."""
        try:
            async with self.connecting(uri, Options(**options)) as ws:
                await self.converse(name, ws)
        except Exception as error:
            self.tell(name=name, event="refused", status=self.status(error), error=repr(error))

    async def _send(self, name: str, **message: Any) -> None:
        ws = self._connections[name]
        if "pieces" in message:
            await self.send_pieces(ws, [piece and decoded(piece) for piece in message["pieces"]])
        else:
            await self.send(ws, decoded(message))

    async def _ping(self, name: str) -> None:
        await self.ping(self._connections[name])

    async def _close(self, name: str, code: int, reason: str) -> None:
        await self.close(self._connections[name], code, reason)

    async def _left(self, port: int) -> int:
        return self.left(port)

    async def _stats(self, name: str) -> dict[str, int]:
        """Return the counters of a connection of ours."""
        return dataclasses.asdict(self._connections[name].stats)

    async def pieces(self, ws: Any, pieces: Pieces) -> AsyncIterator[Message]:
        """Give the pieces one by one, with Pings between."""
        for piece in pieces:
            if piece is None:
                await self.ping(ws)
            else:
                yield piece


async def orders() -> AsyncIterator[str]:
    """Give the lines of standard input, with asyncio."""
    # With a limit above the longest line.
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()
    transport.close()


class AsyncioAgent(Agent):
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None

    def main(self) -> None:
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.run(self._obey_all())

    async def _obey_all(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        async for line in orders():
            self.spawn(self.obey(line))
        await self.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """End the servers."""


class TrioAgent(Agent):
    def main(self) -> None:
        import trio

        trio.run(self._obey_all)

    async def _obey_all(self) -> None:
        import trio

        async with trio.open_nursery() as self.nursery, trio.lowlevel.FdStream(os.dup(0)) as stream:
            parts: list[bytes] = []
            async for data in stream:
                *ends, rest = bytes(data).split(b"\n")
                for end in ends:
                    self.nursery.start_soon(self.obey, b"".join([*parts, end]).decode())
                    parts = []
                parts.append(rest)
            self.nursery.cancel_scope.cancel()


def blocked(work: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that blocks instead of waiting."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the coroutine waits for a loop that is not there")


class ThreadsAgent(Agent):
    def main(self) -> None:
        threads = []
        for line in sys.stdin:
            thread = threading.Thread(target=blocked, args=(self.obey(line),))
            threads.append(thread)
            thread.start()
        self.stop()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """End the servers."""

    def converse_blocked(self, name: str, ws: Any) -> None:
        blocked(self.converse(name, ws))
