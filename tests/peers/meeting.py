"""One connection between two parties, and what the tests may ask of its ends."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from tests.peers.agents.agent import HOST, Message, Pieces, encoded
from tests.peers.matrix import Pairing
from tests.peers.party import Party

Options = Mapping[str, Any]
NONE: Options = {}


class End:
    """One end of a connection."""

    def __init__(self, party: Party, name: str) -> None:
        self.party = party
        self.name = name
        self.facts: dict[str, Any] = {}

    def send(self, message: Message) -> None:
        self.party.order("send", name=self.name, **encoded(message))

    def begin_to_send(self, message: Message) -> None:
        """Send what may not be received as a whole; that this fails is no failure."""
        self.party.begin("send", name=self.name, **encoded(message))

    def send_pieces(self, pieces: Pieces) -> None:
        """Send a message in fragments; None stands for a Ping whose Pong is waited for."""
        parts = [None if piece is None else encoded(piece) for piece in pieces]
        self.party.order("send", name=self.name, pieces=parts)

    def ping(self) -> None:
        self.party.order("ping", name=self.name)

    def close(self, code: int | None = 1000, reason: str = "") -> Future[Any]:
        """Start closing; the result is there when that is over."""
        return self.party.begin("close", name=self.name, code=code, reason=reason)

    def stats(self) -> dict[str, int]:
        """Return the counters of an end that is ours."""
        stats: dict[str, int] = self.party.order("stats", name=self.name)
        return stats

    def event(self) -> dict[str, Any]:
        return self.party.event(self.name)

    def message(self) -> Message:
        """Return the message that comes next."""
        event = self.event()
        assert event.pop("event") == "message", event
        return event["text"] if "text" in event else bytes.fromhex(event["hex"])

    def finish(self, other: End) -> None:
        """Close as the end that is ours, and see that both ends know."""
        closing = self.close(1000)
        assert self.closed() == (1000, "")
        other.closed()
        self.party.answer(closing)

    def closed(self) -> tuple[int, str]:
        """Return code and reason of the end, which comes next."""
        event = self.event()
        assert event["event"] == "closed", event
        return event["code"], event["reason"]


class Meeting:
    """Our party and its peer, one the server of the other."""

    def __init__(self, pairing: Pairing, ours: Party, peer: Party, number: int) -> None:
        self.pairing = pairing
        self.can = pairing.peer.can
        self.path = f"/{number}"

        self._server, self._client = (ours, peer) if pairing.we_serve else (peer, ours)

    def listen(self, *, ours: Options = NONE, peer: Options = NONE) -> int:
        """Return the port of the server; `ours` and `peer` are further options of the two."""
        options = ours if self.pairing.we_serve else peer
        return self._server.listen(**{**self.pairing.options, **options})

    def dial(self, port: int, *, ours: Options = NONE, peer: Options = NONE) -> End:
        """Let the client connect to a port; what comes of it are the events of the end returned."""
        options = {**self.pairing.options, **(peer if self.pairing.we_serve else ours)}
        scheme = "wss" if options.get("tls") else "ws"
        uri = f"{scheme}://{HOST}:{port}{self.path}"
        self._client.begin("open", name=self.path, uri=uri, **options)
        return End(self._client, self.path)

    def open(self, port: int | None = None, *, ours: Options = NONE, peer: Options = NONE) -> tuple[End, End]:
        """Open the connection, and return our end and the peer's."""
        at = self.listen(ours=ours, peer=peer) if port is None else port
        client = self.dial(at, ours=ours, peer=peer)
        server = End(self._server, self.path)
        for end in (client, server):
            end.facts = end.event()
            assert end.facts["event"] == "opened", end.facts
        return (server, client) if self.pairing.we_serve else (client, server)

    def crowd(self, count: int) -> tuple[list[str], list[int]]:
        """Let the client open many connections to our server at once; return echoes and close codes."""
        uri = f"ws://{HOST}:{self.listen()}/echo{self.path}"
        echoes, codes = self._client.order("crowd", uri=uri, count=count)
        return echoes, codes

    def left(self) -> int:
        """Return how many connections our server has."""
        left: int = self._server.order("left", port=self.listen())
        return left
