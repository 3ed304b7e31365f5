"""A way between two parties that can be cut."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterable
from types import TracebackType

from tests.peers.agents.agent import HOST
from tests.raw import TIMEOUT, check


class Relay:
    """Carry the bytes of connections to and from a port, until they are cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server((HOST, 0))
        self._cut, self._told = socket.socketpair()
        self._reset = False
        self._thread = threading.Thread(target=self._run)
        self.port: int = self._listening.getsockname()[1]

    def cut(self, *, reset: bool) -> None:
        """End all byte streams: with a reset, or as if each side had gone."""
        self._reset = reset
        self._cut.close()
        self._thread.join(TIMEOUT)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut(reset=self._reset)
        check(not self._thread.is_alive(), "the relay has not ended")

    def _run(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        with self._listening, self._told:
            while self._told not in (ready := self._ready(other)):
                for sock in ready:
                    if sock is self._listening:
                        client, server = sock.accept()[0], socket.create_connection((HOST, self._to), TIMEOUT)
                        other |= {client: server, server: client}
                    elif sock in other and not self._carry(sock, other[sock]):
                        for end in (sock, other[sock]):
                            del other[end]
                            end.close()
            for sock in other:
                if self._reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()

    def _ready(self, others: Iterable[socket.socket]) -> list[socket.socket]:
        return select.select([self._listening, self._told, *others], [], [])[0]

    def _carry(self, one: socket.socket, other: socket.socket) -> bool:
        """Carry what has come; say whether there may be more."""
        with contextlib.suppress(ConnectionError):
            if data := one.recv(65536):
                other.sendall(data)
                return True
        return False
