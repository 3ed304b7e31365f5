"""Questions and answers between two processes of a gateway: lines of JSON on a Unix socket, with sockets.

Files can go along as well: their descriptors are in the message as `files`, and belong to who handles it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

# The longest line: a report, or a configuration (bytes).
MAX_LINE: Final = 16 * 1024 * 1024
# Descriptors that come with one line; the system takes up to 253 with one call.
MAX_SOCKETS: Final = 4096
_SOCKETS_AT_ONCE: Final = 64
_READ_SIZE: Final = 64 * 1024

# Called with a question, and the sockets that came with it; the answer is anything that JSON can say.
Handler: TypeAlias = Callable[[dict[str, Any], list[socket.socket]], Awaitable[Any]]


class Refused(Exception):
    """The other process cannot do what it was asked to; `faults` says why, line by line."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


class Gone(Refused):
    """The other process has ended, or does not answer in time."""


class Channel:
    """One end; both may ask, and neither waits for the other's answers before it asks again.

    An asynchronous function answers questions. It may raise `Refused`; anything else that it raises is
    told to the other side as well, and ends nothing.
    """

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._handler = handler
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._count = 0
        self._line = bytearray()
        self._sockets: deque[socket.socket] = deque()
        self._files: deque[int] = deque()
        self._out: deque[tuple[memoryview, list[int]]] = deque()
        self._writing = False
        self._flushed: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._readable)

    async def ask(
        self,
        do: str,
        *,
        timeout: float | None,
        sockets: Sequence[socket.socket] = (),
        files: Sequence[int] = (),
        **more: Any,
    ) -> Any:
        """Ask the other side to do something; return its answer.

        Raises:
            Refused: it cannot; `Gone` if it has ended, or there was no answer in time.
        """
        if self.closed.done():
            raise Gone(["it has ended"])
        self._count += 1
        number = self._count
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked[number] = answer
        try:
            message = {"id": number, "do": do, "sockets": len(sockets), "files": len(files), **more}
            self._send(message, [*(sock.fileno() for sock in sockets), *files])
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise Gone([f"no answer within {timeout:g} s"]) from None
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Let go of the socket; whoever waits for an answer is told that there will be none."""
        if self.closed.done():
            return
        self._loop.remove_reader(self._sock)
        if self._writing:
            self._loop.remove_writer(self._sock)
        self._sock.close()
        for sock in self._sockets:
            sock.close()
        for descriptor in (*self._files, *(copy for _, copies in self._out for copy in copies)):
            os.close(descriptor)
        self._sockets.clear()
        self._files.clear()
        self._out.clear()
        self._is_flushed()
        self.closed.set_result(None)
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Gone(["it has ended"]))
        own = asyncio.current_task()
        for task in self._answering:
            if task is not own:
                task.cancel()

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Queue a line; copies of the descriptors go along, and are closed once they are out."""
        if self.closed.done():
            return
        line = memoryview(json.dumps(message).encode() + b"\n")
        copies = [os.dup(descriptor) for descriptor in descriptors]
        while copies:
            # One byte carries a group of them; the rest of the line comes behind.
            self._out.append((line[:1], copies[:_SOCKETS_AT_ONCE]))
            line, copies = line[1:], copies[_SOCKETS_AT_ONCE:]
        self._out.append((line, []))
        self._write()

    def _write(self) -> None:
        try:
            while self._out:
                data, copies = self._out[0]
                sent = socket.send_fds(self._sock, [data], copies) if copies else self._sock.send(data)
                self._out.popleft()
                for copy in copies:
                    os.close(copy)
                if data[sent:]:
                    self._out.appendleft((data[sent:], []))
        except (BlockingIOError, InterruptedError):
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock, self._write)
            return
        except OSError:
            # What was said before may still stand there to be read; its end closes this side.
            for _, copies in self._out:
                for copy in copies:
                    os.close(copy)
            self._out.clear()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)
        self._is_flushed()

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _READ_SIZE, _SOCKETS_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                self._files.append(descriptor)
                continue
            sock = socket.socket(fileno=descriptor)
            # Python takes it for one that blocks, and would make it one: here, and in whoever shares it.
            sock.setblocking(False)
            self._sockets.append(sock)
        if not data or len(self._sockets) + len(self._files) > MAX_SOCKETS:
            self.close()
            return
        before, *lines = data.split(b"\n")
        self._line += before
        for rest in lines:
            line, self._line = self._line, bytearray(rest)
            if not self._take(line):
                self.close()
                return
        if len(self._line) > MAX_LINE:
            self.close()

    def _take(self, line: bytearray) -> bool:
        """Take a question or an answer; say whether it was one."""
        try:
            message = json.loads(line)
            number, count = int(message["id"]), int(message.get("sockets", 0))
            sockets = [self._sockets.popleft() for _ in range(count)]
            message["files"] = [self._files.popleft() for _ in range(int(message.get("files", 0)))]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
        if "do" in message:
            task = self._loop.create_task(self._answer(number, message, sockets))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return True
        close_files(message)
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            if "faults" in message:
                answer.set_exception(Refused(message["faults"]))
            elif sockets:
                answer.set_result((message.get("answer"), sockets))
                return True
            else:
                answer.set_result(message.get("answer"))
        for sock in sockets:
            sock.close()
        return True

    async def _answer(self, number: int, message: dict[str, Any], sockets: list[socket.socket]) -> None:
        try:
            answer = await self._handler(message, sockets)
        except Refused as refused:
            self._send({"id": number, "faults": refused.faults})
        except Exception as error:
            self._send({"id": number, "faults": [f"{type(error).__name__}: {error}"]})
        else:
            if isinstance(answer, With):
                self._send(
                    {"id": number, "answer": answer.answer, "sockets": len(answer.sockets)},
                    [sock.fileno() for sock in answer.sockets],
                )
            else:
                self._send({"id": number, "answer": answer})

    async def flushed(self) -> None:
        """Wait until everything is out, or nobody is there to take it."""
        if self._out:
            if self._flushed is None:
                self._flushed = self._loop.create_future()
            await asyncio.shield(self._flushed)

    def _is_flushed(self) -> None:
        if self._flushed is not None:
            self._flushed.set_result(None)
            self._flushed = None


class With:
    """An answer that sockets go with."""

    def __init__(self, answer: Any, sockets: Sequence[socket.socket]) -> None:
        self.answer = answer
        self.sockets = sockets


def close_files(message: dict[str, Any]) -> None:
    """Close the files of a message that has no use for them."""
    for descriptor in message["files"]:
        os.close(descriptor)


async def nothing(message: dict[str, Any], sockets: list[socket.socket]) -> None:
    """Answer the questions of a side that has none to ask."""
    for sock in sockets:
        sock.close()
    close_files(message)
    raise Refused(["nothing can be asked here"])
