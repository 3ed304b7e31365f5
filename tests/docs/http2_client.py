"""WebSocket connections over HTTP/2 from a client on a blocking socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import h2.config
import h2.connection
import h2.events
import h2.settings

from edgews import Connection, Disconnected, Event, Headers, PerMessageDeflate, Response, Role, parse_uri
from edgews.handshake import build_request, check_response
from tests.raw import TIMEOUT

OFFER = (PerMessageDeflate(),)


class Http2Client:
    """One TCP connection; what its streams receive waits to be asked for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, TIMEOUT)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.conns: dict[int, Connection] = {}
        self.events: dict[int, list[Event]] = {}
        self.responses: dict[int, list[tuple[str, str]]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        # As long as this is so, the server gets no room to send more.
        self.silent = False
        self.withheld: dict[int, int] = {}
        self.answered = True
        self.wait(lambda: self.http.remote_settings.enable_connect_protocol == 1)

    def request(self, headers: list[tuple[str, str]], *, end: bool = False) -> int:
        number = self.http.get_next_available_stream_id()
        self.http.send_headers(number, headers, end_stream=end)
        self.wait(lambda: number in self.responses)
        return number

    def open(self, path: str) -> int:
        """Open a WebSocket connection; return the number of its stream."""
        uri = f"ws://example.com{path}"
        request = build_request(parse_uri(uri), compression=OFFER, extended_connect=True)
        number = self.request(
            [
                (":method", request.method),
                (":protocol", request.protocol or ""),
                (":scheme", "http"),
                (":path", request.target),
                (":authority", "example.com"),
                *((name.lower(), value) for name, value in request.headers),
            ]
        )
        (_, status), *fields = self.responses[number]
        _, deflate = check_response(request, Response(int(status), Headers(fields)), OFFER)
        assert deflate is not None
        self.conns[number] = Connection(Role.CLIENT, deflate=deflate)
        self.events[number] = []
        return number

    def send(self, number: int, data: bytes) -> None:
        """Send as fast as the server gives room."""
        while data:
            self.wait(lambda: self.room(number) > 0)
            room = self.room(number)
            self.http.send_data(number, data[:room])
            data = data[room:]
            self.flush()

    def room(self, number: int) -> int:
        return min(self.http.local_flow_control_window(number), self.http.max_outbound_frame_size)

    def settle(self) -> None:
        """Wait until the server has done all it does after what was sent."""
        for _ in range(2):
            # The answer to the first may be sent in front of what comes of the same read.
            self.answered = False
            self.http.ping(bytes(8))
            self.wait(lambda: self.answered)

    def acknowledge(self) -> None:
        """Take what was withheld, and all that comes from now on."""
        self.silent = False
        for number, size in self.withheld.items():
            self.http.acknowledge_received_data(size, number)

    def wait(self, done: Callable[[], bool]) -> None:
        self.flush()
        while not done():
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the server has ended the TCP connection")
            for event in self.http.receive_data(data):
                self.handle(event)
            self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.http.data_to_send())

    def handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=number, headers=headers):
                self.responses[number] = list(headers)
            case h2.events.DataReceived(stream_id=number):
                size = event.flow_controlled_length
                if self.silent:
                    self.withheld[number] = self.withheld.get(number, 0) + size
                else:
                    self.http.acknowledge_received_data(size, number)
                if number in self.conns:
                    self.feed(number, self.conns[number].receive_data(event.data))
                else:
                    self.bodies[number] = self.bodies.get(number, b"") + event.data
            case h2.events.PingAckReceived():
                self.answered = True
            case h2.events.StreamEnded(stream_id=number) | h2.events.StreamReset(stream_id=number):
                self.ended.add(number)
                if number in self.conns:
                    self.feed(number, self.conns[number].receive_eof())

    def feed(self, number: int, events: Iterable[Event]) -> None:
        self.events[number] += events
        if (reply := self.conns[number].data_to_send()) and number not in self.ended:
            self.http.send_data(number, reply)

    def end(self, number: int) -> Disconnected:
        """Return how a connection ended, once it has."""
        self.wait(lambda: any(isinstance(event, Disconnected) for event in self.events[number]))
        end = self.events[number].pop()
        assert isinstance(end, Disconnected)
        return end

    def close(self) -> None:
        self.sock.close()
