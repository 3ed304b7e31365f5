"""An echo server over HTTP/2: many WebSocket connections on one TCP connection (extended CONNECT, RFC 8441).

python examples/embedding/http2.py [PORT]

It speaks HTTP/2 without TLS, to clients that know that it does. Needs the package h2.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from edgews import (
    Connection,
    Disconnected,
    Event,
    Headers,
    PerMessageDeflate,
    Request,
    Response,
    Role,
    State,
    Transport,
)
from edgews.errors import HandshakeError
from edgews.handshake import accept_response, check_request, refusal

# As long as more than this waits to be sent on a stream, its peer gets no room to send more (bytes).
HIGH_WATER = 65536


class Stream:
    """One WebSocket connection: a stream of HTTP/2, with the engine on it."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.output = bytearray()
        # Received, and not given back to the peer as room yet.
        self.unacknowledged = 0
        self.we_ended = self.peer_ended = False

    def react(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case str() | bytes() if self.conn.state is State.OPEN:
                    self.output += self.conn.send(event)
                case Disconnected():
                    print(f"closed with {event.code}, {event.cause}", flush=True)
        self.output += self.conn.data_to_send()


class Connection2(asyncio.Protocol):
    """One TCP connection and its streams."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.http.initiate_connection()
        self.http.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.http.receive_data(data):
                self.handle(event)
        except h2.exceptions.ProtocolError:
            self.transport.write(self.http.data_to_send())
            self.transport.close()
            return
        self.flush()

    def handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=number, headers=headers):
                self.open(number, [(str(name), str(value)) for name, value in headers])
            case h2.events.DataReceived(stream_id=number) if number in self.streams:
                stream = self.streams[number]
                stream.unacknowledged += event.flow_controlled_length
                stream.react(stream.conn.receive_data(event.data))
            case h2.events.DataReceived(stream_id=number):
                # Of a stream that is over; it still counts for the connection.
                self.http.acknowledge_received_data(event.flow_controlled_length, number)
            case h2.events.StreamEnded(stream_id=number) | h2.events.StreamReset(stream_id=number):
                if number in self.streams:
                    stream = self.streams[number]
                    stream.peer_ended = True
                    stream.we_ended |= isinstance(event, h2.events.StreamReset)
                    stream.react(stream.conn.receive_eof())

    def open(self, number: int, headers: list[tuple[str, str]]) -> None:
        """Answer a request, which for the engine is the same as one of HTTP/1.1."""
        pseudo = dict(headers)
        request = Request(
            pseudo[":method"],
            pseudo[":path"],
            Headers([(name, value) for name, value in headers if not name.startswith(":")]),
            "2",
            pseudo.get(":protocol"),
        )
        deflate = None
        try:
            if request.protocol is None:
                raise HandshakeError("here are only WebSocket connections", status=404)
            check_request(request)
            response, deflate = accept_response(request, compression=PerMessageDeflate())
        except HandshakeError as error:
            self.answer(number, refusal(request, error))
            return
        self.answer(number, response)
        self.streams[number] = Stream(Connection(Role.SERVER, deflate=deflate))

    def answer(self, number: int, response: Response) -> None:
        refused = response.status != 200
        fields = [(name.lower(), value) for name, value in response.headers if name != "Connection"]
        headers = [(":status", str(response.status)), *fields]
        self.http.send_headers(number, headers, end_stream=refused and not response.body)
        if refused and response.body:
            self.http.send_data(number, response.body, end_stream=True)

    def flush(self) -> None:
        """Send what there is room for, do with each stream what the engine says, and set the timer."""
        for number, stream in list(self.streams.items()):
            if self.writable and not stream.we_ended:
                self.send(number, stream)
            if stream.unacknowledged and self.writable and len(stream.output) < HIGH_WATER:
                self.http.acknowledge_received_data(stream.unacknowledged, number)
                stream.unacknowledged = 0
            if stream.conn.transport is Transport.CLOSE:
                self.finish(number, stream)
        self.transport.write(self.http.data_to_send())
        if self.timer is not None:
            self.timer.cancel()
        dues = [due for stream in self.streams.values() if (due := stream.conn.next_timeout()) is not None]
        self.timer = self.loop.call_at(min(dues), self.tick) if dues else None

    def send(self, number: int, stream: Stream) -> None:
        # The peer's flow control is what a full socket would be.
        while stream.output and (room := self.http.local_flow_control_window(number)) > 0:
            size = min(room, self.http.max_outbound_frame_size, len(stream.output))
            self.http.send_data(number, bytes(stream.output[:size]))
            del stream.output[:size]
        if not stream.output and stream.conn.transport is not Transport.KEEP_OPEN:
            stream.we_ended = True
            self.http.end_stream(number)

    def finish(self, number: int, stream: Stream) -> None:
        """Forget a stream; one that was not ended by both sides is reset."""
        del self.streams[number]
        stream.react(stream.conn.receive_eof())
        if not (stream.we_ended and stream.peer_ended):
            self.http.reset_stream(number, h2.errors.ErrorCodes.CANCEL)

    def tick(self) -> None:
        self.timer = None
        for stream in self.streams.values():
            stream.react(stream.conn.handle_timeout(self.loop.time()))
        self.flush()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        for stream in self.streams.values():
            stream.react(stream.conn.receive_eof())


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection2, "127.0.0.1", port)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
