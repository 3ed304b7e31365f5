"""The control socket: `edgews reload` asks there, and a successor gets the listening sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from edgews.edge.gateway.sockets import ByAddress, answers

from .channel import Channel, Refused, With, close_files, nothing

# Who asks at the same time, at most.
MAX_CHANNELS: Final = 16
# How long a gateway that runs may take to answer its successor (seconds).
ANSWER_TIMEOUT: Final = 10.0
# How long it may take until a new configuration is in use everywhere (seconds).
RELOAD_TIMEOUT: Final = 180.0

_CREDENTIALS: Final = struct.Struct("3i")

Work: TypeAlias = Callable[[Channel], Awaitable[Any]]


class Control:
    """The control socket of a gateway that runs.

    Args:
        work: by the name of what can be asked for.
    """

    def __init__(self, path: str, work: dict[str, Work]) -> None:
        self._path = path
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._channels: set[Channel] = set()

    def start(self) -> None:
        """Listen in the place of whoever did before.

        Raises:
            OSError: that is not possible; its text names the socket.
        """
        try:
            self._listen()
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"{reason} (control {self._path})") from None

    def _listen(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
                raise OSError(errno.EEXIST, "a file is there, and is no socket")
        beside = f"{self._path}.{os.getpid()}"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            before = os.umask(0o177)
            try:
                sock.bind(beside)
            finally:
                os.umask(before)
            sock.setblocking(False)
            sock.listen(MAX_CHANNELS)
            status = os.stat(beside)
            os.rename(beside, self._path)
        except BaseException:
            sock.close()
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        self._inode = status.st_dev, status.st_ino
        self._sock = sock
        self._loop.add_reader(sock, self._accept)

    def close(self, *, unlink: bool = True) -> None:
        """Stop listening, and let go of all who ask; remove the file, unless it is a successor's."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None
            with suppress(OSError):
                status = os.stat(self._path)
                if unlink and (status.st_dev, status.st_ino) == self._inode:
                    os.unlink(self._path)
        for channel in list(self._channels):
            channel.close()

    async def flushed(self) -> None:
        """Wait until all answers are out."""
        for channel in list(self._channels):
            await channel.flushed()

    def _accept(self) -> None:
        assert self._sock is not None
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return
        if len(self._channels) >= MAX_CHANNELS or not _trusted(sock):
            sock.close()
            return

        async def handle(message: dict[str, Any], sockets: list[socket.socket]) -> Any:
            for unwanted in sockets:
                unwanted.close()
            close_files(message)
            work = self._work.get(message["do"])
            if work is None:
                raise Refused(["this gateway does not know what was asked for; is it an older one?"])
            return await work(channel)

        channel = Channel(sock, handle)
        self._channels.add(channel)
        channel.closed.add_done_callback(lambda _: self._channels.discard(channel))


class Predecessor:
    """A gateway that runs, and hands its sockets over."""

    def __init__(self, channel: Channel, process: int, sockets: ByAddress) -> None:
        self.process = process
        self.sockets = sockets
        self._channel = channel

    async def retire(self) -> None:
        """Tell it that somebody else accepts now."""
        try:
            await self._channel.ask("ready", timeout=ANSWER_TIMEOUT)
        finally:
            self._channel.close()

    def close(self) -> None:
        """Leave it alone: it goes on as if nobody had asked."""
        self._channel.close()


async def take_over(path: str) -> Predecessor | None:
    """Ask who listens at a path for its sockets; None if nobody does.

    Raises:
        OSError: nobody may ask there.
        Refused: the sockets are not to be had.
    """
    try:
        channel = await connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        answer = await channel.ask("takeover", timeout=ANSWER_TIMEOUT)
        message, sockets = answer
        found: ByAddress = {}
        for address, count in message["shares"]:
            found[address], sockets = sockets[:count], sockets[count:]
        return Predecessor(channel, message["process"], found)
    except BaseException:
        channel.close()
        raise


def ask_reload(path: str) -> list[str]:
    """Have a gateway read its file again; return what is wrong with the file.

    Raises:
        OSError: no gateway answers there.
    """

    async def ask() -> list[str]:
        channel = await connect(path)
        try:
            return [str(fault) for fault in await channel.ask("reload", timeout=RELOAD_TIMEOUT)]
        except Refused as refused:
            return refused.faults
        finally:
            channel.close()

    return asyncio.run(ask())


def is_taken(path: str) -> bool:
    """Say whether somebody listens there."""
    return os.path.exists(path) and answers(path)


async def connect(path: str) -> Channel:
    """Connect to a gateway that runs.

    Raises:
        OSError: nobody listens there, or somebody who is not to be trusted.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await asyncio.get_running_loop().sock_connect(sock, path)
        if not _trusted(sock):
            raise PermissionError(f"another user listens at {path}")
    except BaseException:
        sock.close()
        raise
    return Channel(sock, nothing)


def handed_over(held: ByAddress) -> With:
    """Return the answer to a successor."""
    shares = [(address, len(sockets)) for address, sockets in held.items()]
    return With(
        {"process": os.getpid(), "shares": shares}, [sock for found in held.values() for sock in found]
    )


def _trusted(sock: socket.socket) -> bool:
    """Say whether the peer is the same user, or root."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in (0, os.geteuid())
