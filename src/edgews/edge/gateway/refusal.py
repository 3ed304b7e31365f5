"""An origin's answer that opens nothing, on its way to the client: its body streams, however long it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgews.edge.forwarding.exchange import Exchange
from edgews.errors import HandshakeError
from edgews.events import Response
from edgews.http1 import ResponseReader

from .room import Room

if TYPE_CHECKING:
    from .streams import ClientStream, OriginStream


class Refusal:
    """One such answer: `begin`, then `run`.

    Attributes:
        room: whether the client takes any more.
    """

    def __init__(self, client: ClientStream, origin: OriginStream, reader: ResponseReader) -> None:
        self.room = Room()
        self._client = client
        self._origin = origin
        self._reader = reader
        self._exchange: Exchange | None = None

    def begin(self, exchange: Exchange, response: Response) -> None:
        """Send the head.

        Args:
            exchange: what the client has asked.
            response: as the client gets it, without its body.

        Raises:
            HandshakeError: it is none that may be passed on; nothing has been.
        """
        self._client.write(exchange.head(response, keep=False))
        self._exchange = exchange

    async def run(self, behind: bytes, patience: float) -> bool:
        """Pass the body on; say whether it came to its end.

        Args:
            behind: what has come of it with the head.
            patience: how long nothing may happen, in seconds.
        """
        exchange = self._exchange
        assert exchange is not None
        data, eof = behind, False
        try:
            while True:
                for piece in self._reader.feed_body(data, eof):
                    self._client.write(exchange.data(piece))
                if self._reader.complete:
                    self._client.write(exchange.end())
                    return True
                async with asyncio.timeout(patience):
                    await self.room.wait()
                    data, eof = await self._origin.next()
        except (HandshakeError, TimeoutError):
            return False
