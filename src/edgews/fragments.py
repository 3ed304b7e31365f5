"""Messages in fragments, on their way in and out, for adapters.

Coming in, `Delivery.FRAGMENTS` and `Delivery.STREAM` fill the inbox with pieces. An application takes them as
they are, or whole messages put together; what one call has taken of a message the next one does not lose.

Going out, a message in fragments comes from an iterable. Nobody else can send a message meanwhile, and one
that is not finished ends the connection, for the peer would wait for the rest for ever.

RFC 6455 §5.4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from .client import ClientConnection
from .events import Delivery, Event, Fragment
from .messages import BytesLike
from .server import ServerConnection
from .session import Session

Pieces: TypeAlias = Iterable[str | BytesLike]
AsyncPieces: TypeAlias = AsyncIterable[str | BytesLike]

UNFINISHED = "a message in fragments was not finished"


def new_session(conn: ServerConnection | ClientConnection, changed: Callable[[], None]) -> Session:
    """Return the session for a connection: its arguments, and what fits how the connection delivers."""
    kind = Session if conn.delivery is Delivery.MESSAGES else FragmentSession
    return kind(conn, changed)


class FragmentSession(Session):
    """A session whose inbox holds fragments."""

    __slots__ = ("_cut", "_finals", "_midway", "_parts")

    def __init__(self, conn: ServerConnection | ClientConnection, changed: Callable[[], None]) -> None:
        super().__init__(conn, changed)
        # For each piece in the inbox, whether its message ends there.
        self._finals: deque[bool] = deque()
        # The beginning of a message that was asked for as a whole and has not come whole.
        self._parts: list[str | bytes] = []
        # The application has the beginning of a message, and not its end.
        self._midway = False
        # A piece found no room, so no further one fits behind those that did.
        self._cut = False

    def receive_data(self, data: BytesLike) -> bool:
        """Take bytes that were read; `Session` says more."""
        self._feed(self.conn.receive_data(data))
        return False

    def take(self) -> str | bytes | None:
        """Return the next whole message; the rest of one that was begun in fragments is skipped."""
        while (piece := super().take()) is not None:
            final = self._finals.popleft()
            if self._midway:
                self._midway = not final
                continue
            self._parts.append(piece)
            if final:
                return self._joined()
        return None

    def take_fragment(self, first: bool) -> Fragment | None:
        """Return the next piece; the `first` one begins a message, and the rest of another is skipped."""
        if self._parts:
            self._midway = True
            return Fragment(self._joined(), False)
        while (piece := super().take()) is not None:
            final = self._finals.popleft()
            skipped = first and self._midway
            self._midway = not final
            if not skipped:
                return Fragment(piece, final)
        return None

    def _handle(self, event: Event) -> None:
        match event:
            case Fragment(piece, final):
                pass
            case str() | bytes():
                piece, final = event, True
            case _:
                super()._handle(event)
                return
        self._cut = self._cut or self.full
        if not self._cut:
            self._finals.append(final)
            self._keep(piece)
            self._changed()

    def _joined(self) -> str | bytes:
        parts, self._parts = self._parts, []
        if isinstance(parts[0], str):
            return "".join(part for part in parts if isinstance(part, str))
        return b"".join(part for part in parts if isinstance(part, bytes))


class MessagePieces:
    """The pieces of the next message as they come: what `recv_streaming` returns.

    It may be left at any time, and needs not be closed.
    """

    def __init__(
        self, session: Session, take: Callable[[Callable[[], Fragment | None]], Awaitable[Fragment]]
    ) -> None:
        self._session = session
        self._take = take
        self._last: Fragment | None = None

    def __aiter__(self) -> MessagePieces:
        return self

    async def __anext__(self) -> str | bytes:
        if self._last is not None and self._last.final:
            raise StopAsyncIteration
        first = self._last is None
        self._last = await self._take(lambda: self._session.take_fragment(first))
        return self._last.data


def is_pieces(message: object) -> bool:
    """Say whether `send` takes this for a message in fragments: an iterable of its pieces.

    A mapping is none, but most likely something that should have been serialized; the engine refuses it.
    """
    if isinstance(message, (str, bytes, bytearray, memoryview, Mapping)):
        return False
    return isinstance(message, (Iterable, AsyncIterable))


async def send_pieces(
    conn: ServerConnection | ClientConnection,
    pieces: Pieces | AsyncPieces,
    compress: bool | None,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Send a message in fragments, each as soon as it is there; nothing if there is none.

    Args:
        write: writes a frame, and waits as long as the peer has not taken enough.

    Raises:
        StateError, InvalidValueError, TypeError: as `Connection.send_fragment`. If
            `Connection.sending_fragments` is true then, or after any other exception, the connection has to
            be failed.
    """
    if not isinstance(pieces, AsyncIterable):
        for piece, final in with_end(pieces):
            await write(conn.send_fragment(piece, final=final, compress=compress))
        return
    end: str | bytes | None = None
    try:
        async for piece in pieces:
            await write(conn.send_fragment(piece, final=False, compress=compress))
            end = _end_of(piece)
    finally:
        if isinstance(pieces, AsyncGenerator):
            # One that was left before its end would be ended by the garbage collector, anywhere.
            await pieces.aclose()
    if end is not None:
        await write(conn.send_fragment(end, final=True))


def with_end(pieces: Pieces) -> Iterator[tuple[str | BytesLike, bool]]:
    """Yield each piece as soon as it is there, and behind the last one an empty piece that ends the message.

    The second value says whether the message ends.
    """
    end: str | bytes | None = None
    for piece in pieces:
        yield piece, False
        end = _end_of(piece)
    if end is not None:
        yield end, True


def _end_of(piece: str | BytesLike) -> str | bytes:
    return "" if isinstance(piece, str) else b""
