"""What a connection needs of a byte stream beyond trio's interface: patience, and an address."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import trio

from edgews.arguments import wrong

# Of a stream that is no socket's, in bytes: it takes so much or, for all that is known, nothing.
PIECE = 4096


def check_stream(stream: object) -> None:
    """Make sure that `stream` is a byte stream, by inheritance or not, or None.

    Raises:
        TypeError: it is not.
    """
    if stream is not None and not all(
        callable(getattr(stream, name, None)) for name in ("send_all", "receive_some", "aclose")
    ):
        raise wrong("stream", "a trio.abc.Stream or None", stream)


class PeerStalled(trio.BrokenResourceError):
    """The peer has taken nothing for too long."""


class PatientStream(trio.abc.Stream):
    """A stream that gives up a peer which takes nothing for some time, however little it may take.

    What `send_all` of trio has sent so far nobody can see. A socket is therefore asked itself, and another
    stream is given small pieces.

    Args:
        below: it belongs to this one.
        patience: in seconds.
    """

    def __init__(self, below: trio.abc.Stream, patience: float) -> None:
        self._below = below
        self._patience = patience

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            with trio.move_on_after(self._patience) as scope:
                left = left[await self._send_some(left) :]
            if scope.cancelled_caught:
                raise PeerStalled

    async def _send_some(self, data: memoryview) -> int:
        if not isinstance(self._below, trio.SocketStream):
            await self._below.send_all(data[:PIECE])
            return min(len(data), PIECE)
        try:
            return await self._below.socket.send(data)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._below.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._below.aclose()


def with_patience(stream: trio.abc.Stream, patience: float) -> trio.abc.Stream:
    """Return what to write to instead of a stream, so that it raises `PeerStalled`.

    TLS goes on where it is: what it writes to is put into place below it.
    """
    above: Any = None
    below: Any = stream
    while isinstance(below, trio.SSLStream):
        above, below = below, below.transport_stream
    patient = PatientStream(below, patience)
    if above is None:
        return patient
    above.transport_stream = patient
    return stream


async def dial(host: str, port: int) -> trio.SocketStream:
    """Return a stream that is connected.

    Raises:
        OSError: no address answers; it is what the last one has failed with.
    """
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        # trio says that all have failed, and has the reasons behind that.
        reason = error.__cause__
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[-1]
        if isinstance(reason, OSError):
            raise reason from None
        raise


def addresses(stream: trio.abc.Stream) -> tuple[Any, Any]:
    """Return our address and the peer's, as the `socket` module gives them; None where there is none."""
    below: Any = stream
    while isinstance(below, trio.SSLStream):
        below = below.transport_stream
    ours = theirs = None
    if isinstance(below, trio.SocketStream):
        sock: Any = below.socket
        # A peer that is gone already has no address any more.
        with suppress(OSError):
            ours = sock.getsockname()
            theirs = sock.getpeername()
    return ours, theirs
